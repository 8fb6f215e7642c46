"""A key gets a new secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth.keyring import Keyring
from services.auth.orders import DEFAULT_GRACE, MAX_GRACE, KeyOrder
from shared import ids
from shared.errors import InvalidArgument, KeyNotActive, KeyNotFound, PermissionDenied, Unavailable
from shared.permissions import Role
from shared.streams import AUTH_CHANGED_SIGNAL
from tests.unit.auth.test_keyring import ADMIN, OPERATOR, ORDER, FakeSignals

if TYPE_CHECKING:
    from tests.unit.auth.conftest import World


@pytest.fixture
def signals() -> FakeSignals:
    return FakeSignals()


@pytest.fixture
def keyring(world: World, signals: FakeSignals) -> Keyring:
    return Keyring(
        store=world.store,
        hasher=world.hasher,
        signing_keys=world.signing_keys,
        signals=signals,
        clock=world.time,
    )


async def test_a_rotated_key_is_the_same_key_with_another_secret(keyring: Keyring, world: World) -> None:
    order = replace(ORDER, cidrs=("10.0.0.0/8",), rate_limit=7)
    before, old = await keyring.create(order, maker=ADMIN)
    after, new = await keyring.rotate("acme", before.id, grace=DEFAULT_GRACE, maker=ADMIN)
    assert after == world.store.by_id[before.id]
    assert after == replace(
        before,
        prefix=new.prefix,
        digest=world.hasher.digest(new),
        sealed_signing_key=after.sealed_signing_key,
        former=after.former,
    )
    assert after.former is not None
    assert (after.former.prefix, after.former.expires_at) == (old.prefix, world.time.now() + DEFAULT_GRACE)
    assert world.hasher.matches(old, after.digest_of(old.prefix))
    assert world.hasher.matches(new, after.digest_of(new.prefix))
    assert not world.hasher.matches(old, after.digest_of(new.prefix))
    assert world.signing_keys.of(after, new.prefix) == new.signing_key()
    assert world.signing_keys.of(after, old.prefix) == old.signing_key() != new.signing_key()


async def test_every_replica_is_told_of_each_prefix_that_means_something_else_now(
    keyring: Keyring, signals: FakeSignals
) -> None:
    key, first = await keyring.create(ORDER, maker=ADMIN)
    _, second = await keyring.rotate("acme", key.id, grace=DEFAULT_GRACE, maker=ADMIN)
    assert signals.sent == [(AUTH_CHANGED_SIGNAL, first.prefix.encode())]
    await keyring.rotate("acme", key.id, grace=DEFAULT_GRACE, maker=ADMIN)
    assert set(signals.sent[1:]) == {(AUTH_CHANGED_SIGNAL, each.prefix.encode()) for each in (first, second)}


async def test_a_revocation_takes_both_secrets(keyring: Keyring, signals: FakeSignals) -> None:
    key, first = await keyring.create(ORDER, maker=ADMIN)
    _, second = await keyring.rotate("acme", key.id, grace=DEFAULT_GRACE, maker=ADMIN)
    signals.sent.clear()
    await keyring.revoke("acme", key.id)
    told = {payload for subject, payload in signals.sent if subject == AUTH_CHANGED_SIGNAL}
    assert told == {first.prefix.encode(), second.prefix.encode()}


@pytest.mark.parametrize("grace", [timedelta(microseconds=-1), MAX_GRACE + timedelta(seconds=1)])
async def test_a_grace_period_out_of_bounds_is_refused_and_changes_nothing(
    keyring: Keyring, world: World, grace: timedelta
) -> None:
    key, _ = await keyring.create(ORDER, maker=ADMIN)
    with pytest.raises(InvalidArgument, match="gracePeriod"):
        await keyring.rotate("acme", key.id, grace=grace, maker=ADMIN)
    assert world.store.by_id[key.id] == key


async def test_a_key_that_works_no_more_gets_no_new_secret(keyring: Keyring, world: World) -> None:
    revoked, _ = await keyring.create(ORDER, maker=ADMIN)
    await keyring.revoke("acme", revoked.id)
    soon = replace(ORDER, expires_at=world.time.now() + timedelta(seconds=1))
    expired, _ = await keyring.create(soon, maker=ADMIN)
    world.time.advance(seconds=1)
    for key, state in ((revoked, "revoked"), (expired, "expired")):
        with pytest.raises(KeyNotActive) as refused:
            await keyring.rotate("acme", key.id, grace=DEFAULT_GRACE, maker=ADMIN)
        assert refused.value.metadata == {"key": key.id, "state": state}


async def test_nobody_is_told_the_secret_of_a_key_that_may_do_more(keyring: Keyring, world: World) -> None:
    powerful = KeyOrder(tenant="acme", name="ops", role=Role.OPERATOR)
    key, _ = await keyring.create(powerful, maker=OPERATOR)
    with pytest.raises(PermissionDenied) as refused:
        await keyring.rotate("acme", key.id, grace=DEFAULT_GRACE, maker=ADMIN)
    assert refused.value.metadata == {"scope": "operator"}
    assert world.store.by_id[key.id] == key


async def test_a_key_of_another_tenant_is_not_there(keyring: Keyring) -> None:
    key, _ = await keyring.create(ORDER, maker=ADMIN)
    for tenant, key_id in (("globex", key.id), ("acme", ids.new_key_id())):
        with pytest.raises(KeyNotFound):
            await keyring.rotate(tenant, key_id, grace=DEFAULT_GRACE, maker=OPERATOR)


async def test_a_lost_signal_does_not_undo_a_rotation(keyring: Keyring, signals: FakeSignals, world: World) -> None:
    key, _ = await keyring.create(ORDER, maker=ADMIN)
    signals.away = True
    _, secret = await keyring.rotate("acme", key.id, grace=DEFAULT_GRACE, maker=ADMIN)
    assert world.store.by_id[key.id].prefix == secret.prefix


async def test_a_store_that_is_away_is_told_and_leaves_the_key_as_it_was(keyring: Keyring, world: World) -> None:
    key, _ = await keyring.create(ORDER, maker=ADMIN)
    world.store.away = True
    with pytest.raises(Unavailable):
        await keyring.rotate("acme", key.id, grace=DEFAULT_GRACE, maker=ADMIN)
    world.store.away = False
    assert world.store.by_id[key.id] == key
