"""The stall detector: a step of the event loop that keeps the processor is a blocking call or too much work at once.

Counted is processor time of the loop's thread within one callback, not time on the wall: a loaded machine stalls none.
The garbage collector's share is taken off, which in a test run is that of a far larger heap than a service has. A call
that blocks without using the processor is seen by its time on the wall, under a far higher bound; what the thread has
waited for a processor is taken off that.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What conventions allow one step of the loop.
MAX_CPU_S = 0.1
#: Of a call that only waits, on a machine that may be busy with other things.
MAX_WALL_S = 5.0
#: What a step costs more while coverage counts every line of it.
_TRACED_FACTOR = 4


@contextmanager
def watching_for_stalls(*, max_cpu_s: float = MAX_CPU_S, max_wall_s: float = MAX_WALL_S) -> Iterator[None]:
    """Fails with the callbacks that stalled the loop of this thread, if any did."""
    stalls: list[str] = []
    allowed_cpu_s = max_cpu_s * (_TRACED_FACTOR if sys.gettrace() is not None else 1)
    run = asyncio.Handle._run  # every callback of asyncio's own loop passes here
    collector = _CollectorTime()
    account = _Account()

    def timed_run(handle: Any) -> None:
        collector.cpu_s = 0.0
        cpu, wall = time.thread_time(), time.monotonic()
        waited = account.waited_s()
        try:
            run(handle)
        finally:
            cpu, wall = time.thread_time() - cpu - collector.cpu_s, time.monotonic() - wall
            if wall > max_wall_s:
                wall -= account.waited_s() - waited
            if cpu > allowed_cpu_s or wall > max_wall_s:
                stalls.append(f"{cpu * 1000:.0f} ms of processor, {wall * 1000:.0f} ms in all: {handle!r}")

    asyncio.Handle._run = timed_run
    gc.callbacks.append(collector)
    try:
        yield
    finally:
        account.close()
        gc.callbacks.remove(collector)
        asyncio.Handle._run = run
    assert not stalls, "the event loop stalled: " + "; ".join(stalls)


class _CollectorTime:
    """Processor time that the garbage collector took of this thread."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._began = 0.0

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.cpu_s += time.thread_time() - self._began


class _Account:
    """The kernel's, of how long this thread has waited for a processor; nothing where the kernel keeps none."""

    def __init__(self) -> None:
        try:
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except FileNotFoundError:
            self._file = os.open(os.devnull, os.O_RDONLY)

    def waited_s(self) -> float:
        """How long that is by now."""
        account = os.pread(self._file, 100, 0).split()  # ran, waited (ns), times; /dev/null has none of them
        return int(account[1]) / 1e9 if account else 0.0

    def close(self) -> None:
        os.close(self._file)
