"""What a queue shows: why a job waits, and how a queue stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.scheduler.domain import State
    from services.scheduler.limits import Budget, Pause, Suspension


class HoldKind(StrEnum):
    """What keeps a job from being called."""

    NOT_BEFORE = "not_before"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    NEEDS_REAUTH = "needs_reauth"
    BREAKER = "breaker"
    RATE = "rate"
    CONCURRENCY = "concurrency"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One thing that keeps a job from being called.

    Args:
        scope: `upstream`, `tenant`, `lane`, or with a class `upstream:read`, `lane:write`; `job` for NOT_BEFORE.
        until_ms: 0 where it is not known.
        limit: For RATE and CONCURRENCY: how many calls are allowed; for QUOTA: 0.
        window_ms: For RATE.
        text: Why it is paused or suspended, why the connection does not work, or why the breaker opened.
    """

    kind: HoldKind
    scope: str
    until_ms: int = 0
    limit: int = 0
    window_ms: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a job waits.

    Args:
        leased: A lease is out: its attempt is under way, or about to be.
        worker: Who holds or held the newest lease.
        ahead_in_lane: Jobs of its lane, priority and class before it.
        waiting_of_tenant: Jobs of its tenant that wait, this one among them.
        lanes_of_tenant: Those that have their turn now.
        tenants: Those that have their turn now.
        share: The tenant's part of the calls while all of these have work, from 0 to 1.
        drain_rate: Jobs of the upstream that ended per second, over the last minute.
        now_ms: By Redis' clock.
    """

    job_id: str
    state: State
    leased: bool
    worker: str
    lane: str
    holds: tuple[Hold, ...]
    ahead_in_lane: int
    waiting_of_tenant: int
    lanes_of_tenant: int
    tenants: int
    share: float
    drain_rate: float
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUse:
    """A budget and what is used of it.

    Args:
        scope: `upstream`, `lane`, or with a class `upstream:read`, `lane:write`.
        used: For each rate of the budget: calls begun within its window.
        running: Calls under way.
        remaining: What the upstream has said is left, or None.
        resets_at_ms: Until there are more; 0 where `remaining` is None.
    """

    scope: str
    budget: Budget
    used: tuple[int, ...]
    running: int
    remaining: int | None = None
    resets_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """A breaker that is not closed.

    Args:
        half_open: Its pause is over: one call goes out, or is out, as a probe.
        until_ms: When its pause ends or ended.
        opened: How often in a row it has opened.
        cause: `throttled` or `failing`.
    """

    half_open: bool
    until_ms: int
    opened: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """What one tenant has in line for one connection."""

    tenant: str
    lane: str
    waiting: int
    budgets: tuple[BudgetUse, ...]
    breaker: BreakerView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """How a queue stands.

    Args:
        ready, delayed, leased: Jobs counted: one tenant's, or all tenants'.
        by_priority: Ready and delayed ones: high, normal, low.
        oldest_ready_ms: Since when the job waits that could have been called first, to the second; 0 where none does.
        drain_rate: Jobs of all tenants that ended per second, over the last minute.
        tenants: Those that have their turn now.
        budgets: The upstream's.
        suspensions: Of tenants, and of the lanes that are shown.
        lanes: The deepest first.
    """

    ready: int
    delayed: int
    leased: int
    by_priority: tuple[int, int, int]
    oldest_ready_ms: int
    drain_rate: float
    tenants: int
    budgets: tuple[BudgetUse, ...]
    breaker: BreakerView | None
    pauses: tuple[Pause, ...]
    suspensions: tuple[Suspension, ...]
    lanes: tuple[LaneView, ...]
