"""The time, as a thing that is handed in: what asks for it can be tested at any time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The time, in UTC."""
        ...


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)
