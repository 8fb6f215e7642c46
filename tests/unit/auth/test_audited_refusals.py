"""What the audit is told of requests that the gateway refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1.audit_pb2 import AuditEntry

from services.auth.domain import KeySecret, Suspension
from tests.signing import signed
from tests.unit.auth.test_authorization import ADDRESS_LIMIT, Gateway, token_of, with_prefix_of

if TYPE_CHECKING:
    from tests.identities import Identities
    from tests.unit.auth.conftest import World


@pytest.fixture
def gateway(world: World, identities: Identities) -> Gateway:
    return Gateway(world, identities)


async def test_who_is_let_in_is_not_told_of(gateway: Gateway, world: World) -> None:
    token_of(await gateway.ask_with(await world.make_key()))
    assert gateway.audit.entries == []


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "missing"),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "malformed"),
        ({"x-api-key": "psk_live_abc"}, "malformed"),
        ({"x-api-key": "psk_live_abc", "authorization": "Bearer psk_live_abd"}, "ambiguous"),
    ],
)
async def test_of_what_is_no_key_nothing_is_told(gateway: Gateway, headers: dict[str, str], detail: str) -> None:
    await gateway.ask({**headers, "x-request-id": "order-7"}, source="203.0.113.9")
    (entry,) = gateway.audit.entries
    assert (entry.outcome, entry.detail, entry.refused) == ("UNAUTHENTICATED", detail, True)
    assert (entry.client_address, entry.request_id, entry.action) == ("203.0.113.9", "order-7", "Authorization.Check")
    assert entry.actor == AuditEntry.Actor()
    assert entry.tenant == ""


async def test_of_a_key_that_is_not_known_the_prefix_is_told_and_no_tenant(gateway: Gateway, world: World) -> None:
    guess = with_prefix_of(await world.make_key())
    for secret in (guess, KeySecret.new()):
        await gateway.ask_with(secret)
        entry = gateway.audit.entries[-1]
        assert entry.actor == AuditEntry.Actor(key_prefix=secret.prefix)
        assert (entry.tenant, entry.detail) == ("", "unknown")


async def test_of_a_key_that_does_not_work_its_tenant_is_told(gateway: Gateway, world: World) -> None:
    revoked = await world.make_key()
    world.revoke(revoked)
    expired = await world.make_key(expires_in=timedelta(seconds=1))
    elsewhere = await world.make_key(cidrs=("198.51.100.0/24",))
    world.time.advance(seconds=2)
    suspended = await world.make_key("globex")
    await world.store.suspend_tenant("globex", Suspension(at=world.time.now(), reason="abuse", by="key_1"))
    for secret in (revoked, expired, elsewhere, suspended):
        await gateway.ask_with(secret)
    told = [(entry.tenant, entry.detail, entry.outcome) for entry in gateway.audit.entries]
    assert told == [
        ("acme", "revoked", "UNAUTHENTICATED"),
        ("acme", "expired", "UNAUTHENTICATED"),
        ("acme", "address", "PERMISSION_DENIED"),
        ("globex", "tenant_suspended", "TENANT_SUSPENDED"),
    ]
    by_prefix = {key.prefix: key for key in world.store.by_id.values()}
    for entry, secret in zip(gateway.audit.entries, (revoked, expired, elsewhere, suspended), strict=True):
        key = by_prefix[secret.prefix]
        assert (entry.actor.id, entry.actor.tenant) == (key.id, key.tenant)
        assert entry.actor.kind == AuditEntry.Actor.KEY


async def test_of_an_address_that_guesses_too_much_nothing_is_told_but_the_address(gateway: Gateway) -> None:
    for _ in range(ADDRESS_LIMIT + 5):
        await gateway.ask_with(KeySecret.new(), source="203.0.113.9")
    over = gateway.audit.entries[ADDRESS_LIMIT:]
    assert len(over) == 5
    for entry in over:
        assert (entry.outcome, entry.detail, entry.client_address) == ("RATE_LIMITED", "guesses", "203.0.113.9")
        assert entry.actor == AuditEntry.Actor()


async def test_a_good_key_over_its_limit_is_not_refused_access(gateway: Gateway, world: World) -> None:
    secret = await world.make_key(rate_limit=1)
    for _ in range(3):
        await gateway.ask_with(secret)
    assert gateway.audit.entries == []


async def test_a_key_that_cannot_be_looked_up_is_not_refused_access(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    world.store.away = True
    await gateway.ask_with(secret)
    assert gateway.audit.entries == []


async def test_of_a_signed_request_that_comes_again_its_key_is_told_and_nothing_of_the_signature(
    gateway: Gateway, world: World
) -> None:
    secret = await world.make_key()
    created = int(world.time.now().timestamp())
    headers = signed(secret.reveal(), method="POST", target="/api/v1/jobs", body=b"{}", created=created)
    for _ in range(2):
        await gateway.ask(headers, method="POST", target="/api/v1/jobs")
    (entry,) = gateway.audit.entries
    (key,) = world.store.by_id.values()
    assert (entry.tenant, entry.actor.id, entry.detail, entry.outcome) == (
        "acme",
        key.id,
        "repeated",
        "UNAUTHENTICATED",
    )
    told = str(entry)
    assert headers["signature"].partition(":")[2].rstrip(":") not in told
    assert secret.reveal()[16:] not in told
