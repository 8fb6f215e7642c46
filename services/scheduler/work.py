"""Signals: that there may be something to lease, heard by all who wait; and that a call is to be broken off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared import streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

    from shared.bus import Bus


class Work:
    """Wakes who waits for leases on this replica.

    Args:
        bus: Carries the signals to all replicas, this one included.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._changes: dict[str, asyncio.Event] = {}
        self._subscribing = asyncio.Lock()
        self._released = False
        bus.on_reconnect(self.wake_all)

    @property
    def released(self) -> bool:
        """Whether nobody is to wait any more: this replica stops, and another one can be asked."""
        return self._released

    async def announce(self, upstream: str) -> None:
        """Signals to all replicas that the upstream's queue has changed.

        Raises:
            Unavailable: NATS is away.
        """
        await self._bus.signal(streams.work_signal(upstream))

    async def break_off(self, job_ids: Sequence[str]) -> None:
        """Signals to the workers that jobs were canceled while they ran.

        Raises:
            Unavailable: NATS is away.
        """
        for job_id in job_ids:
            await self._bus.signal(streams.cancel_signal(job_id), job_id.encode())

    async def listen(self, upstream: str) -> None:
        """Hears the upstream's signals from now on.

        Raises:
            Unavailable: NATS is away.
        """
        if upstream in self._changes:
            return
        async with self._subscribing:
            if upstream not in self._changes:
                await self._bus.on_signal(streams.work_signal(upstream), self._waker(upstream))
                await self._bus.check()  # the server has taken the subscription when it has answered this
                self._changes[upstream] = asyncio.Event()

    def change(self, upstream: str) -> asyncio.Event:
        """Set at the next change of the upstream's queue; taken before the queue is asked, it misses none."""
        return self._changes[upstream]

    def wake(self, upstream: str) -> None:
        """Wakes who waits for this upstream's work."""
        change = self._changes.get(upstream)
        if change is not None:
            self._changes[upstream] = asyncio.Event()
            change.set()

    def wake_all(self) -> None:
        """Wakes everyone: signals may have been lost."""
        for upstream in list(self._changes):
            self.wake(upstream)

    async def release(self) -> None:
        """Lets everyone go, so that a drain need not wait for them."""
        self._released = True
        self.wake_all()

    def _waker(self, upstream: str) -> Callable[[bytes], Awaitable[None]]:
        async def wake(_: bytes) -> None:
            self.wake(upstream)

        return wake


async def until(change: asyncio.Event, timeout: timedelta) -> None:  # noqa: ASYNC109  its end is no error
    """Returns at the change, or after the time."""
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            await change.wait()
    except TimeoutError:  # the time is as good as the change
        return
