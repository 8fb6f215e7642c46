"""The scheduler's queue in plain Python: what the scripts do, said in the plainest way, under a clock of the test's.

It forgets nothing: what Redis forgets by itself goes by Redis' own clock, and is tested apart.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.scheduler.domain import (
    MAX_BATCH,
    Begun,
    Canceled,
    Enqueued,
    Fact,
    Fence,
    Finished,
    Late,
    Lease,
    Leased,
    Opened,
    State,
)
from services.scheduler.refusals import job_finished, job_not_found, job_running
from tests.fakes import queue_views
from tests.fakes.queue_budgets import NEVER, milliseconds, room_at
from tests.fakes.queue_ends import Ends, first, parts
from tests.fakes.queue_job import Job, expected_cancel, fact_of
from tests.fakes.queue_state import UPSTREAM_PLACE, Place, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.scheduler.domain import LeaseKey, NewJob, Outcome, QueueSettings, Swept
    from services.scheduler.limits import Pause, Rules, Suspension
    from services.scheduler.views import Explanation, QueueView

#: Jobs without room, paused or expired that one call meets.
PASSED_OVER = 64


class FakeQueue:
    """`services.scheduler.queue.Queue` in memory.

    Args:
        settings: How long things last.
        now_ms: The time, in milliseconds since the Unix epoch; the test moves it.
    """

    def __init__(self, settings: QueueSettings, *, now_ms: int) -> None:
        self._settings = settings
        self.now_ms = now_ms
        self._upstreams: dict[str, Upstream] = {}

    async def enqueue(self, upstream: str, jobs: Sequence[NewJob]) -> Enqueued:
        """See `Queue`."""
        queue, ends = self._upstream(upstream), self._ends(upstream)
        fresh, canceled = 0, list[Fact]()
        for new in jobs:
            if new.id in queue.jobs:
                continue
            fresh += 1
            job = Job(new=new, ready_ms=max(self.now_ms, new.not_before_ms), changed_ms=self.now_ms)
            queue.jobs[new.id] = job
            if queue.marks.pop((new.tenant, new.id), None) is not None:
                canceled.append(ends.end(job, State.CANCELED, post=""))
            else:
                ends.wait(job)
        return Enqueued(fresh=fresh, canceled=tuple(canceled))

    async def lease(self, upstream: str, limit: int, *, worker: str) -> Leased:
        """See `Queue`."""
        queue, ends = self._upstream(upstream), self._ends(upstream)
        limit = min(limit, MAX_BATCH)
        more = self._bring_back(queue)
        working = queue.rings.classes()
        leases, expired, passed_over = list[Lease](), list[Fact](), 0
        while len(leases) < limit and passed_over < PASSED_OVER:
            open_classes = [name for name, at in self._gates(queue, working).items() if not at]
            tenant = queue.rings.next_tenant(open_classes)
            if tenant is None:
                break
            if queue.is_held_back(Place(tenant, "")):
                queue.rings.leave_out(tenant)
                passed_over += 1
                continue
            job = queue.rings.next_job(tenant, open_classes, self._aged_since_ms)
            at = self._lane_room(queue, job)
            if job.new.expires_at_ms <= self.now_ms:
                expired.append(ends.end(job, State.EXPIRED, post=""))
            elif at:
                queue.rings.park(job.fifo, at)
            else:
                leases.append(self._grant(queue, job, worker))
                continue
            passed_over += 1
        queue.forget_grants()
        return Leased(
            leases=tuple(leases),
            expired=tuple(expired),
            next_due=self._next_due(queue, working),
            again=len(leases) < limit and (more or passed_over == PASSED_OVER),
        )

    async def begin(self, upstream: str, keys: Sequence[LeaseKey]) -> list[Begun | None]:
        """See `Queue`."""
        begun = list[Begun | None]()
        for key in keys:
            job = self._held(upstream, key)
            if job is not None and job.state.terminal:  # canceled since it was leased: no call goes out
                self._ends(upstream).release(job)
                job = None
            begun.append(self._begin(job))
        return begun

    async def finish(self, upstream: str, outcomes: Sequence[Outcome]) -> Finished:
        """See `Queue`."""
        ends = self._ends(upstream)
        answers, opened = list[Fact | Late](), list[Opened]()
        for part in parts(outcomes):
            answers += [ends.finish(outcome, opened) for outcome in part]
            self._upstream(upstream).forget_grants()
        return Finished(answers=tuple(answers), opened=tuple(opened), room=ends.room)

    async def extend(self, upstream: str, keys: Sequence[LeaseKey]) -> list[str]:
        """See `Queue`."""
        lost: list[str] = []
        for key in keys:
            job = self._held(upstream, key)
            if job is None:
                lost.append(key.job_id)
            elif not job.state.terminal:  # a canceled one's worker learns that by a signal, and reports
                job.deadline_ms = self.now_ms + job.new.timeout_ms + self._margin_ms
        return lost

    async def cancel(self, upstream: str, job_id: str, *, tenant: str, force: bool = False) -> Canceled:
        """See `Queue`."""
        queue, ends = self._upstream(upstream), self._ends(upstream)
        job = queue.jobs.get(job_id)
        if job is None:
            queue.marks[tenant, job_id] = self.now_ms
            return Canceled(fact=expected_cancel(job_id, tenant, self.now_ms), running=False)
        if job.new.tenant != tenant:
            raise job_not_found(job_id)
        if job.state is State.CANCELED:
            return Canceled(fact=fact_of(job), running=bool(job.leased_ms))
        if job.state.terminal:
            raise job_finished(job_id, job.state)
        running = bool(job.leased_ms) and (job.state is State.RUNNING or job.new.idempotent)
        if running and not force:
            raise job_running(job_id)
        if job.leased_ms and not running:
            ends.release(job)
        fact = ends.end(job, State.CANCELED, post="")
        queue.forget_grants()
        return Canceled(fact=fact, running=running)

    async def sweep(self, upstream: str) -> Swept:
        """See `Queue`."""
        swept = self._ends(upstream).sweep()
        self._upstream(upstream).forget_grants()
        return swept

    async def published(self, upstream: str, facts: Sequence[Fact]) -> None:
        """See `Queue`."""
        for fact in facts:
            self._upstream(upstream).outbox.pop(fact.posted, None)

    async def configure(self, upstream: str, rules: Rules) -> None:
        """See `Queue`."""
        queue = self._upstream(upstream)
        if queue.rules is None or (queue.rules.limits, queue.rules.breaker) != (rules.limits, rules.breaker):
            queue.rules_version += 1
        queue.rules = rules
        queue.rings.parked = dict.fromkeys(queue.rings.parked, 0)

    async def pause(self, upstream: str, pause: Pause) -> None:
        """See `Queue`."""
        self._upstream(upstream).pauses[Place(pause.tenant, pause.lane)] = replace(
            pause, paused_at_ms=pause.paused_at_ms or self.now_ms
        )

    async def resume(self, upstream: str, *, tenant: str, lane: str) -> None:
        """See `Queue`."""
        queue = self._upstream(upstream)
        queue.pauses.pop(Place(tenant, lane), None)
        queue.rings.let_in(tenant, lane)

    async def suspend(self, upstream: str, suspension: Suspension) -> None:
        """See `Queue`."""
        queue, place = self._upstream(upstream), Place(suspension.tenant, suspension.lane)
        if queue.is_news(place, suspension.revision):
            queue.suspensions[place] = suspension

    async def reinstate(self, upstream: str, *, tenant: str, lane: str, revision: int) -> None:
        """See `Queue`."""
        queue, place = self._upstream(upstream), Place(tenant, lane)
        if queue.is_news(place, revision) and queue.suspensions.pop(place, None) is not None:
            queue.rings.let_in(tenant, lane)

    async def suspensions(self, upstream: str) -> list[Suspension]:
        """See `Queue`."""
        return [suspension for _, suspension in sorted(self._upstream(upstream).suspensions.items())]

    async def explain(self, upstream: str, job_id: str, *, tenant: str) -> Explanation:
        """See `Queue`."""
        job = self._upstream(upstream).jobs.get(job_id)
        if job is None or job.new.tenant != tenant:
            raise job_not_found(job_id)
        return queue_views.explain(self._upstream(upstream), job, self.now_ms)

    async def view(self, upstream: str, *, tenant: str, lanes: int) -> QueueView:
        """See `Queue`."""
        return queue_views.view(self._upstream(upstream), tenant, lanes, self.now_ms)

    @property
    def _margin_ms(self) -> int:
        return milliseconds(self._settings.lease_margin)

    @property
    def _aged_since_ms(self) -> int:
        return self.now_ms - milliseconds(self._settings.max_priority_delay)

    def _upstream(self, name: str) -> Upstream:
        return self._upstreams.setdefault(name, Upstream())

    def _ends(self, upstream: str) -> Ends:
        return Ends(self._upstream(upstream), self._settings, self.now_ms)

    def _held(self, upstream: str, key: LeaseKey) -> Job | None:
        """The job, where that lease is out."""
        job = self._upstream(upstream).jobs.get(key.job_id)
        return job if job is not None and job.leased_ms and job.fence == key.fence else None

    def _bring_back(self, queue: Upstream) -> bool:
        """Lines up what has come due; whether there may be more of it."""
        jobs = first((job.ready_ms, job.new.id, job) for job in queue.delayed() if job.ready_ms <= self.now_ms)
        for job in jobs:
            queue.rings.line_up(job)
        parked = queue.rings.parked.items()
        fifos = first((at, str(fifo), fifo) for fifo, at in parked if at <= self.now_ms)
        for fifo in fifos:
            queue.rings.wake(fifo)
        return MAX_BATCH in {len(jobs), len(fifos)}

    def _gates(self, queue: Upstream, classes: Iterable[str]) -> dict[str, float]:
        """By class when the upstream has room for it: 0 for now."""
        if UPSTREAM_PLACE in queue.pauses:
            return dict.fromkeys(classes, NEVER)
        return {name: room_at(queue.holds(UPSTREAM_PLACE, name, self.now_ms)) for name in classes}

    def _lane_room(self, queue: Upstream, job: Job) -> float:
        place = Place(job.new.tenant, job.new.lane)
        if queue.is_held_back(place):
            return NEVER
        return room_at(queue.holds(place, job.new.method_class, self.now_ms))

    def _next_due(self, queue: Upstream, working: Iterable[str]) -> timedelta | None:
        times: list[float] = [job.ready_ms for job in queue.delayed()]
        times += queue.rings.parked.values()
        times += [at for at in self._gates(queue, working).values() if at]
        at = min(times, default=NEVER)
        return timedelta(milliseconds=max(0, at - self.now_ms)) if at < NEVER else None

    def _grant(self, queue: Upstream, job: Job, worker: str) -> Lease:
        queue.rings.charge(job, queue.weight(job.new.tenant))
        queue.rings.step_out(job)
        job.fence = Fence(1, job.fence.count + 1)
        job.revision += 1
        job.leased_ms = self.now_ms
        job.worker = worker
        job.deadline_ms = self.now_ms + self._margin_ms + (0 if job.new.idempotent else job.new.timeout_ms)
        queue.take(job, self.now_ms)
        started = replace(
            fact_of(job),
            state=State.RUNNING,
            attempt=job.attempt + 1,
            time_ms=self.now_ms,
            started_at_ms=self.now_ms,
            not_before_ms=0,
        )
        return Lease(key=job.key, idempotent=job.new.idempotent, deadline_ms=job.deadline_ms, started=started)

    def _begin(self, job: Job | None) -> Begun | None:
        if job is None:
            return None
        if job.state is not State.RUNNING:
            job.state = State.RUNNING
            job.changed_ms = job.leased_ms if job.new.idempotent else self.now_ms
            job.started_ms = job.changed_ms
            job.attempt += 1
        job.deadline_ms = self.now_ms + job.new.timeout_ms + self._margin_ms
        return Begun(started=fact_of(job), deadline_ms=job.deadline_ms)
