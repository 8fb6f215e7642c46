"""What every queue does: which job is leased next."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from services.scheduler.domain import Fence, LeaseKey, Priority, State
from tests.fakes.queue_bench import UPSTREAM, Driver

SECOND = timedelta(seconds=1)


async def test_an_empty_queue_gives_nothing(q: Driver) -> None:
    leased = await q.queue.lease(UPSTREAM, 8, worker="w")
    assert (leased.leases, leased.expired, leased.next_due, leased.again) == ((), (), None, False)


async def test_a_job_is_leased_once(q: Driver) -> None:
    job = await q.enqueued()
    (lease,) = await q.lease()
    assert lease.key == LeaseKey(job.id, Fence(1, 1))
    assert lease.idempotent
    assert (lease.started.state, lease.started.attempt, lease.started.sequence) == (State.RUNNING, 1, job.sequence)
    assert await q.lease() == []


async def test_jobs_of_a_lane_are_leased_in_the_order_of_their_acceptance(q: Driver) -> None:
    jobs = [q.job() for _ in range(10)]
    await q.enqueue(*reversed(jobs))
    assert await q.leased_ids(4) + await q.leased_ids() == [job.id for job in jobs]


async def test_a_job_that_comes_again_is_enqueued_once(q: Driver) -> None:
    job = q.job()
    enqueued = await q.queue.enqueue(UPSTREAM, [job, job])
    again = await q.queue.enqueue(UPSTREAM, [job])
    assert (enqueued.fresh, again.fresh) == (1, 0)
    assert await q.leased_ids() == [job.id]


async def test_a_job_that_comes_again_after_its_end_is_left_alone(q: Driver) -> None:
    job = await q.enqueued()
    (lease,) = await q.lease()
    await q.begin(lease.key)
    await q.finish(lease.key, succeeded=True)
    assert (await q.queue.enqueue(UPSTREAM, [job])).fresh == 0
    assert await q.lease() == []


async def test_more_than_one_batch_is_enqueued_and_leased(q: Driver) -> None:
    jobs = [q.job() for _ in range(150)]
    await q.enqueue(*jobs)
    assert [len(await q.lease(100)) for _ in range(4)] == [64, 64, 22, 0]


async def test_a_job_waits_for_its_time(q: Driver) -> None:
    job = await q.enqueued(not_before_ms=q.now_ms + 5000)
    leased = await q.queue.lease(UPSTREAM, 8, worker="w")
    assert (leased.leases, leased.next_due) == ((), 5 * SECOND)
    await q.advance(4.999 * SECOND)
    assert await q.lease() == []
    await q.advance(0.001 * SECOND)
    assert await q.leased_ids() == [job.id]


async def test_many_jobs_that_are_due_at_once_all_come(q: Driver) -> None:
    await q.enqueue(*(q.job(not_before_ms=q.now_ms + 1000) for _ in range(100)))
    await q.advance(SECOND)
    first = await q.queue.lease(UPSTREAM, 64, worker="w")
    second = await q.queue.lease(UPSTREAM, 64, worker="w")
    assert (len(first.leases), len(second.leases)) == (64, 36)


async def test_a_small_tenant_is_among_the_first_two_beside_a_flood(q: Driver) -> None:
    await q.enqueue(*(q.job("flood") for _ in range(1000)))
    job = await q.enqueued("small")
    assert job.id in await q.leased_ids(2)


async def test_a_tenant_with_fifty_lanes_waits_for_itself(q: Driver) -> None:
    await q.enqueue(*(q.job("wide", lane=f"con_{number % 50}") for number in range(500)))
    await q.enqueue(*(q.job("narrow") for _ in range(20)))
    tenants = Counter(lease.started.tenant for lease in await q.lease(40))
    assert tenants == {"wide": 20, "narrow": 20}


async def test_weights_of_three_to_one_give_three_to_one(q: Driver) -> None:
    await q.configure(weights={"gold": 3})
    await q.enqueue(*(q.job(tenant) for tenant in ("gold", "plain") for _ in range(300)))
    tenants: Counter[str] = Counter()
    for _ in range(20):
        tenants.update(lease.started.tenant for lease in await q.lease(20))
    assert tenants["gold"] / tenants["plain"] == pytest.approx(3, rel=0.05)


async def test_time_without_work_is_not_saved_up(q: Driver) -> None:
    await q.enqueue(*(q.job("busy") for _ in range(200)))
    assert len(await q.lease(64)) == 64
    await q.enqueue(*(q.job("late") for _ in range(100)))
    tenants = Counter(lease.started.tenant for lease in await q.lease(40))
    assert tenants == {"busy": 20, "late": 20}


async def test_a_tenant_that_comes_back_with_one_job_at_a_time_gets_no_more_than_its_share(q: Driver) -> None:
    await q.enqueue(*(q.job("steady") for _ in range(200)))
    tenants: Counter[str] = Counter()
    for _ in range(40):
        await q.enqueued("hopping")
        tenants.update(lease.started.tenant for lease in await q.lease(2))
    assert tenants["hopping"] <= 41


async def test_the_lanes_of_a_tenant_take_turns(q: Driver) -> None:
    await q.enqueue(*(q.job(lane="a") for _ in range(6)), *(q.job(lane="b") for _ in range(3)))
    first = [lease.started.sequence for lease in await q.lease(6)]
    assert first == [1, 7, 2, 8, 3, 9]


async def test_priority_orders_one_tenants_work_over_its_lanes(q: Driver) -> None:
    low = await q.enqueued(priority=Priority.LOW, lane="a")
    normal = await q.enqueued(priority=Priority.NORMAL, lane="b")
    high = await q.enqueued(priority=Priority.HIGH, lane="c")
    assert await q.leased_ids() == [high.id, normal.id, low.id]


async def test_priority_does_not_order_tenants(q: Driver) -> None:
    await q.enqueue(*(q.job("loud", priority=Priority.HIGH) for _ in range(100)))
    await q.enqueue(*(q.job("quiet", priority=Priority.LOW) for _ in range(100)))
    tenants = Counter(lease.started.tenant for lease in await q.lease(40))
    assert tenants == {"loud": 20, "quiet": 20}


async def test_one_of_eight_turns_goes_to_a_job_that_has_waited_too_long(q: Driver) -> None:
    low = [await q.enqueued(priority=Priority.LOW) for _ in range(3)]
    await q.advance(61 * SECOND)
    high = [q.job(priority=Priority.HIGH) for _ in range(40)]
    await q.enqueue(*high)
    leased = await q.leased_ids(24)
    assert [leased.index(job.id) for job in low] == [7, 15, 23]
    assert [job for job in leased if job not in {each.id for each in low}] == [job.id for job in high[:21]]


async def test_a_job_that_has_not_waited_long_has_no_turn_before_its_priority(q: Driver) -> None:
    low = await q.enqueued(priority=Priority.LOW)
    await q.enqueue(*(q.job(priority=Priority.HIGH) for _ in range(40)))
    await q.advance(60 * SECOND)
    assert low.id not in await q.leased_ids(40)


async def test_classes_of_methods_in_a_lane_go_by_acceptance(q: Driver) -> None:
    jobs = [await q.enqueued(method_class=name) for name in ("write", "read", "upload", "read", "write")]
    assert await q.leased_ids() == [job.id for job in jobs]
