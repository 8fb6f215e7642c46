"""What every store of work does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from services.webhooks.deliveries.domain import AttemptRecord, Delivery, Outcome, Reason, State
from services.webhooks.deliveries.store import DeliveryStore, MongoDeliveryStore
from services.webhooks.delivering.posts import Claim, Post
from services.webhooks.delivering.work_store import MongoWorkStore
from tests.fakes.deliveries import NOW, SECOND, kept, make_delivery
from tests.fakes.delivery_store import FakeDeliveryStore
from tests.fakes.work_store import FakeWorkStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.webhooks.delivering.work import WorkStore
    from shared.mongo import Client

ENDPOINT = "ep_0197b5a2-0000-7000-8000-000000000001"
UNTIL = NOW + 30 * SECOND
OK = Outcome.of_status(200)
REFUSED = Outcome.of_status(500)


@pytest.fixture
def fake_stores() -> tuple[DeliveryStore, WorkStore]:
    deliveries = FakeDeliveryStore()
    return deliveries, FakeWorkStore(deliveries.by_id)


@pytest.fixture
async def mongo_stores(mongo: Client) -> tuple[MongoDeliveryStore, MongoWorkStore]:
    deliveries, work = MongoDeliveryStore(mongo), MongoWorkStore(mongo)
    for store in (deliveries, work, work):
        await store.prepare()
    return deliveries, work


@pytest.fixture(params=["fake_stores", "mongo_stores"])
def stores(request: pytest.FixtureRequest) -> tuple[DeliveryStore, WorkStore]:
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(stores: tuple[DeliveryStore, WorkStore]) -> DeliveryStore:
    return stores[0]


@pytest.fixture
def work(stores: tuple[DeliveryStore, WorkStore]) -> WorkStore:
    return stores[1]


async def add(store: DeliveryStore, **given: Any) -> Delivery:
    delivery = make_delivery(**{"endpoint_id": ENDPOINT, **given})
    assert await store.add([delivery]) == 1
    return delivery


def claim_at(now: datetime = NOW, claim_id: str = "a claim") -> Claim:
    return Claim(id=claim_id, at=now, until=now + 30 * SECOND)


async def begin(work: WorkStore, delivery: Delivery, claim: Claim | None = None) -> Post | None:
    begun = await work.begin([Post.of(delivery)], claim or claim_at())
    return begun[0] if begun else None


def came_out(post: Post, outcome: Outcome, **changes: Any) -> Post:
    told = {"last_reason": outcome.reason, "last_status": outcome.status, **changes}
    return replace(post, members=tuple(replace(each, **told) for each in post.members))


def row(post: Post, claim: Claim, outcome: Outcome) -> AttemptRecord:
    return AttemptRecord(number=post.first.attempts, started_at=claim.at, duration=SECOND, outcome=outcome)


async def record(work: WorkStore, post: Post, claim: Claim, outcome: Outcome, **changes: Any) -> bool:
    return await work.record(came_out(post, outcome, **changes), claim, row(post, claim, outcome))


def ids_of(deliveries: Sequence[Delivery]) -> list[str]:
    return [each.id for each in deliveries]


async def test_nothing_is_due_where_nothing_is(work: WorkStore) -> None:
    assert await work.due(ENDPOINT, now=NOW, limit=10) == []
    assert await work.heads(ENDPOINT, now=NOW, limit=10) == []
    assert await work.next_due(ENDPOINT, lines=True) is None


async def test_a_receivers_deliveries_come_longest_due_first_and_no_others(
    store: DeliveryStore, work: WorkStore
) -> None:
    late, early = await add(store), await add(store, next_attempt_at=NOW - SECOND)
    coming = await add(store, next_attempt_at=NOW + SECOND)
    await add(store, endpoint_id="ep_another")
    await add(store, state=State.FAILED, finished_at=NOW)
    assert await work.due(ENDPOINT, now=NOW, limit=10) == [early, late]
    assert await work.due(ENDPOINT, now=NOW, limit=1) == [early]
    assert await work.next_due(ENDPOINT, lines=False) == NOW - SECOND
    assert await work.next_due(ENDPOINT, lines=True, after=NOW) == NOW + SECOND
    assert ids_of(await work.due(ENDPOINT, now=NOW + SECOND, limit=10))[-1] == coming.id


async def test_of_a_line_its_head_alone_is_due(store: DeliveryStore, work: WorkStore) -> None:
    second, first = await add(store, line="con_1", place=8), await add(store, line="con_1", place=7)
    other = await add(store, line="con_2", place=9, next_attempt_at=NOW - SECOND)
    waiting = await add(store, line="con_3", place=1, next_attempt_at=NOW + 9 * SECOND)
    await add(store, line="con_3", place=2)
    by_itself = await add(store)
    assert await work.heads(ENDPOINT, now=NOW, limit=10) == [other, first]
    assert await work.heads(ENDPOINT, now=NOW, limit=1) == [other]
    assert await work.due(ENDPOINT, now=NOW, limit=10) == [by_itself]
    assert await work.line(ENDPOINT, "con_1", limit=10) == [first, second]
    assert await work.line(ENDPOINT, "con_1", limit=1) == [first]
    assert (await work.heads(ENDPOINT, now=waiting.next_attempt_at, limit=10))[-1] == waiting


async def test_what_stands_behind_a_head_that_waits_makes_nothing_due(store: DeliveryStore, work: WorkStore) -> None:
    await add(store, line="con_1", place=1, next_attempt_at=NOW + 5 * SECOND)
    await add(store, line="con_1", place=2)
    assert await work.heads(ENDPOINT, now=NOW, limit=10) == []
    assert await work.next_due(ENDPOINT, lines=True) == NOW + 5 * SECOND
    assert await work.next_due(ENDPOINT, lines=True, after=NOW + 5 * SECOND) is None
    assert await work.next_due(ENDPOINT, lines=False) is None


async def test_when_the_head_has_ended_the_line_moves_on(store: DeliveryStore, work: WorkStore) -> None:
    first, second = await add(store, line="con_1", place=1), await add(store, line="con_1", place=2)
    begun = await begin(work, first)
    assert begun is not None
    assert await work.heads(ENDPOINT, now=NOW, limit=10) == []
    assert await record(work, begun, claim_at(), REFUSED, state=State.FAILED, finished_at=NOW)
    assert await work.heads(ENDPOINT, now=NOW, limit=10) == [second]


async def test_a_begun_attempt_is_counted_claimed_and_noted_before_it_goes_out(
    store: DeliveryStore, work: WorkStore
) -> None:
    delivery = await add(store)
    begun = await begin(work, delivery)
    assert begun is not None
    noted = AttemptRecord(number=1, started_at=NOW)
    assert begun.first == replace(delivery, attempts=1, claim="a claim", next_attempt_at=UNTIL)
    assert await kept(store, delivery) == replace(begun.first, log=(noted,))
    assert await work.due(ENDPOINT, now=UNTIL - SECOND, limit=10) == []
    assert await work.next_due(ENDPOINT, lines=False) == UNTIL
    assert await work.due(ENDPOINT, now=UNTIL, limit=10) == [begun.first]


async def test_what_has_changed_since_it_was_read_is_not_begun(store: DeliveryStore, work: WorkStore) -> None:
    delivery, other = await add(store), await add(store)
    begun = await begin(work, delivery)
    assert begun is not None
    assert await begin(work, delivery, claim_at(claim_id="another")) is None
    both = await work.begin([Post.of(delivery), Post.of(other)], claim_at(claim_id="a third"))
    assert [each.first.id for each in both] == [other.id]
    assert (await kept(store, delivery)).claim == "a claim"
    assert await begin(work, make_delivery()) is None


async def test_no_attempt_is_begun_twice_at_the_same_time(store: DeliveryStore, work: WorkStore) -> None:
    deliveries = [await add(store) for _ in range(20)]
    posts = [Post.of(each) for each in deliveries]
    begun = await asyncio.gather(*(work.begin(posts, claim_at(claim_id=f"claim {index}")) for index in range(4)))
    got = [post.first.id for group in begun for post in group]
    assert len(got) == len(set(got)) == 20
    assert {(await kept(store, each)).attempts for each in deliveries} == {1}


async def test_a_failed_attempt_waits_for_the_next(store: DeliveryStore, work: WorkStore) -> None:
    delivery = await add(store)
    begun = await begin(work, delivery)
    assert begun is not None
    assert await record(work, begun, claim_at(), REFUSED, next_attempt_at=NOW + 5 * SECOND)
    after = await kept(store, delivery)
    assert (after.state, after.claim, after.attempts) == (State.PENDING, "", 1)
    assert (after.last_reason, after.last_status) == (Reason.RECEIVER_STATUS, 500)
    assert [(each.number, each.duration, each.outcome and each.outcome.status) for each in after.log] == [
        (1, SECOND, 500)
    ]
    assert await work.next_due(ENDPOINT, lines=False) == NOW + 5 * SECOND


async def test_the_newest_twenty_attempts_are_kept(store: DeliveryStore, work: WorkStore) -> None:
    delivery = await add(store)
    for number in range(23):
        claim = claim_at(NOW + number * SECOND)
        begun = await begin(work, replace(await kept(store, delivery), log=()), claim)
        assert begun is not None
        assert await record(work, begun, claim, REFUSED, next_attempt_at=claim.at + SECOND)
    log = (await kept(store, delivery)).log
    assert [each.number for each in log] == list(range(4, 24))
    assert all(each.outcome is not None for each in log)


@pytest.mark.parametrize("state", [State.DELIVERED, State.FAILED])
async def test_what_has_ended_is_never_due_again_and_never_changes(
    store: DeliveryStore, work: WorkStore, state: State
) -> None:
    delivery = await add(store)
    begun = await begin(work, delivery)
    assert begun is not None
    assert await record(work, begun, claim_at(), OK, state=state, finished_at=NOW)
    ended = await kept(store, delivery)
    assert ended.state is state
    assert await work.due(ENDPOINT, now=UNTIL, limit=10) == []
    assert await work.next_due(ENDPOINT, lines=True) is None
    assert not await record(work, begun, claim_at(), OK, state=State.DELIVERED, finished_at=UNTIL)
    assert await work.give_up([begun.first], now=UNTIL) == 0
    assert await work.skip(ENDPOINT, now=UNTIL) == 0
    assert await kept(store, delivery) == ended


async def test_an_outcome_does_not_count_once_a_newer_attempt_was_begun_but_is_kept(
    store: DeliveryStore, work: WorkStore
) -> None:
    delivery = await add(store)
    first = await begin(work, delivery)
    assert first is not None
    second = await begin(work, first.first, claim_at(UNTIL, "another"))
    assert second is not None
    assert not await record(work, first, claim_at(), REFUSED, state=State.FAILED, finished_at=NOW)
    now = await kept(store, delivery)
    assert (now.state, now.claim, now.attempts) == (State.PENDING, "another", 2)
    assert [each.outcome is not None for each in now.log] == [True, False]


async def test_what_was_delivered_counts_even_then(store: DeliveryStore, work: WorkStore) -> None:
    delivery = await add(store)
    first = await begin(work, delivery)
    assert first is not None
    claim = claim_at(UNTIL, "another")
    second = await begin(work, first.first, claim)
    assert second is not None
    assert await record(work, first, claim_at(), OK, state=State.DELIVERED, finished_at=NOW)
    assert not await record(work, second, claim, REFUSED, state=State.FAILED, finished_at=NOW)
    now = await kept(store, delivery)
    assert (now.state, now.attempts) == (State.DELIVERED, 2)
    assert [each.outcome and each.outcome.status for each in now.log] == [200, 500]


async def test_an_outcome_of_before_a_replay_does_not_count(store: DeliveryStore, work: WorkStore) -> None:
    delivery = await add(store)
    begun = await begin(work, delivery)
    assert begun is not None
    assert await store.put_back(delivery.tenant, delivery.id, now=UNTIL) is not None
    assert not await record(work, begun, claim_at(), OK, state=State.DELIVERED, finished_at=UNTIL)
    now = await kept(store, delivery)
    assert (now.state, now.attempts, now.replays) == (State.PENDING, 0, 1)


async def test_what_is_given_up_has_failed_and_lost_its_attempt(store: DeliveryStore, work: WorkStore) -> None:
    lost, exhausted, at_work = await add(store), await add(store, last_reason=Reason.RECEIVER_STATUS), await add(store)
    begun = await begin(work, lost)
    assert begun is not None
    newer = await begin(work, at_work)
    assert newer is not None
    assert await work.give_up([begun.first, exhausted, at_work], now=UNTIL) == 2
    ended = await kept(store, lost)
    assert (ended.state, ended.last_reason, ended.finished_at) == (State.FAILED, Reason.ATTEMPT_LOST, UNTIL)
    assert (await kept(store, exhausted)).last_reason == Reason.RECEIVER_STATUS
    assert (await kept(store, at_work)).state is State.PENDING


async def test_skipping_leaves_what_is_being_attempted_and_what_came_later(
    store: DeliveryStore, work: WorkStore
) -> None:
    waiting, in_line = await add(store, next_attempt_at=UNTIL), await add(store, line="con_1", place=1)
    at_work, later, others = await add(store), await add(store, at=NOW + SECOND), await add(store, endpoint_id="ep_2")
    begun = await begin(work, at_work)
    assert begun is not None
    assert await work.skip(ENDPOINT, now=NOW) == 2
    for each in (waiting, in_line):
        skipped = await kept(store, each)
        assert (skipped.state, skipped.last_reason) == (State.SKIPPED, Reason.ENDPOINT_DISABLED)
        assert skipped.finished_at == NOW
    assert {(await kept(store, each)).state for each in (at_work, later, others)} == {State.PENDING}
    assert await work.skip(ENDPOINT, now=UNTIL) == 2  # nobody has heard of its outcome


async def test_what_waits_for_an_endpoint_that_is_gone_has_failed(store: DeliveryStore, work: WorkStore) -> None:
    waiting = await add(store, next_attempt_at=UNTIL)
    assert await work.end(ENDPOINT, now=NOW) == 1
    ended = await kept(store, waiting)
    assert (ended.state, ended.last_reason, ended.finished_at) == (State.FAILED, Reason.ENDPOINT_DELETED, NOW)


async def test_recording_what_is_not_there_counts_for_nothing(work: WorkStore) -> None:
    post = Post.of(make_delivery(attempts=1, claim="a claim"))
    assert not await record(work, post, claim_at(), OK, state=State.DELIVERED, finished_at=NOW)


async def add_batch(store: DeliveryStore, count: int = 3, **given: Any) -> Post:
    members = [await add(store, place=number, **given) for number in range(count)]
    return Post(members=tuple(members), webhook_id="msg_1", body=b"{}")


async def kept_of(store: DeliveryStore, post: Post) -> list[Delivery]:
    return [await kept(store, each) for each in post.members]


async def test_a_batch_is_marked_and_begun_as_a_whole(store: DeliveryStore, work: WorkStore) -> None:
    post = await add_batch(store)
    (begun,) = await work.begin([post], claim_at())
    assert {each.batch_id for each in begun.members} == {"msg_1"}
    for each in await kept_of(store, post):
        assert (each.batch_id, each.attempts, each.claim, each.next_attempt_at) == ("msg_1", 1, "a claim", UNTIL)
        assert each.log == (AttemptRecord(number=1, started_at=NOW),)
    assert sorted(ids_of(await work.batches(["msg_1", "msg_2"]))) == sorted(post.ids)


async def test_a_batch_of_which_one_has_gone_another_way_is_not_begun_at_all(
    store: DeliveryStore, work: WorkStore
) -> None:
    post, other = await add_batch(store), await add(store)
    assert await begin(work, post.members[1]) is not None
    begun = await work.begin([post, Post.of(other)], claim_at(claim_id="another"))
    assert [each.first.id for each in begun] == [other.id]
    assert [(each.batch_id, each.attempts) for each in await kept_of(store, post)] == [("", 0), ("", 1), ("", 0)]


async def test_what_a_batch_has_been_through_all_its_members_have(store: DeliveryStore, work: WorkStore) -> None:
    post = await add_batch(store)
    (begun,) = await work.begin([post], claim_at())
    assert await record(work, begun, claim_at(), REFUSED, next_attempt_at=NOW + 5 * SECOND)
    for each in await kept_of(store, post):
        assert (each.state, each.claim, each.last_status) == (State.PENDING, "", 500)
        assert [attempt.outcome and attempt.outcome.status for attempt in each.log] == [500]
    again = replace(begun, members=tuple(await work.batches(["msg_1"])))
    claim = claim_at(NOW + 5 * SECOND, "another")
    (second,) = await work.begin([again], claim)
    assert await record(work, second, claim, OK, state=State.DELIVERED, finished_at=claim.at)
    assert {(each.state, each.attempts, each.batch_id) for each in await kept_of(store, post)} == {
        (State.DELIVERED, 2, "msg_1")
    }


async def test_an_outdated_outcome_changes_no_member_unless_they_were_delivered(
    store: DeliveryStore, work: WorkStore
) -> None:
    post = await add_batch(store)
    (first,) = await work.begin([post], claim_at())
    claim = claim_at(UNTIL, "another")
    (second,) = await work.begin([first], claim)
    assert not await record(work, first, claim_at(), REFUSED, state=State.FAILED, finished_at=UNTIL)
    assert {each.state for each in await kept_of(store, post)} == {State.PENDING}
    assert await record(work, first, claim_at(), OK, state=State.DELIVERED, finished_at=UNTIL)
    assert not await record(work, second, claim, REFUSED, state=State.FAILED, finished_at=UNTIL)
    assert {each.state for each in await kept_of(store, post)} == {State.DELIVERED}


async def test_a_line_is_searched_from_head_to_head_whatever_stands_behind(
    mongo: Client, mongo_stores: tuple[MongoDeliveryStore, MongoWorkStore]
) -> None:
    deliveries, work = mongo_stores
    await deliveries.add(
        [
            make_delivery(endpoint_id=ENDPOINT, line=f"con_{line}", place=place, payload=b"x")
            for line in range(4)
            for place in range(100)
        ]
    )
    await deliveries.add([make_delivery(endpoint_id=ENDPOINT, state=State.FAILED, finished_at=NOW) for _ in range(50)])
    await mongo["webhooks"].command("profile", 2)
    try:
        assert len(await work.heads(ENDPOINT, now=NOW, limit=10)) == 4
        assert await work.due(ENDPOINT, now=NOW, limit=10) == []
        assert await work.next_due(ENDPOINT, lines=True) == NOW
    finally:
        await mongo["webhooks"].command("profile", 0)
    asked = [each async for each in mongo["webhooks"]["system.profile"].find({"ns": "webhooks.deliveries"})]
    assert len(asked) == 4
    assert all(each["docsExamined"] <= 4 and each["keysExamined"] <= 9 for each in asked), asked


async def test_looking_for_what_is_due_reads_nothing_that_is_not(
    mongo: Client, mongo_stores: tuple[MongoDeliveryStore, MongoWorkStore]
) -> None:
    deliveries, _ = mongo_stores
    await deliveries.add([make_delivery(endpoint_id=ENDPOINT, next_attempt_at=NOW + n * SECOND) for n in range(9)])
    await deliveries.add([make_delivery(endpoint_id=ENDPOINT, state=State.FAILED, finished_at=NOW) for _ in range(20)])
    query = {"receiver": ENDPOINT, "state": "PENDING", "line": "", "next_attempt_at": {"$lte": NOW}}
    plan = await mongo["webhooks"]["deliveries"].find(query).sort("next_attempt_at").explain()
    assert plan["executionStats"]["totalKeysExamined"] <= 2
    assert "SORT" not in str(plan["queryPlanner"]["winningPlan"])
