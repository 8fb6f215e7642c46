"""What every store of data keys does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from services.auth.connections.sealing.data_key_store import DataKey, DataKeyStore, MongoDataKeyStore
from services.auth.connections.sealing.key_providers import Wrapped
from shared import ids
from tests.fakes.data_key_store import FakeDataKeyStore

if TYPE_CHECKING:
    from shared.mongo import Client

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)


@pytest.fixture
def fake_store() -> FakeDataKeyStore:
    return FakeDataKeyStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoDataKeyStore:
    store = MongoDataKeyStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> DataKeyStore:
    return request.getfixturevalue(request.param)


def make(number: int) -> DataKey:
    wrapped = Wrapped(provider="file", master_key="one", text=b"\x00wrapped\xff")
    return DataKey(id=ids.new_data_key_id(), number=number, wrapped=wrapped, created_at=NOW)


async def test_data_keys_are_read_newest_first_until_they_are_destroyed(store: DataKeyStore) -> None:
    assert list(await store.data_keys()) == []
    first, second = make(1), make(2)
    assert await store.add_data_key(first)
    assert await store.add_data_key(second)
    assert list(await store.data_keys()) == [second, first]
    await store.destroy_data_key(first.id)
    await store.destroy_data_key(first.id)  # as another replica does
    assert list(await store.data_keys()) == [second]


async def test_of_some_of_one_number_added_at_once_one_is_kept(store: DataKeyStore) -> None:
    made = [make(1) for _ in range(8)]
    added = await asyncio.gather(*(store.add_data_key(each) for each in made))
    assert added.count(True) == 1
    assert list(await store.data_keys()) == [made[added.index(True)]]
