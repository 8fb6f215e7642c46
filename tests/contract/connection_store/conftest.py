"""The stores of connections: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.auth.connections.sealing.sealed_store import MongoSealedStore, SealedStore
from services.auth.connections.store import ConnectionStore, MongoConnectionStore
from tests.fakes.connection_store import FakeConnectionStore

if TYPE_CHECKING:
    from shared.mongo import Client


@pytest.fixture
def fake_store() -> FakeConnectionStore:
    return FakeConnectionStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoConnectionStore:
    store = MongoConnectionStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> ConnectionStore:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def mongo_sealed_store(mongo: Client) -> MongoSealedStore:
    store = MongoSealedStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture
def sealed_store(store: ConnectionStore, request: pytest.FixtureRequest) -> SealedStore:
    """The same connections by their data keys."""
    return store if isinstance(store, FakeConnectionStore) else request.getfixturevalue("mongo_sealed_store")
