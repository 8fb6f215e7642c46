"""A hand on the clock, on the ids that are made, and on what Redis answers."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.intake.store import RedisJobStore


class Hand:
    """The time as the test has set it."""

    def __init__(self) -> None:
        self.now_ms = 0
        #: The newest id of a job or batch that was made.
        self.minted = ""
        self._mints = 0

    def set(self, now_ms: int) -> None:
        """Begins anew at a time."""
        self.now_ms, self._mints = now_ms, 0

    def now(self) -> datetime:
        """The same as a clock of ours tells it."""
        return datetime.fromtimestamp(self.now_ms / 1000, UTC)

    def datetime(self) -> type[datetime]:
        """The same as the class that modules ask."""
        hand = self

        class HandsTime(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return hand.now()

        return HandsTime

    def new_job_id(self, upstream: str) -> str:
        """A job id of that time, the same in every run of a test."""
        return self._mint(f"{upstream}-")

    def new_batch_id(self) -> str:
        """The same for a batch."""
        return self._mint("batch_")

    def _mint(self, start: str) -> str:
        self._mints += 1
        self.minted = f"{start}{uuid.UUID(int=(self.now_ms << 80) | (7 << 76) | (2 << 62) | self._mints)}"
        return self.minted


class Unsteady:
    """A store some of whose answers are lost.

    Args:
        failing: By the call's name, whether it takes effect all the same.
    """

    def __init__(self, store: RedisJobStore, failing: Mapping[str, bool]) -> None:
        self._store = store
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        if name not in self._failing:
            return call

        async def failing(*arguments: Any, **named: Any) -> None:
            if self._failing[name]:
                await call(*arguments, **named)
            raise Unavailable("Redis does not answer", metadata={"dependency": "redis"})

        return failing
