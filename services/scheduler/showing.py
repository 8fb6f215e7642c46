"""How a queue stands, in protos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.scheduler.v1 import queues_pb2

from services.scheduler.events import timestamp
from services.scheduler.rules import budget_message

if TYPE_CHECKING:
    from services.scheduler.limits import Pause, Suspension
    from services.scheduler.views import BreakerView, BudgetUse, LaneView, QueueView


def queue_message(upstream: str, tenant: str, view: QueueView) -> queues_pb2.Queue:
    """A queue as its tenant, or for an empty one an operator, sees it."""
    high, normal, low = view.by_priority
    return queues_pb2.Queue(
        upstream=upstream,
        tenant=tenant,
        depth=queues_pb2.Depth(
            ready=view.ready, delayed=view.delayed, leased=view.leased, high=high, normal=normal, low=low
        ),
        oldest_waiting_since=timestamp(view.oldest_ready_ms),
        drain_rate=view.drain_rate,
        tenants=view.tenants,
        budgets=[_budget(use) for use in view.budgets],
        breaker=_breaker(view.breaker),
        pauses=[*map(_suspension, view.suspensions), *map(_pause, view.pauses)],
        lanes=[_lane(lane) for lane in view.lanes],
    )


def _lane(lane: LaneView) -> queues_pb2.Lane:
    return queues_pb2.Lane(
        tenant=lane.tenant,
        lane=lane.lane,
        waiting=lane.waiting,
        budgets=[_budget(use) for use in lane.budgets],
        breaker=_breaker(lane.breaker),
    )


def _budget(use: BudgetUse) -> queues_pb2.BudgetUse:
    return queues_pb2.BudgetUse(
        scope=use.scope,
        budget=budget_message(use.budget),
        used=use.used,
        running=use.running,
        remaining=use.remaining,
        resets_at=timestamp(use.resets_at_ms) if use.remaining is not None else None,
    )


def _breaker(breaker: BreakerView | None) -> queues_pb2.Breaker | None:
    if breaker is None:
        return None
    return queues_pb2.Breaker(
        state=queues_pb2.Breaker.HALF_OPEN if breaker.half_open else queues_pb2.Breaker.OPEN,
        until=timestamp(breaker.until_ms),
        opened=breaker.opened,
        cause=breaker.cause,
    )


def _pause(pause: Pause) -> queues_pb2.Pause:
    return queues_pb2.Pause(
        tenant=pause.tenant, lane=pause.lane, reason=pause.reason, paused_at=timestamp(pause.paused_at_ms)
    )


def _suspension(suspension: Suspension) -> queues_pb2.Pause:
    return queues_pb2.Pause(
        tenant=suspension.tenant,
        lane=suspension.lane,
        reason=suspension.reason,
        paused_at=timestamp(suspension.suspended_at_ms),
        suspension=True,
    )
