"""Time and chance, which tests put others in the place of."""

from __future__ import annotations

import asyncio
import random
import time


class Pacing:
    """The machine's own."""

    def now(self) -> float:
        """Seconds since some moment; never backwards."""
        return time.monotonic()

    def jitter(self) -> float:
        """From 0 to 1, by chance."""
        return random.random()  # noqa: S311  pauses need no secrecy

    def sleep(self, seconds: float) -> None:
        """Returns after so long."""
        time.sleep(seconds)


class AsyncPacing:
    """The machine's own, for an event loop."""

    def now(self) -> float:
        """Seconds since some moment; never backwards."""
        return time.monotonic()

    def jitter(self) -> float:
        """From 0 to 1, by chance."""
        return random.random()  # noqa: S311  pauses need no secrecy

    async def sleep(self, seconds: float) -> None:
        """Returns after so long; others go on meanwhile."""
        await asyncio.sleep(seconds)
