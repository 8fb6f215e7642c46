"""Where intake keeps idempotency keys, pending jobs and the hot view: the Protocol, and Redis behind it.

All of a tenant's keys share the hash tag `{intake:<tenant>}`, so that each step is one atomic script, also on Redis
Cluster:

    {intake:<tenant>}:key:<key>    hash    fingerprint, job (the job or batch that it stands for), claim (until when, in
                                           ms; gone once that was accepted)
    {intake:<tenant>}:pending      zset    ids of unfinished jobs, by the time at which each lapses, in ms
    {intake:<tenant>}:drained      hash    how many jobs have ended of late (`lua/drained.lua`)
    {intake:<tenant>}:job:<id>     hash    job (as first answered), revision and event (the newest), event:<revision>
                                           (each between the two, a few hundred bytes: 2 an attempt, so 40 at most),
                                           batch (its place there), end (while its submission is to come)
    {intake:<tenant>}:batch:<id>   hash    see `batch_store`

A job is pending exactly from its admission to the event that ends it, whatever comes twice, late or out of order:
an admission adds it unless the log has shown it; the event that is the newest adds it or takes it out; older ones leave
it alone. What was admitted and never published is taken out when its publish is given up, or else lapses.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from services.intake.domain import (
    CLAIM_LIFETIME,
    FIRST_REVISION,
    IDEMPOTENCY_WINDOW,
    Admission,
    Applied,
    BatchEnd,
    Drain,
    Outcome,
    Record,
    State,
)
from services.intake.known_servers import being_rebuilt
from shared import kv
from shared.gathered import GatheredScript

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.intake.domain import Candidate, Change
    from services.intake.known_servers import KnownServers

#: An unfinished job's record outlives the job: it may end 7 days ahead at most, and then run a while.
UNFINISHED_LIFETIME = timedelta(days=8)
#: How long a job can be asked for after its end.
FINISHED_LIFETIME = timedelta(hours=24)
#: What is learnt late is kept as long at least: the record must outlast every older event that may still come.
MIN_LIFETIME = timedelta(hours=1)
#: How long a job that the log has not shown counts as pending: its replica may have died before the publish. If not,
#: its event counts it on, or again; a projection that is further behind than this counts too few until it catches up.
UNSEEN_PENDING_LIFETIME = timedelta(minutes=10)
#: How long such a job can be asked for: the log shows it within milliseconds, or, after an outage, within this.
UNSEEN_LIFETIME = timedelta(hours=1)
#: Events of one script.
MAX_APPLIED = 64

#: Before the revision, in the names of a record's fields.
_EVENT = b"event:"
_LUA = Path(__file__).parent / "lua"
#: Where scripts have the time from.
REDIS_CLOCK = _LUA / "time.lua"
#: What `admit.lua` answers with where the server is not known.
_STRANGER = b"stranger"
_RELEASE = kv.Script(_LUA / "release.lua")
#: What of a job's record makes a `Record`.
_RECORD = ["job", "event"]


class JobStore(Protocol):
    """Keeps what intake knows of jobs. Every method takes the tenant, and shows nothing of another's."""

    async def admit(self, tenant: str, candidate: Candidate, *, max_pending: int, closed: bool = False) -> Admission:
        """Admits a new job or batch, or, under a key that is known, says what became of the first request.

        An id that the key stands for already takes that up again, if nobody is at it.

        Args:
            tenant: Whose.
            candidate: All of it is admitted, or none.
            max_pending: Unfinished jobs that the tenant may have, with these.
            closed: Whether all tenants together have as many as they may have: nothing new is admitted.

        Raises:
            Unavailable: The store is away, and it may be admitted; or it is being rebuilt, and it is not.
        """
        ...

    async def find(self, tenant: str, idempotency_key: str, *, fingerprint: bytes) -> str | None:
        """The id of the job or batch that the same request has made under this key before, if it was accepted.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def accept(self, tenant: str, idempotency_key: str) -> None:
        """Notes that what this key stands for is in the log: from now on the key answers with it.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def release(self, tenant: str, job_ids: Sequence[str], *, idempotency_key: str) -> None:
        """Gives up jobs that could not be published, as far as anyone knows.

        They count no more until the log shows them, and a retry with their key may take them up at once.

        Args:
            tenant: Whose jobs.
            job_ids: A job's, or all of a batch.
            idempotency_key: Empty for none.

        Raises:
            Unavailable: The store is away; all of it lapses by itself.
        """
        ...

    async def read(self, tenant: str, job_id: str) -> Record | None:
        """A job, or None where the tenant has none of this id.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def events(self, tenant: str, job_id: str) -> list[bytes]:
        """What has happened to a job since its submission, in the order of its revisions; empty where nothing has.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def read_many(self, tenant: str, job_ids: Sequence[str]) -> list[Record | None]:
        """The same of many, in one round trip and in their order.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def apply(self, changes: Sequence[Change]) -> list[Applied]:
        """Applies events, in any order and any number of times: a job stands where the newest by revision left it.

        Answers with what each came to.

        Raises:
            Unavailable: The store is away. Any of them may be applied.
        """
        ...

    async def confirm(self) -> None:
        """Returns where what the store does not have was never there.

        Raises:
            Unavailable: The store is away, or it is being rebuilt.
        """
        ...


class RedisJobStore:
    """Keeps it in Redis.

    Args:
        client: Connected.
        servers: Those that hold all that the log tells.
        claim_lifetime: How long a request that is being accepted holds its key.
        unseen_pending_lifetime: How long a job that the log has not shown counts as pending.
        clock: A Lua file that defines `read_clock()`.
    """

    def __init__(
        self,
        client: kv.Client,
        servers: KnownServers,
        *,
        claim_lifetime: timedelta = CLAIM_LIFETIME,
        unseen_pending_lifetime: timedelta = UNSEEN_PENDING_LIFETIME,
        clock: Path = REDIS_CLOCK,
    ) -> None:
        self._client = client
        self._servers = servers
        self._admit = GatheredScript(_script(clock, "admit"), client)
        self._apply = _script(clock, "apply")
        self._claim_ms = _ms(claim_lifetime)
        self._unseen_pending_ms = _ms(unseen_pending_lifetime)

    async def admit(self, tenant: str, candidate: Candidate, *, max_pending: int, closed: bool = False) -> Admission:
        """See `JobStore`."""
        arguments: list[kv.Argument] = [
            self._servers.text,
            candidate.id,
            len(candidate.jobs),
            max_pending,
            int(closed),
            self._unseen_pending_ms,
            _ms(UNSEEN_LIFETIME),
            _ms(UNFINISHED_LIFETIME),
            candidate.fingerprint,
            self._claim_ms,
            _ms(IDEMPOTENCY_WINDOW),
            int(candidate.is_batch),
        ]
        for job_id, job in candidate.jobs:
            arguments += (job_id, job)
        outcome, detail, *drain = await self._admit.run(_admission_keys(tenant, candidate), arguments)
        if outcome == _STRANGER:
            self._servers.met(detail.decode())
            raise being_rebuilt()
        match Outcome(outcome.decode()):
            case Outcome.ADMITTED:
                return Admission(outcome=Outcome.ADMITTED, id=candidate.id, standing=tuple(detail))
            case (Outcome.FULL | Outcome.CLOSED) as refused:
                return Admission(outcome=refused, id=candidate.id, pending=detail, drain=drain_of(drain[0]))
            case known:
                return Admission(outcome=known, id=detail.decode())

    async def find(self, tenant: str, idempotency_key: str, *, fingerprint: bytes) -> str | None:
        """See `JobStore`."""
        async with kv.translated():
            known, job_id, claim = await cast(
                "Any", self._client.hmget(_key(tenant, idempotency_key), ["fingerprint", "job", "claim"])
            )
        return job_id.decode() if known == fingerprint and claim is None else None

    async def accept(self, tenant: str, idempotency_key: str) -> None:
        """See `JobStore`."""
        async with kv.translated():
            await cast("Any", self._client.hdel(_key(tenant, idempotency_key), "claim"))

    async def release(self, tenant: str, job_ids: Sequence[str], *, idempotency_key: str) -> None:
        """See `JobStore`."""
        keys = [pending_key(tenant), *(_job(tenant, job_id) for job_id in job_ids)]
        if idempotency_key:
            keys.append(_key(tenant, idempotency_key))
        await _RELEASE.run(self._client, keys, list(job_ids))

    async def read(self, tenant: str, job_id: str) -> Record | None:
        """See `JobStore`."""
        async with kv.translated():
            job, event = await cast("Any", self._client.hmget(_job(tenant, job_id), _RECORD))
        return None if job is None and event is None else Record(job=job, event=event)

    async def read_many(self, tenant: str, job_ids: Sequence[str]) -> list[Record | None]:
        """See `JobStore`."""
        pipeline = cast("Any", self._client.pipeline(transaction=False))
        for job_id in job_ids:
            pipeline.hmget(_job(tenant, job_id), _RECORD)
        async with kv.translated():
            found: list[tuple[bytes | None, bytes | None]] = await pipeline.execute()
        return [None if job is None and event is None else Record(job=job, event=event) for job, event in found]

    async def events(self, tenant: str, job_id: str) -> list[bytes]:
        """See `JobStore`."""
        async with kv.translated():
            fields: dict[bytes, bytes] = await cast("Any", self._client.hgetall(_job(tenant, job_id)))
        found = {int(name.removeprefix(_EVENT)): event for name, event in fields.items() if name.startswith(_EVENT)}
        newest = int(fields.get(b"revision", 0))
        if newest > FIRST_REVISION:
            found[newest] = fields[b"event"]
        return [found[revision] for revision in sorted(found)]

    async def apply(self, changes: Sequence[Change]) -> list[Applied]:
        """See `JobStore`."""
        parts = _parts_by_tenant(changes)
        calls = [_application([changes[position] for position in part], self._servers.text) for part in parts]
        applied = [Applied(ended=False)] * len(changes)
        answers = await self._apply.run_many(self._client, calls)
        for part, (marks, batch_ends, server) in zip(parts, answers, strict=True):
            for position, mark, batch_end in zip(part, marks, batch_ends, strict=True):
                if mark or batch_end:
                    applied[position] = Applied(ended=mark == 1, ended_in=_batch_end(batch_end))
            if server is not None:
                self._servers.met(server.decode())
        return applied

    async def confirm(self) -> None:
        """See `JobStore`."""
        server = await server_id(self._client)
        if server not in self._servers:
            self._servers.met(server)
            raise being_rebuilt()


async def server_id(client: kv.Client) -> str:
    """The id of the server, as `lua/guard.lua` has it.

    Raises:
        Unavailable: It is away.
    """
    async with kv.translated():
        info = await cast("Any", client.info("replication"))
    return str(info["master_replid"])


def drain_of(answer: Sequence[int]) -> Drain:
    """A drain as `lua/drained.lua` tells it."""
    ended, window, silence = answer
    return Drain(
        ended=ended,
        window=timedelta(milliseconds=window),
        silence=timedelta(milliseconds=silence) if silence >= 0 else None,
    )


def _script(clock: Path, name: str) -> kv.Script:
    return kv.Script(clock, *(_LUA / f"{part}.lua" for part in ("guard", "drained", name)))


def _parts_by_tenant(changes: Sequence[Change]) -> list[list[int]]:
    """The changes by their positions, in their order: each part is one tenant's and fits into one script."""
    by_tenant: defaultdict[str, list[int]] = defaultdict(list)
    for position, change in enumerate(changes):
        by_tenant[change.tenant].append(position)
    return [
        positions[start : start + MAX_APPLIED]
        for positions in by_tenant.values()
        for start in range(0, len(positions), MAX_APPLIED)
    ]


