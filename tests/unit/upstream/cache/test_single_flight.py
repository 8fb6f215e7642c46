"""Identical reads at the same time: one call, whoever leads it and however that ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.upstream.v1 import cache_pb2

from services.upstream.cache.store import Wait
from services.upstream.domain import MAX_INLINE_BYTES, Failure, Health, Stored, Success
from shared.objects import result_key
from tests.fakes.cache_replicas import FAILED
from tests.fakes.cached_answers import FakeAnswers
from tests.integration.upstream.outcomes import failure, success
from tests.unit.upstream.cache.test_cache import count
from tests.waiting import eventually

if TYPE_CHECKING:
    from typing import Any

    from services.upstream.domain import Outcome
    from tests.fakes.cache_replicas import Replica, Shop, World
    from tests.fakes.cached_answers import Shelf

JOBS = 50

pytestmark = pytest.mark.usefixtures("no_stalls")


def started(*replicas: Replica, jobs: int = JOBS, **fields: Any) -> list[asyncio.Task[Outcome]]:
    """Like jobs, in turn at each replica."""
    return [asyncio.create_task(replicas[number % len(replicas)].job(**fields)) for number in range(jobs)]


async def all_wait(shop: Shop, *replicas: Replica, calls: int = 1) -> None:
    """Waits until so many calls are under way and nothing else moves."""

    def told() -> bool:
        stores = [replica.store for replica in replicas]
        return shop.under_way == calls and all(isinstance(each, FakeAnswers) and each.looks for each in stores)

    await eventually(told)
    await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_fifty_identical_jobs_at_two_replicas_make_one_call(replica: Replica, other: Replica, shop: Shop) -> None:
    before = count("coalesced")
    shop.gate.clear()
    jobs = started(replica, other)
    await all_wait(shop, replica, other)
    shop.gate.set()
    outcomes = [success(each) for each in await asyncio.gather(*jobs)]
    assert len(shop.calls) == 1
    assert {each.body for each in outcomes} == {b"cats"}
    assert sorted(each.from_cache for each in outcomes) == [False] + [True] * (JOBS - 1)
    assert count("coalesced") == before + JOBS - 1


async def test_each_of_fifty_has_a_stored_answer_as_its_own_object(
    replica: Replica, other: Replica, world: World
) -> None:
    world.shop.large = b"x" * (MAX_INLINE_BYTES + 1)
    world.shop.gate.clear()
    jobs = started(replica, other)
    await all_wait(world.shop, replica, other)
    world.shop.gate.set()
    assert {success(each).body for each in await asyncio.gather(*jobs)} == {Stored(size=MAX_INLINE_BYTES + 1)}
    assert len(world.shop.calls) == 1
    assert {world.objects.contents[result_key("acme", f"shop-{job}", 1)] for job in range(1, JOBS + 1)} == {
        world.shop.large
    }


async def test_nobody_shares_a_call_with_another_tenant_or_connection(
    replica: Replica, other: Replica, shop: Shop
) -> None:
    shop.gate.clear()
    jobs = started(replica, other, jobs=4)
    jobs += started(replica, other, jobs=4, tenant="globex")
    jobs += started(replica, other, jobs=4, connection="con_1", version=1)
    jobs += started(replica, other, jobs=4, connection="con_2", version=1)
    jobs += started(replica, other, jobs=4, connection="con_2", version=2)
    await all_wait(shop, replica, other, calls=5)
    shop.gate.set()
    await asyncio.gather(*jobs)
    called = [(call.tenant, call.credential.connection_id if call.credential else "") for call in shop.calls]
    assert sorted(called) == [("acme", ""), ("acme", "con_1"), ("acme", "con_2"), ("acme", "con_2"), ("globex", "")]


async def test_when_a_call_fails_one_of_those_who_wait_calls_next(replica: Replica, other: Replica, shop: Shop) -> None:
    shop.next = [FAILED, RuntimeError("a fault of the connector"), FAILED]
    shop.gate.clear()
    jobs = started(replica, other)
    await all_wait(shop, replica, other)
    shop.gate.set()
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert (len(shop.calls), shop.most_under_way) == (4, 1)
    assert sum(each == FAILED for each in outcomes) == 2
    assert sum(isinstance(each, RuntimeError) for each in outcomes) == 1
    assert sum(isinstance(each, Success) and each.from_cache for each in outcomes) == JOBS - 4


async def test_a_call_that_is_broken_off_is_the_next_ones_at_once(replica: Replica, other: Replica, shop: Shop) -> None:
    shop.gate.clear()
    leader = asyncio.create_task(replica.job())
    await all_wait(shop, replica)
    jobs = started(replica, other)
    await settle()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    await eventually(lambda: len(shop.calls) == 2)
    shop.gate.set()
    await asyncio.gather(*jobs)
    assert (len(shop.calls), shop.most_under_way) == (2, 1)


async def test_who_waits_and_is_canceled_leaves_and_nobody_minds(replica: Replica, other: Replica, shop: Shop) -> None:
    shop.gate.clear()
    jobs = started(replica, other, jobs=6)
    await all_wait(shop, replica, other)
    led = next(index for index, call in enumerate(range(6)) if shop.calls[0].job_id == f"shop-{call + 1}")
    for index, each in enumerate(jobs):
        if index != led and index < 4:
            each.cancel()
    ended = await asyncio.gather(
        *(each for index, each in enumerate(jobs) if index != led and index < 4), return_exceptions=True
    )
    assert all(isinstance(each, asyncio.CancelledError) for each in ended)
    shop.gate.set()
    left = [success(await each) for index, each in enumerate(jobs) if index == led or index >= 4]
    assert len(shop.calls) == 1
    assert len(left) == 3


async def test_a_replica_that_was_killed_is_relieved_when_it_is_believed_no_more(
    replica: Replica, world: World, shelf: Shelf
) -> None:
    killed = FakeAnswers(shelf, "killed")
    lease, request = replica.leased()
    read = replica.cache._read(lease, request, world.shop.call)
    assert read is not None
    believed = timedelta(milliseconds=200)
    await killed.look(read.spot, token="killed", believed=believed, ttl=read.ttl)
    assert await killed.look(read.spot, token="x", believed=believed, ttl=read.ttl) == Wait(seconds=0.2)
    jobs = started(replica)
    await settle()
    assert not world.shop.calls
    shelf.now_ms += 200
    assert {success(each).body for each in await asyncio.gather(*jobs)} == {b"cats"}
    assert len(world.shop.calls) == 1


async def test_a_long_call_is_believed_while_it_says_that_it_goes_on(world: World, shelf: Shelf) -> None:
    believed = timedelta(milliseconds=300)
    one, other = (world.replica(FakeAnswers(shelf, name), believed=believed) for name in ("one", "other"))
    world.shop.gate.clear()
    jobs = started(one, other, jobs=4)
    await all_wait(world.shop, one, other)
    for _ in range(6):  # three times as long as it is believed without a word
        held = dict(shelf.flights)
        ends = next(iter(held.values())).ends
        shelf.now_ms += 150
        await eventually(lambda least=ends: next(iter(shelf.flights.values())).ends > least)
    assert len(world.shop.calls) == 1
    world.shop.gate.set()
    await asyncio.gather(*jobs)
    assert len(world.shop.calls) == 1


async def test_a_signal_that_is_lost_costs_a_moment(world: World, shelf: Shelf) -> None:
    believed = timedelta(milliseconds=200)
    one, other = (world.replica(FakeAnswers(shelf, name), believed=believed) for name in ("one", "other"))
    world.signals.lost = True
    world.shop.gate.clear()
    jobs = started(one, other, jobs=4)
    await all_wait(world.shop, one, other)
    world.shop.gate.set()
    await asyncio.wait_for(asyncio.gather(*jobs), 30)
    assert (len(world.shop.calls), len(world.signals.said)) == (1, 1)


async def test_while_nats_is_away_who_waits_looks_for_itself(world: World, shelf: Shelf) -> None:
    believed = timedelta(milliseconds=200)
    one, other = (world.replica(FakeAnswers(shelf, name), believed=believed) for name in ("one", "other"))
    world.signals.away = True
    world.shop.gate.clear()
    jobs = started(one, other, jobs=4)
    await all_wait(world.shop, one, other)
    world.shop.gate.set()
    await asyncio.wait_for(asyncio.gather(*jobs), 30)
    assert len(world.shop.calls) == 1


async def test_a_reconnect_wakes_who_waits(replica: Replica, other: Replica, world: World) -> None:
    world.signals.lost = True
    world.shop.gate.clear()
    leader = asyncio.create_task(replica.job())
    await all_wait(world.shop, replica)
    waits = asyncio.create_task(other.job())
    await all_wait(world.shop, replica, other)
    world.shop.gate.set()
    await leader
    await replica.settled()
    other.flights.reconnected()
    assert success(await asyncio.wait_for(waits, 30)).from_cache


async def test_nobody_signals_where_nobody_waits(replica: Replica, world: World) -> None:
    await replica.job()
    await replica.settled()
    assert world.signals.said == []


@pytest.mark.parametrize("here", [True, False])
async def test_nobody_waits_for_longer_than_its_own_attempt_may_take(
    replica: Replica, other: Replica, shop: Shop, *, here: bool
) -> None:
    shop.gate.clear()
    leader = asyncio.create_task(replica.job())
    await all_wait(shop, replica)
    waits = replica if here else other
    outcomes = await asyncio.wait_for(
        asyncio.gather(*(waits.job(timeout=timedelta(milliseconds=100)) for _ in range(5))), 5
    )
    for each in outcomes:
        failed = failure(each)
        assert (failed.reason, failed.retryable, failed.health) == ("UPSTREAM_TIMEOUT", True, Health.NOTHING)
        assert "was not answered within 0.1 s" in failed.message
    shop.gate.set()
    assert not success(await leader).from_cache
    assert len(shop.calls) == 1


async def forget(replica: Replica, tenant: str = "acme", **fields: str) -> int:
    """What InvalidateCache answers."""
    return await invalidated(replica, tenant, cache_pb2.InvalidateCacheRequest(**fields))


async def invalidated(replica: Replica, tenant: str, request: cache_pb2.InvalidateCacheRequest) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.upstream.cache.servicer.current_tenant", lambda: tenant)
        context: Any = None
        return (await replica.servicer.InvalidateCache(request, context)).entries


async def test_what_is_forgotten_during_a_call_is_not_served_by_that_call(
    replica: Replica, other: Replica, shop: Shop
) -> None:
    shop.gate.clear()
    leader = asyncio.create_task(replica.job())
    await all_wait(shop, replica)
    before = started(replica, other, jobs=4)
    await all_wait(shop, replica, other)
    assert await forget(other) == 0
    after = started(replica, other, jobs=6)
    await eventually(lambda: len(shop.calls) == 2)
    shop.answer = Success(status=200, body=b"new")
    # the first call began before, and answers late
    shop.next = [Success(status=200, body=b"old")]
    shop.gate.set()
    assert success(await leader).body == b"old"
    bodies = {success(each).body for each in await asyncio.gather(*after)}
    assert bodies == {b"new"}
    assert {success(each).body for each in await asyncio.gather(*before)} == {b"new"}
    assert len(shop.calls) == 2
    await replica.settled()
    await other.settled()
    assert success(await replica.job()).body == b"new"


async def test_nobody_here_waits_on_for_a_call_whose_answer_was_forgotten(world: World, shelf: Shelf) -> None:
    replica = world.replica(FakeAnswers(shelf), believed=timedelta(milliseconds=300))
    world.shop.gate.clear()
    jobs = started(replica, jobs=4)
    await all_wait(world.shop, replica)
    await forget(replica)
    await eventually(lambda: world.shop.under_way == 2, what="a call of those who waited")
    world.shop.gate.set()
    await asyncio.gather(*jobs)
    assert len(world.shop.calls) == 2


async def test_a_call_of_another_tenant_or_method_is_left_alone(replica: Replica, shop: Shop) -> None:
    shop.gate.clear()
    jobs = [asyncio.create_task(replica.job(tenant="globex")), asyncio.create_task(replica.job(name="shop.list"))]
    await all_wait(shop, replica, calls=2)
    assert await forget(replica, "acme", method="shop.get") == 0
    shop.gate.set()
    await asyncio.gather(*jobs)
    await replica.settled()
    assert success(await replica.job(tenant="globex")).from_cache
    assert success(await replica.job(name="shop.list")).from_cache


async def test_while_redis_is_away_all_call_at_once_and_nobody_waits(replica: Replica, shop: Shop) -> None:
    store = replica.store
    assert isinstance(store, FakeAnswers)
    store.away = True
    shop.gate.clear()
    jobs = started(replica, jobs=10)
    await eventually(lambda: shop.under_way == 10)
    shop.gate.set()
    assert all(not success(each).from_cache for each in await asyncio.gather(*jobs))


async def test_redis_going_away_during_a_call_fails_nobody(replica: Replica, shop: Shop) -> None:
    store = replica.store
    assert isinstance(store, FakeAnswers)
    shop.gate.clear()
    jobs = started(replica, jobs=10)
    await all_wait(shop, replica)
    store.away = True
    shop.gate.set()
    outcomes = await asyncio.wait_for(asyncio.gather(*jobs), 30)
    assert not any(isinstance(each, Failure) for each in outcomes)


async def test_who_refreshes_waits_for_nobody_and_its_answer_is_the_one_that_stays(
    replica: Replica, other: Replica, shop: Shop
) -> None:
    shop.gate.clear()
    leader = asyncio.create_task(replica.job())
    await all_wait(shop, replica)
    fresh = asyncio.create_task(other.job(mode="REFRESH"))
    await eventually(lambda: len(shop.calls) == 2)
    waits = started(replica, other, jobs=4)
    await settle()
    shop.next = [Success(status=200, body=b"old"), Success(status=200, body=b"fresh")]
    shop.gate.set()
    assert success(await leader).body == b"old"
    assert success(await fresh).body == b"fresh"
    assert {success(each).body for each in await asyncio.gather(*waits)} == {b"fresh"}
    assert len(shop.calls) == 2


async def test_nothing_is_left_under_way(replica: Replica, other: Replica, shop: Shop, shelf: Shelf) -> None:
    shop.next = [FAILED]
    await asyncio.gather(*started(replica, other))
    await asyncio.gather(*started(replica, other, mode="REFRESH"))
    for each in (replica, other):
        await each.settled()
        assert not each.flights._flights
        await each.calls.close()
    assert not shelf.flights
    await settle()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "cache"]
