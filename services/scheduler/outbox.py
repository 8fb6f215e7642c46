"""The outbox: facts that no message would bring about again, kept in Redis until their events are on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.scheduler.joblog import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scheduler.domain import Fact
    from services.scheduler.joblog import JobLog
    from services.scheduler.queue import Queue


class Outbox:
    """Publishes what stands in the outbox.

    A fact is written there by the script that makes it. Who ran the script publishes it at once; where that fails, or
    the process dies in between, a sweep of any replica finds it.

    Args:
        queue: Keeps the outbox.
        log: Where the events go.
    """

    def __init__(self, *, queue: Queue, log: JobLog) -> None:
        self._queue = queue
        self._log = log

    async def publish(self, upstream: str, facts: Sequence[Fact]) -> None:
        """Publishes facts and takes them out.

        Raises:
            Unavailable: NATS or Redis is away; a later sweep publishes them, and again does no harm.
        """
        if not facts:
            return
        submitted = await self._log.read(facts)
        entries = [
            Entry(fact=fact, traceparent=found.traceparent if found is not None else "")
            for fact, found in zip(facts, submitted, strict=True)
        ]
        await self._log.write(upstream, entries)
        await self._queue.published(upstream, facts)
