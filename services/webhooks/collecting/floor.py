"""Up to where everything is stored: what a delivery waits for that has its place in a line.

Replicas share one consumer, so two of them may store two events of one line the other way round than they came. Whoever
sees the later one in the store knows nothing of the earlier one. The log's server does, for an event is acknowledged
after its deliveries were stored: so the one question is how far the acknowledgements reach without a gap. It is asked
only while somebody waits for the answer.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.webhooks.collecting.collector import CONSUMER
from shared import streams

if TYPE_CHECKING:
    from shared.bus import Progress

#: Between two questions, however many wait: the shortest while the answers go forward, up to the longest while they
#: do not. An event that is alone is acknowledged within a millisecond or two of being stored.
SHORTEST, LONGEST = timedelta(milliseconds=10), timedelta(milliseconds=100)
#: An answer that says yes does so for this time: it stays true, but for a log that was made anew.
KNOWN_FOR = timedelta(seconds=5)


class StoredUpTo(Protocol):
    """Knows which places in the log of jobs everything before has been stored of."""

    async def passed(self, place: int) -> bool:
        """Whether the deliveries of every event before this place are in the store.

        Args:
            place: The sequence of an event whose own delivery is there.

        Raises:
            Unavailable: NATS is away.
        """
        ...


class Log(Protocol):
    """Says how far the log's consumers are; `shared.bus.Bus` is one. All of it raises `Unavailable`."""

    async def progress(self, stream: str, durable: str) -> Progress:
        """How far a consumer is, all who share it taken together."""
        ...

    async def newest(self, stream: str, subject: str) -> int:
        """The sequence of a subject's newest message, or 0."""
        ...


class Floor:
    """The floor of the collector's consumer.

    A no comes no sooner than the next question may be asked: whoever asks again and again until it is a yes needs not
    wait in between.

    Args:
        log: The log of jobs.
        shortest: Between two questions, while the answers go forward.
        longest: While they do not.
    """

    def __init__(self, log: Log, *, shortest: timedelta = SHORTEST, longest: timedelta = LONGEST) -> None:
        self._log = log
        self._shortest_s = shortest.total_seconds()
        self._longest_s = longest.total_seconds()
        self._interval_s = self._shortest_s
        self._stored = 0
        self._known_until = 0.0
        self._next_at = 0.0
        self._asking = asyncio.Lock()
        #: Asked by nobody yet: who comes now may share it, while what is under way may be older than their event.
        self._next: asyncio.Task[Progress] | None = None

    async def passed(self, place: int) -> bool:
        """See `StoredUpTo`."""
        if place <= self._stored + 1 and asyncio.get_running_loop().time() < self._known_until:
            return True
        progress = await asyncio.shield(self._question())
        if place <= progress.acknowledged + 1:
            return True
        if place <= progress.given:
            return False
        # Never given, and yet stored: the log was made anew since and counts from 1 again; or its server has just
        # taken over from another one, and lags.
        return place > await self._log.newest(streams.JOBS, streams.job_subject("*", "*"))

    def _question(self) -> asyncio.Task[Progress]:
        if self._next is None:
            self._next = asyncio.create_task(self._ask(), name="up to where everything is stored")
            self._next.add_done_callback(_retrieve)
        return self._next

    async def _ask(self) -> Progress:
        loop = asyncio.get_running_loop()
        async with self._asking:
            await asyncio.sleep(self._next_at - loop.time())
            self._next = None
            self._next_at = loop.time() + self._interval_s
            progress = await self._log.progress(streams.JOBS, CONSUMER.durable_name or "")
            forward = progress.acknowledged > self._stored
            self._interval_s = self._shortest_s if forward else min(2 * self._interval_s, self._longest_s)
            self._stored = progress.acknowledged
            self._known_until = loop.time() + KNOWN_FOR.total_seconds()
        return progress


def _retrieve(task: asyncio.Task[Progress]) -> None:
    """Marks an answer as seen that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
