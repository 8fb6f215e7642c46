"""The stores of endpoints: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.webhooks.endpoints.store import EndpointStore, MongoEndpointStore
from tests.fakes.endpoint_store import FakeEndpointStore

if TYPE_CHECKING:
    from shared.mongo import Client


@pytest.fixture
def fake_store() -> FakeEndpointStore:
    return FakeEndpointStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoEndpointStore:
    store = MongoEndpointStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> EndpointStore:
    return request.getfixturevalue(request.param)
