"""What a store of retentions does: one suite over the fake and over MongoDB."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.history.retention.domain import FIELDS, Change, OwnRetention
from services.history.retention.store import MongoRetentionStore
from tests.fakes.retention_store import FakeRetentionStore

if TYPE_CHECKING:
    from services.history.retention.store import RetentionStore
    from shared.mongo import Client

ALL = OwnRetention(
    succeeded_jobs=timedelta(days=7),
    failed_jobs=timedelta(days=1),
    audit=timedelta(days=400),
    deliveries=timedelta(days=8),
    archive=False,
    archives=timedelta(days=3653),
    indexed_metadata=("order", "$where.it"),
)


@pytest.fixture
def fake_store() -> FakeRetentionStore:
    return FakeRetentionStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoRetentionStore:
    return MongoRetentionStore(mongo)


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> RetentionStore:
    return request.getfixturevalue(request.param)


async def test_a_tenant_has_nothing_of_its_own_until_it_was_changed(store: RetentionStore) -> None:
    assert await store.get("acme") == OwnRetention()
    assert await store.all() == {}
    assert not await store.erase("acme")


async def test_what_was_changed_is_there_field_by_field_and_of_one_tenant(store: RetentionStore) -> None:
    assert await store.change("acme", Change(fields=frozenset(FIELDS), to=ALL)) == ALL
    days = OwnRetention(succeeded_jobs=timedelta(days=30))
    assert await store.change("other", Change(fields=frozenset({"succeeded_jobs"}), to=days)) == days
    changed = await store.change(
        "acme", Change(fields=frozenset({"archive", "failed_jobs"}), to=OwnRetention(archive=True))
    )
    assert (changed.archive, changed.failed_jobs, changed.audit) == (True, None, ALL.audit)
    assert await store.get("acme") == changed
    assert await store.all() == {"acme": changed, "other": days}


async def test_what_is_given_back_or_erased_is_as_if_it_had_never_been(store: RetentionStore) -> None:
    await store.change("acme", Change(fields=frozenset(FIELDS), to=ALL))
    assert await store.change("acme", Change(fields=frozenset(FIELDS), to=OwnRetention())) == OwnRetention()
    assert await store.erase("acme")
    assert await store.all() == {}
