"""What every store of operations does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from services.history.operations.domain import Filter, Kind, Operation, State
from services.history.operations.store import MongoOperationStore, OperationStore
from shared import ids
from shared import mongo as mongo_
from shared.paging import Position
from tests.fakes.operation_store import FakeOperationStore
from tests.fakes.operations import NOW, SECOND, ended, going_on, make_operation

if TYPE_CHECKING:
    from datetime import datetime

    from services.history.operations.store import Turn
    from shared.mongo import Client

EVERY = tuple(Kind)


@pytest.fixture
def fake_store() -> FakeOperationStore:
    return FakeOperationStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoOperationStore:
    store = MongoOperationStore(mongo_.database(mongo, "history"))
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> OperationStore:
    return request.getfixturevalue(request.param)


async def added(store: OperationStore, **changes: Any) -> Operation:
    operation = make_operation(**changes)
    assert await store.add(operation)
    return operation


async def kept(store: OperationStore, operation: Operation) -> Operation:
    found = await store.operation(operation.tenant, operation.id)
    assert found is not None
    return found


async def taken(store: OperationStore, now: datetime = NOW) -> Turn:
    turn = await store.take(EVERY, now=now, until=now + 15 * SECOND)
    assert turn is not None
    return turn


async def test_an_operation_comes_back_as_it_was_added_and_is_no_other_tenants(store: OperationStore) -> None:
    operation = await added(store, request_id="$once", cursor=b"\x00$", message="$none")
    assert await kept(store, operation) == operation
    assert await store.of_request("acme", "$once") == operation
    assert await store.operation(None, operation.id) == operation
    assert await store.operation("other", operation.id) is None
    assert await store.of_request("other", "$once") is None
    assert await store.ask_to_cancel("other", operation.id, now=NOW) is None
    assert not await store.remove("other", operation.id)
    assert await store.operations("other", Filter(), limit=10) == []
    assert await store.running("other", operation.kind, limit=10) == 0
    assert await kept(store, operation) == operation


async def test_a_request_id_is_of_one_operation_and_none_is_of_many(store: OperationStore) -> None:
    first = await added(store, request_id="once")
    assert not await store.add(make_operation(request_id="once"))
    assert await store.of_request("acme", "once") == first
    await added(store, request_id="once", tenant="other")
    await added(store)
    await added(store)
    results = await asyncio.gather(*(store.add(make_operation(request_id="twice")) for _ in range(5)))
    assert sum(results) == 1


async def test_a_list_is_newest_first_in_pages_and_by_what_is_asked_for(store: OperationStore) -> None:
    made = [
        await added(
            store,
            created_at=NOW + number // 2 * SECOND,
            kind=EVERY[number % 2],
            state=(State.RUNNING, State.SUCCEEDED, State.CANCELED)[number % 3],
        )
        for number in range(7)
    ]
    made.sort(key=lambda each: (each.created_at, each.id), reverse=True)
    for wanted in (Filter(kind=kind, ended=over) for kind in (None, *EVERY[:3]) for over in (None, True, False)):
        seen: list[Operation] = []
        after = None
        while page := await store.operations("acme", wanted, limit=2, after=after):
            seen += page
            after = Position(created_at=page[-1].created_at, id=page[-1].id)
        assert seen == [
            each for each in made if wanted.kind in {None, each.kind} and wanted.ended in {None, each.ended}
        ], wanted


async def test_those_that_run_are_counted_up_to_the_limit_and_known(store: OperationStore) -> None:
    runs = [await added(store) for _ in range(3)]
    over = await added(store, state=State.FAILED)
    await added(store, kind=Kind.RETRY_JOBS)
    assert await store.running("acme", Kind.CANCEL_JOBS, limit=10) == 3
    assert await store.running("acme", Kind.CANCEL_JOBS, limit=2) == 2
    assert await store.running_among([runs[0].id, over.id, ids.new_operation_id()]) == {runs[0].id}


async def test_one_at_a_time_has_the_turn_and_the_longest_due_comes_first(store: OperationStore) -> None:
    young, old = await added(store, created_at=NOW - SECOND), await added(store, created_at=NOW - 2 * SECOND)
    await added(store, created_at=NOW + SECOND)
    assert [(await taken(store)).operation, (await taken(store)).operation] == [old, young]
    assert await store.take(EVERY, now=NOW, until=NOW + SECOND) is None
    assert await store.next_due(EVERY) == NOW + SECOND


async def test_what_is_not_asked_for_is_left_to_others(store: OperationStore) -> None:
    await added(store, kind=Kind.ERASE_DATA)
    other = await added(store, tenant="other", created_at=NOW + SECOND)
    later, until = NOW + SECOND, NOW + 9 * SECOND
    assert await store.next_due([Kind.RETRY_JOBS]) is None
    assert await store.take([Kind.RETRY_JOBS], now=later, until=until) is None
    assert await store.next_due(EVERY, passing_over=["acme"]) == NOW + SECOND
    turn = await store.take(EVERY, passing_over=["acme"], now=later, until=until)
    assert turn is not None
    assert turn.operation == other


async def test_many_who_take_never_get_the_same(store: OperationStore) -> None:
    for _ in range(8):
        await added(store)
    turns = await asyncio.gather(*(store.take(EVERY, now=NOW, until=NOW + SECOND) for _ in range(12)))
    assert len({turn.operation.id for turn in turns if turn is not None}) == 8
    assert sum(turn is None for turn in turns) == 4


async def test_a_turn_goes_on_from_where_it_was_left(store: OperationStore) -> None:
    operation = await added(store)
    later = NOW + SECOND
    assert await store.keep(await taken(store), going_on(later), now=NOW)
    after = replace(operation, metadata=b"going on", cursor=b"further", updated_at=NOW)
    assert await kept(store, operation) == after
    assert await store.next_due(EVERY) == later
    assert (await taken(store, later)).operation == after


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELED])
async def test_what_has_ended_stays_as_it_is_until_it_is_forgotten(store: OperationStore, state: State) -> None:
    operation = await added(store, request_id="once")
    turn = await taken(store)
    assert not await store.remove("acme", operation.id)
    step = ended(state, reason="$BROKEN", message="$why")
    assert await store.keep(turn, step, now=NOW + SECOND)
    over = await kept(store, operation)
    assert (over.state, over.finished_at, over.updated_at) == (state, NOW + SECOND, NOW + SECOND)
    assert (over.metadata, over.response, over.reason, over.message) == (b"over", step.response, "$BROKEN", "$why")
    assert not await store.keep(turn, going_on(NOW), now=NOW)
    assert await store.ask_to_cancel("acme", operation.id, now=NOW) == over
    assert await store.take(EVERY, now=NOW + 60 * SECOND, until=NOW + 75 * SECOND) is None
    assert await store.next_due(EVERY) is None
    assert await store.remove("acme", operation.id)
    assert not await store.remove("acme", operation.id)
    await added(store, request_id="once")


async def test_whose_turn_has_run_out_changes_nothing_any_more(store: OperationStore) -> None:
    operation = await added(store)
    lost = await taken(store)
    later = NOW + 15 * SECOND
    turn = await taken(store, later)
    assert not await store.keep(lost, ended(), now=later)
    await store.put_off(lost, due=NOW, failures=3)
    assert await kept(store, operation) == operation
    assert await store.next_due(EVERY) == later + 15 * SECOND
    assert await store.keep(turn, ended(), now=later)


async def test_what_came_to_nothing_is_due_later_and_knows_how_often(store: OperationStore) -> None:
    operation = await added(store)
    await store.put_off(await taken(store), due=NOW + SECOND, failures=2)
    assert await store.next_due(EVERY) == NOW + SECOND
    turn = await taken(store, NOW + SECOND)
    assert (turn.operation, turn.failures) == (operation, 2)
    assert await store.keep(turn, going_on(NOW + 2 * SECOND), now=NOW + SECOND)
    assert (await taken(store, NOW + 2 * SECOND)).failures == 0


async def test_a_cancel_brings_the_next_turn_on_but_nobody_elses(store: OperationStore) -> None:
    operation = await added(store)
    day = NOW + 86400 * SECOND
    assert await store.keep(await taken(store), going_on(day), now=NOW)
    asked = await store.ask_to_cancel("acme", operation.id, now=NOW + SECOND)
    assert asked is not None
    assert asked.cancel_requested
    turn = await taken(store, NOW + SECOND)
    assert turn.operation.cancel_requested
    await store.ask_to_cancel("acme", operation.id, now=NOW + SECOND)
    assert await store.take(EVERY, now=NOW + SECOND, until=day) is None  # somebody has it
    assert await store.keep(turn, going_on(day), now=NOW + SECOND)  # and knew of it
    assert await store.next_due(EVERY) == day


async def test_a_cancel_in_the_middle_of_a_turn_makes_the_next_one_due_at_once(store: OperationStore) -> None:
    operation = await added(store)
    turn = await taken(store)
    await store.ask_to_cancel("acme", operation.id, now=NOW)
    later = NOW + SECOND
    assert await store.keep(turn, going_on(NOW + 86400 * SECOND), now=later)
    again = await taken(store, later)
    assert again.operation.cancel_requested
    assert again.operation.cursor == b"further"
    assert await store.keep(again, ended(State.CANCELED), now=later)


async def test_no_question_looks_through_the_collection(mongo: Client, mongo_store: MongoOperationStore) -> None:
    await added(mongo_store, request_id="once")
    present = await mongo["history"]["operations"].index_information()
    assert present["retention"]["expireAfterSeconds"] == 30 * 86400
    after = Position(created_at=NOW, id="op_1")
    for name, question in {
        "take": mongo_store.take(EVERY, now=NOW, until=NOW, passing_over=["other"]),
        "next_due": mongo_store.next_due(EVERY),
        "running": mongo_store.running("acme", Kind.CANCEL_JOBS, limit=9),
        "of_request": mongo_store.of_request("acme", "once"),
        "of_ids": mongo_store.running_among(["op_1"]),
        "list": mongo_store.operations("acme", Filter(), limit=9, after=after),
        "of_a_kind": mongo_store.operations("acme", Filter(kind=Kind.CANCEL_JOBS, ended=True), limit=9, after=after),
        "that_run": mongo_store.operations("acme", Filter(ended=False), limit=9, after=after),
    }.items():
        await mongo["history"].command("profile", 2)
        await question
        await mongo["history"].command("profile", 0)
        entry = await mongo["history"]["system.profile"].find_one({"ns": "history.operations"}, sort=[("$natural", -1)])
        assert entry is not None
        assert entry["planSummary"].startswith(("IXSCAN", "COUNT_SCAN", "IDHACK")), (name, entry["planSummary"])
