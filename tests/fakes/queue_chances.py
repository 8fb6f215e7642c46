"""Random jobs, outcomes and rules for a queue on the bench: small numbers, so that limits are met all the time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.scheduler.domain import METHOD_CLASSES, Health, Outcome, Priority
from services.scheduler.limits import (
    NO_BUDGET,
    BreakerPolicy,
    Budget,
    Limits,
    Pause,
    Quota,
    QuotaScope,
    Rate,
    Rules,
    Suspension,
)
from tests.fakes.queue_bench import DAY_MS, START_MS

if TYPE_CHECKING:
    import random

    from services.scheduler.domain import LeaseKey, NewJob
    from tests.fakes.queue_bench import Driver

TENANTS = ["acme", "bolt", "cask"]
LANES = ["-", "con_1", "api.example:8443"]
WINDOWS = [timedelta(seconds=1), timedelta(seconds=10), timedelta(seconds=60)]


def a_job(driver: Driver, chance: random.Random) -> NewJob:
    delay = chance.choice([0, 0, 0, 900, 5000])
    return driver.job(
        chance.choice(TENANTS),
        lane=chance.choice(LANES),
        method_class=chance.choice(METHOD_CLASSES),
        priority=chance.choice(list(Priority)),
        idempotent=chance.random() < 0.6,
        not_before_ms=driver.now_ms + delay if delay else 0,
        expires_at_ms=driver.now_ms + chance.choice([5000, 200_000, *[DAY_MS] * 6]),
        max_attempts=chance.randint(1, 3),
    )


def an_outcome(key: LeaseKey, chance: random.Random) -> Outcome:
    quotas = [
        Quota(
            scope=chance.choice(list(QuotaScope)),
            remaining=chance.choice([0, 0, 1, 3, 50]),
            reset_after_ms=chance.choice([0, 700, 3000, 3900, 20_000, 2 * DAY_MS]),
        )
        for _ in range(chance.choice([0, 0, 0, 0, 0, 1, 2]))
    ]
    return Outcome(
        key=key,
        succeeded=chance.random() < 0.4,
        unknown=chance.random() < 0.2,
        retryable=chance.random() < 0.7,
        uncounted=chance.random() < 0.2,
        unspent=chance.random() < 0.3,
        retry_after_ms=chance.choice([0, 0, 2500]),
        jitter=chance.choice([0.0, 0.3, 1.0]),
        health=chance.choice(list(Health)),
        quotas=tuple(quotas),
    )


def some_rules(chance: random.Random) -> Rules:
    """Now and then nothing is limited at all."""
    tight = chance.choice([0.0, 0.4, 0.7])

    def budget() -> Budget:
        if chance.random() >= tight:
            return NO_BUDGET
        windows = chance.sample(WINDOWS, chance.choice([0, 1, 1, 2]))
        rates = tuple(Rate(calls=chance.randint(1, 8), window=window) for window in windows)
        return Budget(rates=rates, concurrency=chance.choice([0, 0, 1, 2, 5]))

    def by_class() -> dict[str, Budget]:
        return {name: budget() for name in METHOD_CLASSES if chance.random() < 0.4}

    return Rules(
        limits=Limits(upstream=budget(), classes=by_class(), lane=budget(), lane_classes=by_class()),
        breaker=BreakerPolicy(
            throttles=chance.choice([2, 3]),
            throttle_pause=timedelta(seconds=chance.choice([4, 50])),
            failure_ratio=chance.choice([0.25, 0.5, 1.0]),
            min_calls=chance.choice([2, 4]),
            failure_pause=timedelta(seconds=chance.choice([3, 16])),
            max_pause=timedelta(seconds=chance.choice([2, 40, 600])),
            upstream=chance.random() < 0.3,
        ),
        weights={tenant: chance.choice([1, 2, 3, 7]) for tenant in TENANTS if chance.random() < 0.5},
    )


def a_pause(chance: random.Random) -> Pause:
    tenant = chance.choice(["", *TENANTS * 3])
    lane = chance.choice(["", *LANES * 3]) if tenant else ""
    since_ms = chance.choice([0, START_MS - 5000])
    return Pause(tenant=tenant, lane=lane, reason=chance.choice(["", "maintenance"]), paused_at_ms=since_ms)


def a_suspension(chance: random.Random, revision: int) -> Suspension:
    return Suspension(
        tenant=chance.choice(TENANTS),
        lane=chance.choice(["", *LANES]),
        reason=chance.choice(["", "unpaid"]),
        suspended_at_ms=START_MS - 5000,
        revision=revision,
    )
