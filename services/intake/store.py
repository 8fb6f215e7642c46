"""Where intake keeps idempotency keys, pending jobs and the hot view: the Protocol, and Redis behind it.

How it is laid out says `layout`.

A job is pending exactly from its admission to the event that ends it, whatever comes twice, late or out of order:
an admission adds it unless the log has shown it; the event that is the newest adds it or takes it out; older ones leave
it alone. What was admitted and never published is taken out when its publish is given up, or else lapses.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from services.intake.apply_script import ApplyScript
from services.intake.changes import Applied, Record
from services.intake.domain import CLAIM_LIFETIME, FIRST_REVISION, IDEMPOTENCY_WINDOW, Admission, Drain, Outcome
from services.intake.known_servers import being_rebuilt
from services.intake.layout import (
    UNFINISHED_LIFETIME,
    UNSEEN_LIFETIME,
    UNSEEN_PENDING_LIFETIME,
    batch_key,
    drained_key,
    job_key,
    pending_key,
    record_of_key,
)
from shared import kv
from shared.gathered import GatheredReads, GatheredScript

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from services.intake.changes import Change
    from services.intake.domain import Candidate
    from services.intake.known_servers import KnownServers

#: Before the revision, in the names of a record's fields.
_EVENT = b"event:"
_LUA = Path(__file__).parent / "lua"
#: What `admit.lua` answers with where the server is not known.
_STRANGER = b"stranger"
_ACCEPT = kv.Script(_LUA / "accept.lua")
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

    async def accept(self, tenant: str, accepted: str, *, idempotency_key: str) -> None:
        """Notes that a job or batch is in the log: from now on its key answers with it, if that still stands for it.

        Args:
            tenant: Whose.
            accepted: Its id.
            idempotency_key: Not empty.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def release(self, tenant: str, given_up: str, job_ids: Sequence[str], *, idempotency_key: str) -> None:
        """Gives up jobs that could not be published, as far as anyone knows.

        They count no more until the log shows them, and a retry with their key may take them up at once.

        Args:
            tenant: Whose jobs.
            given_up: The id of the job or batch.
            job_ids: The job's, or all of the batch.
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
        ended: Is told whose jobs have ended by what was applied.
    """

    def __init__(
        self,
        client: kv.Client,
        servers: KnownServers,
        *,
        ended: Callable[[Collection[str]], None] | None = None,
        claim_lifetime: timedelta = CLAIM_LIFETIME,
        unseen_pending_lifetime: timedelta = UNSEEN_PENDING_LIFETIME,
        clock: Path = kv.CLOCK,
    ) -> None:
        self._client = client
        self._servers = servers
        self._ended = ended
        self._admit = GatheredScript(_admit_script(clock), client)
        self._reads = GatheredReads(client)
        self._apply = ApplyScript(clock)
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
                "Any", self._client.hmget(record_of_key(tenant, idempotency_key), ["fingerprint", "job", "claim"])
            )
        return job_id.decode() if known == fingerprint and claim is None else None

    async def accept(self, tenant: str, accepted: str, *, idempotency_key: str) -> None:
        """See `JobStore`."""
        await _ACCEPT.run(self._client, [record_of_key(tenant, idempotency_key)], [accepted])

    async def release(self, tenant: str, given_up: str, job_ids: Sequence[str], *, idempotency_key: str) -> None:
        """See `JobStore`."""
        keys = [pending_key(tenant), *(job_key(tenant, job_id) for job_id in job_ids)]
        if idempotency_key:
            keys.append(record_of_key(tenant, idempotency_key))
        await _RELEASE.run(self._client, keys, [given_up, *job_ids])

    async def read(self, tenant: str, job_id: str) -> Record | None:
        """See `JobStore`."""
        job, event = await self._reads.ask("HMGET", job_key(tenant, job_id), *_RECORD)
        return None if job is None and event is None else Record(job=job, event=event)

    async def read_many(self, tenant: str, job_ids: Sequence[str]) -> list[Record | None]:
        """See `JobStore`."""
        pipeline = cast("Any", self._client.pipeline(transaction=False))
        for job_id in job_ids:
            pipeline.hmget(job_key(tenant, job_id), _RECORD)
        async with kv.translated():
            found: list[tuple[bytes | None, bytes | None]] = await pipeline.execute()
        return [None if job is None and event is None else Record(job=job, event=event) for job, event in found]

    async def events(self, tenant: str, job_id: str) -> list[bytes]:
        """See `JobStore`."""
        fields: dict[bytes, bytes] = await self._reads.ask("HGETALL", job_key(tenant, job_id))
        if b"event" not in fields:  # it has none yet, or was evicted
            return []
        found = {int(name.removeprefix(_EVENT)): event for name, event in fields.items() if name.startswith(_EVENT)}
        newest = int(fields[b"revision"])
        if newest > FIRST_REVISION:
            found[newest] = fields[b"event"]
        return [found[revision] for revision in sorted(found)]

    async def apply(self, changes: Sequence[Change]) -> list[Applied]:
        """See `JobStore`."""
        applied, strangers = await self._apply.run(self._client, changes, known=self._servers.text)
        for server in strangers:
            self._servers.met(server)
        if self._ended is not None:
            self._ended({change.tenant for change in changes if change.finished_at is not None})
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


def _admit_script(clock: Path) -> kv.Script:
    return kv.Script(clock, *(_LUA / f"{part}.lua" for part in ("guard", "drained", "admit")))


def _admission_keys(tenant: str, candidate: Candidate) -> list[str]:
    keys = [pending_key(tenant), drained_key(tenant), *(job_key(tenant, job_id) for job_id, _ in candidate.jobs)]
    if candidate.is_batch:
        keys.append(batch_key(tenant, candidate.id))
    return [*keys, record_of_key(tenant, candidate.idempotency_key)] if candidate.idempotency_key else keys


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
