"""Watches jobs: tells each of a job's events, in order, as the job that the event left.

Nothing polls, and a watcher is no task of its own: the handler of its call sleeps until a signal, and reads again.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2

from services.intake.contract import left_by, state_of
from services.intake.domain import MAX_WATCH

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from penstock.jobs.v1 import jobs_pb2

    from services.intake.reader import JobReader
    from services.intake.store import JobStore
    from services.intake.waiters import Waiter, Waiters
    from shared.clock import Clock

#: How long an event is held back for one of a lower revision that is missing.
#:
#: The log has the events of a job in order, but two replicas that handle two batches may apply them out of order, and a
#: cancel is applied before the log shows it: then the missing one comes within milliseconds. Or it never comes: a lease
#: that was lost before its call began leaves its revision out. Nobody can tell the one from the other, so a watcher
#: waits, but not for ever. No revision is told after a higher one: what comes later than this, because a replica died
#: with the batch in its hands, is not told to who watched just then. The events told next say all the same where the
#: job stands, and a watch from the beginning tells of it.
GAP_PATIENCE = timedelta(seconds=2)
#: What is kept of the caller's time to end the stream well: past its deadline it would end as an error.
_END_MARGIN_S = 0.5


class _Wake(IntEnum):
    """What ends a sleep; of two at the same time, the first."""

    END = 1
    PATIENCE = 2
    SILENCE = 3
    SIGNAL = 4


def due(
    events: Sequence[events_pb2.JobEvent], *, after: int, now: datetime
) -> tuple[list[events_pb2.JobEvent], timedelta | None]:
    """The events of which it is time to tell, and for how long those behind a gap are held back yet.

    Args:
        events: Of one job, in the order of their revisions.
        after: The revision that was told last.
        now: The time. Where the clocks of two machines are apart, events are held back that much longer or shorter.
    """
    found: list[events_pb2.JobEvent] = []
    for event in events:
        if event.revision <= after:
            continue
        if event.revision > after + 1:
            left = event.time.ToDatetime(tzinfo=UTC) + GAP_PATIENCE - now
            if left > timedelta(0):
                return found, left
        found.append(event)
        after = event.revision
    return found, None


class Watcher:
    """Begins watches.

    Args:
        reader: Knows whose job it is.
        store: Keeps the events.
        waiters: Who waits for one.
        clock: Tells the time.
        longest: How long a watch may last.
    """

    def __init__(
        self, *, reader: JobReader, store: JobStore, waiters: Waiters, clock: Clock, longest: timedelta = MAX_WATCH
    ) -> None:
        self._reader = reader
        self._store = store
        self._waiters = waiters
        self._clock = clock
        self._longest = longest

    async def watch(self, tenant: str, job_id: str, *, after: int, remaining_s: float | None) -> Watch:
        """A watch that has found its job.

        Args:
            tenant: Whose job.
            job_id: Its id.
            after: The revision that the client saw last; 0 for none.
            remaining_s: Until the caller's deadline; None where there is none.

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job.
            Unavailable: The store or history is away.
        """
        first = await self._reader.first(tenant, job_id)
        seconds = self._longest.total_seconds()
        if remaining_s is not None:
            seconds = min(seconds, remaining_s - _END_MARGIN_S)
        return Watch(
            tenant, first, after=after, seconds=seconds, store=self._store, waiters=self._waiters, clock=self._clock
        )


class Watch:
    """One client's watch of one job.

    Args:
        tenant: Whose job.
        first: The job as it was first answered, or as history has it.
        after: The revision that the client saw last.
        seconds: How long the watch may last from now.
        store: Keeps the events.
        waiters: Who waits for one.
        clock: Tells the time.
    """

    def __init__(
        self,
        tenant: str,
        first: jobs_pb2.Job,
        *,
        after: int,
        seconds: float,
        store: JobStore,
        waiters: Waiters,
        clock: Clock,
    ) -> None:
        self._tenant = tenant
        self._first = first
        self._told = after
        self._ends = asyncio.get_running_loop().time() + seconds
        self._store = store
        self._waiters = waiters
        self._clock = clock

    async def is_over(self) -> bool:
        """Whether the client has seen the job's end already, and there is nothing to tell.

        Raises:
            Unavailable: The store is away.
        """
        return self._is_over(await self._events())

    async def jobs(self, *, silence: timedelta | None = None) -> AsyncGenerator[jobs_pb2.Job | None]:
        """The job as each of its events left it, until it has ended, time is up, or this replica stops.

        Args:
            silence: After so long without an event comes a None, to show that the watch goes on.

        Raises:
            Unavailable: The store is away.
        """
        with self._waiters.waiting_for(self._first.id) as waiter:  # before the first read, so that nothing is missed
            if self._first.revision > self._told:
                yield self._first
                self._told = self._first.revision
            wake = _Wake.SIGNAL
            while wake is not _Wake.END:
                events = await self._events()
                found, held = due(events, after=self._told, now=self._clock.now())
                for event in found:
                    yield left_by(event, self._first)
                    self._told = event.revision
                if self._is_over(events) or self._waiters.released:
                    return
                patience_ends = None if held is None else asyncio.get_running_loop().time() + held.total_seconds()
                while (wake := await self._sleep(waiter, patience_ends, silence)) is _Wake.SILENCE:
                    yield None

    async def _sleep(self, waiter: Waiter, patience_ends: float | None, silence: timedelta | None) -> _Wake:
        ends = [(self._ends, _Wake.END)]
        if patience_ends is not None:
            ends.append((patience_ends, _Wake.PATIENCE))
        if silence is not None:
            ends.append((asyncio.get_running_loop().time() + silence.total_seconds(), _Wake.SILENCE))
        until, wake = min(ends)
        return _Wake.SIGNAL if await waiter.woken(until) else wake

    async def _events(self) -> list[events_pb2.JobEvent]:
        found = await self._store.events(self._tenant, self._first.id)
        return [events_pb2.JobEvent.FromString(event) for event in found]

    def _is_over(self, events: Sequence[events_pb2.JobEvent]) -> bool:
        last = events[-1] if events and events[-1].revision > self._first.revision else self._first
        return state_of(last.state).terminal and last.revision <= self._told
