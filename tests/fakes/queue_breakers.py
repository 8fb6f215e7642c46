"""Breakers in the plain queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.scheduler.domain import Health
from services.scheduler.views import BreakerView, Hold, HoldKind
from tests.fakes.queue_budgets import COARSE_SUBWINDOWS, History, milliseconds

if TYPE_CHECKING:
    from services.scheduler.domain import LeaseKey
    from services.scheduler.limits import BreakerPolicy


@dataclass(slots=True)
class Breaker:
    """One lane's, or the upstream's."""

    #: How often in a row; closed while 0.
    opened: int = 0
    until_ms: int = 0
    cause: str = ""
    #: The lease that is out to see how things are.
    probe: LeaseKey | None = None
    throttles: int = 0
    calls: History = field(default_factory=History)
    failures: History = field(default_factory=History)

    def holds(self, scope: str, now_ms: int) -> list[Hold]:
        if not self.opened:
            return []
        if now_ms < self.until_ms:
            return [Hold(kind=HoldKind.BREAKER, scope=scope, until_ms=self.until_ms, text=self.cause)]
        if self.probe is not None:
            return [Hold(kind=HoldKind.BREAKER, scope=scope, text=self.cause)]
        return []

    def lease_given(self, key: LeaseKey) -> None:
        """Makes the lease the probe, where one is due."""
        if self.opened:
            self.probe = key

    def lease_ended(self, key: LeaseKey) -> bool:
        """Whether that lease was the probe: the next one is."""
        was_probe = self.probe == key
        if was_probe:
            self.probe = None
        return was_probe

    def judge(self, health: Health, policy: BreakerPolicy, now_ms: int, *, was_probe: bool, jitter: float) -> bool:
        """Takes how a call came out; whether it opens by that."""
        if health is Health.NOTHING:
            return False
        if self.opened:
            return was_probe and self._judge_probe(health, policy, now_ms, jitter)
        window_ms = milliseconds(policy.window)
        self.calls = self.calls.with_call(window_ms, now_ms, COARSE_SUBWINDOWS)
        if health is Health.THROTTLED:
            self.throttles += 1
            if self.throttles >= policy.throttles:
                self._open("throttled", policy, now_ms, jitter)
        else:
            self.throttles = 0
        if health is Health.FAILING:
            self.failures = self.failures.with_call(window_ms, now_ms, COARSE_SUBWINDOWS)
            calls, failures = self.calls.used(window_ms, now_ms), self.failures.used(window_ms, now_ms)
            if calls >= policy.min_calls and failures >= policy.failure_ratio * calls:
                self._open("failing", policy, now_ms, jitter)
        return self.opened > 0

    def _judge_probe(self, health: Health, policy: BreakerPolicy, now_ms: int, jitter: float) -> bool:
        if health is Health.HEALTHY:
            self.opened = 0
            return False
        self._open("throttled" if health is Health.THROTTLED else "failing", policy, now_ms, jitter)
        return True

    def _open(self, cause: str, policy: BreakerPolicy, now_ms: int, jitter: float) -> None:
        self.opened += 1
        self.cause = cause
        longest_ms = milliseconds(policy.max_pause)
        pause = policy.throttle_pause if cause == "throttled" else policy.failure_pause
        base_ms = min(milliseconds(pause), longest_ms)
        ceiling_ms = min(longest_ms, base_ms * 2 ** (self.opened - 1))
        self.until_ms = now_ms + base_ms + int(jitter * (ceiling_ms - base_ms))
        self.throttles = 0
        self.calls, self.failures = History(), History()

    def view(self, now_ms: int) -> BreakerView | None:
        if not self.opened:
            return None
        return BreakerView(
            half_open=now_ms >= self.until_ms, until_ms=self.until_ms, opened=self.opened, cause=self.cause
        )
