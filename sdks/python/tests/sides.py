"""Both clients under one hand, so that a test tries each."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from penstock_sdk.pacing import AsyncPacing, Pacing


@dataclass(slots=True)
class Clock:
    """Time that goes on where somebody pauses, and nowhere else."""

    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return sum(self.slept)


class QuickPacing(Pacing):
    """Pauses take no time, and are the longest that they can be."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def now(self) -> float:
        return self.clock.now()

    def jitter(self) -> float:
        return 1.0

    def sleep(self, seconds: float) -> None:
        self.clock.slept.append(seconds)


class QuickAsyncPacing(AsyncPacing):
    """The same for an event loop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def now(self) -> float:
        return self.clock.now()

    def jitter(self) -> float:
        return 1.0

    async def sleep(self, seconds: float) -> None:
        self.clock.slept.append(seconds)


async def done(value: Any) -> Any:
    """What a call comes to on either side: awaited where it has to be, and all of it where it is iterated over."""
    if inspect.isawaitable(value):
        value = await value
    if isinstance(value, AsyncIterator) or hasattr(value, "__aiter__"):
        return [each async for each in value]
    if isinstance(value, Iterator) or type(value).__name__ == "Pages":
        return list(value)
    return value
