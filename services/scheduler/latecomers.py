"""Ends that were published after their queue had been rebuilt without them.

A process may have ended a job just before Redis lost it, and publish that only when the queue is open again. The job
waits there, or runs, as if nothing had been. But what is in the log has happened, and an ended job never goes on.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from services.scheduler.replay import Happened, read_event
from shared import observability, streams
from shared.errors import PenstockError
from shared.retry import Backoff

if TYPE_CHECKING:
    from services.scheduler.rebuild import Rebuild
    from services.scheduler.recovery import Recovered, Recovery
    from shared.bus import Bus, Stored

log = observability.logger()

#: After a queue was opened; longer than a publish takes, repeated once.
PATIENCE = timedelta(seconds=15)
_ENDS = ("succeeded", "failed", "canceled", "expired", "outcome_unknown")
_BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=2))


class Latecomers:
    """Follows the log for a while after a queue was opened by this replica.

    Args:
        bus: Where the log is.
        rebuild: The queues in Redis.
        recovery: Opens them.
    """

    def __init__(self, *, bus: Bus, rebuild: Rebuild, recovery: Recovery) -> None:
        self._bus = bus
        self._rebuild = rebuild
        self._opened: defaultdict[str, asyncio.Queue[Recovered]] = defaultdict(asyncio.Queue)
        recovery.follow(lambda recovered: self._opened[recovered.upstream].put_nowait(recovered))

    async def run(self, upstream: str) -> None:
        """Follows the log after each rebuild of one upstream's queue, until canceled."""
        while True:
            recovered = await self._opened[upstream].get()
            try:
                async with asyncio.timeout(PATIENCE.total_seconds()):
                    await self._follow(recovered)
            except TimeoutError:  # whoever was late has published by now
                continue

    async def _follow(self, recovered: Recovered) -> None:
        subjects = [streams.job_subject(end, recovered.upstream) for end in _ENDS]
        failures = 0
        async with self._bus.reader(streams.JOBS, *subjects, start=recovered.upto + 1) as reader:
            unapplied: list[Stored] = []
            while True:
                try:
                    unapplied = unapplied or await reader.batch()
                    await self._apply(recovered, unapplied)
                    unapplied = []
                except PenstockError as error:
                    failures += 1
                    log.warning("latecomers_interrupted", upstream=recovered.upstream, error=error.message)
                    await asyncio.sleep(_BACKOFF.pause(failures).total_seconds())

    async def _apply(self, recovered: Recovered, messages: list[Stored]) -> None:
        late = [
            Happened(at=message.sequence, event=event)
            for message in messages
            if (event := read_event(recovered.upstream, message)) is not None
            and event.fence.epoch < recovered.epoch  # of a lease from before, or of a job that never had one
        ]
        ended = await self._rebuild.end_late(recovered.upstream, recovered.epoch, late)
        if ended:
            log.warning("late_ends_applied", upstream=recovered.upstream, jobs=ended)