def _application(changes: Sequence[Change], known: str) -> tuple[list[str], list[kv.Argument]]:
    """Keys and arguments of `apply.lua` for changes of one tenant."""
    tenant, now = changes[0].tenant, datetime.now(UTC)
    keys: list[str] = [pending_key(tenant), _drained(tenant)]
    arguments: list[kv.Argument] = [known, _ms(UNFINISHED_LIFETIME)]
    for change in changes:
        keys.append(_job(tenant, change.job_id))
        if change.idempotency_key:
            keys.append(_key(tenant, change.idempotency_key))
        arguments += _event_arguments(change, now)
    return keys, arguments


def _event_arguments(change: Change, now: datetime) -> tuple[kv.Argument, ...]:
    ended = change.finished_at
    ended_ms = int(ended.timestamp() * 1000) if ended is not None else 0
    until = ended + FINISHED_LIFETIME if ended is not None else change.at + UNFINISHED_LIFETIME
    window = change.at + IDEMPOTENCY_WINDOW - now if change.job is not None else timedelta(0)
    return (
        change.job_id,
        change.revision,
        change.event,
        change.job or b"",
        ended_ms,
        _ms(max(until - now, MIN_LIFETIME)),
        change.key_stands_for if change.idempotency_key else "",
        change.fingerprint,
        max(0, _ms(window)),
        f"{change.place.batch_id} {change.place.index}" if change.place is not None else "",
        f"{change.state} {ended_ms}" if ended_ms else "",
    )


