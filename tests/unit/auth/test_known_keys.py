from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth import known_keys as known_keys_
from services.auth.domain import KeySecret, Suspension
from services.auth.known_keys import KnownKeys
from shared.errors import Unavailable
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.unit.auth.conftest import World


@pytest.fixture
def known_keys(world: World) -> KnownKeys[str]:
    return KnownKeys[str](world.store, monotonic=world.time.monotonic)


async def test_a_key_is_looked_up_once(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    first = await known_keys.get(secret.prefix)
    assert first.found is not None
    assert await known_keys.get(secret.prefix) is first
    assert world.store.lookups == 1


async def test_many_who_ask_at_the_same_time_share_one_lookup(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    answers = await asyncio.gather(*(known_keys.get(secret.prefix) for _ in range(50)))
    assert world.store.lookups == 1
    assert all(answer is answers[0] for answer in answers)


async def test_who_stops_waiting_does_not_stop_the_others(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    world.store.may_answer.clear()
    waiting = [asyncio.create_task(known_keys.get(secret.prefix)) for _ in range(2)]
    await eventually(lambda: world.store.lookups)
    waiting[0].cancel()
    world.store.may_answer.set()
    assert (await waiting[1]).found is not None
    assert waiting[0].cancelled()


async def test_a_prefix_that_no_key_has_is_remembered_too(known_keys: KnownKeys[str], world: World) -> None:
    prefix = KeySecret.new().prefix
    for _ in range(3):
        assert (await known_keys.get(prefix)).found is None
    assert world.store.lookups == 1
    world.time.advance(seconds=30)
    await known_keys.get(prefix)
    assert world.store.lookups == 2


async def test_guesses_push_out_guesses_and_no_key(
    known_keys: KnownKeys[str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys_, "MAX_ABSENT", 10)
    secret = await world.make_key()
    known = await known_keys.get(secret.prefix)
    for _ in range(100):
        await known_keys.get(KeySecret.new().prefix)
    assert await known_keys.get(secret.prefix) is known
    assert len(known_keys._absent) == 10


async def test_keys_are_remembered_up_to_a_number(
    known_keys: KnownKeys[str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys_, "MAX_KEYS", 10)
    for _ in range(20):
        await known_keys.get((await world.make_key()).prefix)
    assert len(known_keys._keys) == 10


async def test_a_key_in_use_is_looked_up_again_without_waiting(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    first = await known_keys.get(secret.prefix)
    world.time.advance(seconds=21)
    world.store.may_answer.clear()
    assert await known_keys.get(secret.prefix) is first
    await eventually(lambda: world.store.lookups == 2)
    world.store.may_answer.set()
    await eventually(lambda: known_keys._keys[secret.prefix] is not first)
    world.time.advance(seconds=19)
    assert (await known_keys.get(secret.prefix)).found == first.found
    assert world.store.lookups == 2


async def test_a_revocation_that_nobody_signalled_is_seen_within_30_seconds(
    known_keys: KnownKeys[str], world: World
) -> None:
    secret = await world.make_key()
    await known_keys.get(secret.prefix)
    world.revoke(secret)
    world.time.advance(seconds=30)
    found = (await known_keys.get(secret.prefix)).found
    assert found is not None
    assert found.key.revoked_at is not None


async def test_what_was_made_of_a_key_stays_while_the_key_does(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    (await known_keys.get(secret.prefix)).memo = "made"
    world.time.advance(seconds=31)
    assert (await known_keys.get(secret.prefix)).memo == "made"
    world.revoke(secret)
    world.time.advance(seconds=31)
    assert (await known_keys.get(secret.prefix)).memo is None


async def test_a_forgotten_key_is_looked_up_again(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    await known_keys.get(secret.prefix)
    world.revoke(secret)
    known_keys.forget(secret.prefix)
    found = (await known_keys.get(secret.prefix)).found
    assert found is not None
    assert found.key.revoked_at is not None


async def test_what_a_lookup_read_before_a_revocation_is_not_kept(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    world.store.may_answer.clear()
    early = asyncio.create_task(known_keys.get(secret.prefix))
    await eventually(lambda: world.store.lookups)
    world.revoke(secret)
    known_keys.forget(secret.prefix)
    world.store.may_answer.set()
    await early
    found = (await known_keys.get(secret.prefix)).found
    assert found is not None
    assert found.key.revoked_at is not None


async def test_an_unknown_key_is_unavailable_while_the_store_is_away(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    world.store.away = True
    with pytest.raises(Unavailable) as refused:
        await known_keys.get(secret.prefix)
    assert refused.value.retry_after is not None
    world.store.away = False
    assert (await known_keys.get(secret.prefix)).found is not None


async def test_a_known_key_is_good_for_15_minutes_while_the_store_is_away(
    known_keys: KnownKeys[str], world: World
) -> None:
    secret = await world.make_key()
    first = await known_keys.get(secret.prefix)
    world.store.away = True
    for _ in range(14):
        world.time.advance(minutes=1)
        assert await known_keys.get(secret.prefix) is first
    world.time.advance(minutes=1)
    with pytest.raises(Unavailable):
        await known_keys.get(secret.prefix)


async def test_nobody_waits_for_a_store_that_is_known_to_be_away(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    first = await known_keys.get(secret.prefix)
    world.store.away = True
    world.time.advance(seconds=31)
    await known_keys.get(secret.prefix)
    world.store.may_answer.clear()  # whoever waits for a lookup from here on waits for good
    async with asyncio.timeout(30):
        for _ in range(100):
            assert await known_keys.get(secret.prefix) is first


async def test_a_store_that_is_away_is_tried_seldom(known_keys: KnownKeys[str], world: World) -> None:
    secrets = [await world.make_key() for _ in range(20)]
    for secret in secrets:
        await known_keys.get(secret.prefix)
    world.store.away = True
    world.time.advance(seconds=31)
    await known_keys.get(secrets[0].prefix)
    before = world.store.lookups
    for secret in secrets:
        await known_keys.get(secret.prefix)
        await asyncio.sleep(0)
    assert world.store.lookups <= before + 1


async def test_a_store_that_is_back_is_asked_again(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    await known_keys.get(secret.prefix)
    world.store.away = True
    world.time.advance(seconds=31)
    await known_keys.get(secret.prefix)
    world.revoke(secret)
    world.store.away = False
    world.time.advance(seconds=2)

    async def revoked() -> bool:
        found = (await known_keys.get(secret.prefix)).found
        return found is not None and found.key.revoked_at is not None

    await eventually(revoked)


async def test_a_store_that_has_answered_is_waited_for_again(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    await known_keys.get(secret.prefix)
    world.store.away = True
    world.time.advance(seconds=31)
    await known_keys.get(secret.prefix)
    world.store.away = False
    await known_keys.get(KeySecret.new().prefix)
    world.revoke(secret)
    found = (await known_keys.get(secret.prefix)).found
    assert found is not None
    assert found.key.revoked_at is not None


async def test_a_key_revoked_while_the_store_is_away_is_no_longer_good(
    known_keys: KnownKeys[str], world: World
) -> None:
    secret = await world.make_key()
    await known_keys.get(secret.prefix)
    world.store.away = True
    world.time.advance(seconds=31)
    known_keys.forget(secret.prefix)
    with pytest.raises(Unavailable):
        await known_keys.get(secret.prefix)


async def test_a_key_revoked_while_its_lookup_fails_is_no_longer_good(known_keys: KnownKeys[str], world: World) -> None:
    secret = await world.make_key()
    await known_keys.get(secret.prefix)
    world.store.away = True
    world.store.may_answer.clear()
    world.time.advance(seconds=31)
    asking = asyncio.create_task(known_keys.get(secret.prefix))
    await eventually(lambda: world.store.lookups == 2)
    known_keys.forget(secret.prefix)
    world.store.may_answer.set()
    with pytest.raises(Unavailable):
        await asking


async def test_a_lookup_that_hangs_is_given_up(
    known_keys: KnownKeys[str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys_, "LOOKUP_TIMEOUT", timedelta(milliseconds=20))
    secret = await world.make_key()
    world.store.may_answer.clear()
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable):
            await known_keys.get(secret.prefix)


async def test_all_keys_of_a_tenant_are_forgotten_and_no_others(known_keys: KnownKeys[str], world: World) -> None:
    of_acme = [await world.make_key() for _ in range(3)]
    of_globex = await world.make_key("globex")
    absent = KeySecret.new()
    for secret in (*of_acme, of_globex, absent):
        await known_keys.get(secret.prefix)
    lookups = world.store.lookups
    known_keys.forget_tenant("acme")
    for secret in (of_globex, absent):
        await known_keys.get(secret.prefix)
    assert world.store.lookups == lookups
    for secret in of_acme:
        assert known_keys.in_use(secret.prefix) is None
        await known_keys.get(secret.prefix)
    assert world.store.lookups == lookups + 3


async def test_what_a_lookup_says_that_was_under_way_when_its_tenant_changed_is_not_kept(
    known_keys: KnownKeys[str], world: World
) -> None:
    secret = await world.make_key()
    world.store.may_answer.clear()
    waiting = asyncio.create_task(known_keys.get(secret.prefix))
    await eventually(lambda: world.store.lookups)
    await world.store.suspend_tenant("acme", Suspension(at=world.time.now(), reason="unpaid", by="key_1"))
    known_keys.forget_tenant("acme")
    world.store.may_answer.set()
    before = (await waiting).found
    assert before is not None
    assert before.tenant is not None
    assert before.tenant.suspension is None
    after = (await known_keys.get(secret.prefix)).found
    assert after is not None
    assert after.tenant is not None
    assert after.tenant.suspension is not None
