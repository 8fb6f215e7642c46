"""What every store of receivers does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.webhooks.delivering.receivers import MongoReceiverStore, Receiver, ReceiverStore
from tests.fakes.receiver_store import FakeReceiverStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.mongo import Client

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOLD = 10 * SECOND


@pytest.fixture
def fake_store() -> FakeReceiverStore:
    return FakeReceiverStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoReceiverStore:
    store = MongoReceiverStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> ReceiverStore:
    return request.getfixturevalue(request.param)


async def take(
    store: ReceiverStore, holder: str = "one", *, now: datetime = NOW, slow: bool = False, limit: int = 10
) -> Sequence[Receiver]:
    return await store.take(holder, now=now, until=now + HOLD, slow=slow, limit=limit)


async def taken(store: ReceiverStore, receiver_id: str = "ep_1", *, due: datetime = NOW) -> Receiver:
    await store.note_due({receiver_id: due})
    (receiver,) = await take(store)
    assert receiver.id == receiver_id
    return receiver


async def test_what_nobody_was_told_of_is_not_taken(store: ReceiverStore) -> None:
    assert await take(store) == []
    assert await store.next_due(slow=False) is None
    assert await store.oldest_due() is None


async def test_those_that_have_been_due_longest_are_taken_first(store: ReceiverStore) -> None:
    await store.note_due({"ep_late": NOW, "acme/client.example": NOW - 2 * SECOND, "ep_coming": NOW + SECOND})
    await store.note_due({"ep_middle": NOW - SECOND})
    assert await store.oldest_due() == NOW - 2 * SECOND
    assert [each.id for each in await take(store, limit=2)] == ["acme/client.example", "ep_middle"]
    assert [each.id for each in await take(store)] == ["ep_late"]
    assert await store.next_due(slow=False) == NOW + SECOND


async def test_one_that_is_taken_is_new_to_the_world(store: ReceiverStore) -> None:
    receiver = await taken(store)
    assert receiver == Receiver(id="ep_1", news=1, window=1, slow=False, not_before=None)


async def test_a_hold_is_nobody_elses_until_it_runs_out(store: ReceiverStore) -> None:
    await taken(store)
    assert await take(store, "two", now=NOW + HOLD - SECOND) == []
    assert await store.next_due(slow=False) == NOW + HOLD
    assert [each.id for each in await take(store, "two", now=NOW + HOLD)] == ["ep_1"]


async def test_a_hold_that_is_kept_lasts_longer(store: ReceiverStore) -> None:
    await taken(store)
    assert set(await store.keep("one", ["ep_1"], until=NOW + 2 * HOLD)) == {"ep_1"}
    assert await take(store, "two", now=NOW + HOLD) == []


async def test_who_keeps_learns_what_was_lost(store: ReceiverStore) -> None:
    await store.note_due({"ep_1": NOW, "ep_2": NOW})
    assert len(await take(store)) == 2
    assert len(await take(store, "two", now=NOW + HOLD, limit=1)) == 1
    held = await store.keep("one", ["ep_1", "ep_2", "unheard-of"], until=NOW + 3 * HOLD)
    assert len(held) == 1
    assert set(held) < {"ep_1", "ep_2"}


async def test_two_replicas_never_take_the_same(store: ReceiverStore) -> None:
    await store.note_due({f"ep_{number}": NOW for number in range(60)})
    groups = await asyncio.gather(*(take(store, f"holder {number}", limit=40) for number in range(4)))
    got = [each.id for group in groups for each in group]
    assert len(got) == len(set(got))
    rest = await take(store, "another", limit=100)
    assert len(got) + len(rest) == 60


async def test_one_that_was_let_go_is_taken_again_when_it_is_due_with_what_it_bears(store: ReceiverStore) -> None:
    receiver = replace(await taken(store), window=7)
    assert await store.release("one", receiver, next_due=NOW + 5 * SECOND) is None
    assert await take(store, "two", now=NOW + 4 * SECOND) == []
    assert await take(store, "two", now=NOW + 5 * SECOND) == [receiver]


async def test_its_rate_holds_one_back_that_is_due(store: ReceiverStore) -> None:
    receiver = replace(await taken(store), not_before=NOW + 9 * SECOND)
    assert await store.release("one", receiver, next_due=NOW) is None
    assert await store.next_due(slow=False) == NOW + 9 * SECOND
    assert await take(store, "two", now=NOW + 9 * SECOND) == [receiver]


async def test_its_rate_holds_one_back_though_its_holder_has_died(store: ReceiverStore) -> None:
    receiver = replace(await taken(store), not_before=NOW + 60 * SECOND)
    await store.pace("one", receiver)
    await store.pace("two", replace(receiver, not_before=None))  # which does not hold it
    assert await take(store, "two", now=NOW + HOLD) == [receiver]


async def test_slow_ones_are_taken_by_themselves(store: ReceiverStore) -> None:
    receiver = replace(await taken(store), slow=True)
    await store.release("one", receiver, next_due=NOW)
    assert await take(store) == []
    assert (await store.next_due(slow=False), await store.next_due(slow=True)) == (None, NOW)
    assert await store.oldest_due() == NOW
    assert await take(store, slow=True) == [receiver]


async def test_one_without_anything_due_waits_to_be_told(store: ReceiverStore) -> None:
    receiver = replace(await taken(store), window=3)
    await store.release("one", receiver, next_due=None)
    assert await store.next_due(slow=False) is None
    assert await take(store, now=NOW + timedelta(days=9)) == []
    await store.note_due({"ep_1": NOW})
    assert await take(store) == [replace(receiver, news=2)]


async def test_news_keep_one_from_being_let_go(store: ReceiverStore) -> None:
    receiver = await taken(store)
    await store.note_due({"ep_1": NOW + SECOND})
    held = await store.release("one", receiver, next_due=None)
    assert held == replace(receiver, news=2)
    assert await take(store, "two", now=NOW + SECOND) == []
    assert await store.release("one", held, next_due=NOW + SECOND) is None
    assert await take(store, "two", now=NOW + SECOND) == [held]


async def test_one_that_somebody_else_has_taken_is_not_let_go(store: ReceiverStore) -> None:
    receiver = await taken(store)
    (others,) = await take(store, "two", now=NOW + HOLD)
    assert await store.release("one", replace(receiver, window=9), next_due=NOW) is None
    assert await store.release("two", others, next_due=NOW + HOLD) is None
    assert await take(store, now=NOW + HOLD) == [others]


async def test_what_is_due_sooner_counts_and_what_is_due_later_does_not(store: ReceiverStore) -> None:
    await store.note_due({"ep_1": NOW + 5 * SECOND})
    await store.note_due({"ep_1": NOW + 9 * SECOND})
    assert await store.next_due(slow=False) == NOW + 5 * SECOND
    await store.note_due({"ep_1": NOW})
    assert await store.next_due(slow=False) == NOW


async def test_many_are_noted_at_the_same_time(store: ReceiverStore) -> None:
    many = {f"ep_{number}": NOW for number in range(700)}
    await asyncio.gather(store.note_due(many), store.note_due(many))
    taken = await take(store, limit=1000)
    assert len(taken) == 700
    assert {each.news for each in taken} == {2}


async def test_looking_for_what_is_due_reads_no_idle_one_and_none_of_the_other_kind(
    mongo: Client, mongo_store: MongoReceiverStore
) -> None:
    await mongo_store.note_due({f"ep_{number}": NOW for number in range(40)})
    for number, receiver in enumerate(await take(mongo_store, limit=38)):
        slow = number % 2 == 0
        await mongo_store.release("one", replace(receiver, slow=slow), next_due=NOW if slow else None)
    found = mongo["webhooks"]["receivers"].find({"slow": False, "take_at": {"$lte": NOW}}).sort("take_at")
    plan = await found.explain()
    assert plan["executionStats"]["totalKeysExamined"] <= 3
    assert "SORT" not in str(plan["queryPlanner"]["winningPlan"])


async def test_idle_ones_are_forgotten_by_their_time(mongo: Client, mongo_store: MongoReceiverStore) -> None:
    receiver = await taken(mongo_store)
    kept = mongo["webhooks"]["receivers"]
    assert await kept.find_one({"idle_since": {"$exists": True}}) is None
    await mongo_store.release("one", receiver, next_due=None)
    assert await kept.find_one({"idle_since": {"$type": "date"}, "take_at": {"$exists": False}}) is not None
    await mongo_store.note_due({"ep_1": NOW})
    assert await kept.find_one({"idle_since": {"$exists": True}}) is None
