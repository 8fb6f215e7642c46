"""What every queue does with an attempt: its start, its loss, its outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.domain import Fence, Late, LeaseKey, Outcome, State
from tests.fakes.queue_bench import UPSTREAM, Driver

SECOND = timedelta(seconds=1)


async def test_begin_counts_the_attempt_and_moves_the_deadline(q: Driver) -> None:
    await q.enqueued(idempotent=False)
    (lease,) = await q.lease()
    await q.advance(5 * SECOND)
    (begun,) = await q.queue.begin(UPSTREAM, [lease.key])
    assert begun is not None
    assert (begun.started.state, begun.started.attempt) == (State.RUNNING, 1)
    assert begun.started.started_at_ms == q.now_ms
    assert begun.deadline_ms == q.now_ms + 45_000


async def test_begin_tells_what_the_lease_of_an_idempotent_job_told(q: Driver) -> None:
    await q.enqueued()
    (lease,) = await q.lease()
    await q.advance(SECOND)
    assert await q.begin(lease.key) == lease.started


async def test_begin_again_under_the_same_fence_says_the_same(q: Driver) -> None:
    await q.enqueued(idempotent=False)
    (lease,) = await q.lease()
    first = await q.begin(lease.key)
    await q.advance(SECOND)
    assert await q.begin(lease.key) == first


@pytest.mark.parametrize("fence", [Fence(1, 2), Fence(0, 1), Fence(2, 1), Fence(0, 0)])
async def test_begin_under_another_fence_is_refused(q: Driver, fence: Fence) -> None:
    job = await q.enqueued(idempotent=False)
    await q.lease()
    assert await q.begin(LeaseKey(job.id, fence)) is None


async def test_begin_of_what_was_never_leased_is_refused(q: Driver) -> None:
    job = await q.enqueued(idempotent=False)
    assert await q.begin(LeaseKey(job.id, Fence(0, 0))) is None
    assert await q.begin(LeaseKey(q.job().id, Fence(1, 1))) is None


async def test_a_lease_that_is_extended_is_kept(q: Driver) -> None:
    lease = await q.begun()
    for _ in range(5):
        await q.advance(40 * SECOND)
        assert await q.queue.extend(UPSTREAM, [lease.key]) == []
        assert (await q.queue.sweep(UPSTREAM)).lost == 0
    await q.advance(45 * SECOND)
    assert (await q.queue.sweep(UPSTREAM)).lost == 1
    assert await q.queue.extend(UPSTREAM, [lease.key]) == [lease.key.job_id]


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_lost_lease_that_was_not_begun_costs_no_attempt_and_no_place(q: Driver, *, idempotent: bool) -> None:
    job = await q.enqueued(idempotent=idempotent)
    (lost,) = await q.lease()
    other = await q.enqueued()
    await q.advance(45 * SECOND)
    swept = await q.queue.sweep(UPSTREAM)
    assert (swept.lost, swept.facts) == (1, ())
    first, second = await q.lease()
    assert (first.key, second.key.job_id) == (LeaseKey(job.id, Fence(1, 2)), other.id)
    assert first.started.attempt == 1
    assert first.started.revision > lost.started.revision
    assert await q.begin(lost.key) is None


async def test_a_lost_attempt_of_an_idempotent_job_is_counted_and_made_again(q: Driver) -> None:
    lease = await q.begun()
    await q.advance(45 * SECOND)
    (fact,) = (await q.queue.sweep(UPSTREAM)).facts
    assert (fact.state, fact.attempt, fact.reason) == (State.RETRYING, 1, "ATTEMPT_LOST")
    assert fact.not_before_ms == q.now_ms
    (again,) = await q.lease()
    assert (again.key, again.started.attempt) == (LeaseKey(lease.key.job_id, Fence(1, 2)), 2)


async def test_a_job_whose_last_attempt_is_lost_fails(q: Driver) -> None:
    await q.begun(max_attempts=1)
    await q.advance(45 * SECOND)
    (fact,) = (await q.queue.sweep(UPSTREAM)).facts
    assert (fact.state, fact.reason, fact.worker) == (State.FAILED, "ATTEMPT_LOST", "w")
    assert await q.lease() == []


async def test_a_lost_attempt_of_another_job_is_never_made_again(q: Driver) -> None:
    await q.begun(idempotent=False)
    await q.advance(45 * SECOND)
    (fact,) = (await q.queue.sweep(UPSTREAM)).facts
    assert (fact.state, fact.reason) == (State.OUTCOME_UNKNOWN, "OUTCOME_UNKNOWN")
    assert await q.lease() == []


async def test_a_sweep_takes_a_bounded_number_and_says_that_there_is_more(q: Driver) -> None:
    await q.enqueue(*(q.job() for _ in range(100)))
    await q.lease(64)
    await q.lease(64)
    await q.advance(45 * SECOND)
    first, second = await q.queue.sweep(UPSTREAM), await q.queue.sweep(UPSTREAM)
    assert (first.lost, first.again, second.lost, second.again) == (64, True, 36, False)


async def test_a_success_ends_the_job(q: Driver) -> None:
    lease = await q.begun()
    await q.advance(SECOND)
    fact = await q.finish(lease.key, succeeded=True)
    assert (fact.state, fact.attempt, fact.finished_at_ms) == (State.SUCCEEDED, 1, q.now_ms)
    assert fact.revision == lease.started.revision + 1
    assert (await q.queue.sweep(UPSTREAM)).facts == ()


@pytest.mark.parametrize(
    ("attempt", "jitter", "pause_ms"),
    [(1, 1.0, 1000), (1, 0.25, 250), (2, 1.0, 2000), (4, 0.5, 4000), (10, 1.0, 60_000)],
)
async def test_a_failure_is_tried_again_after_a_pause_that_grows(
    q: Driver, attempt: int, jitter: float, pause_ms: int
) -> None:
    lease = await q.begun(max_attempts=20)
    for _ in range(attempt - 1):
        await q.finish(lease.key, retryable=True, jitter=0.0)
        (lease,) = await q.lease()
        await q.begin(lease.key)
    fact = await q.finish(lease.key, retryable=True, jitter=jitter)
    assert (fact.state, fact.attempt) == (State.RETRYING, attempt)
    assert fact.not_before_ms == q.now_ms + pause_ms
    assert await q.lease() == []
    await q.advance(timedelta(milliseconds=pause_ms))
    assert await q.leased_ids() == [lease.key.job_id]


async def test_the_pause_is_no_shorter_than_the_upstream_asked_for(q: Driver) -> None:
    lease = await q.begun()
    fact = await q.finish(lease.key, retryable=True, jitter=0.5, retry_after_ms=30_000)
    assert fact.not_before_ms == q.now_ms + 30_000


async def test_a_job_fails_after_its_last_attempt(q: Driver) -> None:
    await q.enqueued(max_attempts=3)
    states: list[State] = []
    for _ in range(3):
        (lease,) = await q.lease()
        await q.begin(lease.key)
        states.append((await q.finish(lease.key, retryable=True, jitter=0.0)).state)
    assert states == [State.RETRYING, State.RETRYING, State.FAILED]


async def test_a_failure_for_good_is_not_tried_again(q: Driver) -> None:
    lease = await q.begun()
    assert (await q.finish(lease.key, retryable=False)).state is State.FAILED


@pytest.mark.parametrize(("idempotent", "state"), [(False, State.OUTCOME_UNKNOWN), (True, State.RETRYING)])
async def test_an_outcome_that_nobody_knows_is_final_only_where_a_repetition_would_matter(
    q: Driver, *, idempotent: bool, state: State
) -> None:
    lease = await q.begun(idempotent=idempotent)
    assert (await q.finish(lease.key, unknown=True, retryable=True)).state is state


@pytest.mark.parametrize("outcome", [{"succeeded": True}, {"retryable": True}, {}])
async def test_an_outcome_that_comes_again_is_answered_the_same(q: Driver, outcome: dict[str, Any]) -> None:
    lease = await q.begun()
    first = await q.finish(lease.key, **outcome)
    await q.advance(SECOND)
    assert await q.finish(lease.key, **outcome) == first


async def test_a_retry_is_remembered_though_the_job_has_moved_on(q: Driver) -> None:
    lease = await q.begun()
    first = await q.finish(lease.key, retryable=True, jitter=0.0)
    (second,) = await q.lease()
    assert await q.finish(lease.key, retryable=True) == first
    await q.begin(second.key)
    assert await q.finish(lease.key, retryable=True) == first
    await q.cancel((await q.enqueued()).id)  # another job's end changes nothing
    assert (await q.finish(second.key, succeeded=True)).state is State.SUCCEEDED
    assert await q.finish(lease.key, retryable=True) == Late(state=State.SUCCEEDED)


async def test_a_retry_is_remembered_though_the_job_was_canceled(q: Driver) -> None:
    lease = await q.begun()
    first = await q.finish(lease.key, retryable=True)
    await q.cancel(lease.key.job_id)
    assert await q.finish(lease.key, retryable=True) == first


async def test_an_outcome_under_an_old_fence_changes_nothing(q: Driver) -> None:
    old = await q.begun()
    await q.advance(45 * SECOND)
    await q.queue.sweep(UPSTREAM)
    assert await q.finish(old.key, succeeded=True) == Late(state=State.RETRYING)
    (new,) = await q.lease()
    await q.begin(new.key)
    assert await q.finish(old.key, succeeded=True) == Late(state=State.RUNNING)
    assert (await q.finish(new.key, succeeded=True)).state is State.SUCCEEDED
    assert await q.finish(old.key, succeeded=True) == Late(state=State.SUCCEEDED)


async def test_an_outcome_of_an_unknown_job_changes_nothing(q: Driver) -> None:
    assert await q.finish(LeaseKey(q.job().id, Fence(1, 1)), succeeded=True) == Late(state=None)


async def test_an_outcome_before_the_call_counts_as_an_attempt(q: Driver) -> None:
    await q.enqueued(idempotent=False, max_attempts=1)
    (lease,) = await q.lease()
    fact = await q.finish(lease.key, retryable=True)
    assert (fact.state, fact.attempt) == (State.FAILED, 1)


async def test_a_job_that_is_given_up_stands_in_the_outbox(q: Driver) -> None:
    await q.enqueued()
    (lease,) = await q.lease()
    fact = await q.finish(lease.key, reason="INTERNAL")
    assert (fact.state, fact.attempt, fact.reason) == (State.FAILED, 0, "INTERNAL")
    assert fact.posted
    await q.advance(7 * SECOND)
    assert (await q.queue.sweep(UPSTREAM)).unpublished == (fact,)


async def test_many_outcomes_are_answered_in_their_order(q: Driver) -> None:
    await q.enqueue(*(q.job() for _ in range(100)))
    leases = await q.lease() + await q.lease()
    outcomes = [Outcome(key=lease.key, succeeded=True) for lease in leases]
    finished = await q.queue.finish(UPSTREAM, outcomes)
    assert [answer.job_id for answer in finished.answers if not isinstance(answer, Late)] == [
        lease.key.job_id for lease in leases
    ]
