"""What the plain queue shows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from services.scheduler.domain import METHOD_CLASSES, Priority
from services.scheduler.limits import NO_BUDGET
from services.scheduler.views import Explanation, Hold, HoldKind, LaneView, QueueView
from tests.fakes.queue_state import ALL_CLASSES, DRAIN_WINDOW_MS, UPSTREAM_PLACE, Place

if TYPE_CHECKING:
    from services.scheduler.views import BreakerView, BudgetUse
    from tests.fakes.queue_job import Job
    from tests.fakes.queue_state import Upstream


def explain(queue: Upstream, job: Job, now_ms: int) -> Explanation:
    """Why the job waits."""
    new = job.new
    tenants = {each.new.tenant for each in queue.waiting()}
    weights = sum(queue.weight(tenant) for tenant in tenants | {new.tenant})
    line = queue.rings.fifos.get(job.fifo, [])
    return Explanation(
        job_id=new.id,
        state=job.state,
        leased=bool(job.leased_ms),
        worker=job.worker,
        lane=new.lane,
        holds=tuple(_holds(queue, job, now_ms)) if job.waits else (),
        ahead_in_lane=sum(other.new.sequence < new.sequence for other in line) if job.waits else 0,
        waiting_of_tenant=len(queue.waiting(new.tenant)),
        lanes_of_tenant=sum(turn[:2] == (new.tenant, new.priority) for turn in queue.rings.turns),
        tenants=len(tenants),
        share=queue.weight(new.tenant) / weights,
        drain_rate=_drain_rate(queue, now_ms),
        now_ms=now_ms,
    )


def view(queue: Upstream, tenant: str, lanes: int, now_ms: int) -> QueueView:
    """How the queue stands, counting one tenant's jobs, or all."""
    waiting = queue.waiting(tenant)
    ready = [job for job in waiting if queue.rings.lines_up(job)]
    lane_views = tuple(_lanes(queue, waiting, lanes, now_ms))
    shown = {Place(lane.tenant, lane.lane) for lane in lane_views}
    return QueueView(
        ready=len(ready),
        delayed=len(waiting) - len(ready),
        leased=len(queue.leased(tenant)),
        by_priority=tuple(sum(job.new.priority == priority for job in waiting) for priority in Priority),  # type: ignore[arg-type]  there are three
        oldest_ready_ms=min((job.ready_ms for job in ready), default=0) // 1000 * 1000,
        drain_rate=_drain_rate(queue, now_ms),
        tenants=len({job.new.tenant for job in queue.waiting()}),
        budgets=_budgets(queue, UPSTREAM_PLACE, now_ms),
        breaker=_breaker(queue, UPSTREAM_PLACE, now_ms),
        pauses=tuple(
            pause for place, pause in sorted(queue.pauses.items()) if tenant in {"", place.tenant} or not place.tenant
        ),
        suspensions=tuple(
            suspension
            for place, suspension in sorted(queue.suspensions.items())
            if tenant in {"", place.tenant} and (not place.lane or place in shown)
        ),
        lanes=lane_views,
    )


def _holds(queue: Upstream, job: Job, now_ms: int) -> list[Hold]:
    new = job.new
    early = [Hold(kind=HoldKind.NOT_BEFORE, scope="job", until_ms=job.ready_ms)] if job.ready_ms > now_ms else []
    return [
        *early,
        *queue.suspension_holds(new.tenant, new.lane),
        *queue.pause_holds(new.tenant, new.lane),
        *queue.holds(UPSTREAM_PLACE, new.method_class, now_ms),
        *queue.holds(Place(new.tenant, new.lane), new.method_class, now_ms),
    ]


def _lanes(queue: Upstream, waiting: list[Job], count: int, now_ms: int) -> list[LaneView]:
    """The deepest first; of equally deep ones the last by name."""
    depths = Counter(Place(job.new.tenant, job.new.lane) for job in waiting)
    deepest = sorted(depths.items(), key=lambda item: (item[1], ":".join(item[0])), reverse=True)[:count]
    return [
        LaneView(
            tenant=place.tenant,
            lane=place.lane,
            waiting=depth,
            budgets=_budgets(queue, place, now_ms),
            breaker=_breaker(queue, place, now_ms),
        )
        for place, depth in deepest
    ]


def _budgets(queue: Upstream, place: Place, now_ms: int) -> tuple[BudgetUse, ...]:
    """Those that limit anything."""
    uses = [
        queue.scope(place, name).use(
            f"{place.scope}:{name}" if name else place.scope, queue.budget(place, name), now_ms
        )
        for name in (ALL_CLASSES, *METHOD_CLASSES)
    ]
    return tuple(use for use in uses if use.budget != NO_BUDGET or use.remaining is not None)


def _breaker(queue: Upstream, place: Place, now_ms: int) -> BreakerView | None:
    return queue.breaker(place).view(now_ms) if queue.policy(place) else None


def _drain_rate(queue: Upstream, now_ms: int) -> float:
    return queue.ended.used(DRAIN_WINDOW_MS, now_ms) / (DRAIN_WINDOW_MS / 1000)
