"""Which tenants are suspended: heard by notices, on disk in the bucket of NATS, and in force in Redis, queue by queue.

What the newest notice has said of a tenant stays on disk after it was resumed too: by its revision, one that comes late
is known for what it is. Every replica follows the bucket, and brings what it finds there into force in all queues that
it knows; by the same revision the scripts tell which of two replicas is behind.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.events.v1 import notices_pb2

from services.scheduler.limits import Suspension
from shared import ids, observability, streams
from shared.bus import Conflict
from shared.errors import PenstockError
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scheduler.queue import Queue
    from services.scheduler.settings import Bucket, Signals
    from shared.bus import Entry, Incoming

log = observability.logger()

_PREFIX = "suspended."
#: Shared by every replica.
CONSUMER = streams.consumer_config(
    "scheduler-notices", streams.notice_subject("tenant_suspended"), streams.notice_subject("tenant_resumed")
)
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the newest notice has said of a tenant."""

    revision: int
    #: None where it was resumed.
    suspension: Suspension | None


class Suspensions:
    """The suspensions of all tenants.

    Args:
        bucket: Where they are on disk.
        queue: Where they are in force.
        signals: Tell that there may be something to lease.
    """

    def __init__(self, *, bucket: Bucket, queue: Queue, signals: Signals) -> None:
        self._bucket = bucket
        self._queue = queue
        self._signals = signals
        self._upstreams: set[str] = set()

    async def take(self, batch: Sequence[Incoming]) -> None:
        """Puts on disk what notices say; those that come again, or late, change nothing.

        Raises:
            Unavailable: NATS is away; the notices come again.
        """
        for message in batch:
            try:
                tenant, standing = _read(message.payload)
            except (DecodeError, ValueError) as error:
                log.error("notice_malformed", subject=message.subject, sequence=message.sequence, error=str(error))  # noqa: TRY400  told in full
                message.term()
            else:
                await self._note(tenant, standing)

    async def follow(self) -> None:
        """Brings into force what is on disk, and what comes there, in every queue that is known; until canceled."""
        async with asyncio.TaskGroup() as group:

            async def changed(name: str, _: bytes | None) -> None:
                if name.startswith(_PREFIX):
                    for upstream in sorted(self._upstreams):  # each by itself: one may wait for its rebuild
                        group.create_task(self._enforce(upstream, name.removeprefix(_PREFIX)))

            await self._bucket.watch(changed)

    async def restore(self, upstream: str) -> None:
        """Puts into a queue that is being rebuilt who is suspended, so that no lease goes before that holds.

        Who was resumed since, `apply` reinstates when the queue is whole.

        Raises:
            Unavailable: Redis or NATS is away; doing it again is right.
        """
        self._upstreams.add(upstream)
        for tenant in await self._known():
            standing = await self._of(tenant)
            if standing is not None and standing.suspension is not None:
                await self._queue.suspend(upstream, standing.suspension, revision=standing.revision)

    async def apply(self, upstream: str) -> None:
        """Brings all of them into force in a queue, and from now on each that changes.

        Raises:
            Unavailable: Redis or NATS is away; doing it again is right.
        """
        self._upstreams.add(upstream)
        for tenant in await self._known():
            await self._apply(upstream, tenant)

    async def _note(self, tenant: str, standing: _Standing) -> None:
        key = _PREFIX + tenant
        while True:
            entry = await self._bucket.get(key)
            before = _load(tenant, entry)
            if before is not None and before.revision >= standing.revision:
                log.info("notice_outdated", owner=tenant, revision=standing.revision, known=before.revision)
                return
            try:
                if entry is None:
                    await self._bucket.create(key, _dump(standing))
                else:
                    await self._bucket.update(key, _dump(standing), entry.revision)
            except Conflict:  # another replica was faster, perhaps with a newer notice
                continue
            suspended = standing.suspension is not None
            log.info("tenant_standing_noted", owner=tenant, revision=standing.revision, suspended=suspended)
            return

    async def _enforce(self, upstream: str, tenant: str) -> None:
        """Brings it into force as soon as Redis and NATS are there, and the queue is whole."""
        await until_done(
            lambda: self._apply(upstream, tenant),
            retry_on=(PenstockError,),
            backoff=_BACKOFF,
            on_failure=lambda error, pause: log.warning(
                "suspension_awaited",
                upstream=upstream,
                owner=tenant,
                error=str(error),
                pause_s=round(pause.total_seconds(), 2),
            ),
        )

    async def _apply(self, upstream: str, tenant: str) -> None:
        standing = await self._of(tenant)
        if standing is None:
            return
        if standing.suspension is not None:
            await self._queue.suspend(upstream, standing.suspension, revision=standing.revision)
        else:
            await self._queue.reinstate(upstream, tenant=tenant, revision=standing.revision)
            await self._signals.announce(upstream)

    async def _known(self) -> list[str]:
        """Every tenant that was ever suspended."""
        return [name.removeprefix(_PREFIX) for name in await self._bucket.keys() if name.startswith(_PREFIX)]

    async def _of(self, tenant: str) -> _Standing | None:
        return _load(tenant, await self._bucket.get(_PREFIX + tenant))


def _read(payload: bytes) -> tuple[str, _Standing]:
    """The tenant that a notice is about, and what it says.

    Raises:
        DecodeError: It is none.
        ValueError: It is of another kind, or lacks what every such notice has.
    """
    notice = notices_pb2.Notice.FromString(payload)
    tenant, suspension = notice.tenant, None
    match notice.WhichOneof("fact"):
        case "tenant_suspended":
            fact = notice.tenant_suspended
            since_ms = fact.suspended_at.ToMilliseconds()
            suspension = Suspension(tenant=tenant, reason=fact.reason, suspended_at_ms=since_ms)
            revision = fact.revision
        case "tenant_resumed":
            revision = notice.tenant_resumed.revision
        case other:
            raise ValueError(f"it says {other}, and not that a tenant was suspended or resumed")
    if not ids.is_slug(tenant) or revision <= 0:
        raise ValueError("it lacks a tenant's name, or a revision")
    return tenant, _Standing(revision, suspension)


def _load(tenant: str, entry: Entry | None) -> _Standing | None:
    if entry is None:
        return None
    values = json.loads(entry.value)
    suspended = values.get("suspended")
    if suspended is None:
        return _Standing(values["revision"], None)
    suspension = Suspension(tenant=tenant, reason=suspended["reason"], suspended_at_ms=suspended["at_ms"])
    return _Standing(values["revision"], suspension)


def _dump(standing: _Standing) -> bytes:
    suspension = standing.suspension
    suspended = None if suspension is None else {"reason": suspension.reason, "at_ms": suspension.suspended_at_ms}
    return json.dumps({"revision": standing.revision, "suspended": suspended}).encode()
