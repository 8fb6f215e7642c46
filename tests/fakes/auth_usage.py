"""The usage store in memory; `tests/contract/test_auth_usage.py` holds it to what the real one does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from services.auth.usage_store import ALL, Caller, amount
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from services.auth.usage_store import Counted, KeyDay, Measure


class FakeUsage:
    """Keeps counts in memory; can be away."""

    def __init__(self) -> None:
        self.days: dict[KeyDay, Counter[Counted]] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False
        #: Writes so far.
        self.writes = 0

    async def add(self, counted: Mapping[KeyDay, Mapping[Counted, int]]) -> None:
        self._check()
        self.writes += 1
        for day, counts in counted.items():
            self.days.setdefault(day, Counter()).update(counts)

    async def of_days(self, days: Sequence[KeyDay]) -> list[Mapping[Counted, int]]:
        self._check()
        return [dict(self.days.get(day, {})) for day in days]

    async def top(self, tenant: str, measure: Measure, days: Sequence[date], *, limit: int) -> list[Caller]:
        self._check()
        total: Counter[Caller] = Counter()
        for day, counts in self.days.items():
            if day.day in days and tenant in {ALL, day.tenant}:
                total[Caller(day.tenant, day.key_id)] += amount(counts, measure)
        ranked = sorted(((count, caller) for caller, count in total.items() if count), key=lambda each: -each[0])
        return [caller for _, caller in ranked][:limit]

    def totals(self) -> dict[str, int]:
        """Over all keys and days, by outcome."""
        total: Counter[Counted] = Counter()
        for counts in self.days.values():
            total.update(counts)
        return {outcome.value: count for outcome, count in total.items()}

    def _check(self) -> None:
        if self.away:
            raise Unavailable("Redis does not answer", metadata={"dependency": "redis"})
