"""How endpoints fare: their attempts by the hour, how many were taken, and how long they took.

What a process has counted and not written is lost when it is killed; where MongoDB does not say whether it has written,
that is written again, and may count twice. It is no bill.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.webhooks.deliveries.domain import State
from services.webhooks.deliveries.filters import DeliveryFilter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.webhooks.deliveries.store import DeliveryStore
    from shared.clock import Clock

#: What is pending, failed or skipped is counted no further.
COUNTED = 100_000
#: The upper ends of the buckets that latencies are counted in, in seconds; one more takes what is longer than all.
BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0)


@dataclass(slots=True)
class Counts:
    """What was counted of an endpoint in a time."""

    attempts: int = 0
    #: Those that the receiver took.
    successes: int = 0
    #: By bucket, as `BOUNDS_S` has them.
    latency: Counter[int] = field(default_factory=Counter[int])

    def add(self, duration: timedelta, *, success: bool) -> None:
        """Counts an attempt."""
        self.attempts += 1
        self.successes += success
        self.latency[bisect_left(BOUNDS_S, duration.total_seconds())] += 1

    def merge(self, other: Counts) -> None:
        """Counts what was counted elsewhere."""
        self.attempts += other.attempts
        self.successes += other.successes
        self.latency.update(other.latency)

    def percentile(self, share: float) -> timedelta | None:
        """Within which time so large a share of the attempts came out; None where there was none.

        It lies in its bucket as though those in it were spread evenly (as Prometheus' `histogram_quantile` has it).
        """
        left = share * self.latency.total()
        for bucket in sorted(self.latency):
            if left <= self.latency[bucket]:
                upper = BOUNDS_S[min(bucket, len(BOUNDS_S) - 1)]
                lower = BOUNDS_S[bucket - 1] if bucket else 0.0
                return timedelta(seconds=lower + (upper - lower) * left / self.latency[bucket])
            left -= self.latency[bucket]
        return None


@dataclass(frozen=True, slots=True)
class EndpointHour:
    """An endpoint in an hour, which begins at that time."""

    endpoint_id: str
    hour: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How an endpoint has fared since a time, and what it has now; what is counted now goes no further than `COUNTED`.

    Args:
        oldest_pending_at: When the oldest of what is pending was made; None where nothing is.
    """

    since: datetime
    until: datetime
    counts: Counts
    pending: int
    failed: int
    skipped: int
    oldest_pending_at: datetime | None


class StatsStore(Protocol):
    """Keeps what was counted, by the hour. Every method raises `Unavailable` when it cannot answer."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def add(self, counted: Mapping[EndpointHour, Counts]) -> None:
        """Adds what was counted; where it fails, any of it may be added."""
        ...

    async def since(self, endpoint_id: str, hour: datetime) -> Counts:
        """What was counted of an endpoint from that hour on."""
        ...


class EndpointStatistics:
    """Says how endpoints fare. Whoever asks has seen that the endpoint is the tenant's.

    Args:
        stats: Of attempts.
        deliveries: Counted as they stand.
        clock: The time.
    """

    def __init__(self, *, stats: StatsStore, deliveries: DeliveryStore, clock: Clock) -> None:
        self._stats = stats
        self._deliveries = deliveries
        self._clock = clock

    async def figures(self, tenant: str, endpoint_id: str, *, period: timedelta) -> Figures:
        """How an endpoint has fared, from the hour on in which the period begins.

        Raises:
            Unavailable: MongoDB is away.
        """
        now = self._clock.now()
        since = hour_of(now - period)
        counts = await self._stats.since(endpoint_id, since)
        pending = DeliveryFilter(endpoint_id=endpoint_id, states=(State.PENDING,))
        oldest = await self._deliveries.deliveries(tenant, pending, limit=1, oldest_first=True)
        return Figures(
            since=since,
            until=now,
            counts=counts,
            pending=await self._count(tenant, endpoint_id, State.PENDING) if oldest else 0,
            failed=await self._count(tenant, endpoint_id, State.FAILED),
            skipped=await self.skipped(tenant, endpoint_id),
            oldest_pending_at=oldest[0].created_at if oldest else None,
        )

    async def skipped(self, tenant: str, endpoint_id: str) -> int:
        """How many of an endpoint's deliveries are skipped.

        Raises:
            Unavailable: MongoDB is away.
        """
        return await self._count(tenant, endpoint_id, State.SKIPPED)

    async def _count(self, tenant: str, endpoint_id: str, state: State) -> int:
        wanted = DeliveryFilter(endpoint_id=endpoint_id, states=(state,))
        return await self._deliveries.count(tenant, wanted, limit=COUNTED)


def hour_of(time: datetime) -> datetime:
    """The hour in which a time lies."""
    return time.replace(minute=0, second=0, microsecond=0)
