"""Who waits how long: the real queue under a clock of the test's, with workers whose calls all take the same time."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.scheduler.domain import Priority
from tests.fakes.queue_bench import START_MS, Driver, RedisBench, budget
from tests.fakes.queue_workers import Workers

if TYPE_CHECKING:
    from shared import kv
    from tests.fakes.queue_workers import Grant

SECOND = timedelta(seconds=1)
SERVICE = timedelta(milliseconds=500)
SERVICE_MS = 500


@pytest.fixture
async def q(redis: kv.Client) -> Driver:
    bench = RedisBench(redis)
    await bench.set_clock(START_MS)
    return Driver(bench)


def waits(grants: list[Grant], tenant: str) -> list[int]:
    return [grant.waited_ms for grant in grants if grant.job.tenant == tenant]


def shares(grants: list[Grant]) -> Counter[str]:
    return Counter(grant.job.tenant for grant in grants)


def small_and_regular(q: Driver, workers: Workers, *, every_ms: int = 1130) -> None:
    """Twenty jobs, one at a time, less often than its share would let it."""
    for number in range(20):
        workers.arrive(timedelta(milliseconds=every_ms * number + 7), [q.job("small")])


def high_all_the_time(q: Driver, workers: Workers) -> None:
    """For two minutes as many as one worker can do."""
    for number in range(240):
        workers.arrive(number * SERVICE, [q.job("acme", priority=Priority.HIGH)])


#: A thousand jobs each: in how many lanes, with which priority, in which classes.
FLOODS = {
    "one lane": (1, Priority.NORMAL, ["read"]),
    "50 connections": (50, Priority.NORMAL, ["read"]),
    "all of them high": (1, Priority.HIGH, ["read"]),
    "50 connections, all high, in every class": (50, Priority.HIGH, ["read", "write", "upload"]),
}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("count", [1, 4])
async def test_a_small_tenants_added_wait_beside_a_flood_is_one_service_time(q: Driver, flood: str, count: int) -> None:
    workers = Workers(q, count, SERVICE)
    lanes, priority, classes = FLOODS[flood]
    numbers = range(1000)
    workers.arrive(
        timedelta(0),
        [
            q.job("flood", lane=f"con_{n % lanes}", priority=priority, method_class=classes[n % len(classes)])
            for n in numbers
        ],
    )
    small_and_regular(q, workers)
    grants = await workers.work(25 * SECOND)
    assert shares(grants)["flood"] >= 25 * count, "the flood goes on meanwhile"
    assert len(waits(grants, "small")) == 20
    # one service time at most until a worker is free, one for the call of the other tenant that goes before
    assert max(waits(grants, "small")) <= 2 * SERVICE_MS


async def test_beside_several_floods_it_is_one_service_time_for_each_active_tenant(q: Driver) -> None:
    workers = Workers(q, 1, SERVICE)
    for number in range(5):
        workers.arrive(timedelta(0), [q.job(f"flood-{number}", lane=f"con_{n % 9}") for n in range(100)])
    small_and_regular(q, workers, every_ms=3130)
    grants = await workers.work(65 * SECOND)
    assert len(waits(grants, "small")) == 20
    assert max(waits(grants, "small")) <= 6 * SERVICE_MS


async def test_a_flood_that_came_first_has_no_more_than_its_share_of_what_follows(q: Driver) -> None:
    workers = Workers(q, 2, SERVICE)
    workers.arrive(timedelta(0), [q.job("early") for _ in range(300)])
    workers.arrive(10 * SECOND, [q.job("late") for _ in range(100)])
    await workers.work(10 * SECOND)
    grants = await workers.work(20 * SECOND)
    assert abs(shares(grants)["early"] - shares(grants)["late"]) <= 2


async def test_weights_of_three_to_one_give_three_to_one_within_five_percent(q: Driver) -> None:
    await q.configure(weights={"gold": 3})
    workers = Workers(q, 4, SERVICE)
    for tenant in ("gold", "plain"):
        workers.arrive(timedelta(0), [q.job(tenant, lane=f"con_{n % 7}") for n in range(600)])
    given = shares(await workers.work(60 * SECOND))
    assert given["gold"] / given["plain"] == pytest.approx(3, rel=0.05)
    assert given.total() >= 480


async def test_weights_hold_while_lanes_wait_for_their_budgets(q: Driver) -> None:
    await q.configure(weights={"gold": 3}, lane=budget((4, 2)), upstream=budget(concurrency=3))
    workers = Workers(q, 4, SERVICE)
    for tenant in ("gold", "plain"):
        workers.arrive(timedelta(0), [q.job(tenant, lane=f"con_{n % 20}") for n in range(600)])
    given = shares(await workers.work(60 * SECOND))
    assert given["gold"] / given["plain"] == pytest.approx(3, rel=0.05)


async def test_high_overtakes_its_own_tenants_waiting_normal_jobs(q: Driver) -> None:
    workers = Workers(q, 1, SERVICE)
    workers.arrive(timedelta(0), [q.job("acme", lane=f"con_{n % 5}") for n in range(200)])
    for number in range(10):
        high = q.job("acme", lane="con_1", priority=Priority.HIGH)
        workers.arrive(timedelta(milliseconds=1730 * number + 3), [high])
    grants = await workers.work(20 * SECOND)
    high_waits = [grant.waited_ms for grant in grants if grant.job.priority is Priority.HIGH]
    assert len(high_waits) == 10
    assert max(high_waits) <= SERVICE_MS


async def test_low_is_served_by_age_under_constant_high_load(q: Driver) -> None:
    workers = Workers(q, 1, SERVICE)
    workers.arrive(timedelta(0), [q.job("acme", priority=Priority.LOW) for _ in range(20)])
    high_all_the_time(q, workers)
    early = Counter(grant.job.priority for grant in await workers.work(60 * SECOND))
    assert early[Priority.LOW] == 0, "none has waited for longer than the delay"
    later = Counter(grant.job.priority for grant in await workers.work(60 * SECOND))
    assert later[Priority.LOW] == pytest.approx(later.total() / 8, abs=1)


async def test_low_is_served_by_age_though_its_lane_has_room_for_one_call_at_a_time(q: Driver) -> None:
    await q.configure(lane=budget(concurrency=1))
    workers = Workers(q, 4, SERVICE)
    workers.arrive(timedelta(0), [q.job("acme", priority=Priority.LOW) for _ in range(20)])
    high_all_the_time(q, workers)
    await workers.work(61 * SECOND)
    later = Counter(grant.job.priority for grant in await workers.work(60 * SECOND))
    assert later[Priority.LOW] == pytest.approx(later.total() / 8, abs=1)


@pytest.mark.parametrize("away", ["idle", "paused", "without room"])
async def test_a_tenant_that_comes_back_has_no_saved_credit(q: Driver, away: str) -> None:
    workers = Workers(q, 1, SERVICE)
    workers.arrive(timedelta(0), [q.job("steady") for _ in range(300)])
    flood = [q.job("hopping", method_class="write") for _ in range(100)]
    if away == "paused":
        await q.pause("hopping")
    elif away == "without room":
        await q.configure(classes={"write": budget((1, 3600))})
    workers.arrive(60 * SECOND if away == "idle" else timedelta(0), flood)
    await workers.work(60 * SECOND)
    await q.resume("hopping")
    await q.configure()
    grants = await workers.work(20 * SECOND)
    assert abs(shares(grants)["steady"] - shares(grants)["hopping"]) <= 2
    first = shares(grants[:10])
    assert first["steady"] >= 4


async def test_the_lanes_of_a_tenant_share_its_calls_evenly(q: Driver) -> None:
    workers = Workers(q, 2, SERVICE)
    depths = {"deep": 200, "shallow": 50, "other": 50}
    for lane, depth in depths.items():
        workers.arrive(timedelta(0), [q.job(lane=lane) for _ in range(depth)])
    grants = await workers.work(30 * SECOND)
    by_lane = Counter(grant.job.lane for grant in grants)
    assert max(by_lane.values()) - min(by_lane.values()) <= 1
