"""The stores of deliveries: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.webhooks.deliveries.store import DeliveryStore, MongoDeliveryStore
from tests.fakes.delivery_store import FakeDeliveryStore

if TYPE_CHECKING:
    from shared.mongo import Client


@pytest.fixture
def fake_store() -> FakeDeliveryStore:
    return FakeDeliveryStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoDeliveryStore:
    store = MongoDeliveryStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> DeliveryStore:
    return request.getfixturevalue(request.param)
