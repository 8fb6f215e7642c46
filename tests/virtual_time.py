"""An event loop whose time is nobody's: whenever nothing is left to do, it is as late as the next timer wants it.

So days of pauses pass in milliseconds, and a run is the same each time. For code that waits for nothing outside its
process: no sockets, no threads.
"""

from __future__ import annotations

import asyncio
import selectors
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

#: More than what is lost where a small number is added to a large one.
_LEAST_LEAP_S = 1e-6
START = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


class _Leaping(selectors.SelectSelector):
    """Waits for nothing; adds up what it was to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits for what never comes"
        if timeout > 0:
            self.now_s += max(timeout, _LEAST_LEAP_S)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now_s


@dataclass(frozen=True, slots=True)
class VirtualClock:
    """The time of day by such a loop."""

    loop: VirtualTimeLoop = field(default_factory=VirtualTimeLoop)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.loop.time())
