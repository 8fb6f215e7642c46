"""What an upstream lets be called, and when calls are held back from it: data, and what makes it nonsense."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from services.upstream.domain import Kind, Upstream

#: Each rate of a budget is counted by itself at every call.
MAX_RATES = 4
#: A window is counted in 64 parts of whole milliseconds, and kept for as long as it is.
MIN_WINDOW = timedelta(seconds=1)
MAX_WINDOW = timedelta(hours=24)
#: The most that a count on the wire holds.
_MAX_COUNT = 2**31 - 1


class LimitsError(ValueError):
    """The limits or the breaker of an upstream are nonsense; the message names it, each field and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most so many calls begun within any span of time of this length."""

    calls: int
    window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits calls by rate, by concurrency, or by both.

    Args:
        rates: At most 4, of different windows; each holds by itself.
        concurrency: Calls at a time; 0 for no limit.
    """

    rates: tuple[Rate, ...] = ()
    concurrency: int = 0


NO_BUDGET = Budget()
_NO_BUDGETS: Mapping[Kind, Budget] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A job waits until all of its budgets have room.

    Args:
        upstream: Of all calls.
        classes: Of all calls of a class of methods.
        lane: Of each lane by itself: a connection, or what stands for one.
        lane_classes: Of each lane's calls of a class.
    """

    upstream: Budget = NO_BUDGET
    classes: Mapping[Kind, Budget] = field(default_factory=lambda: _NO_BUDGETS)
    lane: Budget = NO_BUDGET
    lane_classes: Mapping[Kind, Budget] = field(default_factory=lambda: _NO_BUDGETS)


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When calls are held back from an upstream that fails or throttles; each lane has a breaker of its own.

    Args:
        throttles: Opens after so many throttled answers in a row.
        throttle_pause: For so long; every further time in a row up to twice as long.
        failure_ratio: Opens when this part of the window's calls has failed, above 0 and up to 1.
        min_calls: And there were at least so many calls in the window.
        window: How far back calls count.
        failure_pause: For so long; growing in the same way.
        max_pause: No pause is longer.
        upstream: Whether the upstream as a whole has a breaker as well: not where its lanes lead to hosts that have
            nothing in common.
    """

    throttles: int = 3
    throttle_pause: timedelta = timedelta(minutes=5)
    failure_ratio: float = 0.5
    min_calls: int = 20
    window: timedelta = timedelta(seconds=60)
    failure_pause: timedelta = timedelta(seconds=30)
    max_pause: timedelta = timedelta(hours=1)
    upstream: bool = False


DEFAULT_BREAKER = BreakerPolicy()


def check(upstream: Upstream) -> None:
    """Judges what an upstream says of its limits.

    Raises:
        LimitsError: Some of it is nonsense; every such field is named.
    """
    faults = [*_limits_faults(upstream.limits), *_breaker_faults(upstream.breaker), *_lane_faults(upstream)]
    if faults:
        raise LimitsError(f"the upstream {upstream.name} cannot be offered: {'; '.join(faults)}")


def _limits_faults(limits: Limits) -> Iterator[str]:
    yield from _budget_faults("limits.upstream", limits.upstream)
    yield from _budget_faults("limits.lane", limits.lane)
    for path, budgets in (("limits.classes", limits.classes), ("limits.lane_classes", limits.lane_classes)):
        for kind, budget in budgets.items():
            yield from _budget_faults(f"{path}.{kind}", budget)


def _budget_faults(path: str, budget: Budget) -> Iterator[str]:
    if not 0 <= budget.concurrency <= _MAX_COUNT:
        yield f"{path}.concurrency is {budget.concurrency}; it takes 0 (no limit) to {_MAX_COUNT}"
    if len(budget.rates) > MAX_RATES:
        yield f"{path}.rates are {len(budget.rates)}; there may be {MAX_RATES}"
    seen: set[timedelta] = set()
    for number, rate in enumerate(budget.rates):
        yield from _count_faults(f"{path}.rates[{number}].calls", rate.calls)
        yield from _time_faults(f"{path}.rates[{number}].window", rate.window)
        if rate.window in seen:
            yield f"{path}.rates[{number}].window is {_seconds(rate.window)} s, as an earlier one; each stands once"
        seen.add(rate.window)


def _breaker_faults(breaker: BreakerPolicy) -> Iterator[str]:
    yield from _count_faults("breaker.throttles", breaker.throttles)
    yield from _count_faults("breaker.min_calls", breaker.min_calls)
    if not 0 < breaker.failure_ratio <= 1:  # on the wire 0 is no ratio but the default's
        yield f"breaker.failure_ratio is {breaker.failure_ratio:g}; it takes more than 0, and at most 1"
    yield from _time_faults("breaker.window", breaker.window)
    yield from _time_faults("breaker.max_pause", breaker.max_pause)
    for name, pause in (("throttle_pause", breaker.throttle_pause), ("failure_pause", breaker.failure_pause)):
        yield from _time_faults(f"breaker.{name}", pause)
        if pause > breaker.max_pause:
            yield f"breaker.{name} is {_seconds(pause)} s; max_pause is only {_seconds(breaker.max_pause)} s"


def _lane_faults(upstream: Upstream) -> Iterator[str]:
    if not upstream.lane_param:
        return
    for method in upstream.methods:
        if upstream.lane_param not in method.params_schema.get("properties", {}):
            yield f"lane_param is {upstream.lane_param!r}; {method.name} has no param of that name"


def _count_faults(path: str, count: int) -> Iterator[str]:
    if not 1 <= count <= _MAX_COUNT:
        yield f"{path} is {count}; it takes 1 to {_MAX_COUNT}"


def _time_faults(path: str, time: timedelta) -> Iterator[str]:
    if not MIN_WINDOW <= time <= MAX_WINDOW:
        longest, shortest = _seconds(MAX_WINDOW), _seconds(MIN_WINDOW)
        yield f"{path} is {_seconds(time)} s; it takes {shortest} to {longest} s"


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():.10g}"
