"""What holds a queue back: budgets, breakers, pauses, suspensions, weights. Data only; the rules are in `lua/`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most so many calls begun within any span of time of this length."""

    calls: int
    window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits calls by rate, by concurrency, or by both.

    Args:
        rates: Each holds by itself.
        concurrency: Calls at a time; 0 for no limit.
    """

    rates: tuple[Rate, ...] = ()
    concurrency: int = 0


NO_BUDGET = Budget()
_NO_BUDGETS: Mapping[str, Budget] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an upstream lets be called; a job waits until all of its budgets have room.

    Args:
        upstream: Of all calls.
        classes: By class of methods: of all calls of that class.
        lane: Of each lane by itself.
        lane_classes: By class: of each lane's calls of that class.
    """

    upstream: Budget = NO_BUDGET
    classes: Mapping[str, Budget] = field(default_factory=lambda: _NO_BUDGETS)
    lane: Budget = NO_BUDGET
    lane_classes: Mapping[str, Budget] = field(default_factory=lambda: _NO_BUDGETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens, and for how long.

    Args:
        throttles: So many throttled answers in a row open it.
        throttle_pause: For so long; when it opens again without having closed, up to twice as long as before.
        failure_ratio: This part of a window's calls opens it when it has failed, from 0 to 1.
        min_calls: And there were at least so many calls in the window.
        window: How far back calls count.
        failure_pause: For so long, growing in the same way.
        max_pause: No pause is longer.
        upstream: Whether the upstream as a whole has a breaker beside each lane's.
    """

    throttles: int = 3
    throttle_pause: timedelta = timedelta(minutes=5)
    failure_ratio: float = 0.5
    min_calls: int = 20
    window: timedelta = timedelta(seconds=60)
    failure_pause: timedelta = timedelta(seconds=30)
    max_pause: timedelta = timedelta(hours=1)
    upstream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All that is set for a queue.

    Args:
        weights: By tenant, where it is not 1.
    """

    limits: Limits = field(default_factory=Limits)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    weights: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Holds jobs back until it is taken back.

    Args:
        tenant: Whose; empty for all tenants'.
        lane: Of one lane of the tenant; empty for all of them.
        reason: For whoever asks.
        paused_at_ms: When; 0 for when it is set, by Redis' clock.
    """

    tenant: str = ""
    lane: str = ""
    reason: str = ""
    paused_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """Holds jobs back until it is lifted, whatever is paused or not.

    A tenant's in every queue, because the tenant is suspended; or one lane's, because its connection needs to be
    authorized anew.

    Args:
        tenant: Whose.
        lane: Of one lane of the tenant; empty for all of them.
        reason: For whoever asks.
        suspended_at_ms: Since when.
        revision: Of the word that said so. One about the same that has a lower one tells nothing new.
    """

    tenant: str
    lane: str = ""
    reason: str
    suspended_at_ms: int
    revision: int


class QuotaScope(StrEnum):
    """Which budget an upstream's word is about."""

    LANE = "lane"
    UPSTREAM = "upstream"
    LANE_CLASS = "lane_class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What an upstream says is left of a budget.

    Args:
        remaining: Calls, as the upstream counts.
        reset_after_ms: Until there are more.
    """

    scope: QuotaScope
    remaining: int
    reset_after_ms: int
