"""What the gateway is answered about requests that are signed: as good as the key, once, and for that request alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.auth.domain import KeptSecret, KeySecret
from shared.identity import IDENTITY_HEADER, SIGNED_DIGEST_HEADER
from tests.signing import signed
from tests.unit.auth.test_authorization import (
    ADDRESS_LIMIT,
    Gateway,
    denial_of,
    headers_of,
    token_of,
    with_prefix_of,
)

if TYPE_CHECKING:
    from tests.identities import Identities
    from tests.unit.auth.conftest import World

TARGET = "/api/v1/jobs?pageSize=5"
BODY = b'{"upstream": "http"}'


@pytest.fixture
def gateway(world: World, identities: Identities) -> Gateway:
    return Gateway(world, identities)


class Client:
    """Signs with a key's secret, by a clock that may be wrong."""

    def __init__(self, gateway: Gateway, world: World, secret: KeySecret, *, ahead_s: int = 0) -> None:
        self._gateway = gateway
        self._world = world
        self._secret = secret
        self._ahead_s = ahead_s

    def sign(self, **changes: Any) -> dict[str, str]:
        created = int(self._world.time.now().timestamp()) + self._ahead_s
        values = {"method": "POST", "target": TARGET, "body": BODY, "created": created, **changes}
        return signed(self._secret.reveal(), **values)

    async def send(self, headers: dict[str, str], *, method: str = "POST", target: str = TARGET, **more: Any) -> Any:
        return await self._gateway.ask(headers, method=method, target=target, **more)

    async def call(self) -> Any:
        return await self.send(self.sign())


@pytest.fixture
async def secret(world: World) -> KeySecret:
    return await world.make_key()


@pytest.fixture
def client(gateway: Gateway, world: World, secret: KeySecret) -> Client:
    return Client(gateway, world, secret)


async def test_a_signed_request_has_the_identity_that_its_key_has(
    gateway: Gateway, client: Client, secret: KeySecret
) -> None:
    by_signature = await client.call()
    by_key = await gateway.ask_with(secret)
    verify = gateway.verifier.verify
    assert verify(token_of(by_signature)) == verify(token_of(by_key))


async def test_the_gateway_is_told_what_the_body_of_a_signed_request_must_be(client: Client) -> None:
    ok = (await client.call()).ok_response
    assert headers_of(ok)[SIGNED_DIGEST_HEADER] == hashlib.sha256(BODY).hexdigest()
    assert {option.append_action for option in ok.headers} == {
        option.OVERWRITE_IF_EXISTS_OR_ADD for option in ok.headers
    }
    ok = (await client.send(client.sign(body=None))).ok_response
    assert headers_of(ok)[SIGNED_DIGEST_HEADER] == hashlib.sha256(b"").hexdigest()
    assert {"signature", "signature-input"} < set(ok.headers_to_remove)


async def test_of_a_request_that_is_not_signed_the_gateway_is_told_nothing_more(
    gateway: Gateway, client: Client, secret: KeySecret
) -> None:
    await client.call()
    response = await gateway.ask({"x-api-key": secret.reveal(), SIGNED_DIGEST_HEADER: "00"})
    assert set(headers_of(response.ok_response)) == {IDENTITY_HEADER}


async def test_a_signed_request_counts_as_any_other(gateway: Gateway, world: World) -> None:
    secret = await world.make_key(rate_limit=3)
    client = Client(gateway, world, secret)
    await gateway.ask_with(secret)
    for _ in range(2):
        token_of(await client.call())
    headers = client.sign()
    error = denial_of(await client.send(headers), http=429)
    assert error["details"][0]["metadata"] == {"scope": "key", "limit": "3"}
    world.time.advance(seconds=61)
    token_of(await client.send(headers))  # it was never let pass, so it may come again
    assert await gateway.used() == {"allowed": 4, "rate_limited": 1}


async def test_no_signed_request_passes_twice(gateway: Gateway, client: Client) -> None:
    headers = client.sign()
    token_of(await client.send(headers))
    for _ in range(3):
        error = denial_of(await client.send(headers))
        assert "has been used before" in error["message"]
        assert "sign each request anew" in error["message"]
    assert await gateway.used() == {"allowed": 1, "refused": 3}


