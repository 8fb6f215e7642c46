"""The rules of queues, between protos and the domain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.upstream.v1 import limits_pb2

from services.scheduler.domain import METHOD_CLASSES
from services.scheduler.limits import NO_BUDGET, BreakerPolicy, Budget, Limits, Rate, Rules

if TYPE_CHECKING:
    from datetime import timedelta

    from google.protobuf.duration_pb2 import Duration
    from penstock.scheduler.v1 import queues_pb2
    from penstock.upstream.v1 import upstream_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the catalogue says of an upstream; it holds where no operator has set otherwise."""

    limits: Limits = field(default_factory=Limits)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)


def offer_of(upstream: upstream_pb2.Upstream) -> Offer:
    """What an upstream of the catalogue says."""
    return Offer(limits=limits_of(upstream.limits), breaker=breaker_of(upstream.breaker))


def rules_of(offer: Offer, settings: queues_pb2.QueueSettings) -> Rules:
    """What holds for a queue: what an operator has set, and the catalogue's word for what was left open."""
    return Rules(
        limits=limits_of(settings.limits) if settings.HasField("limits") else offer.limits,
        breaker=breaker_of(settings.breaker) if settings.HasField("breaker") else offer.breaker,
        weights=dict(settings.weights),
    )


def limits_of(message: limits_pb2.Limits) -> Limits:
    """Limits as the domain has them."""
    return Limits(
        upstream=_budget_of(message.upstream),
        classes=_class_budgets_of(message.classes),
        lane=_budget_of(message.lane),
        lane_classes=_class_budgets_of(message.lane_classes),
    )


def breaker_of(message: limits_pb2.BreakerPolicy) -> BreakerPolicy:
    """A policy as the domain has it; what was left open is the default's."""
    default = BreakerPolicy()
    return BreakerPolicy(
        throttles=message.throttles or default.throttles,
        throttle_pause=_or(message.throttle_pause, default.throttle_pause),
        failure_ratio=message.failure_ratio or default.failure_ratio,
        min_calls=message.min_calls or default.min_calls,
        window=_or(message.window, default.window),
        failure_pause=_or(message.failure_pause, default.failure_pause),
        max_pause=_or(message.max_pause, default.max_pause),
        upstream=message.upstream,
    )


def budget_message(budget: Budget) -> limits_pb2.Budget:
    """A budget as protos have it."""
    message = limits_pb2.Budget(concurrency=budget.concurrency)
    for rate in budget.rates:
        message.rates.add(calls=rate.calls).window.FromTimedelta(rate.window)
    return message


def _budget_of(message: limits_pb2.Budget) -> Budget:
    rates = tuple(Rate(calls=rate.calls, window=rate.window.ToTimedelta()) for rate in message.rates)
    return Budget(rates=rates, concurrency=message.concurrency)


def _class_budgets_of(message: limits_pb2.ClassBudgets) -> dict[str, Budget]:
    budgets = {name: _budget_of(getattr(message, name)) for name in METHOD_CLASSES}
    return {name: budget for name, budget in budgets.items() if budget != NO_BUDGET}


def _or(duration: Duration, default: timedelta) -> timedelta:
    return duration.ToTimedelta() or default
