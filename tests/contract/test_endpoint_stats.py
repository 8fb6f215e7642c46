"""What every store of endpoints' figures does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.webhooks.deliveries.stats import Counts, EndpointHour, StatsStore
from services.webhooks.deliveries.stats_store import MongoStatsStore
from shared import ids
from tests.fakes.stats_store import FakeStatsStore

if TYPE_CHECKING:
    from shared.mongo import Client

HOUR = datetime(2026, 5, 4, 23, tzinfo=UTC)
ONE, OTHER = ids.new_endpoint_id(), ids.new_endpoint_id()


@pytest.fixture
def fake_store() -> FakeStatsStore:
    return FakeStatsStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoStatsStore:
    store = MongoStatsStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> StatsStore:
    return request.getfixturevalue(request.param)


def counted(attempts: int = 3, successes: int = 2) -> Counts:
    return Counts(attempts=attempts, successes=successes, latency=Counter({0: attempts - 1, 17: 1}))


async def test_what_is_added_adds_up_over_the_hours(store: StatsStore) -> None:
    next_hour = HOUR + timedelta(hours=1)  # of another day
    await store.add({EndpointHour(ONE, HOUR): counted(), EndpointHour(ONE, next_hour): counted(5, 0)})
    await store.add({EndpointHour(ONE, HOUR): counted(1, 1), EndpointHour(OTHER, HOUR): counted(9, 9)})
    assert await store.since(ONE, HOUR) == Counts(attempts=9, successes=3, latency=Counter({0: 6, 17: 3}))
    assert await store.since(ONE, next_hour) == counted(5, 0)
    assert await store.since(ONE, next_hour + timedelta(hours=1)) == Counts()
    assert await store.since(OTHER, HOUR - timedelta(days=30)) == counted(9, 9)


async def test_many_replicas_add_to_the_same_hour(store: StatsStore) -> None:
    await asyncio.gather(*(store.add({EndpointHour(ONE, HOUR): counted(2, 1)}) for _ in range(16)))
    assert await store.since(ONE, HOUR) == Counts(attempts=32, successes=16, latency=Counter({0: 16, 17: 16}))


async def test_what_is_old_ends_by_itself(mongo: Client, mongo_store: MongoStatsStore) -> None:
    await mongo_store.add({EndpointHour(ONE, HOUR): counted()})
    collection = mongo["webhooks"]["endpoint_stats"]
    assert (await collection.index_information())["retention"]["expireAfterSeconds"] == 31 * 86400
    kept = await collection.find_one({"endpoint_id": ONE})
    assert kept is not None
    assert isinstance(kept["hour"], datetime)
