"""What the gateway is answered about limits, addresses and secrets that were rotated."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth.domain import KeptSecret, KeySecret
from tests.unit.auth.test_authorization import (
    ADDRESS_LIMIT,
    KEY_LIMIT,
    TENANT_LIMIT,
    Gateway,
    denial_of,
    headers_of,
    token_of,
    with_prefix_of,
)

if TYPE_CHECKING:
    from typing import Any

    from tests.identities import Identities
    from tests.unit.auth.conftest import World


@pytest.fixture
def gateway(world: World, identities: Identities) -> Gateway:
    return Gateway(world, identities)


def told(response: Any) -> dict[str, str]:
    """What the caller is told beside the service's answer."""
    return {option.header.key: option.header.value for option in response.ok_response.response_headers_to_add}


async def exhausted(gateway: Gateway, secret: KeySecret, limit: int) -> None:
    for _ in range(limit):
        token_of(await gateway.ask_with(secret))


async def test_every_answer_to_a_key_tells_its_limits_and_what_is_left(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    await gateway.ask_with(secret)
    assert told(await gateway.ask_with(secret)) == {
        "ratelimit-policy": f'"key";q={KEY_LIMIT};w=60, "tenant";q={TENANT_LIMIT};w=60',
        "ratelimit": f'"key";r={KEY_LIMIT - 2};t=61, "tenant";r={TENANT_LIMIT - 2};t=61',
    }


async def test_over_its_limit_a_key_is_told_when_to_come_again_and_may_then(gateway: Gateway, world: World) -> None:
    secret = await world.make_key(rate_limit=3)
    await exhausted(gateway, secret, 3)
    world.time.advance(seconds=20)
    response = await gateway.ask_with(secret)
    error, headers = denial_of(response, http=429), headers_of(response.denied_response)
    assert (error["status"], error["details"][0]["reason"]) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert error["details"][0]["metadata"] == {"scope": "key", "limit": "3"}
    assert headers["retry-after"] == "41"
    assert headers["ratelimit"] == f'"key";r=0;t=41, "tenant";r={TENANT_LIMIT - 3};t=41'
    assert headers["ratelimit-policy"] == f'"key";q=3;w=60, "tenant";q={TENANT_LIMIT};w=60'
    world.time.advance(seconds=41)
    token_of(await gateway.ask_with(secret))


async def test_over_grpc_the_same_is_a_status_of_its_own(gateway: Gateway, world: World) -> None:
    secret = await world.make_key(rate_limit=1)
    await exhausted(gateway, secret, 1)
    call = {"authorization": f"Bearer {secret.reveal()}", "content-type": "application/grpc"}
    response = await gateway.ask(call)
    headers = headers_of(response.denied_response)
    assert headers["grpc-status"] == "8"
    assert headers["retry-after"] == "61"
    assert headers["ratelimit"].startswith('"key";r=0')
    assert "grpc-status-details-bin" in headers


async def test_all_keys_of_a_tenant_share_its_limit_and_other_tenants_do_not(gateway: Gateway, world: World) -> None:
    first, second = await world.make_key(), await world.make_key()
    other = await world.make_key("globex")
    await exhausted(gateway, first, KEY_LIMIT)
    await exhausted(gateway, second, TENANT_LIMIT - KEY_LIMIT)
    error = denial_of(await gateway.ask_with(second), http=429)
    assert error["details"][0]["metadata"] == {"scope": "tenant", "limit": str(TENANT_LIMIT)}
    token_of(await gateway.ask_with(other))


async def test_a_key_over_its_limit_takes_nothing_from_its_tenants(gateway: Gateway, world: World) -> None:
    greedy, modest = await world.make_key(rate_limit=1), await world.make_key()
    for _ in range(TENANT_LIMIT):
        await gateway.ask_with(greedy)
    assert f'"tenant";r={TENANT_LIMIT - 2}' in told(await gateway.ask_with(modest))["ratelimit"]


async def test_what_became_of_requests_is_counted_by_key(gateway: Gateway, world: World) -> None:
    secret = await world.make_key(rate_limit=2)
    for _ in range(5):
        await gateway.ask_with(secret)
    await gateway.ask_with(with_prefix_of(secret))  # no use of the key
    world.revoke(secret)
    gateway.known_keys.forget(secret.prefix)
    await gateway.ask_with(secret)
    assert await gateway.used() == {"allowed": 2, "rate_limited": 3, "refused": 1}


async def test_who_shows_no_key_that_works_is_limited_by_address(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    for number in range(ADDRESS_LIMIT):
        guess = [{}, {"x-api-key": "nonsense"}, {"x-api-key": KeySecret.new().reveal()}][number % 3]
        denial_of(await gateway.ask(guess))
    response = await gateway.ask({})
    error = denial_of(response, http=429)
    assert error["details"][0]["metadata"] == {"scope": "address", "limit": str(ADDRESS_LIMIT)}
    assert headers_of(response.denied_response)["retry-after"] == "61"
    denial_of(await gateway.ask({}, source="192.0.2.2"))  # another address
    assert secret is not None


async def test_a_key_in_use_goes_on_from_an_address_that_has_guessed_too_much(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    token_of(await gateway.ask_with(secret))
    for _ in range(2 * ADDRESS_LIMIT):
        await gateway.ask({})
    token_of(await gateway.ask_with(secret))


async def test_an_address_that_has_guessed_too_much_has_no_guess_looked_at_any_more(
    gateway: Gateway, world: World
) -> None:
    never_used = await world.make_key()
    for _ in range(ADDRESS_LIMIT + 1):
        await gateway.ask_with(KeySecret.new())
    lookups = world.store.lookups
    for guess in (KeySecret.new(), never_used):
        denial_of(await gateway.ask_with(guess), http=429)
    assert world.store.lookups == lookups
    token_of(await gateway.ask_with(never_used, source="192.0.2.2"))
    world.time.advance(seconds=61)
    token_of(await gateway.ask_with(never_used))


async def test_guesses_at_the_secret_of_a_known_prefix_are_limited_and_logged(
    gateway: Gateway, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = await world.make_key()
    await gateway.ask_with(secret)
    for _ in range(ADDRESS_LIMIT):
        denial_of(await gateway.ask_with(with_prefix_of(secret)))
    for _ in range(5):
        denial_of(await gateway.ask_with(with_prefix_of(secret)), http=429)
    captured = capsys.readouterr()
    logged = captured.out + captured.err
    assert logged.count("key_refused") == ADDRESS_LIMIT
    assert logged.count("guesses_limited") == 1
    assert "192.0.2.1" in logged


async def test_an_ipv6_site_is_one_address(gateway: Gateway) -> None:
    for number in range(ADDRESS_LIMIT):
        denial_of(await gateway.ask({}, source=f"2001:db8:0:1::{number:x}"))
    denial_of(await gateway.ask({}, source="2001:db8:0:1:ffff::1"), http=429)
    denial_of(await gateway.ask({}, source="2001:db8:0:2::1"))


@pytest.mark.parametrize("source", ["198.51.100.7", "::ffff:198.51.100.7", "2001:db8:1::1"])
async def test_a_key_works_from_its_networks(gateway: Gateway, world: World, source: str) -> None:
    secret = await world.make_key(cidrs=("198.51.100.0/24", "2001:db8:1::/48"))
    token_of(await gateway.ask_with(secret, source=source))


@pytest.mark.parametrize("source", ["198.51.101.7", "::ffff:198.51.101.7", "2001:db8:2::1", "", "nonsense"])
async def test_a_key_does_not_work_from_elsewhere(gateway: Gateway, world: World, source: str) -> None:
    secret = await world.make_key(cidrs=("198.51.100.0/24", "2001:db8:1::/48"))
    error = denial_of(await gateway.ask_with(secret, source=source), http=403)
    assert (error["status"], error["details"][0]["reason"]) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
    known = source.removeprefix("::ffff:") if source not in {"", "nonsense"} else "None"
    assert error["details"][0]["metadata"] == {"address": known}
    assert await gateway.used() == {"refused": 1}


async def rotated(world: World, secret: KeySecret, *, grace: timedelta) -> KeySecret:
    """The key's new secret."""
    key = next(key for key in world.store.by_id.values() if key.prefix == secret.prefix)
    fresh = KeySecret.new()
    kept = KeptSecret(prefix=fresh.prefix, digest=world.hasher.digest(fresh))
    now = world.time.now()
    await world.store.rotate_key(key.tenant, key.id, kept, former_expires_at=now + grace, at=now)
    return fresh


async def test_both_secrets_of_a_rotated_key_work_until_the_grace_period_ends(gateway: Gateway, world: World) -> None:
    first = await world.make_key()
    second = await rotated(world, first, grace=timedelta(seconds=50))
    for secret in (first, second):
        token_of(await gateway.ask_with(secret))
    world.time.advance(seconds=49.999)
    token_of(await gateway.ask_with(first))
    assert gateway.signer.lifetime <= timedelta(seconds=1), "an identity does not outlive the secret that it was had by"
    world.time.advance(seconds=0.001)
    assert "rotated" in denial_of(await gateway.ask_with(first))["message"]
    token_of(await gateway.ask_with(second))


async def test_both_secrets_are_one_key_to_its_limit(gateway: Gateway, world: World) -> None:
    first = await world.make_key(rate_limit=2)
    second = await rotated(world, first, grace=timedelta(hours=1))
    token_of(await gateway.ask_with(first))
    token_of(await gateway.ask_with(second))
    denial_of(await gateway.ask_with(first), http=429)


async def test_a_second_rotation_ends_the_first_secret(gateway: Gateway, world: World) -> None:
    first = await world.make_key()
    second = await rotated(world, first, grace=timedelta(days=1))
    third = await rotated(world, second, grace=timedelta(days=1))
    assert "not known" in denial_of(await gateway.ask_with(first))["message"]
    for secret in (second, third):
        token_of(await gateway.ask_with(secret))


async def test_a_revoked_key_has_no_secret_that_works(gateway: Gateway, world: World) -> None:
    first = await world.make_key()
    second = await rotated(world, first, grace=timedelta(days=1))
    world.revoke(second)
    for secret in (first, second):
        assert "revoked" in denial_of(await gateway.ask_with(secret))["message"]
