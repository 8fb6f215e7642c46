"""What every auth store does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth.domain import FoundKey, Key, KeySecret, PrefixTaken, Tenant
from services.auth.store import MongoStore, Store
from shared import ids
from shared.paging import Position
from tests.fakes.auth_store import FakeStore

if TYPE_CHECKING:
    from shared.mongo import Client

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ACME = Tenant(name="acme", created_at=NOW)


@pytest.fixture
def fake_store() -> FakeStore:
    return FakeStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoStore:
    store = MongoStore(mongo)
    await store.prepare()
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(request.param)


def make_key(
    tenant: str = "acme",
    *,
    created_at: datetime = NOW,
    expires_at: datetime | None = None,
    prefix: str | None = None,
    key_id: str | None = None,
) -> Key:
    return Key(
        id=key_id or ids.new_key_id(),
        tenant=tenant,
        name="laptop",
        prefix=prefix or KeySecret.new().prefix,
        digest=bytes(range(32)),
        scopes=frozenset({"jobs:read", "keys:write"}),
        created_at=created_at,
        expires_at=expires_at,
    )


async def test_preparing_twice_changes_nothing(store: Store) -> None:
    await store.add_key(make_key())
    await store.prepare()
    assert len(await store.keys("acme", limit=10)) == 1


async def test_a_tenant_is_found_by_its_name(store: Store) -> None:
    tenant = Tenant(name="acme", created_at=NOW, disabled_at=NOW + SECOND)
    assert await store.add_tenant(tenant)
    assert await store.tenant("acme") == tenant
    assert await store.tenant("other") is None


async def test_a_tenant_added_again_stays_as_it_was(store: Store) -> None:
    await store.add_tenant(ACME)
    assert not await store.add_tenant(Tenant(name="acme", created_at=NOW + SECOND))
    assert await store.tenant("acme") == ACME


async def test_a_key_comes_back_as_it_was_added(store: Store) -> None:
    key = make_key(expires_at=NOW + SECOND)
    await store.add_key(key)
    assert await store.key("acme", key.id) == key


async def test_a_key_is_no_other_tenants(store: Store) -> None:
    key = make_key("acme")
    await store.add_key(key)
    assert await store.key("other", key.id) is None
    assert await store.keys("other", limit=10) == []
    assert await store.revoke_key("other", key.id, NOW) is None
    assert await store.key("acme", key.id) == key


async def test_a_prefix_is_taken_once_over_all_tenants(store: Store) -> None:
    key = make_key("acme")
    await store.add_key(key)
    with pytest.raises(PrefixTaken):
        await store.add_key(make_key("other", prefix=key.prefix))
    assert await store.keys("other", limit=10) == []


async def test_a_key_is_found_by_its_prefix_together_with_its_tenant(store: Store) -> None:
    key = make_key()
    await store.add_tenant(ACME)
    await store.add_key(key)
    assert await store.find_key(key.prefix) == FoundKey(key=key, tenant=ACME)


async def test_a_key_whose_tenant_is_gone_is_found_without_one(store: Store) -> None:
    key = make_key()
    await store.add_key(key)
    assert await store.find_key(key.prefix) == FoundKey(key=key, tenant=None)


async def test_a_prefix_that_no_key_has_finds_none(store: Store) -> None:
    await store.add_key(make_key())
    assert await store.find_key(KeySecret.new().prefix) is None


async def test_keys_are_listed_newest_first_and_page_by_page(store: Store) -> None:
    keys = [make_key(created_at=NOW + index * SECOND) for index in range(5)]
    for key in (keys[2], keys[0], keys[4], keys[1], keys[3]):
        await store.add_key(key)
    first = await store.keys("acme", limit=3)
    assert list(first) == [keys[4], keys[3], keys[2]]
    rest = await store.keys("acme", limit=3, after=Position(created_at=first[-1].created_at, id=first[-1].id))
    assert list(rest) == [keys[1], keys[0]]


async def test_keys_made_in_the_same_millisecond_are_neither_skipped_nor_repeated(store: Store) -> None:
    keys = [make_key() for _ in range(7)]
    for key in keys:
        await store.add_key(key)
    seen: list[Key] = []
    after: Position | None = None
    while page := await store.keys("acme", limit=2, after=after):
        seen += page
        after = Position(created_at=page[-1].created_at, id=page[-1].id)
    assert seen == sorted(keys, key=lambda key: key.id, reverse=True)


async def test_a_key_added_between_two_pages_moves_nothing(store: Store) -> None:
    keys = [make_key(created_at=NOW + index * SECOND) for index in range(4)]
    for key in keys:
        await store.add_key(key)
    first = await store.keys("acme", limit=2)
    await store.add_key(make_key(created_at=NOW + 10 * SECOND))
    rest = await store.keys("acme", limit=2, after=Position(created_at=first[-1].created_at, id=first[-1].id))
    assert list(rest) == [keys[1], keys[0]]


async def test_a_revoked_key_keeps_the_time_of_its_first_revocation(store: Store) -> None:
    key = make_key()
    await store.add_key(key)
    first = await store.revoke_key("acme", key.id, NOW + SECOND)
    again = await store.revoke_key("acme", key.id, NOW + 2 * SECOND)
    assert first is not None
    assert first.revoked_at == NOW + SECOND
    assert again == first == await store.key("acme", key.id)


async def test_two_revocations_at_once_agree_on_the_time(store: Store) -> None:
    key = make_key()
    await store.add_key(key)
    answers = await asyncio.gather(*(store.revoke_key("acme", key.id, NOW + index * SECOND) for index in range(8)))
    assert len({answer.revoked_at for answer in answers if answer is not None}) == 1


async def test_revoking_a_key_that_is_not_there_finds_none(store: Store) -> None:
    assert await store.revoke_key("acme", ids.new_key_id(), NOW) is None
