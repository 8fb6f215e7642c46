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
    Depth,
    Enqueued,
    Fact,
    Fence,
    Late,
    Lease,
    Leased,
    LeaseKey,
    State,
    Swept,
)
from services.scheduler.queue import job_finished, job_not_found, job_running
from tests.fakes.queue_job import Job, expected_cancel, fact_of, fifo_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.scheduler.domain import NewJob, Outcome, Priority, QueueSettings


class _Upstream:
    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.marks: dict[tuple[str, str], int] = {}
        self.outbox: dict[str, tuple[int, Fact]] = {}
        #: Start-time fair queueing: the next start tag of each tenant, and the tag that was served last.
        self.tags: dict[str, float] = {}
        self.virtual_time = 0.0
        self.weights: dict[str, float] = {}
        self.grants: dict[str, int] = {}
        #: When each lane had its turn last, or came in; the smallest is next.
        self.turns: dict[tuple[str, Priority, str], int] = {}
        self.turn = 0

    def lined_up(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.lined_up]


class FakeQueue:
    """`services.scheduler.queue.Queue` in memory.

    Args:
        settings: How long things last.
        now_ms: The time, in milliseconds since the Unix epoch; the test moves it.
    """

    def __init__(self, settings: QueueSettings, *, now_ms: int) -> None:
        self._settings = settings
        self.now_ms = now_ms
        self._upstreams: dict[str, _Upstream] = {}

    def set_weight(self, upstream: str, tenant: str, weight: float) -> None:
        """Gives a tenant another share than 1."""
        self._upstream(upstream).weights[tenant] = weight

    async def enqueue(self, upstream: str, jobs: Sequence[NewJob]) -> Enqueued:
        """See `Queue`."""
        queue = self._upstream(upstream)
        fresh, canceled = 0, list[Fact]()
        for new in jobs:
            if new.id in queue.jobs:
                continue
            fresh += 1
            job = Job(new=new, ready_ms=max(self.now_ms, new.not_before_ms), changed_ms=self.now_ms)
            queue.jobs[new.id] = job
            if queue.marks.pop((new.tenant, new.id), None) is not None:
                canceled.append(self._end(queue, job, State.CANCELED, post=""))
            else:
                self._wait(queue, job)
        return Enqueued(fresh=fresh, canceled=tuple(canceled))

    async def lease(self, upstream: str, limit: int, *, worker: str) -> Leased:
        """See `Queue`."""
        queue = self._upstream(upstream)
        limit = min(limit, MAX_BATCH)
        promoted = self._promote(queue)
        leases, expired = list[Lease](), list[Fact]()
        while len(leases) < limit and len(expired) < MAX_BATCH:
            active = {job.new.tenant for job in queue.lined_up()}
            if not active:
                break
            tenant = min(active, key=lambda name: (queue.tags[name], name))
            job = self._next(queue, tenant)
            if job.new.expires_at_ms <= self.now_ms:
                expired.append(self._end(queue, job, State.EXPIRED, post=""))
            else:
                self._charge(queue, job)
                leases.append(self._grant(job, worker))
        due = [job.ready_ms for job in queue.jobs.values() if job.waits and not job.lined_up]
        again = len(leases) < limit and (promoted == MAX_BATCH or len(expired) == MAX_BATCH)
        return Leased(
            leases=tuple(leases),
            expired=tuple(expired),
            next_due=timedelta(milliseconds=max(0, min(due) - self.now_ms)) if due else None,
            again=again,
        )

    async def begin(self, upstream: str, keys: Sequence[LeaseKey]) -> list[Begun | None]:
        """See `Queue`."""
        return [self._begin(self._held(upstream, key)) for key in keys]

    async def finish(self, upstream: str, outcomes: Sequence[Outcome]) -> list[Fact | Late]:
        """See `Queue`."""
        queue = self._upstream(upstream)
        return [self._finish(queue, upstream, outcome) for outcome in outcomes]

    async def extend(self, upstream: str, keys: Sequence[LeaseKey]) -> list[str]:
        """See `Queue`."""
        lost: list[str] = []
        for key in keys:
            job = self._held(upstream, key)
            if job is None:
                lost.append(key.job_id)
            else:
                job.deadline_ms = self.now_ms + job.new.timeout_ms + self._margin_ms
        return lost

    async def cancel(self, upstream: str, job_id: str, *, tenant: str) -> Fact:
        """See `Queue`."""
        queue = self._upstream(upstream)
        job = queue.jobs.get(job_id)
        if job is None:
            queue.marks[tenant, job_id] = self.now_ms
            return expected_cancel(job_id, tenant, self.now_ms)
        if job.new.tenant != tenant:
            raise job_not_found(job_id)
        if job.state is State.CANCELED:
            return fact_of(job)
        if job.state.terminal:
            raise job_finished(job_id, job.state)
        if job.leased_ms and (job.state is State.RUNNING or job.new.idempotent):
            raise job_running(job_id)
        return self._end(queue, job, State.CANCELED, post="")

    async def sweep(self, upstream: str) -> Swept:
        """See `Queue`."""
        queue = self._upstream(upstream)
        old = self.now_ms - _ms(self._settings.outbox_delay)
        unpublished = [fact for posted, fact in queue.outbox.values() if posted <= old]
        lost = _first(
            (job.deadline_ms, job) for job in queue.jobs.values() if job.leased_ms and job.deadline_ms <= self.now_ms
        )
        facts = [fact for job in lost if (fact := self._take_back(queue, job)) is not None]
        expired = _first(
            (job.new.expires_at_ms, job)
            for job in queue.jobs.values()
            if job.waits and job.new.expires_at_ms <= self.now_ms
        )[: MAX_BATCH - len(lost)]
        facts += [self._end(queue, job, State.EXPIRED, post="") for job in expired]
        return Swept(
            facts=tuple(facts),
            unpublished=tuple(unpublished[:MAX_BATCH]),
            lost=len(lost),
            again=len(lost) + len(expired) == MAX_BATCH,
            depth=self._depth(queue),
        )

    def _depth(self, queue: _Upstream) -> Depth:
        ready = len(queue.lined_up())
        return Depth(
            ready=ready,
            delayed=sum(job.waits for job in queue.jobs.values()) - ready,
            leased=sum(bool(job.leased_ms) for job in queue.jobs.values()),
        )

    async def published(self, upstream: str, facts: Sequence[Fact]) -> None:
        """See `Queue`."""
        for fact in facts:
            self._upstream(upstream).outbox.pop(fact.posted, None)

    @property
    def _margin_ms(self) -> int:
        return _ms(self._settings.lease_margin)

    def _upstream(self, name: str) -> _Upstream:
        return self._upstreams.setdefault(name, _Upstream())

    def _held(self, upstream: str, key: LeaseKey) -> Job | None:
        job = self._upstream(upstream).jobs.get(key.job_id)
        return job if job is not None and job.leased_ms and job.fence == key.fence else None

    def _wait(self, queue: _Upstream, job: Job) -> None:
        job.leased_ms = 0
        if job.ready_ms <= self.now_ms:
            self._line_up(queue, job)

    def _line_up(self, queue: _Upstream, job: Job) -> None:
        tenant = job.new.tenant
        others = [other for other in queue.lined_up() if other.new.tenant == tenant]
        if not others:
            queue.tags[tenant] = max(queue.tags.get(tenant, 0.0), queue.virtual_time)
            queue.grants[tenant] = 0
        if not any(other.lane == job.lane for other in others):
            queue.turn += 1
            queue.turns[job.lane] = queue.turn
        job.lined_up = True

    def _promote(self, queue: _Upstream) -> int:
        due = _first(
            (job.ready_ms, job)
            for job in queue.jobs.values()
            if job.waits and not job.lined_up and job.ready_ms <= self.now_ms
        )
        for job in due:
            self._line_up(queue, job)
        return len(due)

    def _next(self, queue: _Upstream, tenant: str) -> Job:
        waiting = [job for job in queue.lined_up() if job.new.tenant == tenant]
        if queue.grants[tenant] % 8 == 7:
            fifos: dict[tuple[str, str, Priority], Job] = {}
            for job in sorted(waiting, key=lambda job: job.new.sequence):
                fifos.setdefault((job.new.lane, job.new.method_class, job.new.priority), job)
            oldest = min(fifos.values(), key=lambda job: (job.ready_ms, fifo_name(job)))
            if oldest.ready_ms < self.now_ms - _ms(self._settings.max_priority_delay):
                return oldest
        highest = min(job.new.priority for job in waiting)
        lane = min({job.lane for job in waiting if job.new.priority == highest}, key=lambda lane: queue.turns[lane])
        return min((job for job in waiting if job.lane == lane), key=lambda job: job.new.sequence)

    def _charge(self, queue: _Upstream, job: Job) -> None:
        tenant = job.new.tenant
        queue.virtual_time = queue.tags[tenant]
        queue.tags[tenant] += 1 / queue.weights.get(tenant, 1.0)
        queue.grants[tenant] += 1
        queue.turn += 1
        queue.turns[job.lane] = queue.turn

    def _grant(self, job: Job, worker: str) -> Lease:
        job.lined_up = False
        job.fence = Fence(1, job.fence.count + 1)
        job.revision += 1
        job.leased_ms = self.now_ms
        job.worker = worker
        job.deadline_ms = self.now_ms + self._margin_ms + (0 if job.new.idempotent else job.new.timeout_ms)
        started = replace(
            fact_of(job),
            state=State.RUNNING,
            attempt=job.attempt + 1,
            time_ms=self.now_ms,
            started_at_ms=self.now_ms,
            not_before_ms=0,
        )
        return Lease(
            key=LeaseKey(job.new.id, job.fence),
            idempotent=job.new.idempotent,
            deadline_ms=job.deadline_ms,
            started=started,
        )

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

    def _finish(self, queue: _Upstream, upstream: str, outcome: Outcome) -> Fact | Late:
        job = queue.jobs.get(outcome.key.job_id)
        if job is None:
            return Late(state=None)
        if self._held(upstream, outcome.key) is None:
            known = job.settled.get(outcome.key.fence)
            return known if known is not None else Late(state=job.state)
        if job.state is not State.RUNNING and not outcome.reason:
            job.attempt += 1
            job.started_ms = self.now_ms
        fact = self._settle(queue, job, outcome)
        job.settled = {outcome.key.fence: fact}
        return fact

    def _settle(self, queue: _Upstream, job: Job, outcome: Outcome) -> Fact:
        if outcome.succeeded:
            return self._end(queue, job, State.SUCCEEDED)
        if outcome.unknown and not job.new.idempotent:
            return self._end(queue, job, State.OUTCOME_UNKNOWN)
        if outcome.retryable and job.attempt < job.new.max_attempts:
            ceiling = min(job.new.initial_backoff_ms * 2 ** (job.attempt - 1), job.new.max_backoff_ms)
            return self._retry(queue, job, max(int(outcome.jitter * ceiling), outcome.retry_after_ms))
        return self._end(queue, job, State.FAILED, post=outcome.reason or None)

    def _retry(self, queue: _Upstream, job: Job, pause_ms: int) -> Fact:
        self._enter(job, State.RETRYING)
        job.ready_ms = self.now_ms + pause_ms
        self._wait(queue, job)
        return fact_of(job)

    def _take_back(self, queue: _Upstream, job: Job) -> Fact | None:
        if job.state is not State.RUNNING:
            self._wait(queue, job)
            return None
        if not job.new.idempotent:
            return self._end(queue, job, State.OUTCOME_UNKNOWN, post="OUTCOME_UNKNOWN")
        if job.attempt >= job.new.max_attempts:
            return self._end(queue, job, State.FAILED, post="ATTEMPT_LOST")
        return self._post(queue, self._retry(queue, job, 0), "ATTEMPT_LOST")

    def _end(self, queue: _Upstream, job: Job, state: State, *, post: str | None = None) -> Fact:
        """Ends the job; posts the fact with that reason where one is given, be it empty."""
        self._enter(job, state)
        job.leased_ms = 0
        job.lined_up = False
        return fact_of(job) if post is None else self._post(queue, fact_of(job), post)

    def _enter(self, job: Job, state: State) -> None:
        job.state = state
        job.revision += 1
        job.changed_ms = self.now_ms

    def _post(self, queue: _Upstream, fact: Fact, reason: str) -> Fact:
        name = f"{fact.job_id}:{fact.revision}"
        posted = replace(fact, reason=reason, posted=name)
        queue.outbox[name] = (self.now_ms, posted)
        return posted


def _first(jobs: Iterable[tuple[int, Job]]) -> list[Job]:
    """The first 64 by the time given, then by id."""
    return [job for _, job in sorted(jobs, key=lambda each: (each[0], each[1].new.id))[:MAX_BATCH]]


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
