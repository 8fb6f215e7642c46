"""Who waits for a job's end, or watches it, on this replica: woken by signals, without a poll or a task for each."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.intake import metrics

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

#: So many are woken in one step of the loop: thousands may wait for one job, and others have calls to be answered.
_MAX_WOKEN = 64


class Waiter:
    """One caller that waits. Register first, then read: what changes in between has woken it already."""

    __slots__ = ("_sleep", "_woken", "due")

    def __init__(self) -> None:
        self._woken = False
        self._sleep: asyncio.Future[None] | None = None
        #: Whether it is about to be woken.
        self.due = False

    def wake(self) -> None:
        """Tells it to read again."""
        self.due = False
        self._woken = True
        self._stir()

    async def woken(self, until: float | None = None) -> bool:
        """Sleeps until it was woken since the last time, or its time is up; whether it was woken.

        A future and a timer: `asyncio.timeout` ends a sleep by a cancel and an exception, and thousands of streams have
        a heartbeat at the end of each.

        Args:
            until: When its time is up, by the loop's clock; None for never.
        """
        if not self._woken:
            loop = asyncio.get_running_loop()
            self._sleep = loop.create_future()
            timer = loop.call_at(until, self._stir) if until is not None else None
            try:
                await self._sleep
            finally:
                self._sleep = None
                if timer is not None:
                    timer.cancel()
        woken, self._woken = self._woken, False
        return woken

    def _stir(self) -> None:
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)


class Waiters:
    """All that wait on this replica, by the job they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[Waiter]] = {}
        self._due: deque[Waiter] = deque()
        self._released = False

    @property
    def released(self) -> bool:
        """Whether nobody is to wait any more: this replica stops, and another one can be asked."""
        return self._released

    @contextmanager
    def waiting_for(self, job_id: str) -> Generator[Waiter]:
        """Registers a waiter for as long as the block lasts; however it ends, nothing of it is left."""
        waiter = Waiter()
        self._waiting.setdefault(job_id, set()).add(waiter)
        metrics.WAITERS.inc()
        try:
            yield waiter
        finally:
            metrics.WAITERS.dec()
            others = self._waiting[job_id]
            others.discard(waiter)
            if not others:
                del self._waiting[job_id]

    def __len__(self) -> int:
        return sum(len(waiters) for waiters in self._waiting.values())

    async def jobs_changed(self, payload: bytes) -> None:
        """Wakes who waits for one of the jobs that a signal names, one a line."""
        self.wake(payload.decode(errors="replace").splitlines())

    def wake(self, job_ids: Iterable[str]) -> None:
        """Wakes who waits for one of these jobs; where they are many, some now and the others in the next steps."""
        under_way = bool(self._due)
        for job_id in job_ids:
            for waiter in self._waiting.get(job_id, ()):
                if not waiter.due:
                    waiter.due = True
                    self._due.append(waiter)
        if not under_way:
            self._wake_some()

    def _wake_some(self) -> None:
        for _ in range(min(len(self._due), _MAX_WOKEN)):
            self._due.popleft().wake()
        if self._due:
            asyncio.get_running_loop().call_soon(self._wake_some)

    def wake_all(self) -> None:
        """Wakes everyone: signals may have been lost."""
        self.wake(list(self._waiting))

    async def release(self) -> None:
        """Lets everyone go, now and from now on, so that a drain need not wait for them."""
        self._released = True
        self.wake_all()