async def test_a_nonce_is_used_up_for_every_request_of_its_key_and_of_no_other(
    gateway: Gateway, world: World, client: Client
) -> None:
    token_of(await client.send(client.sign(nonce="n" * 16)))
    denial_of(await client.send(client.sign(nonce="n" * 16, target="/other"), target="/other"))
    other = Client(gateway, world, await world.make_key())
    token_of(await other.send(other.sign(nonce="n" * 16)))


async def test_a_request_is_not_good_again_at_any_time(gateway: Gateway, world: World, secret: KeySecret) -> None:
    """Signed by a clock that is five minutes ahead it is good for ten minutes, and is remembered for longer."""
    client = Client(gateway, world, secret, ahead_s=300)
    headers = client.sign()
    token_of(await client.send(headers))
    words = []
    for _ in range(12):
        world.time.advance(minutes=1)
        words.append(denial_of(await client.send(headers))["message"])
    assert ["used before" in each for each in words] == [True] * 10 + [False] * 2
    assert ["set the clock right" in each for each in words] == [False] * 10 + [True] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"target": "/api/v1/jobs?pageSize=6"},
        {"target": "/api/v1/jobs"},
        {"target": "/api/v1//jobs?pageSize=5"},
        {"target": "/api/v1/%6aobs?pageSize=5"},
        {"target": "/api/v1/jobs?pageSize=5&"},
        {"target": "/api/v1/jobs?pagesize=5"},
    ],
)
async def test_what_was_signed_for_one_request_is_good_for_no_other(client: Client, change: dict[str, str]) -> None:
    error = denial_of(await client.send(client.sign(), **change))
    assert "sign exactly what is sent" in error["message"]


async def test_a_wrong_signature_uses_no_nonce_up(gateway: Gateway, client: Client) -> None:
    headers = client.sign()
    denial_of(await client.send(headers, method="GET"))
    assert gateway.windows.marks == {}
    token_of(await client.send(headers))


async def test_a_wrong_signature_an_unknown_key_and_one_that_cannot_sign_are_told_in_the_same_words(
    gateway: Gateway, world: World, secret: KeySecret
) -> None:
    unable = await world.make_key()
    key = next(key for key in world.store.by_id.values() if key.prefix == unable.prefix)
    world.store.by_id[key.id] = replace(key, sealed_signing_key=None)
    messages = set()
    for each in (with_prefix_of(secret), KeySecret.new(), unable):
        response = await Client(gateway, world, each).call()
        messages.add(denial_of(response)["message"].replace(each.prefix, ""))
        assert headers_of(response.denied_response)["www-authenticate"] == "Bearer"
    (message,) = messages
    assert "rotate a key that is older" in message


async def test_a_revoked_key_is_told_so_only_to_who_can_sign_with_it(
    gateway: Gateway, world: World, secret: KeySecret, client: Client
) -> None:
    world.revoke(secret)
    assert "revoked" in denial_of(await client.call())["message"]
    assert "revoked" not in denial_of(await Client(gateway, world, with_prefix_of(secret)).call())["message"]


async def test_a_key_signs_from_its_networks_and_until_its_end_alone(gateway: Gateway, world: World) -> None:
    secret = await world.make_key(cidrs=("198.51.100.0/24",), expires_in=timedelta(seconds=60))
    client = Client(gateway, world, secret)
    denial_of(await client.call(), http=403)
    assert gateway.windows.marks == {}
    token_of(await client.send(client.sign(), source="198.51.100.1"))
    world.time.advance(seconds=60)
    assert "expired" in denial_of(await client.send(client.sign(), source="198.51.100.1"))["message"]


