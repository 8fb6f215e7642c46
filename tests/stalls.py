"""The stall detector: a step of the event loop that keeps the processor is a blocking call or too much work at once.

Counted is processor time of the loop's thread within one callback, not time on the wall: a loaded machine stalls no loop.
A call that blocks without using the processor is seen by its time on the wall, under a far higher bound.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What conventions allow one step of the loop.
MAX_CPU_S = 0.1
#: Of a call that only waits, on a machine that may be busy with other things.
MAX_WALL_S = 1.0


@contextmanager
def watching_for_stalls(*, max_cpu_s: float = MAX_CPU_S, max_wall_s: float = MAX_WALL_S) -> Iterator[None]:
    """Fails with the callbacks that stalled the loop of this thread, if any did."""
    stalls: list[str] = []
    run = asyncio.Handle._run  # noqa: SLF001  every callback of asyncio's own loop passes here

    def timed_run(handle: Any) -> None:
        cpu, wall = time.thread_time(), time.monotonic()
        try:
            run(handle)
        finally:
            cpu, wall = time.thread_time() - cpu, time.monotonic() - wall
            if cpu > max_cpu_s or wall > max_wall_s:
                stalls.append(f"{cpu * 1000:.0f} ms of processor, {wall * 1000:.0f} ms in all: {handle!r}")

    asyncio.Handle._run = timed_run  # type: ignore[method-assign]  put back below
    try:
        yield
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
    assert not stalls, "the event loop stalled: " + "; ".join(stalls)
