"""Counts of endpoints in memory; `tests/contract/test_endpoint_stats.py` holds them to what the real store does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.webhooks.deliveries.stats import Counts, EndpointHour
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class FakeStatsStore:
    """Keeps counts in memory; can be away."""

    def __init__(self) -> None:
        self.by_hour: dict[EndpointHour, Counts] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False
        #: Writes so far.
        self.writes = 0

    async def prepare(self) -> None:
        self._check()

    async def add(self, counted: Mapping[EndpointHour, Counts]) -> None:
        self._check()
        self.writes += 1
        for each, counts in counted.items():
            self.by_hour.setdefault(each, Counts()).merge(counts)

    async def since(self, endpoint_id: str, hour: datetime) -> Counts:
        self._check()
        found = Counts()
        for each, counts in self.by_hour.items():
            if each.endpoint_id == endpoint_id and each.hour >= hour:
                found.merge(counts)
        return found

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})
