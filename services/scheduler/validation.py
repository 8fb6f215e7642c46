"""What may be set for a queue: every mistake is named by its path."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from services.scheduler.domain import METHOD_CLASSES
from shared import ids
from shared.errors import FieldViolation, InvalidArgument, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.scheduler.v1 import queues_pb2
    from penstock.upstream.v1 import limits_pb2

#: Each rate of a budget is counted by itself at every lease.
MAX_RATES = 4
MAX_CONCURRENCY = 100_000
MAX_WEIGHT = 100
#: They are set in Redis by one script.
MAX_WEIGHTS = 1000
MAX_THROTTLES = 1000
MAX_MIN_CALLS = 100_000
#: Longer than any connection's id, and than any host and its port.
MAX_LANE_CHARACTERS = 280
MAX_REASON_CHARACTERS = 256
#: Windows and pauses.
_MIN_S, _MAX_S = 1, 24 * 60 * 60
_SHOWN_CHARACTERS = 40


def check_settings(settings: queues_pb2.QueueSettings) -> None:
    """Lets settings pass that can be kept to.

    Raises:
        InvalidArgument: Some cannot; each is named.
    """
    violations = [
        *_limits_violations("settings.limits", settings.limits),
        *_breaker_violations("settings.breaker", settings.breaker),
        *_weights_violations("settings.weights", dict(settings.weights)),
    ]
    if violations:
        raise InvalidArgument.of(violations)


def check_lane(lane: str) -> None:
    """Lets a lane's name pass that could be one; whether anything is in line there does not matter.

    Raises:
        InvalidArgument: It could not.
    """
    if len(lane) > MAX_LANE_CHARACTERS:
        raise InvalidArgument.field("lane", f"is longer than {MAX_LANE_CHARACTERS} characters")
    if not lane.isprintable() or " " in lane:
        raise InvalidArgument.field(
            "lane", f"is {shown(lane)}, which is no lane: a connection's id, a host such as api.example.com, or -"
        )


def check_reason(reason: str) -> None:
    """Lets a reason pass that can be shown in one line.

    Raises:
        InvalidArgument: It cannot.
    """
    if len(reason) > MAX_REASON_CHARACTERS:
        raise InvalidArgument.field("reason", f"has {len(reason)} characters; it takes {MAX_REASON_CHARACTERS} at most")
    if not reason.isprintable():
        raise InvalidArgument.field("reason", "holds control characters or line breaks; write it in one line")


def _limits_violations(path: str, limits: limits_pb2.Limits) -> Iterator[FieldViolation]:
    yield from _budget_violations(f"{path}.upstream", limits.upstream)
    yield from _class_violations(f"{path}.classes", limits.classes)
    yield from _budget_violations(f"{path}.lane", limits.lane)
    yield from _class_violations(f"{path}.laneClasses", limits.lane_classes)


def _class_violations(path: str, budgets: limits_pb2.ClassBudgets) -> Iterator[FieldViolation]:
    for name in METHOD_CLASSES:
        yield from _budget_violations(f"{path}.{name}", getattr(budgets, name))


def _budget_violations(path: str, budget: limits_pb2.Budget) -> Iterator[FieldViolation]:
    if len(budget.rates) > MAX_RATES:
        yield FieldViolation(f"{path}.rates", f"are {len(budget.rates)}; it takes {MAX_RATES} at most")
        return
    windows: dict[int, int] = {}
    for index, rate in enumerate(budget.rates):
        at = f"{path}.rates[{index}]"
        if rate.calls < 1:
            yield FieldViolation(f"{at}.calls", f"is {rate.calls}; it takes 1 or more")
        yield from _span_violations(f"{at}.window", rate.window)
        window_ms = rate.window.seconds * 1000 + rate.window.nanos // 1_000_000
        if window_ms in windows:
            yield FieldViolation(
                f"{at}.window", f"is the window of rates[{windows[window_ms]}], too; keep the smaller of the two"
            )
        windows.setdefault(window_ms, index)
    yield from _count_violations(f"{path}.concurrency", budget.concurrency, MAX_CONCURRENCY, "no limit")


def _breaker_violations(path: str, breaker: limits_pb2.BreakerPolicy) -> Iterator[FieldViolation]:
    yield from _count_violations(f"{path}.throttles", breaker.throttles, MAX_THROTTLES, "the default")
    yield from _count_violations(f"{path}.minCalls", breaker.min_calls, MAX_MIN_CALLS, "the default")
    if not 0 <= breaker.failure_ratio <= 1 or math.isnan(breaker.failure_ratio):
        yield FieldViolation(
            f"{path}.failureRatio", f"is {breaker.failure_ratio:g}; it takes 0 to 1, 0 being for the default"
        )
    for name, span in (
        ("throttlePause", breaker.throttle_pause),
        ("window", breaker.window),
        ("failurePause", breaker.failure_pause),
        ("maxPause", breaker.max_pause),
    ):
        if span != Duration():  # as good as left out
            yield from _span_violations(f"{path}.{name}", span)


def _weights_violations(path: str, weights: dict[str, int]) -> Iterator[FieldViolation]:
    if len(weights) > MAX_WEIGHTS:
        yield FieldViolation(path, f"are {len(weights)}; it takes {MAX_WEIGHTS} at most")
        return
    for tenant, weight in sorted(weights.items()):
        at = f"{path}.{tenant[:_SHOWN_CHARACTERS]}"
        if not ids.is_slug(tenant):
            yield FieldViolation(at, f"names {shown(tenant)}, which is no tenant's name: a lower-case slug")
        elif not 1 <= weight <= MAX_WEIGHT:
            yield FieldViolation(at, f"is {weight}; it takes 1 to {MAX_WEIGHT}")


def _count_violations(path: str, count: int, most: int, nothing: str) -> Iterator[FieldViolation]:
    if not 0 <= count <= most:
        yield FieldViolation(path, f"is {count}; it takes 0 to {most}, 0 being for {nothing}")


def _span_violations(path: str, span: Duration) -> Iterator[FieldViolation]:
    seconds = span.seconds + span.nanos / 1_000_000_000
    if not _MIN_S <= seconds <= _MAX_S:
        yield FieldViolation(path, f"is {seconds:g}s; it takes 1 s to 24 h")
