"""Who is suspended: heard by notices, on disk in the bucket of NATS, and in force in Redis, queue by queue.

That is a tenant, in every queue; or a lane, in the queue of its upstream, because its connection needs to be authorized
anew. What the newest notice has said stays on disk after it was lifted too, until no older one can come any more: by
its revision, one that comes late is known for what it is. Every replica follows the bucket, and brings what it finds
there into force in all queues that it knows; by the same revision the scripts tell which of two replicas is behind.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from services.scheduler import standings
from services.scheduler.standings import Standing, Subject
from shared import observability, streams
from shared.bus import Conflict
from shared.errors import PenstockError
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scheduler.queue import Queue
    from services.scheduler.settings import Bucket, Signals
    from shared.bus import Incoming

log = observability.logger()

#: What lifts a suspension is on disk for so long: a day longer than an older notice may lie in its stream.
_REMEMBERED = streams.NOTICES_KEPT + timedelta(days=1)
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))


class Suspensions:
    """The suspensions of all tenants and lanes.

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
                standing = standings.read_notice(message.payload)
            except (DecodeError, ValueError) as error:
                log.error("notice_malformed", subject=message.subject, sequence=message.sequence, error=str(error))  # noqa: TRY400  told in full
                message.term()
            else:
                await self._note(standing)

    async def follow(self) -> None:
        """Brings into force what is on disk, and what comes there, in every queue that is known; until canceled."""
        async with asyncio.TaskGroup() as group:

            async def changed(key: str, _: bytes | None) -> None:
                subject = Subject.read(key)
                if subject is not None:
                    for upstream in filter(subject.is_in, sorted(self._upstreams)):
                        group.create_task(self._enforce(upstream, subject))  # by itself: it may wait for a rebuild

            await self._bucket.watch(changed)

    async def restore(self, upstream: str) -> None:
        """Puts into a queue that is being rebuilt who is suspended, so that no lease goes before that holds.

        What was lifted since, `apply` lifts when the queue is whole.

        Raises:
            Unavailable: Redis or NATS is away; doing it again is right.
        """
        self._upstreams.add(upstream)
        for standing in await self._of_queue(upstream):
            if standing.suspension is not None:
                await self._queue.suspend(upstream, standing.suspension)

    async def apply(self, upstream: str) -> None:
        """Brings all of them into force in a queue, and from now on each that changes.

        Raises:
            Unavailable: Redis or NATS is away; doing it again is right.
        """
        self._upstreams.add(upstream)
        in_force = await self._queue.suspensions(upstream)  # before the disk is read, where each of them came first
        on_disk = await self._of_queue(upstream)
        known = {standing.subject for standing in on_disk}
        forgotten = [  # lifted while nobody kept this queue, so long ago that the disk does not know it any more
            Standing(subject=subject, revision=suspension.revision, suspension=None)
            for suspension in in_force
            if (subject := Subject.of(suspension, upstream)) not in known
        ]
        for standing in (*on_disk, *forgotten):
            await self._bring(upstream, standing)
        if any(standing.suspension is None for standing in (*on_disk, *forgotten)):
            await self._signals.announce(upstream)

    async def _note(self, standing: Standing) -> None:
        subject, revision, suspended = standing.subject, standing.revision, standing.suspension is not None
        about = {"owner": subject.tenant, "lane": subject.lane or None, "revision": revision}
        ttl = None if suspended else _REMEMBERED
        while True:
            entry = await self._bucket.get(subject.key)
            before = standings.load(subject, entry) if entry is not None else None
            if before is not None and before.revision >= revision:
                log.info("notice_outdated", **about, known=before.revision)
                return
            try:
                if entry is None:
                    await self._bucket.create(subject.key, standings.dump(standing), ttl=ttl)
                else:
                    await self._bucket.update(subject.key, standings.dump(standing), entry.revision, ttl=ttl)
            except Conflict:  # another replica was faster, perhaps with a newer notice
                continue
            log.info("standing_noted", **about, suspended=suspended)
            return

    async def _enforce(self, upstream: str, subject: Subject) -> None:
        """Brings it into force as soon as Redis and NATS are there, and the queue is whole."""
        await until_done(
            lambda: self._renew(upstream, subject),
            retry_on=(PenstockError,),
            backoff=_BACKOFF,
            on_failure=lambda error, pause: log.warning(
                "suspension_awaited",
                upstream=upstream,
                owner=subject.tenant,
                lane=subject.lane or None,
                error=str(error),
                pause_s=round(pause.total_seconds(), 2),
            ),
        )

    async def _renew(self, upstream: str, subject: Subject) -> None:
        entry = await self._bucket.get(subject.key)
        if entry is None:
            return
        standing = standings.load(subject, entry)
        await self._bring(upstream, standing)
        if standing.suspension is None:
            await self._signals.announce(upstream)

    async def _bring(self, upstream: str, standing: Standing) -> None:
        """Brings it into force."""
        subject = standing.subject
        if standing.suspension is not None:
            await self._queue.suspend(upstream, standing.suspension)
        else:
            await self._queue.reinstate(upstream, tenant=subject.tenant, lane=subject.lane, revision=standing.revision)

    async def _of_queue(self, upstream: str) -> list[Standing]:
        """What is on disk of those that a queue has to know."""
        return [
            standings.load(subject, entry)
            for key, entry in sorted((await self._bucket.entries()).items())
            if (subject := Subject.read(key)) is not None and subject.is_in(upstream)
        ]
