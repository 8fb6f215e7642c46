"""What every queue does with jobs that end without an attempt, and with facts that were not published."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import ANY

import pytest

from services.scheduler.domain import Depth, State
from shared.errors import JobFinished, JobNotFound, JobRunning
from tests.fakes.queue_bench import UPSTREAM, Driver

SECOND = timedelta(seconds=1)


async def test_a_queued_job_expires(q: Driver) -> None:
    job = await q.enqueued(expires_at_ms=q.now_ms + 5000)
    await q.advance(5 * SECOND)
    (fact,) = (await q.queue.sweep(UPSTREAM)).facts
    assert (fact.job_id, fact.state, fact.attempt) == (job.id, State.EXPIRED, 0)
    assert await q.lease() == []


async def test_a_delayed_job_expires(q: Driver) -> None:
    await q.enqueued(expires_at_ms=q.now_ms + 5000, not_before_ms=q.now_ms + 60_000)
    await q.advance(5 * SECOND)
    (fact,) = (await q.queue.sweep(UPSTREAM)).facts
    assert fact.state is State.EXPIRED
    await q.advance(60 * SECOND)
    assert await q.lease() == []


async def test_an_expired_job_is_found_when_its_turn_comes(q: Driver) -> None:
    await q.enqueued(expires_at_ms=q.now_ms + 5000)
    job = await q.enqueued()
    await q.advance(5 * SECOND)
    leased = await q.queue.lease(UPSTREAM, 8, worker="w")
    assert [fact.state for fact in leased.expired] == [State.EXPIRED]
    assert [lease.key.job_id for lease in leased.leases] == [job.id]
    assert (await q.queue.sweep(UPSTREAM)).facts == ()


async def test_more_expired_jobs_than_one_call_ends_do_not_hide_the_others(q: Driver) -> None:
    await q.enqueue(*(q.job(expires_at_ms=q.now_ms + 5000) for _ in range(100)))
    job = await q.enqueued()
    await q.advance(5 * SECOND)
    first = await q.queue.lease(UPSTREAM, 8, worker="w")
    second = await q.queue.lease(UPSTREAM, 8, worker="w")
    assert (len(first.expired), first.leases, first.again) == (64, (), True)
    assert (len(second.expired), [lease.key.job_id for lease in second.leases]) == (36, [job.id])


async def test_a_running_job_does_not_expire(q: Driver) -> None:
    lease = await q.begun(expires_at_ms=q.now_ms + 5000)
    await q.advance(10 * SECOND)
    assert (await q.queue.sweep(UPSTREAM)).facts == ()
    fact = await q.finish(lease.key, retryable=True)
    assert fact.state is State.RETRYING
    (expired,) = (await q.queue.sweep(UPSTREAM)).facts
    assert (expired.state, expired.attempt) == (State.EXPIRED, 1)


@pytest.mark.parametrize("delay_ms", [0, 60_000])
async def test_a_waiting_job_is_canceled(q: Driver, delay_ms: int) -> None:
    job = await q.enqueued(not_before_ms=q.now_ms + delay_ms)
    fact = await q.cancel(job.id)
    assert (fact.state, fact.revision, fact.sequence) == (State.CANCELED, 2, job.sequence)
    assert fact.posted
    await q.advance(timedelta(milliseconds=delay_ms))
    assert await q.lease() == []


async def test_a_canceled_job_is_canceled_again_with_the_same_answer(q: Driver) -> None:
    job = await q.enqueued()
    first = await q.cancel(job.id)
    await q.advance(SECOND)
    again = await q.cancel(job.id)
    assert (again.revision, again.time_ms, again.state) == (first.revision, first.time_ms, State.CANCELED)


async def test_a_job_that_runs_is_not_canceled(q: Driver) -> None:
    lease = await q.begun()
    with pytest.raises(JobRunning):
        await q.cancel(lease.key.job_id)


async def test_a_leased_job_is_canceled_as_long_as_no_call_can_have_gone_out(q: Driver) -> None:
    await q.enqueued(idempotent=False)
    (lease,) = await q.lease()
    assert (await q.cancel(lease.key.job_id)).state is State.CANCELED
    assert await q.begin(lease.key) is None
    await q.advance(60 * SECOND)
    swept = await q.queue.sweep(UPSTREAM)
    assert (swept.lost, swept.facts) == (0, ())
    await q.enqueued(idempotent=True)
    (lease,) = await q.lease()
    with pytest.raises(JobRunning):
        await q.cancel(lease.key.job_id)


async def test_a_job_that_has_ended_is_not_canceled(q: Driver) -> None:
    lease = await q.begun()
    await q.finish(lease.key, succeeded=True)
    with pytest.raises(JobFinished) as refused:
        await q.cancel(lease.key.job_id)
    assert refused.value.metadata == {"job": lease.key.job_id, "state": "SUCCEEDED"}


async def test_another_tenants_job_is_not_found(q: Driver) -> None:
    job = await q.enqueued("acme")
    with pytest.raises(JobNotFound):
        await q.cancel(job.id, tenant="other")
    assert await q.leased_ids() == [job.id]


async def test_a_cancel_that_overtakes_its_submit_is_obeyed(q: Driver) -> None:
    job = q.job()
    expected = await q.cancel(job.id)
    assert not expected.posted
    enqueued = await q.queue.enqueue(UPSTREAM, [job])
    (fact,) = enqueued.canceled
    assert (fact.state, fact.revision, fact.sequence) == (State.CANCELED, expected.revision, job.sequence)
    assert await q.lease() == []
    assert (await q.queue.enqueue(UPSTREAM, [job])).canceled == ()


async def test_another_tenants_mark_cancels_nothing(q: Driver) -> None:
    job = q.job("acme")
    await q.cancel(job.id, tenant="other")
    await q.enqueue(job)
    assert await q.leased_ids() == [job.id]


async def test_what_was_not_published_is_found_by_a_later_sweep_until_it_is(q: Driver) -> None:
    fact = await q.cancel((await q.enqueued()).id)
    await q.advance(5 * SECOND)
    assert (await q.queue.sweep(UPSTREAM)).unpublished == ()
    await q.advance(SECOND)
    assert (await q.queue.sweep(UPSTREAM)).unpublished == (fact,)
    await q.queue.published(UPSTREAM, [fact])
    assert (await q.queue.sweep(UPSTREAM)).unpublished == ()


async def test_what_was_published_is_not_found(q: Driver) -> None:
    await q.begun(idempotent=False)
    await q.advance(45 * SECOND)
    swept = await q.queue.sweep(UPSTREAM)
    await q.queue.published(UPSTREAM, swept.facts)
    await q.advance(60 * SECOND)
    assert (await q.queue.sweep(UPSTREAM)).unpublished == ()


async def test_a_sweep_tells_how_many_jobs_there_are(q: Driver) -> None:
    first = await q.enqueued()
    await q.enqueue(*(q.job() for _ in range(4)), *(q.job(not_before_ms=q.now_ms + 60_000) for _ in range(2)))
    assert (await q.queue.sweep(UPSTREAM)).depth == Depth(ready=5, delayed=2, leased=0)
    assert await q.leased_ids(2) == [first.id, ANY]
    assert (await q.queue.sweep(UPSTREAM)).depth == Depth(ready=3, delayed=2, leased=2)
