"""What every queue does with an attempt that does not count: its call did not go out, and may with another turn."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.scheduler.domain import Health, State
from services.scheduler.limits import BreakerPolicy
from tests.fakes.queue_bench import UPSTREAM, Driver

if TYPE_CHECKING:
    from services.scheduler.domain import Fact, Lease

SECOND = timedelta(seconds=1)
LANE = "con_1"


async def come_back(q: Driver, lease: Lease, **fields: Any) -> Fact:
    """Has a call come back that did not go out."""
    fact = await q.finish(lease.key, retryable=True, uncounted=True, unspent=True, **fields)
    assert fact.state is State.RETRYING
    return fact


async def next_attempt(q: Driver) -> Lease:
    """The next attempt, begun, as soon as there is one."""
    due_s = await q.next_due_s()
    await q.advance((due_s or 0.0) * SECOND)
    (lease,) = await q.lease()
    await q.begin(lease.key)
    return lease


async def test_it_leaves_as_many_attempts_as_before_though_their_number_grows(q: Driver) -> None:
    lease = await q.begun(max_attempts=2)
    for number in range(1, 6):
        fact = await come_back(q, lease)
        assert (fact.attempt, fact.uncounted) == (number, number)
        lease = await next_attempt(q)
    fact = await q.finish(lease.key, retryable=True)
    assert (fact.state, fact.attempt, fact.uncounted) == (State.RETRYING, 6, 5)
    lease = await next_attempt(q)
    fact = await q.finish(lease.key, retryable=True)
    assert (fact.state, fact.attempt, fact.uncounted) == (State.FAILED, 7, 5)


async def test_one_that_was_not_begun_does_not_count_either(q: Driver) -> None:
    await q.enqueued(idempotent=False, max_attempts=1)
    (lease,) = await q.lease()
    await come_back(q, lease)
    lease = await next_attempt(q)
    assert (await q.finish(lease.key, succeeded=True)).attempt == 2


@pytest.mark.parametrize(
    ("in_row", "jitter", "pause_ms"),
    [(1, 0.0, 250), (1, 1.0, 500), (2, 0.5, 750), (4, 1.0, 4000), (7, 1.0, 30_000), (12, 0.0, 15_000)],
)
async def test_the_pause_grows_with_each_in_a_row_up_to_half_a_minute(
    q: Driver, in_row: int, jitter: float, pause_ms: int
) -> None:
    lease = await q.begun()
    for _ in range(in_row - 1):
        await come_back(q, lease)
        lease = await next_attempt(q)
    fact = await come_back(q, lease, jitter=jitter)
    assert fact.not_before_ms == q.now_ms + pause_ms
    assert await q.lease() == []
    await q.advance(timedelta(milliseconds=pause_ms))
    assert await q.leased_ids() == [lease.key.job_id]


async def test_the_pause_is_no_shorter_than_was_asked_for(q: Driver) -> None:
    lease = await q.begun()
    assert (await come_back(q, lease, retry_after_ms=7000)).not_before_ms == q.now_ms + 7000


async def test_an_attempt_that_counts_ends_the_row_and_the_pauses_of_both_kinds_are_their_own(q: Driver) -> None:
    lease = await q.begun(max_attempts=9)
    for _ in range(3):
        await come_back(q, lease)
        lease = await next_attempt(q)
    fact = await q.finish(lease.key, retryable=True, jitter=1.0)
    assert fact.not_before_ms == q.now_ms + 1000, "the first one that counts"
    lease = await next_attempt(q)
    assert (await come_back(q, lease, jitter=1.0)).not_before_ms == q.now_ms + 500, "the first one in a row"


async def test_in_a_lane_that_is_held_by_then_it_waits_for_the_lane_alone(q: Driver) -> None:
    lease = await q.begun(lane=LANE)
    await q.suspend("acme", LANE)
    assert (await come_back(q, lease, jitter=1.0)).not_before_ms == q.now_ms
    assert await q.next_due_s() is None
    await q.reinstate("acme", LANE)
    assert await q.leased_ids() == [lease.key.job_id]


async def test_a_job_that_never_gets_its_call_ends_at_its_expiry(q: Driver) -> None:
    lease = await q.begun(expires_at_ms=q.now_ms + 600_000)
    attempts = 0
    while q.now_ms < lease.started.time_ms + 600_000:
        attempts += 1
        await come_back(q, lease, jitter=0.0)
        due_s = await q.next_due_s()
        assert due_s, "something is due"
        await q.advance(due_s * SECOND)
        leased = await q.queue.lease(UPSTREAM, 1, worker="w")
        if leased.leases:
            (lease,) = leased.leases
        for fact in leased.expired:
            assert fact.state is State.EXPIRED
            assert attempts < 50, "it has not gone round and round"
            return
    pytest.fail("it has not ended")


async def test_without_being_retryable_it_is_a_failure_like_others(q: Driver) -> None:
    lease = await q.begun()
    fact = await q.finish(lease.key, uncounted=True)
    assert (fact.state, fact.uncounted) == (State.FAILED, 0)


async def test_breakers_do_not_hear_of_it(q: Driver) -> None:
    await q.configure(breaker=BreakerPolicy(throttles=2, min_calls=2))
    lease = await q.begun()
    for _ in range(5):
        assert (await q.finished(lease.key, retryable=True, uncounted=True)).opened == ()
        lease = await next_attempt(q)
    await q.finish(lease.key, retryable=True, health=Health.THROTTLED)
    assert (await q.finished((await next_attempt(q)).key, health=Health.THROTTLED)).opened


async def test_one_that_comes_again_is_answered_the_same_and_counted_once(q: Driver) -> None:
    lease = await q.begun()
    first = await come_back(q, lease)
    again = await next_attempt(q)
    assert await q.finish(lease.key, retryable=True, uncounted=True) == first
    assert (await come_back(q, again)).uncounted == 2


async def test_a_lost_lease_counts_and_what_was_uncounted_before_does_not(q: Driver) -> None:
    lease = await q.begun(max_attempts=1)
    await come_back(q, lease)
    await next_attempt(q)
    await q.advance(45 * SECOND)
    (fact,) = (await q.sweep()).facts
    assert (fact.state, fact.reason, fact.attempt, fact.uncounted) == (State.FAILED, "ATTEMPT_LOST", 2, 1)