def _batch_end(text: bytes) -> BatchEnd | None:
    """What `apply.lua` says of a job's end in a batch; None for an empty text."""
    if not text:
        return None
    batch_id, index, state, ended_ms = text.decode().split(" ")
    at = datetime.fromtimestamp(int(ended_ms) / 1000, UTC)
    return BatchEnd(batch_id=batch_id, index=int(index), state=State(state), at=at)


def _admission_keys(tenant: str, candidate: Candidate) -> list[str]:
    keys = [pending_key(tenant), _drained(tenant), *(_job(tenant, job_id) for job_id, _ in candidate.jobs)]
    if candidate.is_batch:
        keys.append(batch_key(tenant, candidate.id))
    return [*keys, _key(tenant, candidate.idempotency_key)] if candidate.idempotency_key else keys


def _drained(tenant: str) -> str:
    return f"{{intake:{tenant}}}:drained"


def _key(tenant: str, idempotency_key: str) -> str:
    return f"{{intake:{tenant}}}:key:{idempotency_key}"


def pending_key(tenant: str) -> str:
    """The set of a tenant's pending jobs."""
    return f"{{intake:{tenant}}}:pending"


def batch_key(tenant: str, batch_id: str) -> str:
    """A batch's record."""
    return f"{{intake:{tenant}}}:batch:{batch_id}"


def _job(tenant: str, job_id: str) -> str:
    return f"{{intake:{tenant}}}:job:{job_id}"


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
