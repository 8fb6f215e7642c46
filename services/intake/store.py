"""Where intake keeps idempotency keys, pending jobs and the hot view: the Protocol, and Redis behind it.

All of a tenant's keys share the hash tag `{intake:<tenant>}`, so that each step is one atomic script, also on Redis
Cluster:

    {intake:<tenant>}:key:<key>    hash    fingerprint, job, claim (until when, in ms; gone once the job was accepted)
    {intake:<tenant>}:pending      zset    ids of unfinished jobs, by the time at which each lapses, in ms
    {intake:<tenant>}:job:<id>     hash    job (as first answered), revision and event (the newest), event:<revision>
                                           (each between the two, a few hundred bytes: 2 an attempt, so 40 at most)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from services.intake.domain import CLAIM_LIFETIME, FIRST_REVISION, IDEMPOTENCY_WINDOW, Admission, Outcome, Record
from services.intake.gathered import GatheredScript
from shared import kv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.intake.domain import Change

#: An unfinished job's record outlives the job: it may end 7 days ahead at most, and then run a while.
UNFINISHED_LIFETIME = timedelta(days=8)
#: How long a job can be asked for after its end.
FINISHED_LIFETIME = timedelta(hours=24)
#: The same for an end that is learnt of late: the record must outlast every older event that may still come.
MIN_FINISHED_LIFETIME = timedelta(hours=1)
#: How long a job that the log has not shown counts as pending. Its publish may have failed; if it did not, its event
#: counts it again.
UNSEEN_PENDING_LIFETIME = timedelta(minutes=2)
#: How long such a job can be asked for: the log shows it within milliseconds, or, after an outage, within this.
UNSEEN_LIFETIME = timedelta(hours=1)

#: Before the revision, in the names of a record's fields.
_EVENT = b"event:"
_LUA = Path(__file__).parent / "lua"
_ADMIT = kv.Script(_LUA / "admit.lua")
_APPLY = kv.Script(_LUA / "apply.lua")
_RELEASE = kv.Script(_LUA / "release.lua")


class JobStore(Protocol):
    """Keeps what intake knows of jobs. Every method takes the tenant, and shows nothing of another's."""

    async def admit(
        self, tenant: str, job_id: str, job: bytes, *, idempotency_key: str, fingerprint: bytes, max_pending: int
    ) -> Admission:
        """Admits a new job, or, under a key that is known, says what became of the first request.

        A job id that the key stands for already takes up that job again, if nobody is at it.

        Args:
            tenant: Whose job.
            job_id: Its id.
            job: The job as it will first be answered.
            idempotency_key: Empty for none.
            fingerprint: Of the request.
            max_pending: Unfinished jobs that the tenant may have, with this one.

        Raises:
            Unavailable: The store is away. The job may be admitted.
        """
        ...

    async def find(self, tenant: str, idempotency_key: str, *, fingerprint: bytes) -> str | None:
        """The job that the same request has made under this key before, if it was accepted.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def accept(self, tenant: str, idempotency_key: str) -> None:
        """Notes that the job of this key is in the log: from now on the key answers with it.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def release(self, tenant: str, idempotency_key: str) -> None:
        """Ends the claim on a key whose job could not be published, so that a retry may take it up at once.

        Raises:
            Unavailable: The store is away; the claim lapses by itself.
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

    async def apply(self, changes: Sequence[Change]) -> None:
        """Applies events, in any order and any number of times: a job stands where the newest by revision left it.

        Raises:
            Unavailable: The store is away. Any of them may be applied.
        """
        ...


class RedisJobStore:
    """Keeps it in Redis.

    Args:
        client: Connected.
        claim_lifetime: How long a request that is being accepted holds its key.
        unseen_pending_lifetime: How long a job that the log has not shown counts as pending.
    """

    def __init__(
        self,
        client: kv.Client,
        *,
        claim_lifetime: timedelta = CLAIM_LIFETIME,
        unseen_pending_lifetime: timedelta = UNSEEN_PENDING_LIFETIME,
    ) -> None:
        self._client = client
        self._admit = GatheredScript(_ADMIT, client)
        self._claim_ms = _ms(claim_lifetime)
        self._unseen_pending_ms = _ms(unseen_pending_lifetime)

    async def admit(
        self, tenant: str, job_id: str, job: bytes, *, idempotency_key: str, fingerprint: bytes, max_pending: int
    ) -> Admission:
        """See `JobStore`."""
        keys = [_job(tenant, job_id), _pending(tenant)]
        if idempotency_key:
            keys.append(_key(tenant, idempotency_key))
        arguments: list[kv.Argument] = [
            job_id,
            job,
            max_pending,
            self._unseen_pending_ms,
            _ms(UNSEEN_LIFETIME),
            _ms(UNFINISHED_LIFETIME),
            fingerprint,
            self._claim_ms,
            _ms(IDEMPOTENCY_WINDOW),
        ]
        outcome, detail = await self._admit.run(keys, arguments)
        match Outcome(outcome.decode()):
            case Outcome.ADMITTED:
                return Admission(outcome=Outcome.ADMITTED, job_id=job_id, job=detail or None)
            case Outcome.FULL:
                return Admission(outcome=Outcome.FULL, job_id=job_id, pending=detail)
            case known:
                return Admission(outcome=known, job_id=detail.decode())

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

    async def release(self, tenant: str, idempotency_key: str) -> None:
        """See `JobStore`."""
        await _RELEASE.run(self._client, [_key(tenant, idempotency_key)], [])

    async def read(self, tenant: str, job_id: str) -> Record | None:
        """See `JobStore`."""
        async with kv.translated():
            job, event = await cast("Any", self._client.hmget(_job(tenant, job_id), ["job", "event"]))
        return None if job is None and event is None else Record(job=job, event=event)

    async def events(self, tenant: str, job_id: str) -> list[bytes]:
        """See `JobStore`."""
        async with kv.translated():
            fields: dict[bytes, bytes] = await cast("Any", self._client.hgetall(_job(tenant, job_id)))
        found = {int(name.removeprefix(_EVENT)): event for name, event in fields.items() if name.startswith(_EVENT)}
        newest = int(fields.get(b"revision", 0))
        if newest > FIRST_REVISION:
            found[newest] = fields[b"event"]
        return [found[revision] for revision in sorted(found)]

    async def apply(self, changes: Sequence[Change]) -> None:
        """See `JobStore`."""
        await _APPLY.run_many(self._client, [_application(change) for change in changes])


def _application(change: Change) -> tuple[list[str], list[kv.Argument]]:
    keys = [_job(change.tenant, change.job_id), _pending(change.tenant)]
    if change.idempotency_key:
        keys.append(_key(change.tenant, change.idempotency_key))
    keep = UNFINISHED_LIFETIME
    if change.finished_at is not None:
        keep = max(change.finished_at + FINISHED_LIFETIME - datetime.now(UTC), MIN_FINISHED_LIFETIME)
    window = timedelta(0)
    if change.submitted_at is not None:
        window = max(change.submitted_at + IDEMPOTENCY_WINDOW - datetime.now(UTC), timedelta(0))
    return keys, [
        change.job_id,
        change.revision,
        change.event,
        change.job or b"",
        1 if change.finished_at is not None else 0,
        _ms(keep),
        change.fingerprint,
        _ms(window),
    ]


def _key(tenant: str, idempotency_key: str) -> str:
    return f"{{intake:{tenant}}}:key:{idempotency_key}"


def _pending(tenant: str) -> str:
    return f"{{intake:{tenant}}}:pending"


def _job(tenant: str, job_id: str) -> str:
    return f"{{intake:{tenant}}}:job:{job_id}"


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
