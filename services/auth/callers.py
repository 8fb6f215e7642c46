"""How often keys were used over some days, and who calls most."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from services.auth.usage_store import KEPT_DAYS, KeyDay, Measure, amount
from shared.errors import FieldViolation, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from services.auth.domain import Key
    from services.auth.store import Store
    from services.auth.usage_store import Counted, UsageStore
    from shared.clock import Clock

DEFAULT_DAYS = 30
DEFAULT_TOP_DAYS = 7
DEFAULT_TOP, MAX_TOP = 10, 100


@dataclass(frozen=True, slots=True)
class TopCaller:
    """A key, and what was counted of it over the days that were asked for."""

    key: Key
    counts: Mapping[Counted, int]


class Callers:
    """Knows who calls.

    Args:
        usage: How often keys were used.
        keys: Whose they are, and how they are called.
        clock: What day it is.
    """

    def __init__(self, *, usage: UsageStore, keys: Store, clock: Clock) -> None:
        self._usage = usage
        self._keys = keys
        self._clock = clock

    async def usage_of(self, key: Key, days: int) -> list[tuple[date, Mapping[Counted, int]]]:
        """How often a key was used on each of the last days, the newest first.

        Args:
            key: Which.
            days: How many, today included; 0 for 30.

        Raises:
            InvalidArgument: So many are not kept.
            Unavailable: The store is away.
        """
        _check(_days_violations(days, DEFAULT_DAYS))
        asked = [KeyDay(key.tenant, key.id, day) for day in self._last(days or DEFAULT_DAYS)]
        return list(zip((each.day for each in asked), await self._usage.of_days(asked), strict=True))

    async def top(self, tenant: str, measure: Measure, *, days: int, limit: int) -> list[TopCaller]:
        """Who has most of a measure over the last days, the most first.

        The ranking is exact while none of these days has more than 1,000 keys; what it says of each key always is.

        Args:
            tenant: Whose keys; empty for those of all.
            measure: Of what.
            days: How many, today included; 0 for 7.
            limit: How many keys; 0 for 10.

        Raises:
            InvalidArgument: So many days are not kept, or so many keys not told.
            Unavailable: A store is away.
        """
        _check(_days_violations(days, DEFAULT_TOP_DAYS), _limit_violations(limit))
        last = self._last(days or DEFAULT_TOP_DAYS)
        found = await self._usage.top(tenant, measure, last, limit=limit or DEFAULT_TOP)
        keys = await self._keys.keys_by_id([caller.key_id for caller in found])
        asked = [KeyDay(caller.tenant, caller.key_id, day) for caller in found for day in last]
        totals: dict[str, Counter[Counted]] = {caller.key_id: Counter() for caller in found}
        for day, counts in zip(asked, await self._usage.of_days(asked), strict=True):
            totals[day.key_id].update(counts)
        callers = [TopCaller(keys[key_id], counts) for key_id, counts in totals.items() if key_id in keys]
        return sorted(callers, key=lambda caller: -amount(caller.counts, measure))

    def _last(self, days: int) -> list[date]:
        today = self._clock.now().date()
        return [today - timedelta(days=back) for back in range(days)]


def _check(*violations: Iterator[FieldViolation]) -> None:
    found = [violation for each in violations for violation in each]
    if found:
        raise InvalidArgument.of(found)


def _days_violations(days: int, default: int) -> Iterator[FieldViolation]:
    if not 0 <= days <= KEPT_DAYS:
        yield FieldViolation("days", f"is {days}; it takes 1 to {KEPT_DAYS}, or 0 for {default}")


def _limit_violations(limit: int) -> Iterator[FieldViolation]:
    if not 0 <= limit <= MAX_TOP:
        yield FieldViolation("limit", f"is {limit}; it takes 1 to {MAX_TOP}, or 0 for {DEFAULT_TOP}")
