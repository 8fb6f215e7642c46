"""What every store of deliveries does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.webhooks.domain import Delivery, Due, Reason, State, delivery_id
from services.webhooks.store import DeliveryStore, MongoDeliveryStore
from shared import ids
from tests.fakes.delivery_store import FakeDeliveryStore

if TYPE_CHECKING:
    from shared.mongo import Client

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
UNTIL = NOW + 30 * SECOND


@pytest.fixture
def fake_store() -> FakeDeliveryStore:
    return FakeDeliveryStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoDeliveryStore:
    store = MongoDeliveryStore(mongo)
    await store.prepare()
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> DeliveryStore:
    return request.getfixturevalue(request.param)


def make(*, due: datetime = NOW, host: str = "client.example", **changes: Any) -> Delivery:
    job_id = ids.new_job_id("http")
    delivery = Delivery(
        id=delivery_id(job_id, 4),
        tenant="acme",
        about=job_id,
        url=f"https://{host}/hook?token=1",
        host=host,
        event_type="job.succeeded",
        event_time=NOW,
        payload=b'{"type":"job.succeeded"}',
        sealed_secret=bytes(range(64)),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        created_at=NOW,
        next_attempt_at=due,
    )
    return replace(delivery, **changes)


async def claim(store: DeliveryStore, *deliveries: Delivery, now: datetime = NOW) -> list[Delivery]:
    return await store.claim([each.id for each in deliveries], now=now, until=now + 30 * SECOND)


async def kept(store: DeliveryStore, delivery: Delivery) -> Delivery:
    found = await store.delivery(delivery.tenant, delivery.id)
    assert found is not None
    return found


async def test_a_delivery_that_the_version_before_has_stored_is_read(
    mongo: Client, mongo_store: MongoDeliveryStore
) -> None:
    delivery = make()
    await mongo_store.add([delivery])
    await mongo["webhooks"]["deliveries"].update_one({"_id": delivery.id}, {"$rename": {"about": "job_id"}})
    assert await claim(mongo_store, delivery) == [replace(delivery, attempts=1, next_attempt_at=UNTIL)]


async def test_preparing_twice_changes_nothing(store: DeliveryStore) -> None:
    delivery = make()
    await store.add([delivery])
    await store.prepare()
    assert await kept(store, delivery) == delivery


async def test_a_delivery_comes_back_as_it_was_added(store: DeliveryStore) -> None:
    plain, sealed = make(sealed_secret=b"", traceparent=""), make()
    assert await store.add([plain, sealed]) == 2
    assert await kept(store, plain) == plain
    assert await kept(store, sealed) == sealed


async def test_a_delivery_is_no_other_tenants(store: DeliveryStore) -> None:
    delivery = make()
    await store.add([delivery])
    assert await store.delivery("other", delivery.id) is None


async def test_what_is_added_again_stays_as_it_is_and_the_rest_is_added(store: DeliveryStore) -> None:
    first, second, third = make(), make(), make()
    await store.add([first, second])
    (claimed,) = await claim(store, first)
    assert await store.add([first, third, second]) == 1
    assert await kept(store, first) == claimed
    assert await kept(store, third) == third


async def test_what_is_due_comes_in_order_and_within_the_limit(store: DeliveryStore) -> None:
    late, early, coming = make(due=NOW), make(due=NOW - SECOND, attempts=3), make(due=NOW + SECOND)
    await store.add([late, early, coming])
    both = [Due(id=early.id, host=early.host, attempts=3), Due(id=late.id, host=late.host, attempts=0)]
    assert await store.due(NOW, limit=10) == both
    assert await store.due(NOW, limit=1) == both[:1]
    assert await store.due(NOW - 2 * SECOND, limit=10) == []


async def test_hosts_can_be_left_out(store: DeliveryStore) -> None:
    one, other = make(host="one.example"), make(host="other.example:8443", due=NOW + SECOND)
    await store.add([one, other])
    assert [each.id for each in await store.due(UNTIL, limit=10, except_hosts=["one.example"])] == [other.id]
    assert await store.next_due() == NOW
    assert await store.next_due(except_hosts=["one.example"]) == NOW + SECOND
    assert await store.next_due(except_hosts=["one.example", "other.example:8443"]) is None


async def test_nothing_is_due_in_an_empty_store(store: DeliveryStore) -> None:
    assert await store.due(NOW, limit=10) == []
    assert await store.next_due() is None
    assert await claim(store, make()) == []


async def test_a_claim_counts_the_attempt_and_is_due_again_when_its_time_is_over(store: DeliveryStore) -> None:
    delivery = make()
    await store.add([delivery])
    (claimed,) = await claim(store, delivery)
    assert claimed == replace(delivery, attempts=1, next_attempt_at=UNTIL) == await kept(store, delivery)
    assert await claim(store, delivery, now=UNTIL - SECOND) == []
    assert await store.due(UNTIL - SECOND, limit=10) == []
    assert await store.next_due() == UNTIL
    (again,) = await claim(store, delivery, now=UNTIL)
    assert again.attempts == 2


async def test_what_is_not_due_is_not_claimed(store: DeliveryStore) -> None:
    coming, ended = make(due=NOW + SECOND), make(state=State.DELIVERED, finished_at=NOW)
    await store.add([coming, ended])
    assert await claim(store, coming, ended) == []
    assert await kept(store, coming) == coming


async def test_two_claimers_never_get_the_same(store: DeliveryStore) -> None:
    deliveries = [make() for _ in range(60)]
    await store.add(deliveries)
    claims = await asyncio.gather(*(claim(store, *deliveries[start : start + 40]) for start in (0, 20, 0, 20)))
    got = [each.id for one in claims for each in one]
    assert len(got) == len(set(got)) == 60
    assert {(await kept(store, each)).attempts for each in deliveries} == {1}


async def test_a_failed_attempt_waits_for_the_next(store: DeliveryStore) -> None:
    delivery = make()
    await store.add([delivery])
    (claimed,) = await claim(store, delivery)
    after = replace(claimed, next_attempt_at=NOW + 5 * SECOND, last_reason=Reason.RECEIVER_STATUS, last_status=503)
    assert await store.record(after)
    assert await kept(store, delivery) == after
    assert await store.next_due() == NOW + 5 * SECOND


@pytest.mark.parametrize("state", [State.DELIVERED, State.FAILED])
async def test_what_has_ended_is_never_due_again_and_never_changes(store: DeliveryStore, state: State) -> None:
    delivery = make()
    await store.add([delivery])
    (claimed,) = await claim(store, delivery)
    ended = replace(claimed, state=state, last_reason=Reason.OK, last_status=204, finished_at=NOW)
    assert await store.record(ended)
    assert await store.due(UNTIL, limit=10) == []
    assert await store.next_due() is None
    assert not await store.record(replace(claimed, last_reason=Reason.RECEIVER_TIMEOUT))
    assert not await store.record(replace(ended, state=State.DELIVERED, last_status=200))
    assert await store.give_up([delivery.id], now=UNTIL) == 0
    assert await kept(store, delivery) == ended


async def test_an_outcome_does_not_count_once_a_newer_attempt_was_claimed(store: DeliveryStore) -> None:
    delivery = make()
    await store.add([delivery])
    (first,) = await claim(store, delivery)
    (second,) = await claim(store, delivery, now=UNTIL)
    assert not await store.record(replace(first, state=State.FAILED, finished_at=NOW))
    assert await kept(store, delivery) == second


async def test_what_was_delivered_counts_even_then(store: DeliveryStore) -> None:
    delivery = make()
    await store.add([delivery])
    (first,) = await claim(store, delivery)
    (second,) = await claim(store, delivery, now=UNTIL)
    assert await store.record(replace(first, state=State.DELIVERED, last_status=200, finished_at=NOW))
    assert not await store.record(replace(second, state=State.FAILED, finished_at=NOW))
    now = await kept(store, delivery)
    assert (now.state, now.attempts) == (State.DELIVERED, 2)


async def test_what_is_given_up_has_failed_and_lost_its_attempt(store: DeliveryStore) -> None:
    due, claimed = make(), make()
    await store.add([due, claimed])
    await claim(store, claimed)
    assert await store.give_up([due.id, claimed.id, "unheard-of"], now=NOW) == 1
    lost = await kept(store, due)
    assert (lost.state, lost.last_reason, lost.finished_at) == (State.FAILED, Reason.ATTEMPT_LOST, NOW)
    assert (await kept(store, claimed)).state is State.PENDING


async def test_recording_what_is_not_there_counts_for_nothing(store: DeliveryStore) -> None:
    assert not await store.record(make(state=State.DELIVERED, finished_at=NOW))


async def test_the_search_for_what_is_due_reads_the_index_alone_of_what_is_pending(
    mongo_store: MongoDeliveryStore,
) -> None:
    await mongo_store.add([make(due=NOW + index * SECOND) for index in range(3)])
    await mongo_store.add([make(state=State.FAILED, finished_at=NOW) for _ in range(20)])
    query = {"state": "PENDING", "next_attempt_at": {"$lte": NOW}, "host": {"$nin": ["a.example"]}}
    plan = await mongo_store._deliveries.find(query).sort("next_attempt_at").explain()
    assert plan["executionStats"]["totalKeysExamined"] <= 2
    assert "SORT" not in str(plan["queryPlanner"]["winningPlan"])
