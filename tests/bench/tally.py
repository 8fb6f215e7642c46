"""What a load counts: calls that may still go out, and how those that went out have ended."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Tally:
    """One process's part of a load.

    Args:
        count: Calls to make at most.
        seconds: For how long calls go out at most; those that are out then are still awaited.
    """

    count: int
    seconds: float
    taken: int = 0
    ended: int = 0
    errors: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    #: What a few of the errors were, for whoever looks into it.
    samples: list[str] = field(default_factory=list)
    began: float = 0.0
    finished: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """The clock runs from now on."""
        self.began = time.perf_counter()

    def take(self) -> bool:
        """Whether one more call may go out; it counts as out then."""
        if self.taken >= self.count or time.perf_counter() - self.began >= self.seconds:
            if self.ended == self.taken:
                self._end()
            return False
        self.taken += 1
        return True

    def end(self, sent: float, *, error: str = "") -> None:
        """Notes the end of a call.

        Args:
            sent: When it went out, by `time.perf_counter()`.
            error: What went wrong, if anything.
        """
        self.ended += 1
        self.latencies_ms.append((time.perf_counter() - sent) * 1000)
        if error:
            self.errors += 1
            if len(self.samples) < 3:
                self.samples.append(error)

    def _end(self) -> None:
        self.finished = time.perf_counter()
        self.over.set()


def percentile(ordered: Sequence[float], part: float) -> float:
    """The smallest value that `part` (0 to 1) of the values do not exceed (nearest rank); 0 where there are none."""
    if not ordered:
        return 0.0
    return ordered[max(0, -int(-part * len(ordered) // 1) - 1)]
