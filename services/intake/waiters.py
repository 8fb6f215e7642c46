"""Who waits for a job's end, or watches it, on this replica: woken by signals, without a poll or a task for each."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.intake import metrics

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable


class Waiter:
    """One caller that waits. Register first, then read: what changes in between has woken it already."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Tells it to read again."""
        self._woken.set()

    async def woken(self) -> None:
        """Returns when it was woken since the last time."""
        await self._woken.wait()
        self._woken.clear()


class Waiters:
    """All that wait on this replica, by the job they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[Waiter]] = {}
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
        """Wakes who waits for one of these jobs."""
        for job_id in job_ids:
            for waiter in self._waiting.get(job_id, ()):
                waiter.wake()

    def wake_all(self) -> None:
        """Wakes everyone: signals may have been lost."""
        self.wake(list(self._waiting))

    async def release(self) -> None:
        """Lets everyone go, now and from now on, so that a drain need not wait for them."""
        self._released = True
        self.wake_all()
