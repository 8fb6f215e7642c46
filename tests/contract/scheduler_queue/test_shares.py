"""What every queue gives to whom, where budgets, pauses and lanes that wait come between."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from services.scheduler.domain import Lease, Outcome, Priority
from tests.fakes.queue_bench import UPSTREAM, Driver, budget

SECOND = timedelta(seconds=1)


async def finish_all(q: Driver, leases: list[Lease]) -> None:
    await q.queue.finish(UPSTREAM, [Outcome(key=lease.key, succeeded=True) for lease in leases])


async def tenants(q: Driver, count: int) -> Counter[str]:
    return Counter(lease.started.tenant for lease in await q.lease(count))


async def test_a_tenant_whose_class_was_closed_has_saved_no_credit(q: Driver) -> None:
    await q.configure(classes={"write": budget((1, 64))})
    await q.enqueue(*(q.job("writer", method_class="write") for _ in range(60)))
    await q.enqueue(*(q.job("reader") for _ in range(200)))
    assert (await tenants(q, 60))["reader"] == 59
    await q.configure()
    shares = await tenants(q, 40)
    assert shares["reader"] >= 19


async def test_a_tenant_that_comes_new_when_a_class_opens_is_not_put_behind(q: Driver) -> None:
    await q.configure(classes={"write": budget((1, 64))})
    await q.enqueue(*(q.job("writer", method_class="write") for _ in range(60)))
    await q.enqueue(*(q.job("reader") for _ in range(200)))
    await q.lease(60)
    await q.configure()
    assert await tenants(q, 1) == {"writer": 1}
    await q.enqueue(*(q.job("late") for _ in range(60)))
    shares = await tenants(q, 30)
    assert max(shares.values()) - min(shares.values()) <= 2


async def test_a_tenant_whose_only_lane_was_without_room_has_saved_no_credit(q: Driver) -> None:
    await q.configure(lane_classes={"write": budget(concurrency=1)})
    await q.enqueue(*(q.job("writer", method_class="write") for _ in range(60)))
    await q.enqueue(*(q.job("reader") for _ in range(200)))
    assert (await tenants(q, 60))["reader"] == 59
    await q.configure()
    assert (await tenants(q, 40))["reader"] >= 19


async def test_a_tenant_is_charged_in_every_class_for_what_it_is_given_in_one(q: Driver) -> None:
    await q.enqueue(*(q.job("wide", method_class=name) for name in ("read", "write", "upload") for _ in range(30)))
    await q.enqueue(*(q.job("narrow", method_class="write") for _ in range(30)))
    assert await tenants(q, 40) == {"wide": 20, "narrow": 20}


async def test_weights_hold_among_tenants_of_different_classes(q: Driver) -> None:
    await q.configure(weights={"gold": 3})
    await q.enqueue(*(q.job("gold", method_class="write") for _ in range(60)))
    await q.enqueue(*(q.job("plain", method_class="read") for _ in range(60)))
    assert await tenants(q, 40) == {"gold": 30, "plain": 10}


async def test_a_weight_that_is_changed_holds_from_then_on(q: Driver) -> None:
    await q.enqueue(*(q.job(tenant) for tenant in ("gold", "plain") for _ in range(100)))
    assert await tenants(q, 20) == {"gold": 10, "plain": 10}
    await q.configure(weights={"gold": 4})
    assert (await tenants(q, 50))["gold"] in {39, 40, 41}


async def test_low_priority_is_served_by_age_though_its_only_lane_takes_one_call_at_a_time(q: Driver) -> None:
    await q.configure(lane=budget(concurrency=1))
    low = await q.enqueued(priority=Priority.LOW)
    await q.advance(61 * SECOND)
    for _ in range(8):
        await q.enqueue(q.job(priority=Priority.HIGH), q.job(priority=Priority.HIGH))
        (lease,) = await q.lease()
        await q.finish(lease.key, succeeded=True)
        if lease.key.job_id == low.id:
            return
    raise AssertionError("low priority starves")


async def test_an_aged_job_without_room_takes_no_turn_of_the_others(q: Driver) -> None:
    await q.configure(lane_classes={"upload": budget((1, 640))})
    await q.enqueue(*(q.job(priority=Priority.LOW, method_class="upload") for _ in range(3)))
    assert len(await q.lease()) == 1
    await q.advance(61 * SECOND)
    high = [await q.enqueued(priority=Priority.HIGH) for _ in range(30)]
    assert await q.leased_ids(30) == [job.id for job in high]


async def test_the_oldest_of_the_classes_that_are_open_is_served_by_age(q: Driver) -> None:
    await q.configure(classes={"upload": budget((1, 640))})
    await q.enqueue(q.job(priority=Priority.LOW, method_class="upload"), q.job("bolt", method_class="upload"))
    assert len(await q.lease()) == 1
    closed = await q.enqueued(priority=Priority.LOW, method_class="upload")
    await q.advance(SECOND)
    old = await q.enqueued(priority=Priority.LOW, method_class="write")
    await q.advance(61 * SECOND)
    await q.enqueue(*(q.job(priority=Priority.HIGH) for _ in range(30)))
    leased = await q.leased_ids(16)
    assert old.id in leased
    assert closed.id not in leased


async def test_one_lane_in_two_classes_has_one_turn(q: Driver) -> None:
    await q.enqueue(*(q.job(lane="a", method_class=name) for _ in range(3) for name in ("read", "write")))
    await q.enqueue(*(q.job(lane="b") for _ in range(6)))
    assert [lease.started.sequence for lease in await q.lease(8)] == [1, 7, 2, 8, 3, 9, 4, 10]


async def test_a_closed_class_passes_its_lanes_turn_to_nobody(q: Driver) -> None:
    """A lane whose head is of a closed class goes with its next job of an open one."""
    await q.configure(classes={"write": budget((1, 640))})
    await q.enqueue(q.job("bolt", method_class="write"))
    assert len(await q.lease()) == 1
    await q.enqueue(*(q.job(lane="a", method_class=name) for _ in range(3) for name in ("write", "read")))
    await q.enqueue(*(q.job(lane="b") for _ in range(3)))
    assert [lease.started.sequence for lease in await q.lease()] == [3, 8, 5, 9, 7, 10]


async def test_many_lanes_without_room_do_not_hide_one_that_has_some(q: Driver) -> None:
    await q.configure(lane=budget(concurrency=1))
    await q.enqueue(*(q.job(lane=f"con_{n:03}") for n in range(200) for _ in range(2)))
    leases: list[Lease] = []
    while len(leases) < 200:
        given = await q.lease()
        assert given
        leases += given
    free = await q.enqueued(lane="free", priority=Priority.LOW)
    given_ids: list[str] = []
    for _ in range(10):
        answer = await q.queue.lease(UPSTREAM, 64, worker="w")
        given_ids += [lease.key.job_id for lease in answer.leases]
        if not answer.again:
            break
    assert given_ids == [free.id]
    await finish_all(q, leases)
    assert len(await q.lease()) == 64


async def test_age_counts_from_just_after_the_delay(q: Driver) -> None:
    low = await q.enqueued(priority=Priority.LOW)
    await q.advance(60 * SECOND)
    await q.enqueue(*(q.job(priority=Priority.HIGH) for _ in range(40)))
    assert low.id not in await q.leased_ids(8)
    await q.advance(timedelta(milliseconds=1))
    assert low.id in await q.leased_ids(8)


async def test_the_turns_of_a_tenant_are_counted_anew_when_nothing_of_it_waits(q: Driver) -> None:
    await q.enqueue(*(q.job() for _ in range(7)))
    assert len(await q.lease()) == 7
    low = await q.enqueued(priority=Priority.LOW)
    await q.advance(61 * SECOND)
    await q.enqueue(*(q.job(priority=Priority.HIGH) for _ in range(40)))
    assert (await q.leased_ids(8)).index(low.id) == 7


async def test_a_tenant_that_hops_in_and_out_has_no_more_than_its_weight(q: Driver) -> None:
    await q.configure(weights={"steady": 3})
    await q.enqueue(*(q.job("steady") for _ in range(200)))
    given: Counter[str] = Counter()
    for _ in range(40):
        await q.enqueued("hopping")
        given += await tenants(q, 1)
        given += await tenants(q, 1)
        given += await tenants(q, 1)
    assert given["hopping"] / given.total() == pytest.approx(1 / 4, abs=0.02)