async def test_both_secrets_of_a_rotated_key_sign_until_the_former_one_ends(
    gateway: Gateway, world: World, secret: KeySecret, client: Client
) -> None:
    key = next(iter(world.store.by_id.values()))
    new = KeySecret.new()
    fresh = KeptSecret(
        prefix=new.prefix,
        digest=world.hasher.digest(new),
        sealed_signing_key=world.signing_keys.sealed(new, tenant=key.tenant, key_id=key.id),
    )
    world.store.by_id[key.id] = key.rotated(fresh, world.time.now() + timedelta(seconds=10))
    by_new = Client(gateway, world, new)
    token_of(await by_new.send(by_new.sign(nonce="n" * 16)))
    assert "used before" in denial_of(await client.send(client.sign(nonce="n" * 16)))["message"], "it is the same key"
    token_of(await client.call())
    world.time.advance(seconds=10)
    assert "was replaced" in denial_of(await client.call())["message"]
    token_of(await by_new.call())


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
@pytest.mark.parametrize("value", ["", "Basic dXNlcjpwYXNz", "{}", "Bearer {}"])
@pytest.mark.parametrize("part", ["signature", "signature-input", "both"])
async def test_a_key_beside_a_signature_is_refused(
    client: Client, secret: KeySecret, header: str, value: str, part: str
) -> None:
    headers = {name: text for name, text in client.sign().items() if part in {name, "both"}}
    response = await client.send(headers | {header: value.format(secret.reveal())})
    assert "send one of them" in denial_of(response)["message"]


async def test_native_grpc_is_told_to_carry_the_key(client: Client) -> None:
    response = await client.send(client.sign() | {"content-type": "application/grpc+proto"})
    assert headers_of(response.denied_response)["grpc-status"] == "16"
    assert "over gRPC carry the API key" in response.denied_response.body


async def test_without_redis_signed_requests_are_refused_and_keys_go_on(
    gateway: Gateway, client: Client, secret: KeySecret
) -> None:
    token_of(await client.call())
    gateway.windows.away = True
    response = await client.call()
    error = denial_of(response, http=503)
    assert error["details"][0]["metadata"] == {"dependency": "redis"}
    assert headers_of(response.denied_response)["retry-after"] == "1"
    token_of(await gateway.ask_with(secret))
    assert await gateway.used() == {"allowed": 2}


async def test_what_is_not_proven_counts_as_a_guess(gateway: Gateway, world: World, client: Client) -> None:
    headers = client.sign()
    token_of(await client.send(headers))
    for number in range(ADDRESS_LIMIT):
        changed = [headers, headers | {"signature": "x"}, client.sign(created=1), client.sign(target="/other")][
            number % 4
        ]
        denial_of(await client.send(changed))
    error = denial_of(await client.send(headers), http=429)
    assert error["details"][0]["metadata"] == {"scope": "address", "limit": str(ADDRESS_LIMIT)}
    token_of(await client.call())  # a key in use is heard on
    stranger = Client(gateway, world, await world.make_key())
    lookups = world.store.lookups
    denial_of(await stranger.call(), http=429)
    assert world.store.lookups == lookups


async def test_what_is_malformed_or_of_another_time_is_refused_without_a_lookup(world: World, client: Client) -> None:
    for headers in (client.sign() | {"signature": "x"}, client.sign(created=1), {"signature": "a=:aaaa:"}):
        denial_of(await client.send(headers))
    assert world.store.lookups == 0


async def test_no_answer_and_no_log_holds_a_secret_or_a_signature(
    gateway: Gateway, world: World, client: Client, secret: KeySecret, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = client.sign(nonce="nonce-canary-7f3a")
    leaked = headers["signature-input"].replace(secret.prefix, secret.reveal())
    answers = [
        str(await client.send(each))
        for each in (headers, headers, headers | {"signature-input": leaked}, headers | {"signature": "a=:aaaa:"})
    ]
    captured = capsys.readouterr()
    assert "key_refused" in captured.out + captured.err
    wanted = [secret.reveal()[len(secret.prefix) :], secret.signing_key().hex(), str(secret.signing_key())]
    wanted += ["nonce-canary-7f3a", headers["signature"]]
    for text in (*answers, captured.out, captured.err):
        assert not [each for each in wanted if each in text]
    assert world.store.lookups == 1
    assert gateway.signer.signed == 1
