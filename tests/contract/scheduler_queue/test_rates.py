"""What every queue does by rates: how many calls are begun within a span of time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.scheduler.domain import Priority
from tests.fakes.queue_bench import Driver, budget

SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


async def test_no_more_calls_are_begun_than_a_rate_allows(q: Driver) -> None:
    await q.configure(lane=budget((3, 64)))
    jobs = [await q.enqueued() for _ in range(5)]
    assert await q.leased_ids() == [job.id for job in jobs[:3]]
    assert await q.lease() == []


async def test_a_call_counts_until_its_sub_window_has_left_the_window(q: Driver) -> None:
    await q.configure(lane=budget((1, 64)))  # sub-windows of 1 s
    await q.advance(1 * MILLISECOND)
    await q.enqueue(q.job(), q.job())
    assert len(await q.lease()) == 1
    assert await q.next_due_s() == 64.999
    await q.advance(64.998 * SECOND)
    assert await q.lease() == []
    await q.advance(1 * MILLISECOND)
    assert len(await q.lease()) == 1


async def test_a_call_at_the_end_of_a_sub_window_counts_in_the_next(q: Driver) -> None:
    await q.configure(lane=budget((1, 64)))
    await q.advance(SECOND)
    await q.enqueue(q.job(), q.job())
    assert len(await q.lease()) == 1
    assert await q.next_due_s() == 65


async def test_a_window_that_does_not_divide_into_64_is_never_exceeded(q: Driver) -> None:
    await q.configure(lane=budget((2, 1)))  # sub-windows of 16 ms: 64 of them are 1.024 s
    await q.enqueue(*(q.job() for _ in range(40)))
    times: list[int] = []
    for _ in range(600):
        times += [q.now_ms] * len(await q.lease())
        await q.advance(7 * MILLISECOND)
    assert all(later - earlier >= 1000 for earlier, later in zip(times, times[2:], strict=False))
    assert len(times) >= 8


async def test_a_rate_has_its_room_again_as_it_was_used(q: Driver) -> None:
    await q.configure(lane=budget((4, 64)))
    await q.enqueue(*(q.job() for _ in range(10)))
    assert len(await q.lease(1)) == 1
    await q.advance(10 * SECOND)
    assert len(await q.lease(2)) == 2
    await q.advance(10 * SECOND)
    assert len(await q.lease()) == 1
    assert await q.next_due_s() == 45
    await q.advance(45 * SECOND)
    assert len(await q.lease()) == 1
    await q.advance(10 * SECOND)
    assert len(await q.lease()) == 2


async def test_each_of_several_rates_holds(q: Driver) -> None:
    await q.configure(lane=budget((2, 1), (3, 64)))
    await q.enqueue(*(q.job() for _ in range(10)))
    assert len(await q.lease()) == 2
    await q.advance(2 * SECOND)
    assert len(await q.lease()) == 1
    await q.advance(2 * SECOND)
    assert await q.lease() == []
    assert await q.next_due_s() == 61


@pytest.mark.parametrize("scope", ["upstream", "lane"])
async def test_a_call_counts_though_its_lease_is_lost(q: Driver, scope: str) -> None:
    await q.configure(**{scope: budget((1, 64))})
    await q.enqueue(q.job(), q.job())
    assert len(await q.lease()) == 1
    await q.advance(16 * SECOND)
    assert (await q.sweep()).lost == 1
    assert await q.lease() == []


@pytest.mark.parametrize("scope", ["upstream", "lane"])
async def test_a_call_counts_though_its_job_is_canceled_before_it_begins(q: Driver, scope: str) -> None:
    await q.configure(**{scope: budget((1, 64))})
    job, _ = await q.enqueued(idempotent=False), await q.enqueued()
    assert await q.leased_ids() == [job.id]
    await q.cancel(job.id)
    assert await q.lease() == []


async def test_each_lane_has_a_budget_of_its_own(q: Driver) -> None:
    await q.configure(lane=budget((2, 64)))
    lanes = [("acme", "a"), ("acme", "b"), ("bolt", "a")]
    await q.enqueue(*(q.job(tenant, lane=lane) for tenant, lane in lanes for _ in range(5)))
    assert len(await q.lease()) == 6


async def test_the_upstreams_budget_is_shared_by_all(q: Driver) -> None:
    await q.configure(upstream=budget((4, 64)))
    await q.enqueue(*(q.job(tenant) for tenant in ("acme", "bolt") for _ in range(5)))
    assert [lease.started.tenant for lease in await q.lease()] == ["acme", "bolt", "acme", "bolt"]
    assert await q.next_due_s() == 65
    await q.advance(65 * SECOND)
    assert len(await q.lease()) == 4


async def test_a_class_without_room_holds_up_no_other(q: Driver) -> None:
    await q.configure(classes={"write": budget((1, 64))})
    await q.enqueue(*(q.job(method_class="write") for _ in range(3)))
    await q.enqueue(*(q.job(method_class="read") for _ in range(3)))
    assert [lease.started.sequence for lease in await q.lease()] == [1, 4, 5, 6]
    await q.enqueue(q.job(method_class="upload"))
    assert len(await q.lease()) == 1
    await q.advance(65 * SECOND)
    assert [lease.started.sequence for lease in await q.lease()] == [2]


async def test_a_lanes_class_without_room_holds_up_neither_its_lane_nor_the_class_of_another(q: Driver) -> None:
    await q.configure(lane_classes={"write": budget((1, 64))})
    for lane in ("a", "b"):
        await q.enqueue(*(q.job(lane=lane, method_class="write") for _ in range(2)))
        await q.enqueue(*(q.job(lane=lane) for _ in range(2)))
    assert len(await q.lease()) == 6
    assert await q.lease() == []


async def test_high_priority_without_room_lets_low_priority_of_another_lane_go(q: Driver) -> None:
    await q.configure(lane=budget((1, 64)))
    await q.enqueue(*(q.job(lane="a", priority=Priority.HIGH) for _ in range(3)))
    low = await q.enqueued(lane="b", priority=Priority.LOW)
    assert (await q.leased_ids())[1:] == [low.id]


async def test_a_lower_limit_holds_at_once_with_what_was_counted(q: Driver) -> None:
    await q.configure(lane=budget((10, 64)))
    await q.enqueue(*(q.job() for _ in range(20)))
    assert len(await q.lease(4)) == 4
    await q.advance(10 * SECOND)
    assert len(await q.lease(4)) == 4
    await q.configure(lane=budget((2, 64)))
    assert await q.next_due_s() == 65, "six must fall out for the used to be below two"
    await q.advance(55 * SECOND)
    assert await q.lease() == [], "the first four have fallen out, the other four have not"
    await q.advance(10 * SECOND)
    assert len(await q.lease()) == 2


async def test_a_higher_limit_holds_at_once(q: Driver) -> None:
    await q.configure(lane=budget((2, 64)), upstream=budget((3, 64)))
    await q.enqueue(*(q.job() for _ in range(20)))
    assert len(await q.lease()) == 2
    await q.configure(lane=budget((5, 64)), upstream=budget((3, 64)))
    assert len(await q.lease()) == 1, "now the upstream's holds"
    await q.configure(lane=budget((5, 64)), upstream=budget((10, 64)))
    assert len(await q.lease()) == 2


async def test_a_limit_that_is_dropped_holds_nothing_back(q: Driver) -> None:
    await q.configure(lane=budget((1, 86_400)))
    await q.enqueue(*(q.job(lane=f"con_{n % 80}") for n in range(240)))
    while await q.lease():
        pass
    await q.configure()
    leased = 0
    while leases := await q.lease():
        leased += len(leases)
    assert leased == 160


@pytest.mark.parametrize("windows_s", [(64, 128), (128, 64), (64, 10, 64)])
async def test_a_changed_window_goes_on_with_what_was_counted(q: Driver, windows_s: tuple[int, ...]) -> None:
    await q.configure(lane=budget((10, windows_s[0])))
    await q.enqueue(*(q.job() for _ in range(20)))
    assert len(await q.lease(3)) == 3
    for window_s in windows_s[1:]:
        await q.configure(lane=budget((10, window_s)))
        assert len(await q.lease(2)) == 2
    assert len(await q.lease()) == 10 - 3 - 2 * len(windows_s[1:])


async def test_a_window_that_is_added_takes_over_the_next_longer_one(q: Driver) -> None:
    await q.configure(lane=budget((9, 1), (9, 64), (9, 640)))
    await q.enqueue(*(q.job() for _ in range(20)))
    assert len(await q.lease(2)) == 2
    await q.advance(5 * SECOND)
    assert len(await q.lease(2)) == 2
    await q.configure(lane=budget((9, 1), (4, 32), (9, 640)))
    assert await q.next_due_s() == 28, "the shortest longer one, of 64 s, knows of four within 32 s"


async def test_a_window_longer_than_any_takes_over_the_longest(q: Driver) -> None:
    await q.configure(lane=budget((9, 1), (9, 64)))
    await q.enqueue(*(q.job() for _ in range(20)))
    assert len(await q.lease(3)) == 3
    await q.advance(30 * SECOND)
    await q.configure(lane=budget((4, 640)))
    assert len(await q.lease()) == 1


@pytest.mark.parametrize("windows_s", [(10, 60), (60, 10)])
async def test_a_call_counts_once_in_a_window_that_goes_on_with_another(q: Driver, windows_s: tuple[int, ...]) -> None:
    await q.configure(lane=budget((9, 10)))
    await q.enqueue(*(q.job() for _ in range(5)))
    assert len(await q.lease(2)) == 2
    await q.configure(lane=budget(*((9, window_s) for window_s in windows_s)))
    assert len(await q.lease(1)) == 1
    (lane,) = (await q.view()).lanes
    assert lane.budgets[0].used == (3, 3)


@pytest.mark.parametrize("scope", ["upstream", "lane"])
async def test_a_longer_window_has_room_when_it_was_said_and_not_before(q: Driver, scope: str) -> None:
    """What was counted by the shorter one counts for all of the longer one, though no call is begun meanwhile."""
    await q.configure(**{scope: budget((2, 6.4))})  # sub-windows of 100 ms
    await q.enqueue(*(q.job() for _ in range(4)))
    (lease, _) = await q.lease(2)
    await q.configure(**{scope: budget((2, 64))})
    assert await q.next_due_s() == 64.1
    await q.advance(10 * SECOND)
    await q.finish(lease.key, succeeded=True)  # what was counted is written anew
    assert await q.next_due_s() == 54.1
    await q.configure(**{scope: budget((2, 32))})
    assert await q.next_due_s() == 22.1
    await q.advance(22.1 * SECOND)
    assert len(await q.lease()) == 2


@pytest.mark.parametrize("scope", ["upstream", "lane"])
async def test_a_window_of_a_day_counts_for_an_hour_what_one_of_seconds_has_counted(q: Driver, scope: str) -> None:
    await q.configure(**{scope: budget((2, 6.4))})
    await q.enqueue(*(q.job() for _ in range(3)))
    assert len(await q.lease(2)) == 2
    await q.configure(**{scope: budget((2, 86_400))})
    assert await q.next_due_s() == 3600.1
    await q.advance(3600.1 * SECOND)
    assert len(await q.lease()) == 1


async def test_taking_limits_away_and_back_forgets_no_call_that_was_counted(q: Driver) -> None:
    await q.configure(lane=budget((3, 64)))
    await q.enqueue(*(q.job() for _ in range(20)))
    assert len(await q.lease(2)) == 2
    await q.configure()
    await q.configure(lane=budget((3, 64)))
    assert len(await q.lease()) == 1


async def test_a_lane_that_waits_for_its_rate_keeps_its_turn(q: Driver) -> None:
    await q.configure(lane=budget((1, 1)))
    await q.enqueue(*(q.job(lane=lane) for lane in ("a", "b", "c") for _ in range(9)))
    sequences: list[int] = []
    for _ in range(4):
        sequences += [lease.started.sequence for lease in await q.lease()]
        await q.advance(2 * SECOND)
    assert sequences == [1, 10, 19, 2, 11, 20, 3, 12, 21, 4, 13, 22]
