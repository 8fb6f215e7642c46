"""Whose turn it is: places, hosts, and what happens when the store is away."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks.dispatcher import Dispatcher
from services.webhooks.domain import Delivery, Reason, State
from tests.unit.webhooks.conftest import START, make_delivery
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.fakes.delivery_store import FakeDeliveryStore
    from tests.unit.webhooks.conftest import Time

TIMEOUT = timedelta(seconds=20)


@dataclass
class Maker:
    """Delivers, but for what goes to hosts that keep it waiting."""

    store: FakeDeliveryStore
    held: set[str] = field(default_factory=set)
    #: Fails what has had fewer attempts.
    until: int = 1
    release: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[Delivery] = field(default_factory=list)
    at_work: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def make(self, delivery: Delivery) -> bool:
        self.begun.append(delivery)
        self.at_work[delivery.host] += 1
        self.most[delivery.host] = max(self.most[delivery.host], self.at_work[delivery.host])
        self.most["all"] = max(self.most["all"], self.at_work.total())
        if delivery.host in self.held:
            await self.release.wait()
        else:
            await asyncio.sleep(0)
        fails = delivery.attempts < self.until
        await self.store.record(
            replace(delivery, next_attempt_at=START)
            if fails
            else replace(delivery, state=State.DELIVERED, finished_at=START)
        )
        self.at_work[delivery.host] -= 1
        return fails


@asynccontextmanager
async def dispatching(
    store: FakeDeliveryStore, time: Time, *, concurrency: int = 8, held: tuple[str, ...] = ()
) -> AsyncGenerator[tuple[Dispatcher, Maker]]:
    maker = Maker(store, set(held))
    dispatcher = Dispatcher(
        store, maker=maker, clock=time, concurrency=concurrency, attempt_timeout=TIMEOUT, most_attempts=3
    )
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher, maker
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


def delivered(store: FakeDeliveryStore) -> int:
    return sum(each.state is State.DELIVERED for each in store.by_id.values())


async def test_all_that_is_due_is_attempted_once_within_the_limits(store: FakeDeliveryStore, time: Time) -> None:
    await store.add([make_delivery(f"{index % 7}.example") for index in range(100)])
    async with dispatching(store, time) as (_, maker):
        await eventually(lambda: delivered(store) == 100)
    assert len(maker.begun) == 100
    assert {each.attempts for each in maker.begun} == {1}
    assert maker.most["all"] <= 8
    assert max(most for host, most in maker.most.items() if host != "all") <= 2


async def test_a_host_that_keeps_waiting_has_a_quarter_of_the_places_and_holds_up_no_other(
    store: FakeDeliveryStore, time: Time
) -> None:
    await store.add([make_delivery("dead.example", due=START - timedelta(hours=1)) for _ in range(50)])
    await store.add([make_delivery("live.example") for _ in range(20)])
    async with dispatching(store, time, held=("dead.example",)) as (_, maker):
        await eventually(lambda: delivered(store) == 20)
        assert maker.at_work["dead.example"] == 2
        maker.release.set()
        await eventually(lambda: delivered(store) == 70)
    assert maker.most["dead.example"] == 2


async def test_with_one_place_there_is_one_for_every_host(store: FakeDeliveryStore, time: Time) -> None:
    await store.add([make_delivery() for _ in range(5)])
    async with dispatching(store, time, concurrency=1) as (_, maker):
        await eventually(lambda: delivered(store) == 5)
    assert maker.most["all"] == 1


async def test_a_claim_outlasts_the_attempts_time(store: FakeDeliveryStore, time: Time) -> None:
    await store.add([make_delivery()])
    async with dispatching(store, time) as (_, maker):
        await eventually(lambda: maker.begun)
    assert maker.begun[0].next_attempt_at == START + 1.5 * TIMEOUT


async def test_what_is_new_is_begun_at_once_when_told_of(store: FakeDeliveryStore, time: Time) -> None:
    async with dispatching(store, time) as (dispatcher, _):
        await eventually(lambda: store.looks == 1)
        await store.add([make_delivery()])
        dispatcher.wake()
        await eventually(lambda: delivered(store) == 1, within=0.5)


async def test_what_is_due_later_waits_for_its_time(store: FakeDeliveryStore, time: Time) -> None:
    await store.add([make_delivery(due=START + timedelta(minutes=5))])
    async with dispatching(store, time) as (dispatcher, maker):
        await eventually(lambda: store.looks == 1)
        time.advance(minutes=4)
        dispatcher.wake()
        await eventually(lambda: store.looks == 2)
        assert not maker.begun
        time.advance(minutes=1)
        dispatcher.wake()
        await eventually(lambda: delivered(store) == 1)


async def test_what_failed_is_attempted_again_when_it_is_due_and_not_at_the_next_look(
    store: FakeDeliveryStore, time: Time
) -> None:
    await store.add([make_delivery()])
    async with dispatching(store, time) as (_, maker):
        maker.until = 3
        await eventually(lambda: delivered(store) == 1, within=0.5)
    assert [each.attempts for each in maker.begun] == [1, 2, 3]


async def test_the_store_is_looked_at_no_oftener_than_once_a_second(store: FakeDeliveryStore, time: Time) -> None:
    await store.add([make_delivery(due=START + timedelta(milliseconds=1))])  # and this clock stands still
    async with dispatching(store, time):
        await eventually(lambda: store.looks == 1)
        began = asyncio.get_running_loop().time()
        await eventually(lambda: store.looks == 2)
        assert asyncio.get_running_loop().time() - began > 0.9


async def test_a_delivery_whose_last_attempt_was_lost_has_failed(store: FakeDeliveryStore, time: Time) -> None:
    lost, other = make_delivery(attempts=3), make_delivery(attempts=2)
    await store.add([lost, other])
    async with dispatching(store, time) as (_, maker):
        await eventually(lambda: delivered(store) == 1)
    assert [each.id for each in maker.begun] == [other.id]
    assert store.by_id[lost.id].state is State.FAILED
    assert store.by_id[lost.id].last_reason == Reason.ATTEMPT_LOST
    assert store.by_id[lost.id].attempts == 3


async def test_it_goes_on_when_the_store_is_back(store: FakeDeliveryStore, time: Time) -> None:
    store.away = True
    async with dispatching(store, time):
        await eventually(lambda: store.looks >= 2)
        store.away = False
        await store.add([make_delivery()])
        await eventually(lambda: delivered(store) == 1)


async def test_two_replicas_never_make_the_same_attempt(store: FakeDeliveryStore, time: Time) -> None:
    await store.add([make_delivery(f"{index % 5}.example") for index in range(200)])
    async with dispatching(store, time) as (_, one), dispatching(store, time) as (_, other):
        await eventually(lambda: delivered(store) == 200)
    assert one.begun
    assert other.begun
    begun = [each.id for each in one.begun + other.begun]
    assert len(begun) == len(set(begun)) == 200


async def test_a_draining_one_finishes_what_is_begun_and_begins_nothing_new(
    store: FakeDeliveryStore, time: Time
) -> None:
    await store.add([make_delivery("slow.example")])
    async with dispatching(store, time, held=("slow.example",)) as (dispatcher, maker):
        await eventually(lambda: maker.at_work["slow.example"] == 1)
        draining = asyncio.create_task(dispatcher.drain())
        await store.add([make_delivery()])
        dispatcher.wake()
        await asyncio.wait({draining}, timeout=0.05)
        assert not draining.done()
        maker.release.set()
        await draining
    assert delivered(store) == 1
    assert len(maker.begun) == 1


async def test_one_that_waits_for_the_store_drains_at_once(store: FakeDeliveryStore, time: Time) -> None:
    store.away = True
    async with dispatching(store, time) as (dispatcher, _):
        await eventually(lambda: store.looks >= 1)
        await asyncio.wait_for(dispatcher.drain(), 1)
