"""The tally: counts each submission and each end of a job once, whatever dies, comes again or is rebuilt.

A job carries marks of what is uncounted of it. In one transaction the tally takes marks off and adds what they stand
for to the buckets. One replica counts at a time, for the sake of speed alone: a mark that was taken off is not there to
be taken off again.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.history.jobs.domain import Mark
from services.history.leases import TALLY, LeaseLostError
from services.history.stats import metrics
from services.history.stats.counting import counted, marked_at
from shared import observability
from shared.errors import Unavailable
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from services.history.leases import Lease
    from services.history.stats.domain import MarkedJob
    from services.history.stats.tally_store import TallyStore
    from shared.clock import Clock

log = observability.logger()

#: Between two looks at what other replicas, or an end of this one, have left; what is written here is told of.
LOOK_INTERVAL = timedelta(seconds=3)
#: What a submission waits for its job's end: most end soon and count in one, and what is written to meanwhile can not
#: be counted at the same moment.
SETTLED_AFTER = timedelta(seconds=3)
#: What one transaction counts: some milliseconds' work.
BATCH = 500
#: From the first that is told of to the look.
_GATHER = timedelta(milliseconds=200)
_BACKOFF = Backoff(initial=timedelta(milliseconds=500), maximum=timedelta(seconds=5))


class LeaseHolder(Protocol):
    """Gives the lease of the tally; `services.history.leases.Leases` is one."""

    async def take(self, name: str) -> Lease | None:
        """The lease of this name; None where another holds it."""
        ...

    async def renew_or_give_way(self, lease: Lease) -> bool:
        """Holds it for another lifetime, or gives it to who waits for it; answers whether it is still held."""
        ...

    async def release(self, lease: Lease) -> None:
        """Gives it back before its time."""
        ...


class Tally:
    """Counts jobs.

    Args:
        store: Has the marked jobs and the buckets.
        leases: Says who counts.
        clock: The time.
        idle: Called when nothing is left to be counted; answers whether there may be more at once.
        settled_after: How long a submission is left to count with its job's end.
    """

    def __init__(
        self,
        store: TallyStore,
        leases: LeaseHolder,
        *,
        clock: Clock,
        idle: Callable[[], Awaitable[bool]],
        settled_after: timedelta = SETTLED_AFTER,
    ) -> None:
        self._store = store
        self._leases = leases
        self._clock = clock
        self._idle = idle
        self._settled_after = settled_after
        self._lease: Lease | None = None
        self._renew_at = 0.0
        self._batch = BATCH
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Has it look soon: jobs were written."""
        self._woken.set()

    async def run(self) -> None:
        """Counts what is marked, again and again, until canceled."""
        while True:
            await until_done(
                self.look,
                retry_on=(Unavailable,),
                backoff=_BACKOFF,
                on_failure=lambda error, pause: log.warning(
                    "tally_delayed", error=str(error), pause_s=round(pause.total_seconds(), 2)
                ),
            )
            with suppress(TimeoutError):  # time for the next look
                async with asyncio.timeout(LOOK_INTERVAL.total_seconds()):
                    await self._woken.wait()
                    await asyncio.sleep(_GATHER.total_seconds())

    async def look(self) -> None:
        """Counts all that is marked, where this is who counts.

        Raises:
            Unavailable: MongoDB is away; what was not counted is still marked.
        """
        self._woken.clear()
        while True:
            lease = await self._held()
            if lease is None:
                metrics.UNCOUNTED_AGE_SECONDS.set(0)  # who counts tells it
                return
            marked = await self._next()
            try:
                if marked:
                    await self._count(lease, marked)
                elif not await self._idle():
                    return
            except LeaseLostError:
                log.warning("tally_lease_lost")
                self._lease = None

    async def leave(self) -> None:
        """Lets another replica count at once. To be called at the end."""
        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(Unavailable):  # it runs out by itself
                await self._leases.release(lease)

    async def _next(self) -> Sequence[MarkedJob]:
        """Jobs that have ended come first: nothing is written to them any more."""
        now = self._clock.now()
        ended = await self._store.marked(Mark.END, created_before=now + self._settled_after, limit=self._batch)
        marked = ended or await self._store.marked(
            Mark.SUBMISSION, created_before=now - self._settled_after, limit=self._batch
        )
        oldest = min((marked_at(each) for each in marked), default=now)
        metrics.UNCOUNTED_AGE_SECONDS.set(max((now - oldest).total_seconds(), 0))
        return marked

    async def _count(self, lease: Lease, marked: Sequence[MarkedJob]) -> None:
        figures = counted(marked, now=self._clock.now())
        if await self._store.count(lease, marked, figures):
            self._batch = min(self._batch * 2, BATCH)
            for mark in Mark:
                due = sum(mark in each.uncounted and mark not in each.counted for each in marked)
                metrics.COUNTED.labels(mark).inc(due)
        else:
            metrics.CONFLICTS.inc()
            self._batch = max(len(marked) // 2, 1)

    async def _held(self) -> Lease | None:
        """The lease, renewed while it is far from its end; a rebuild that waits for it has it at the next look."""
        now = time.monotonic()
        if self._lease is not None and now < self._renew_at:
            return self._lease
        if self._lease is None or not await self._leases.renew_or_give_way(self._lease):
            self._lease = await self._leases.take(TALLY)
        self._renew_at = now + LOOK_INTERVAL.total_seconds()
        return self._lease
