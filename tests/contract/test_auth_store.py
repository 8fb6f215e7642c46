"""What every auth store does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth import networks
from services.auth.domain import FoundKey, KeptSecret, Key, KeySecret, PrefixTaken, Suspension, Tenant
from services.auth.store import DATABASE, MongoStore, Store
from shared import ids
from shared.paging import Position
from shared.permissions import ROLE_SCOPES, Role
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
        sealed_signing_key=b"sealed",
    )


async def test_preparing_twice_changes_nothing(store: Store) -> None:
    await store.add_key(make_key())
    await store.prepare()
    assert len(await store.keys("acme", limit=10)) == 1


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


async def test_a_key_is_found_with_the_suspension_of_its_tenant(store: Store) -> None:
    key = make_key()
    await store.add_tenant(ACME)
    await store.add_key(key)
    tenant = await store.suspend_tenant("acme", Suspension(at=NOW + SECOND, reason="unpaid", by="key_1"))
    assert await store.find_key(key.prefix) == FoundKey(key=key, tenant=tenant)


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


def fresh_secret() -> KeptSecret:
    return KeptSecret(prefix=KeySecret.new().prefix, digest=bytes(range(32, 64)), sealed_signing_key=b"sealed anew")


async def rotate(store: Store, key: Key, fresh: KeptSecret, *, at: datetime = NOW) -> Key | None:
    return await store.rotate_key(key.tenant, key.id, fresh, former_expires_at=at + SECOND, at=at)


async def test_a_key_comes_back_with_its_role_networks_and_limit(store: Store) -> None:
    key = replace(
        make_key(),
        role=Role.VIEWER,
        scopes=frozenset(map(str, ROLE_SCOPES[Role.VIEWER])),
        networks=tuple(map(networks.network, ("10.0.0.0/8", "2001:db8::/32"))),
        rate_limit=7,
    )
    await store.add_key(key)
    assert await store.key("acme", key.id) == key


async def test_a_rotated_key_is_found_by_both_of_its_prefixes(store: Store) -> None:
    key, fresh = make_key(), fresh_secret()
    await store.add_tenant(ACME)
    await store.add_key(key)
    assert await rotate(store, key, fresh) == key
    after = key.rotated(fresh, NOW + SECOND)
    assert await store.key("acme", key.id) == after
    for prefix in (key.prefix, fresh.prefix):
        assert await store.find_key(prefix) == FoundKey(key=after, tenant=ACME)
    assert after.sealed_signing_key_of(fresh.prefix) == b"sealed anew"
    assert after.sealed_signing_key_of(key.prefix) == b"sealed"


async def test_a_key_of_before_signing_keys_is_read_and_rotated(mongo_store: MongoStore, mongo: Client) -> None:
    key, fresh = make_key(), fresh_secret()
    await mongo_store.add_key(key)
    await mongo[DATABASE]["keys"].update_one({"_id": key.id}, {"$unset": {"signing_key": ""}})
    unsigned = replace(key, sealed_signing_key=None)
    assert await mongo_store.key("acme", key.id) == unsigned
    assert await rotate(mongo_store, key, fresh) == unsigned
    assert await mongo_store.key("acme", key.id) == unsigned.rotated(fresh, NOW + SECOND)


async def test_a_key_has_one_former_secret_at_most(store: Store) -> None:
    key, second, third = make_key(), fresh_secret(), fresh_secret()
    await store.add_key(key)
    await rotate(store, key, second)
    await rotate(store, key, third)
    assert await store.find_key(key.prefix) is None
    found = await store.find_key(second.prefix)
    assert found is not None
    assert found.key.prefixes == (third.prefix, second.prefix)


async def test_a_prefix_is_taken_by_a_former_secret_too(store: Store) -> None:
    key, other, fresh = make_key(), make_key(), fresh_secret()
    await store.add_key(key)
    await store.add_key(other)
    await rotate(store, key, fresh)
    for taken in (key.prefix, fresh.prefix, other.prefix):
        with pytest.raises(PrefixTaken):
            await rotate(store, other, KeptSecret(prefix=taken, digest=b""))
        with pytest.raises(PrefixTaken):
            await store.add_key(make_key(prefix=taken))
    assert await store.key("acme", other.id) == other


async def test_only_a_tenants_own_key_that_works_is_rotated(store: Store) -> None:
    revoked, expired, good = make_key(), make_key(expires_at=NOW), make_key(expires_at=NOW + SECOND)
    for key in (revoked, expired, good):
        await store.add_key(key)
    await store.revoke_key("acme", revoked.id, NOW)
    assert await rotate(store, revoked, fresh_secret()) is None
    assert await rotate(store, expired, fresh_secret()) is None
    assert await rotate(store, replace(good, tenant="other"), fresh_secret()) is None
    assert await rotate(store, make_key(), fresh_secret()) is None
    assert await rotate(store, good, fresh_secret()) == good


async def test_two_rotations_at_once_leave_the_secrets_of_the_last_two(store: Store) -> None:
    key, fresh = make_key(), [fresh_secret() for _ in range(4)]
    await store.add_key(key)
    before = await asyncio.gather(*(rotate(store, key, each) for each in fresh))
    assert len({each.prefix for each in before if each is not None}) == 4, "each has taken the place of another one"
    after = await store.key("acme", key.id)
    assert after is not None
    assert set(after.prefixes) <= {each.prefix for each in fresh}


async def test_when_keys_were_used_is_noted_and_never_goes_back(store: Store) -> None:
    first, second = make_key(), make_key()
    for key in (first, second):
        await store.add_key(key)
    await store.note_used({first.id: NOW, second.id: NOW + SECOND, ids.new_key_id(): NOW})
    await store.note_used({first.id: NOW + SECOND, second.id: NOW})
    for key in (first, second):
        found = await store.key("acme", key.id)
        assert found is not None
        assert found.last_used_at == NOW + SECOND


async def test_a_key_of_an_earlier_version_is_read(mongo_store: MongoStore) -> None:
    key = make_key()
    await mongo_store.add_key(key)
    later = {"role": "", "networks": "", "rate_limit": ""}
    await mongo_store._keys.update_one({"_id": key.id}, {"$unset": later})
    assert await mongo_store.key("acme", key.id) == key
