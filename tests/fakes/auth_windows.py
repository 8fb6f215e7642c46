"""Windows and marks in memory; `tests/contract/test_auth_windows.py` holds them to what the real ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.auth.windows import LocalWindows, Repeated
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.auth.windows import Mark, Verdict, Window


class FakeWindows:
    """Counts as one process does, and knows which marks there are."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._windows = LocalWindows(monotonic=monotonic)
        #: Until when each mark stays.
        self.marks: dict[str, float] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def take(self, windows: Sequence[Window], mark: Mark | None = None) -> Verdict:
        if self.away:
            raise Unavailable("Redis does not answer", metadata={"dependency": "redis"})
        now = self._monotonic()
        if mark is not None and self.marks.get(mark.place, now) > now:
            raise Repeated
        verdict = await self._windows.take(windows)
        if mark is not None and verdict.admitted:
            self.marks[mark.place] = now + mark.kept.total_seconds()
        return verdict
