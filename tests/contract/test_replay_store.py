"""What every store of replays does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from services.webhooks.deliveries.domain import State
from services.webhooks.deliveries.filters import DeliveryFilter
from services.webhooks.deliveries.replay import Hand, Replay, ReplayState
from services.webhooks.deliveries.replay_store import MongoReplayStore, ReplayStore
from shared import ids
from shared.paging import Position
from tests.fakes.deliveries import NOW, SECOND
from tests.fakes.replay_store import FakeReplayStore

if TYPE_CHECKING:
    from datetime import datetime

    from services.webhooks.deliveries.replay_store import Turn
    from shared.mongo import Client

HAND = Hand(delivery_ids=("dlv_1", "dlv_2"), receivers=("ep_1", "acme/client.example"), seen=3)
POSITION = Position(created_at=NOW, id="dlv_2")


@pytest.fixture
def fake_store() -> FakeReplayStore:
    return FakeReplayStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoReplayStore:
    store = MongoReplayStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> ReplayStore:
    return request.getfixturevalue(request.param)


async def added(store: ReplayStore, **changes: Any) -> Replay:
    replay = Replay(
        id=ids.new_replay_id(),
        tenant="acme",
        wanted=DeliveryFilter(endpoint_id="ep_1", states=(State.FAILED, State.SKIPPED), created_after=NOW - SECOND),
        max_per_second=100,
        total=7,
        created_at=NOW,
    )
    replay = replace(replay, **changes)
    await store.add(replay)
    return replay


async def kept(store: ReplayStore, replay: Replay) -> Replay:
    found = await store.replay(replay.tenant, replay.id)
    assert found is not None
    return found


async def taken(store: ReplayStore, now: datetime = NOW) -> Turn:
    turn = await store.take(now=now, until=now + 15 * SECOND)
    assert turn is not None
    return turn


async def test_a_replay_comes_back_as_it_was_added_and_is_no_other_tenants(store: ReplayStore) -> None:
    replay = await added(store, position=POSITION, hand=HAND)
    assert await kept(store, replay) == replay
    assert await store.replay("other", replay.id) is None
    assert await store.cancel("other", replay.id, now=NOW) is None
    assert await store.replays("other", limit=10) == []
    assert await store.running("other", limit=10) == 0
    assert await kept(store, replay) == replay


async def test_a_list_is_newest_first_in_pages(store: ReplayStore) -> None:
    made = [await added(store, created_at=NOW + number // 2 * SECOND) for number in range(5)]
    seen: list[Replay] = []
    after = None
    while page := await store.replays("acme", limit=2, after=after):
        seen += page
        after = Position(created_at=page[-1].created_at, id=page[-1].id)
    assert seen == sorted(made, key=lambda each: (each.created_at, each.id), reverse=True)


async def test_those_that_run_are_counted_up_to_the_limit(store: ReplayStore) -> None:
    for _ in range(3):
        await added(store)
    await added(store, state=ReplayState.DONE)
    assert await store.running("acme", limit=10) == 3
    assert await store.running("acme", limit=2) == 2


async def test_one_at_a_time_has_the_turn_and_the_longest_due_comes_first(store: ReplayStore) -> None:
    young, old = await added(store, created_at=NOW - SECOND), await added(store, created_at=NOW - 2 * SECOND)
    await added(store, created_at=NOW + SECOND)
    assert [(await taken(store)).replay, (await taken(store)).replay] == [old, young]
    assert await store.take(now=NOW, until=NOW + SECOND) is None
    assert await store.next_due() == NOW + SECOND


async def test_many_who_take_never_get_the_same(store: ReplayStore) -> None:
    for _ in range(8):
        await added(store)
    turns = await asyncio.gather(*(store.take(now=NOW, until=NOW + SECOND) for _ in range(12)))
    assert len({turn.replay.id for turn in turns if turn is not None}) == 8
    assert sum(turn is None for turn in turns) == 4


async def test_a_turn_goes_on_from_where_it_was_left(store: ReplayStore) -> None:
    replay = await added(store)
    turn = await taken(store)
    assert await store.take_in_hand(turn, HAND, position=POSITION)
    assert await kept(store, replay) == replace(replay, hand=HAND, position=POSITION)
    await store.go_on(turn, replayed=2, passed_over=1, due=NOW + SECOND)
    after = replace(replay, position=POSITION, replayed=2, passed_over=1)
    assert await kept(store, replay) == after
    assert await store.next_due() == NOW + SECOND
    assert (await taken(store, NOW + SECOND)).replay == after


async def test_whose_turn_has_run_out_changes_nothing_any_more(store: ReplayStore) -> None:
    replay = await added(store)
    lost = await taken(store)
    assert await store.take_in_hand(lost, HAND, position=POSITION)
    later = NOW + 15 * SECOND
    turn = await taken(store, later)
    assert turn.replay.hand == HAND
    assert not await store.take_in_hand(lost, HAND, position=Position(created_at=NOW, id="dlv_9"))
    assert not await store.finish(lost, now=later)
    await store.go_on(lost, replayed=2, passed_over=0, due=NOW)
    assert await kept(store, replay) == replace(replay, hand=HAND, position=POSITION)
    assert await store.finish(turn, now=later)
    done = await kept(store, replay)
    assert (done.state, done.finished_at) == (ReplayState.DONE, later)


async def test_what_is_canceled_stops_and_keeps_its_counts(store: ReplayStore) -> None:
    replay = await added(store)
    turn = await taken(store)
    assert await store.take_in_hand(turn, HAND, position=POSITION)
    canceled = await store.cancel("acme", replay.id, now=NOW + SECOND)
    assert canceled is not None
    assert (canceled.state, canceled.finished_at) == (ReplayState.CANCELED, NOW + SECOND)
    assert not await store.take_in_hand(turn, HAND, position=POSITION)
    assert not await store.finish(turn, now=NOW)
    await store.go_on(turn, replayed=2, passed_over=1, due=NOW)  # what was put back was
    after = await store.cancel("acme", replay.id, now=NOW + 9 * SECOND)  # changes nothing
    assert after == replace(canceled, hand=None, replayed=2, passed_over=1)
    assert await store.take(now=NOW + 60 * SECOND, until=NOW + 75 * SECOND) is None
    assert await store.next_due() is None


async def test_what_has_ended_is_not_kept_for_ever(mongo: Client, mongo_store: MongoReplayStore) -> None:
    await added(mongo_store)
    present = await mongo["webhooks"]["replays"].index_information()
    assert present["retention"]["expireAfterSeconds"] == 30 * 86400
    for name, question in {
        "due": mongo_store.take(now=NOW, until=NOW),
        "due ": mongo_store.next_due(),
        "tenant_running": mongo_store.running("acme", limit=9),
        "tenant_newest_first": mongo_store.replays("acme", limit=9, after=POSITION),
    }.items():
        await mongo["webhooks"].command("profile", 2)
        await question
        await mongo["webhooks"].command("profile", 0)
        entry = await mongo["webhooks"]["system.profile"].find_one({"ns": "webhooks.replays"}, sort=[("$natural", -1)])
        assert entry is not None
        assert entry["planSummary"].startswith(("IXSCAN", "COUNT_SCAN")), (name, entry["planSummary"])
