"""How leases and jobs end in the plain queue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from services.scheduler.domain import MAX_BATCH, Depth, Fact, Late, Opened, State, Swept
from services.scheduler.limits import QuotaScope
from tests.fakes.queue_budgets import milliseconds
from tests.fakes.queue_job import Job, fact_of
from tests.fakes.queue_state import ALL_CLASSES, UPSTREAM_PLACE, Place, places_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.scheduler.domain import Outcome, QueueSettings
    from services.scheduler.limits import Quota
    from tests.fakes.queue_state import Upstream

T = TypeVar("T")

#: Jobs that have not ended are looked for by so many sequences at a time.
SEQUENCES_A_BLOCK = 1024
#: After attempts that do not count: at the first one, doubling with each in a row.
FIRST_UNCOUNTED_PAUSE_MS = 500
MAX_UNCOUNTED_PAUSE_MS = 30_000


class Ends:
    """What ends, and what comes back, in one step.

    Args:
        queue: Of one upstream.
        settings: How long things last.
        now_ms: The time.
    """

    def __init__(self, queue: Upstream, settings: QueueSettings, now_ms: int) -> None:
        self._queue = queue
        self._settings = settings
        self._now_ms = now_ms
        #: Whether a lease has ended for which something waited.
        self.room = False

    def wait(self, job: Job) -> None:
        """Has the job wait to be leased."""
        if job.ready_ms <= self._now_ms:
            self._queue.rings.line_up(job)

    def end(self, job: Job, state: State, *, post: str | None = None) -> Fact:
        """Ends the job; posts the fact with that reason where one is given, be it empty. A lease that is out stays."""
        if self._queue.rings.lines_up(job):
            self._queue.rings.step_out(job)
        self._enter(job, state)
        self._queue.note_end(self._now_ms)
        return fact_of(job) if post is None else self._post(fact_of(job), post)

    def release(self, job: Job) -> dict[Place, bool]:
        """Ends the job's lease; by place whether it was the probe there."""
        full = any(self._queue.holds(UPSTREAM_PLACE, job.new.method_class, self._now_ms))
        probes = self._queue.release(job)
        woken = self._queue.rings.wake_lane(job.new.tenant, job.new.lane)
        self.room = self.room or woken or full
        return probes

    def finish(self, outcome: Outcome, opened: list[Opened]) -> Fact | Late:
        """Applies an outcome."""
        job = self._queue.jobs.get(outcome.key.job_id)
        if job is None:
            return Late(state=None)
        if not job.leased_ms or job.fence != outcome.key.fence:
            known = job.settled.get(outcome.key.fence)
            return known if known is not None else Late(state=job.state)
        if outcome.unspent:
            self._give_back(job)
        probes = self.release(job)
        if job.state.terminal:  # canceled while it ran
            return Late(state=job.state)
        self._heed(job, outcome, probes, opened)
        if job.state is not State.RUNNING and not outcome.reason:
            job.attempt += 1
            job.started_ms = self._now_ms
        fact = self._settle(job, outcome)
        job.settled = {outcome.key.fence: fact}
        return fact

    def sweep(self) -> Swept:
        """Takes back lost leases, ends expired jobs, and finds what was left unpublished."""
        queue = self._queue
        old = self._now_ms - milliseconds(self._settings.outbox_delay)
        unpublished = [fact for posted, fact in queue.outbox.values() if posted <= old]
        lost = first((job.deadline_ms, job.new.id, job) for job in queue.leased() if job.deadline_ms <= self._now_ms)
        facts = [fact for job in lost if (fact := self._take_back(job)) is not None]
        expired = first(
            (job.new.expires_at_ms, job.new.id, job) for job in queue.waiting() if job.new.expires_at_ms <= self._now_ms
        )[: MAX_BATCH - len(lost)]
        facts += [self.end(job, State.EXPIRED, post="") for job in expired]
        canceling = [job.new.id for job in queue.leased() if job.state.terminal]
        unfinished = [job.new.sequence for job in queue.jobs.values() if not job.state.terminal]
        return Swept(
            facts=tuple(facts),
            unpublished=tuple(unpublished[:MAX_BATCH]),
            lost=len(lost),
            again=len(lost) + len(expired) == MAX_BATCH,
            depth=self._depth(),
            canceling=tuple(canceling[:MAX_BATCH]),
            room=self.room,
            oldest_sequence=max(1, min(unfinished) // SEQUENCES_A_BLOCK * SEQUENCES_A_BLOCK) if unfinished else 0,
        )

    def _give_back(self, job: Job) -> None:
        """Gives back what the lease has taken of rates and quotas."""
        full = any(self._queue.holds(UPSTREAM_PLACE, job.new.method_class, self._now_ms))
        self._queue.give_back(job, self._now_ms)
        self.room = self.room or full

    def _depth(self) -> Depth:
        delayed = len(self._queue.delayed())
        ready = len(self._queue.waiting()) - delayed
        return Depth(ready=ready, delayed=delayed, leased=len(self._queue.leased()))

    def _heed(self, job: Job, outcome: Outcome, probes: dict[Place, bool], opened: list[Opened]) -> None:
        """Takes what the attempt says of the upstream."""
        for quota in outcome.quotas:
            self._learn(job, quota)
        for place in places_of(job):
            policy, breaker = self._queue.policy(place), self._queue.breaker(place)
            if policy is not None and breaker.judge(
                outcome.health, policy, self._now_ms, was_probe=probes[place], jitter=outcome.jitter
            ):
                opened.append(
                    Opened(tenant=place.tenant, lane=place.lane, cause=breaker.cause, until_ms=breaker.until_ms)
                )

    def _learn(self, job: Job, quota: Quota) -> None:
        lane, _ = places_of(job)
        place = UPSTREAM_PLACE if quota.scope is QuotaScope.UPSTREAM else lane
        method_class = job.new.method_class if quota.scope is QuotaScope.LANE_CLASS else ALL_CLASSES
        self._queue.scope(place, method_class).learn(quota.remaining, quota.reset_after_ms, self._now_ms)

    def _settle(self, job: Job, outcome: Outcome) -> Fact:
        if outcome.succeeded:
            return self.end(job, State.SUCCEEDED)
        if outcome.unknown and not job.new.idempotent:
            return self.end(job, State.OUTCOME_UNKNOWN)
        if outcome.retryable and outcome.uncounted:
            job.uncounted, job.in_row = job.uncounted + 1, job.in_row + 1
            return self._retry(job, max(self._uncounted_pause_ms(job, outcome.jitter), outcome.retry_after_ms))
        if outcome.retryable and job.counted_attempts < job.new.max_attempts:
            job.in_row = 0
            ceiling = min(job.new.initial_backoff_ms * 2 ** (job.counted_attempts - 1), job.new.max_backoff_ms)
            return self._retry(job, max(int(outcome.jitter * ceiling), outcome.retry_after_ms))
        return self.end(job, State.FAILED, post=outcome.reason or None)

    def _uncounted_pause_ms(self, job: Job, jitter: float) -> int:
        if Place(job.new.tenant, job.new.lane) in self._queue.suspensions:
            return 0
        half = min(FIRST_UNCOUNTED_PAUSE_MS * 2 ** (job.in_row - 1), MAX_UNCOUNTED_PAUSE_MS) // 2
        return half + int(jitter * half)

    def _retry(self, job: Job, pause_ms: int) -> Fact:
        self._enter(job, State.RETRYING)
        job.ready_ms = self._now_ms + pause_ms
        self.wait(job)
        return fact_of(job)

    def _take_back(self, job: Job) -> Fact | None:
        self.release(job)
        if job.state.terminal:
            return None
        if job.state is not State.RUNNING:
            self.wait(job)
            return None
        if not job.new.idempotent:
            return self.end(job, State.OUTCOME_UNKNOWN, post="OUTCOME_UNKNOWN")
        if job.counted_attempts >= job.new.max_attempts:
            return self.end(job, State.FAILED, post="ATTEMPT_LOST")
        job.in_row = 0
        return self._post(self._retry(job, 0), "ATTEMPT_LOST")

    def _enter(self, job: Job, state: State) -> None:
        job.state = state
        job.revision += 1
        job.changed_ms = self._now_ms

    def _post(self, fact: Fact, reason: str) -> Fact:
        name = f"{fact.job_id}:{fact.revision}"
        posted = replace(fact, reason=reason, posted=name)
        self._queue.outbox[name] = (self._now_ms, posted)
        return posted


def first(items: Iterable[tuple[float, str, T]]) -> list[T]:
    """The first 64 by the time given, then by name."""
    return [item for _, _, item in sorted(items, key=lambda each: each[:2])[:MAX_BATCH]]


def parts(items: Sequence[T]) -> Iterable[Sequence[T]]:
    """As many at a time as one call of a script works on."""
    return (items[start : start + MAX_BATCH] for start in range(0, len(items), MAX_BATCH))
