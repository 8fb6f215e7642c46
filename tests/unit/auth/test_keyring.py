from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.auth.domain import Key, KeySecret, Tenant
from services.auth.keyring import Keyring
from services.auth.orders import KeyOrder
from shared import ids
from shared.errors import InvalidArgument, KeyNotFound, PermissionDenied, TenantNotFound, Unavailable
from shared.identity import Principal, PrincipalKind
from shared.permissions import ADMIN_SCOPES, Scope
from shared.streams import AUTH_CHANGED_SIGNAL, PRINCIPAL_REVOKED_SIGNAL

if TYPE_CHECKING:
    from tests.unit.auth.conftest import World

ADMIN = Principal(kind=PrincipalKind.KEY, id="key_admin", tenant="acme", scopes=frozenset(map(str, ADMIN_SCOPES)))
OPERATOR = Principal(kind=PrincipalKind.KEY, id="key_operator", tenant="acme", scopes=frozenset(map(str, Scope)))
ORDER = KeyOrder(tenant="acme", name="laptop", scopes=("jobs:read",))


class FakeSignals:
    """Notes what is signalled; can be away."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.away = False

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        if self.away:
            raise Unavailable("NATS does not answer")
        self.sent.append((subject, payload))


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


async def test_a_made_key_is_kept_without_its_secret(keyring: Keyring, world: World) -> None:
    key, secret = await keyring.create(ORDER, maker=ADMIN)
    kept = world.store.by_id[key.id]
    assert kept == key
    assert kept.prefix == secret.prefix
    assert world.hasher.matches(secret, kept.digest)
    assert secret.reveal() not in repr(kept)


async def test_a_prefix_that_is_taken_is_drawn_again(
    keyring: Keyring, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, taken = await keyring.create(ORDER, maker=ADMIN)
    fresh = KeySecret.new()
    draws = iter([taken, taken, fresh])
    monkeypatch.setattr(KeySecret, "new", lambda: next(draws))
    second, secret = await keyring.create(ORDER, maker=ADMIN)
    assert secret == fresh
    assert set(world.store.by_id) == {first.id, second.id}


async def test_a_wrong_order_makes_nothing(keyring: Keyring, world: World) -> None:
    with pytest.raises(InvalidArgument):
        await keyring.create(KeyOrder(tenant="acme", name="", scopes=("jobs:read",)), maker=ADMIN)
    assert world.store.by_id == {}


async def test_an_order_beyond_its_maker_makes_nothing(keyring: Keyring, world: World) -> None:
    with pytest.raises(PermissionDenied):
        await keyring.create(KeyOrder(tenant="acme", name="laptop", scopes=("operator",)), maker=ADMIN)
    assert world.store.by_id == {}


async def test_only_an_operator_learns_whether_another_tenant_exists(keyring: Keyring, world: World) -> None:
    elsewhere = KeyOrder(tenant="elsewhere", name="laptop", scopes=("jobs:read",))
    with pytest.raises(PermissionDenied):
        await keyring.create(elsewhere, maker=ADMIN)
    with pytest.raises(TenantNotFound):
        await keyring.create(elsewhere, maker=OPERATOR)
    await world.store.add_tenant(Tenant(name="elsewhere", created_at=world.time.now()))
    key, _ = await keyring.create(elsewhere, maker=OPERATOR)
    assert key.tenant == "elsewhere"


async def test_a_revocation_is_told_by_the_public_prefix(keyring: Keyring, signals: FakeSignals) -> None:
    key, secret = await keyring.create(ORDER, maker=ADMIN)
    await keyring.revoke("acme", key.id)
    assert signals.sent == [
        (AUTH_CHANGED_SIGNAL, secret.prefix.encode()),
        (PRINCIPAL_REVOKED_SIGNAL, key.id.encode()),
    ]


async def test_revoking_again_answers_the_same_and_tells_again(
    keyring: Keyring, world: World, signals: FakeSignals
) -> None:
    key, _ = await keyring.create(ORDER, maker=ADMIN)
    first = await keyring.revoke("acme", key.id)
    world.time.advance(minutes=1)
    assert await keyring.revoke("acme", key.id) == first
    assert signals.sent[:2] == signals.sent[2:]


async def test_a_key_is_revoked_even_when_no_replica_can_be_told(
    keyring: Keyring, world: World, signals: FakeSignals
) -> None:
    key, _ = await keyring.create(ORDER, maker=ADMIN)
    signals.away = True
    assert (await keyring.revoke("acme", key.id)).revoked_at == world.time.now()


async def test_a_key_of_another_tenant_is_not_there(keyring: Keyring, signals: FakeSignals) -> None:
    key, _ = await keyring.create(ORDER, maker=ADMIN)
    with pytest.raises(KeyNotFound):
        await keyring.key("other", key.id)
    with pytest.raises(KeyNotFound):
        await keyring.revoke("other", key.id)
    assert (await keyring.key("acme", key.id)).revoked_at is None
    assert signals.sent == []


@pytest.mark.parametrize("key_id", ["", "key_", "key_\0", "KEY_" + str(ids.uuid7()), "x" * 100_000])
async def test_what_is_no_id_is_refused_by_its_path(keyring: Keyring, key_id: str) -> None:
    for ask in (keyring.key, keyring.revoke):
        with pytest.raises(InvalidArgument) as refused:
            await ask("acme", key_id)
        assert refused.value.violations[0].field == "keyId"
        assert len(refused.value.message) < 300


async def test_keys_are_listed_for_their_tenant_alone(keyring: Keyring, world: World) -> None:
    await world.make_key("other")
    key, _ = await keyring.create(ORDER, maker=ADMIN)
    listed: list[Key] = list(await keyring.keys("acme", limit=10, after=None))
    assert listed == [key]
