from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from services.auth.connections.sealing.data_keys import AWAY_TIME, FRESH_TIME, DataKeys
from services.auth.connections.sealing.key_providers import KeyProviders
from shared import ids
from shared.errors import Unavailable
from tests.fakes.data_key_store import FakeDataKeyStore
from tests.fakes.key_provider import FakeKeyProvider
from tests.unit.auth.conftest import Time

if TYPE_CHECKING:
    from collections.abc import Callable

    Replica = Callable[[], DataKeys]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store() -> FakeDataKeyStore:
    return FakeDataKeyStore()


@pytest.fixture
async def provider() -> FakeKeyProvider:
    return FakeKeyProvider()


@pytest.fixture
def replica(store: FakeDataKeyStore, provider: FakeKeyProvider, time: Time) -> Replica:
    """Each one is another replica."""
    return lambda: DataKeys(store=store, providers=KeyProviders([provider]), clock=time, monotonic=time.monotonic)


async def test_the_first_key_is_made_once_by_many_at_once(
    replica: Replica, store: FakeDataKeyStore, provider: FakeKeyProvider
) -> None:
    replicas = [replica() for _ in range(3)]
    found = await asyncio.gather(*(each.current() for each in replicas for _ in range(10)))
    assert len(set(found)) == 1
    assert list(store.by_number) == [1]
    assert provider.wraps <= 3
    assert len(found[0][1]) == 32


async def test_a_key_is_unwrapped_once_by_many_at_once_and_served_from_memory(
    replica: Replica, store: FakeDataKeyStore, provider: FakeKeyProvider
) -> None:
    current, key = await replica().current()
    other = replica()
    assert await asyncio.gather(*(other.key(current) for _ in range(20))) == [key] * 20
    assert provider.unwraps == 1
    provider.away = store.away = True
    assert await other.key(current) == key
    assert await other.current() == (current, key)
    await other.check()


async def test_every_replica_seals_under_a_new_key_before_what_it_knows_is_old(replica: Replica, time: Time) -> None:
    one, other = replica(), replica()
    before, _ = await one.current()
    assert (await other.current())[0] == before
    rotated = await one.rotate()
    assert (rotated.number, (await one.current())[0]) == (2, rotated.id)
    assert (await other.current())[0] == before
    time.advance(seconds=FRESH_TIME.total_seconds())
    assert (await other.current())[0] == rotated.id
    assert await other.key(before) is not None


async def test_who_rotates_needs_no_provider_to_seal_under_the_new_key(
    replica: Replica, provider: FakeKeyProvider
) -> None:
    keys = replica()
    await keys.current()
    await keys.rotate()
    provider.away = True
    assert (await keys.current())[0]
    assert provider.unwraps == 0


async def test_what_is_known_for_too_long_is_not_sealed_under_while_mongodb_is_away(
    replica: Replica, store: FakeDataKeyStore, time: Time
) -> None:
    keys = replica()
    current, key = await keys.current()
    store.away = True
    time.advance(seconds=FRESH_TIME.total_seconds())
    with pytest.raises(Unavailable, match="MongoDB"):
        await keys.current()
    assert await keys.key(current) == key
    await keys.check()


async def test_a_destroyed_key_leaves_the_memory(replica: Replica, store: FakeDataKeyStore) -> None:
    keys = replica()
    before, _ = await keys.current()
    await keys.rotate()
    await store.destroy_data_key(before)
    await keys.look()
    assert await keys.key(before) is None
    assert await keys.key(ids.new_data_key_id()) is None


async def test_a_provider_that_is_away_is_asked_anew_after_a_moment_and_not_by_everybody(
    replica: Replica, provider: FakeKeyProvider, time: Time
) -> None:
    keys = replica()
    provider.away = True
    for _ in range(5):
        with pytest.raises(Unavailable) as raised:
            await keys.current()
        assert raised.value.metadata == {"dependency": "key_provider"}
        assert raised.value.retry_after is not None
    with pytest.raises(Unavailable):
        await keys.check()
    assert provider.wraps == 1
    provider.away = False
    time.advance(seconds=AWAY_TIME.total_seconds())
    await keys.check()
    assert (await keys.current())[1]


async def test_a_key_that_does_not_unwrap_holds_up_no_other(
    replica: Replica, provider: FakeKeyProvider, time: Time
) -> None:
    first = replica()
    retiring, _ = await first.current()
    rotated = await first.rotate()
    keys = replica()
    provider.away = True
    with pytest.raises(Unavailable):
        await keys.key(retiring)
    provider.away = False
    assert (await keys.current())[0] == rotated.id
    with pytest.raises(Unavailable):
        await keys.key(retiring)
    time.advance(seconds=AWAY_TIME.total_seconds())
    assert await keys.key(retiring) is not None


async def test_a_key_is_unwrapped_by_who_has_wrapped_it(store: FakeDataKeyStore, time: Time) -> None:
    old, new = FakeKeyProvider("old"), FakeKeyProvider("new")
    clocks = {"clock": time, "monotonic": time.monotonic}
    before, key = await DataKeys(store=store, providers=KeyProviders([old]), **clocks).current()
    keys = DataKeys(store=store, providers=KeyProviders([new, old]), **clocks)
    assert await keys.key(before) == key
    assert (await keys.rotate()).wrapped.provider == "new"
    alone = DataKeys(store=store, providers=KeyProviders([new]), **clocks)
    assert (await alone.current())[0] != before
    with pytest.raises(Unavailable, match="'old', which is not set up here"):
        await alone.key(before)
    await KeyProviders([new, old]).close()
    assert new.closed
    assert old.closed
