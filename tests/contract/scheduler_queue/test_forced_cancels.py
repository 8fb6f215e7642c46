"""What every queue does with a job that is canceled while it runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.domain import Health, Late, State
from services.scheduler.limits import BreakerPolicy, Quota, QuotaScope
from shared.errors import JobFinished, JobNotFound, JobRunning
from tests.fakes.queue_bench import UPSTREAM, Driver, budget

SECOND = timedelta(seconds=1)


async def test_a_job_that_runs_is_canceled_by_force_at_once(q: Driver) -> None:
    lease = await q.begun()
    await q.advance(SECOND)
    canceled = await q.queue.cancel(UPSTREAM, lease.key.job_id, tenant="acme", force=True)
    fact = canceled.fact
    assert canceled.running
    assert (fact.state, fact.revision, fact.finished_at_ms) == (State.CANCELED, 3, q.now_ms)
    assert (fact.fence, fact.worker, fact.attempt) == (lease.key.fence, "w", 1)
    assert fact.posted
    await q.advance(7 * SECOND)
    assert (await q.sweep()).unpublished == (fact,)


async def test_a_job_that_waits_is_canceled_by_force_as_without(q: Driver) -> None:
    for delay_ms in (0, 5000):
        job = await q.enqueued(not_before_ms=q.now_ms + delay_ms)
        canceled = await q.queue.cancel(UPSTREAM, job.id, tenant="acme", force=True)
        assert (canceled.fact.state, canceled.running) == (State.CANCELED, False)
    await q.advance(5 * SECOND)
    assert await q.lease() == []


@pytest.mark.parametrize("force", [True, False])
async def test_a_lease_whose_call_cannot_have_gone_out_is_taken_away(q: Driver, *, force: bool) -> None:
    await q.enqueued(idempotent=False)
    (lease,) = await q.lease()
    canceled = await q.queue.cancel(UPSTREAM, lease.key.job_id, tenant="acme", force=force)
    assert not canceled.running
    assert (await q.sweep()).depth.leased == 0
    assert await q.begin(lease.key) is None


async def test_a_job_that_was_leased_to_be_called_at_once_does_not_begin_after_it_was_canceled(q: Driver) -> None:
    await q.enqueued(idempotent=True)
    (lease,) = await q.lease()
    with pytest.raises(JobRunning):
        await q.cancel(lease.key.job_id)
    assert (await q.queue.cancel(UPSTREAM, lease.key.job_id, tenant="acme", force=True)).running
    assert await q.begin(lease.key) is None
    assert await q.lease() == []


@pytest.mark.parametrize(
    "outcome",
    [{"succeeded": True}, {"retryable": True}, {"retryable": False}, {"unknown": True}, {"reason": "INTERNAL"}],
)
@pytest.mark.parametrize("idempotent", [True, False])
async def test_whatever_its_call_comes_to_the_job_stays_canceled(
    q: Driver, outcome: dict[str, Any], *, idempotent: bool
) -> None:
    lease = await q.begun(idempotent=idempotent)
    await q.cancel(lease.key.job_id, force=True)
    for _ in range(2):
        assert await q.finish(lease.key, **outcome) == Late(state=State.CANCELED)
    await q.advance(120 * SECOND)
    assert await q.lease() == []
    assert (await q.sweep()).facts == ()


async def test_the_outcome_of_an_attempt_before_is_answered_the_same_after_the_cancel(q: Driver) -> None:
    """Its event may have been lost on the way; a log that has it knows it by its revision."""
    first = await q.begun()
    retried = await q.finish(first.key, retryable=True, jitter=0.0)
    assert retried.state is State.RETRYING
    (second,) = await q.lease()
    await q.begin(second.key)
    await q.cancel(second.key.job_id, force=True)
    assert await q.finish(first.key, retryable=True, jitter=0.0) == retried
    assert await q.finish(second.key, succeeded=True) == Late(state=State.CANCELED)
    assert await q.finish(first.key, retryable=True, jitter=0.0) == retried
    assert await q.finish(second.key, succeeded=True) == Late(state=State.CANCELED)


async def test_its_call_counts_as_running_until_it_has_come_out(q: Driver) -> None:
    await q.configure(lane=budget(concurrency=1))
    lease = await q.begun()
    waiting = await q.enqueued()
    await q.cancel(lease.key.job_id, force=True)
    assert await q.lease() == []
    assert (await q.sweep()).depth.leased == 1
    assert (await q.finished(lease.key, succeeded=True)).room
    assert (await q.sweep()).depth.leased == 0
    assert await q.leased_ids() == [waiting.id]


async def test_its_call_counts_as_running_until_its_lease_has_run_out(q: Driver) -> None:
    await q.configure(lane=budget(concurrency=1))
    lease = await q.begun()
    waiting = await q.enqueued()
    await q.cancel(lease.key.job_id, force=True)
    await q.advance(44.999 * SECOND)
    assert (await q.sweep()).canceling == (lease.key.job_id,)
    assert await q.lease() == []
    await q.advance(0.001 * SECOND)
    swept = await q.sweep()
    assert (swept.facts, swept.lost, swept.canceling, swept.room) == ((), 1, (), True)
    assert await q.leased_ids() == [waiting.id]
    assert await q.finish(lease.key, succeeded=True) == Late(state=State.CANCELED)
    assert await q.queue.extend(UPSTREAM, [lease.key]) == [lease.key.job_id]


async def test_its_lease_is_not_extended(q: Driver) -> None:
    lease = await q.begun()
    await q.cancel(lease.key.job_id, force=True)
    await q.advance(30 * SECOND)
    await q.queue.extend(UPSTREAM, [lease.key])
    await q.advance(15 * SECOND)
    assert (await q.sweep()).lost == 1


async def test_a_sweep_names_it_until_its_call_has_come_out(q: Driver) -> None:
    leases = [await q.begun() for _ in range(3)]
    assert (await q.sweep()).canceling == ()
    for lease in leases[:2]:
        await q.cancel(lease.key.job_id, force=True)
    for _ in range(2):
        assert set((await q.sweep()).canceling) == {lease.key.job_id for lease in leases[:2]}
    await q.finish(leases[0].key)
    assert (await q.sweep()).canceling == (leases[1].key.job_id,)


async def test_it_is_canceled_again_with_the_same_answer_and_told_again_to_break_off(q: Driver) -> None:
    lease = await q.begun()
    first = await q.cancel(lease.key.job_id, force=True)
    await q.advance(SECOND)
    for force in (True, False):
        again = await q.queue.cancel(UPSTREAM, lease.key.job_id, tenant="acme", force=force)
        assert (again.fact.revision, again.fact.time_ms, again.running) == (first.revision, first.time_ms, True)
        assert not again.fact.posted
    await q.finish(lease.key)
    again = await q.queue.cancel(UPSTREAM, lease.key.job_id, tenant="acme", force=True)
    assert (again.fact.revision, again.running) == (first.revision, False)


async def test_what_it_says_of_the_upstream_is_not_heeded(q: Driver) -> None:
    await q.configure(breaker=BreakerPolicy(throttles=1))
    lease = await q.begun()
    await q.enqueued()
    await q.cancel(lease.key.job_id, force=True)
    empty = Quota(scope=QuotaScope.LANE, remaining=0, reset_after_ms=60_000)
    assert (await q.finished(lease.key, health=Health.THROTTLED, quotas=(empty,))).opened == ()
    assert len(await q.lease()) == 1


async def test_an_outcome_under_an_old_fence_ends_no_lease(q: Driver) -> None:
    old = await q.begun()
    await q.advance(45 * SECOND)
    await q.sweep()
    (new,) = await q.lease()
    await q.begin(new.key)
    await q.cancel(new.key.job_id, force=True)
    assert await q.finish(old.key, succeeded=True) == Late(state=State.CANCELED)
    assert (await q.sweep()).depth.leased == 1


async def test_a_retry_that_was_told_is_told_again_though_a_later_attempt_was_canceled(q: Driver) -> None:
    lease = await q.begun()
    retrying = await q.finish(lease.key, retryable=True, jitter=0.0)
    (second,) = await q.lease()
    await q.begin(second.key)
    await q.cancel(second.key.job_id, force=True)
    assert await q.finish(lease.key, retryable=True, jitter=0.0) == retrying


async def test_force_opens_no_other_tenants_job_and_none_that_has_ended(q: Driver) -> None:
    lease = await q.begun("acme")
    with pytest.raises(JobNotFound):
        await q.cancel(lease.key.job_id, "bolt", force=True)
    await q.finish(lease.key, succeeded=True)
    with pytest.raises(JobFinished):
        await q.cancel(lease.key.job_id, force=True)


@pytest.mark.parametrize("force", [True, False])
async def test_a_cancel_that_overtakes_its_submit_is_obeyed_with_or_without_force(q: Driver, *, force: bool) -> None:
    job = q.job()
    early = await q.queue.cancel(UPSTREAM, job.id, tenant="acme", force=force)
    assert (early.fact.state, early.fact.revision, early.running) == (State.CANCELED, 2, False)
    (fact,) = (await q.queue.enqueue(UPSTREAM, [job])).canceled
    assert (fact.state, fact.revision) == (State.CANCELED, 2)
    assert await q.lease() == []
    assert (await q.view()).by_priority == (0, 0, 0)
