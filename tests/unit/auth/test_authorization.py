from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from google.rpc import error_details_pb2, status_pb2
from penstock.gateway.v1 import external_auth_pb2

from services.auth.authorization import AuthorizationServicer, Pass
from services.auth.domain import KeySecret, Suspension, _checksum
from services.auth.known_keys import KnownKeys
from services.auth.limiter import Guesses, Limiter, RateLimits
from services.auth.usage import Usage
from services.auth.windows import LocalWindows
from shared.audit import Audit
from shared.identity import CLIENT_ADDRESS_HEADER, IDENTITY_HEADER, Principal, PrincipalKind, TokenSigner
from tests.fakes.auth_usage import FakeUsage
from tests.fakes.auth_windows import FakeWindows

if TYPE_CHECKING:
    from shared.audit import AuditEntry
    from tests.identities import Identities
    from tests.unit.auth.conftest import World

envoy: Any = external_auth_pb2
#: Requests a minute.
KEY_LIMIT, TENANT_LIMIT, ADDRESS_LIMIT = 200, 300, 20


class CountingSigner(TokenSigner):
    signed = 0

    def sign(self, principal: Principal, lifetime: timedelta) -> str:
        self.signed += 1
        self.lifetime = lifetime
        return super().sign(principal, lifetime)


class NotedAudit(Audit):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("auth")
        self.entries: list[AuditEntry] = []

    def refused(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


class Gateway:
    """Asks as Envoy does."""

    def __init__(self, world: World, identities: Identities) -> None:
        self.verifier = identities.verifier()
        self.signer = CountingSigner("auth", identities.service_key("auth").reveal(), identities.keys())
        self.known_keys = KnownKeys[Pass](world.store, monotonic=world.time.monotonic)
        limits = RateLimits(key=KEY_LIMIT, tenant=TENANT_LIMIT, address=ADDRESS_LIMIT)
        self.windows = FakeWindows(monotonic=world.time.monotonic)
        local = LocalWindows(monotonic=world.time.monotonic)
        limiter = Limiter(shared=self.windows, local=local, share=1.0, monotonic=world.time.monotonic)
        self.usage = FakeUsage()
        self.audit = NotedAudit()
        self.counter = Usage(store=self.usage, keys=world.store)
        self.servicer = AuthorizationServicer(
            known_keys=self.known_keys,
            hasher=world.hasher,
            signing_keys=world.signing_keys,
            signer=self.signer,
            limits=limits,
            limiter=limiter,
            guesses=Guesses(limiter=limiter, limits=limits, monotonic=world.time.monotonic),
            usage=self.counter,
            audit=self.audit,
            clock=world.time,
            monotonic=world.time.monotonic,
        )

    async def ask(
        self,
        headers: dict[str, str],
        *,
        source: str = "192.0.2.1",
        method: str = "GET",
        target: str = "/api/v1/jobs",
        rpc: str = "",
    ) -> Any:
        request = envoy.CheckRequest()
        if rpc:
            request.attributes.context_extensions["rpc"] = rpc
        request.attributes.request.http.method = method
        request.attributes.request.http.path = target
        request.attributes.request.http.headers.update(headers)
        request.attributes.request.http.headers[CLIENT_ADDRESS_HEADER] = source
        return await self.servicer.Check(request, cast("Any", None))

    async def ask_with(self, secret: KeySecret, *, source: str = "192.0.2.1") -> Any:
        return await self.ask({"authorization": f"Bearer {secret.reveal()}"}, source=source)

    async def used(self) -> dict[str, int]:
        """How requests with known keys have come out."""
        await self.counter.flush()
        return self.usage.totals()


@pytest.fixture
def gateway(world: World, identities: Identities) -> Gateway:
    return Gateway(world, identities)


def headers_of(answer: Any) -> dict[str, str]:
    return {option.header.key: option.header.value for option in answer.headers}


def headers_of_answer(response: Any) -> dict[str, str]:
    return {option.header.key: option.header.value for option in response.ok_response.response_headers_to_add}


def token_of(response: Any) -> str:
    assert response.WhichOneof("http_response") == "ok_response"
    return headers_of(response.ok_response)[IDENTITY_HEADER]


def denial_of(response: Any, *, http: int = 401) -> dict[str, Any]:
    """The error that the caller sees."""
    assert response.WhichOneof("http_response") == "denied_response"
    assert response.denied_response.status.code == http
    assert response.status.code != 0
    assert headers_of(response.denied_response)["content-type"] == "application/json"
    return json.loads(response.denied_response.body)["error"]


async def test_a_good_key_is_answered_with_its_identity(gateway: Gateway, world: World) -> None:
    secret = await world.make_key(scopes=("jobs:read", "jobs:write"))
    response = await gateway.ask_with(secret)
    principal = gateway.verifier.verify(token_of(response))
    key = next(iter(world.store.by_id.values()))
    assert principal == Principal(
        kind=PrincipalKind.KEY, id=key.id, tenant="acme", scopes=frozenset({"jobs:read", "jobs:write"})
    )
    assert response.status.code == 0


async def test_the_identity_takes_the_place_of_any_that_was_sent(gateway: Gateway, world: World) -> None:
    response = await gateway.ask_with(await world.make_key())
    (header,) = response.ok_response.headers
    assert header.append_action == header.OVERWRITE_IF_EXISTS_OR_ADD


async def test_no_service_sees_the_key(gateway: Gateway, world: World) -> None:
    response = await gateway.ask_with(await world.make_key())
    assert set(response.ok_response.headers_to_remove) == {"authorization", "x-api-key", "signature", "signature-input"}


@pytest.mark.parametrize(
    "form",
    [
        {"authorization": "Bearer {}"},
        {"authorization": "bearer {}"},
        {"authorization": "BEARER   {} "},
        {"x-api-key": "{}"},
        {"x-api-key": " {} ", "authorization": "Bearer {}"},
    ],
)
async def test_a_key_may_come_in_either_header(gateway: Gateway, world: World, form: dict[str, str]) -> None:
    secret = await world.make_key()
    token_of(await gateway.ask({name: value.format(secret.reveal()) for name, value in form.items()}))


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "carries no API key"),
        ({"authorization": "Bearer "}, "carries no API key"),
        ({"x-api-key": ""}, "carries no API key"),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "must read 'Bearer"),
        ({"authorization": "psk_live_abc"}, "must read 'Bearer"),
        ({"authorization": "Bearer psk_live_abc"}, "checksum"),
        ({"authorization": "Bearer a, Bearer b"}, "checksum"),
        ({"x-api-key": "\0"}, "checksum"),
        ({"x-api-key": "psk_live_abc", "authorization": "Bearer psk_live_abd"}, "different keys"),
    ],
)
async def test_what_is_no_key_is_refused_without_a_lookup(
    gateway: Gateway, world: World, headers: dict[str, str], words: str
) -> None:
    response = await gateway.ask(headers)
    error = denial_of(response)
    assert words in error["message"]
    assert error["status"] == "UNAUTHENTICATED"
    assert error["details"][0]["reason"] == "UNAUTHENTICATED"
    assert headers_of(response.denied_response)["www-authenticate"] == "Bearer"
    assert world.store.lookups == 0


async def test_a_mistyped_key_is_refused_without_a_lookup(gateway: Gateway, world: World) -> None:
    text = (await world.make_key()).reveal()
    mistyped = text[:20] + ("a" if text[20] != "a" else "b") + text[21:]
    assert "checksum" in denial_of(await gateway.ask({"x-api-key": mistyped}))["message"]
    assert world.store.lookups == 0


def with_prefix_of(secret: KeySecret) -> KeySecret:
    """Another secret with the same public prefix, as one who guesses would make it."""
    body = secret.prefix + KeySecret.new().reveal()[len(secret.prefix) : -6]
    return KeySecret(body + _checksum(body))


async def test_a_wrong_secret_is_told_in_the_words_of_an_unknown_key(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    guess, stranger = with_prefix_of(secret), KeySecret.new()
    wrong, unknown = denial_of(await gateway.ask_with(guess)), denial_of(await gateway.ask_with(stranger))
    assert wrong["message"].replace(secret.prefix, "") == unknown["message"].replace(stranger.prefix, "")


async def test_a_revoked_key_is_refused_as_revoked_to_who_has_it_and_as_unknown_to_who_guesses(
    gateway: Gateway, world: World
) -> None:
    secret = await world.make_key()
    world.revoke(secret)
    assert "revoked" in denial_of(await gateway.ask_with(secret))["message"]
    assert "revoked" not in denial_of(await gateway.ask_with(with_prefix_of(secret)))["message"]


async def test_a_key_is_refused_from_the_moment_it_expires_on_though_it_is_cached(
    gateway: Gateway, world: World
) -> None:
    secret = await world.make_key(expires_in=timedelta(seconds=5))
    token_of(await gateway.ask_with(secret))
    world.time.advance(seconds=4.999)
    token_of(await gateway.ask_with(secret))
    world.time.advance(seconds=0.001)
    assert "expired" in denial_of(await gateway.ask_with(secret))["message"]
    assert world.store.lookups == 1


async def test_an_identity_does_not_outlive_its_key(gateway: Gateway, world: World) -> None:
    await gateway.ask_with(await world.make_key(expires_in=timedelta(seconds=20)))
    assert gateway.signer.lifetime == timedelta(seconds=20)


async def test_a_key_of_a_suspended_tenant_is_refused_and_told_why(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    token_of(await gateway.ask_with(secret))
    suspension = Suspension(at=world.time.now(), reason="unpaid since May", by="key_1")
    await world.store.suspend_tenant("acme", suspension)
    gateway.known_keys.forget_tenant("acme")
    error = denial_of(await gateway.ask_with(secret), http=403)
    assert (error["status"], error["details"][0]["reason"]) == ("PERMISSION_DENIED", "TENANT_SUSPENDED")
    assert error["details"][0]["metadata"] == {"tenant": "acme"}
    assert "unpaid since May" in error["message"]
    await world.store.resume_tenant("acme", world.time.now())
    gateway.known_keys.forget_tenant("acme")
    token_of(await gateway.ask_with(secret))


async def test_a_suspension_that_is_not_heard_of_holds_after_half_a_minute(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    token_of(await gateway.ask_with(secret))
    await world.store.suspend_tenant("acme", Suspension(at=world.time.now(), reason="abuse", by="key_1"))
    world.time.advance(seconds=10)
    token_of(await gateway.ask_with(secret))
    world.time.advance(seconds=20)
    denial_of(await gateway.ask_with(secret), http=403)


async def test_only_who_has_the_whole_key_is_told_of_a_suspension(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    await world.store.suspend_tenant("acme", Suspension(at=world.time.now(), reason="abuse", by="key_1"))
    body = secret.prefix + "0" * 17
    error = denial_of(await gateway.ask_with(KeySecret(body + _checksum(body))))
    assert "suspended" not in error["message"]


async def test_a_key_whose_tenant_is_gone_is_refused(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    world.store.tenants_by_name.clear()
    error = denial_of(await gateway.ask_with(secret), http=403)
    assert error["details"][0]["reason"] == "PERMISSION_DENIED"


async def test_an_answer_from_the_cache_signs_nothing_and_looks_nothing_up(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    first = token_of(await gateway.ask_with(secret))
    for _ in range(100):
        assert token_of(await gateway.ask_with(secret)) == first
    assert (gateway.signer.signed, world.store.lookups) == (1, 1)


async def test_an_identity_is_made_anew_while_it_has_half_its_life(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    await gateway.ask_with(secret)
    world.time.advance(seconds=29)
    await gateway.ask_with(secret)
    assert gateway.signer.signed == 1
    world.time.advance(seconds=1)
    await gateway.ask_with(secret)
    assert gateway.signer.signed == 2


async def test_a_key_that_cannot_be_looked_up_is_told_to_try_again(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    world.store.away = True
    response = await gateway.ask_with(secret)
    error = denial_of(response, http=503)
    assert error["status"] == "UNAVAILABLE"
    assert error["details"][0]["metadata"] == {"dependency": "mongodb"}
    assert headers_of(response.denied_response)["retry-after"] == "1"
    assert "www-authenticate" not in headers_of(response.denied_response)


async def test_a_known_key_goes_on_while_the_store_is_away(gateway: Gateway, world: World) -> None:
    secret = await world.make_key()
    await gateway.ask_with(secret)
    world.store.away = True
    world.time.advance(minutes=10)
    token_of(await gateway.ask_with(secret))
    gateway.known_keys.forget(secret.prefix)
    denial_of(await gateway.ask_with(secret), http=503)


async def test_a_grpc_caller_is_answered_with_a_message_and_a_status_in_the_headers(gateway: Gateway) -> None:
    response = await gateway.ask({"content-type": "application/grpc+proto"})
    denied = response.denied_response
    headers = headers_of(denied)
    assert denied.status.code == 401
    assert "content-type" not in headers
    assert denied.body.startswith("this call carries no API key")
    encoded = headers["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (status.code, info.reason) == (16, "UNAUTHENTICATED")


async def test_no_answer_no_log_and_no_audit_holds_a_secret(
    gateway: Gateway, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = await world.make_key()
    tail = secret.reveal()[len(secret.prefix) :]
    guess = with_prefix_of(secret)
    world.revoke(secret)
    answers = [str(await gateway.ask_with(each)) for each in (secret, guess)]
    answers.append(str(await gateway.ask({"x-api-key": "x" + secret.reveal()})))
    answers.append(str(await gateway.ask({"authorization": secret.reveal()})))
    captured = capsys.readouterr()
    assert "key_refused" in captured.out + captured.err
    assert len(gateway.audit.entries) == 4
    for text in (*answers, captured.out, captured.err, str(gateway.audit.entries)):
        assert tail not in text
        assert guess.reveal()[len(guess.prefix) :] not in text


CALLBACK = "penstock.auth.v1.ConnectionService.ReceiveCallback"


async def test_a_browser_at_the_callback_passes_without_an_identity(gateway: Gateway) -> None:
    response = await gateway.ask({}, rpc=CALLBACK)
    assert response.WhichOneof("http_response") == "ok_response"
    assert IDENTITY_HEADER not in headers_of(response.ok_response)
    assert headers_of_answer(response)["ratelimit"].startswith('"address";r=')


@pytest.mark.parametrize("shown", [{}, {"authorization": "Basic eDp5"}, {"x-api-key": "psk_live_none"}])
async def test_a_key_at_the_callback_is_neither_judged_nor_handed_on(
    gateway: Gateway, world: World, shown: dict[str, str]
) -> None:
    secret = await world.make_key()
    headers = {"authorization": f"Bearer {secret.reveal()}", **shown}
    response = await gateway.ask(headers, rpc=CALLBACK)
    assert headers_of(response.ok_response) == {}
    removed = set(response.ok_response.headers_to_remove)
    assert removed == {"authorization", "x-api-key", "signature", "signature-input", IDENTITY_HEADER}
    assert await gateway.used() == {}
    assert world.store.lookups == 0


@pytest.mark.parametrize("rpc", ["", "penstock.auth.v1.KeyService.ListKeys", CALLBACK + "X", f"/{CALLBACK}"])
async def test_no_other_route_is_passed_without_a_key(gateway: Gateway, rpc: str) -> None:
    denial_of(await gateway.ask({}, rpc=rpc, target="/api/v1/connections/callback?state=x"))


async def test_browsers_at_the_callback_are_counted_by_address(gateway: Gateway, world: World) -> None:
    for _ in range(ADDRESS_LIMIT):
        assert (await gateway.ask({}, rpc=CALLBACK)).WhichOneof("http_response") == "ok_response"
    refused = denial_of(await gateway.ask({}, rpc=CALLBACK), http=429)
    assert "this address makes more than" in refused["message"]
    assert (await gateway.ask({}, rpc=CALLBACK, source="192.0.2.9")).WhichOneof("http_response") == "ok_response"
    assert [entry.detail for entry in gateway.audit.entries] == ["guesses"]
    world.time.advance(seconds=62)
    assert (await gateway.ask({}, rpc=CALLBACK)).WhichOneof("http_response") == "ok_response"


async def test_who_has_guessed_too_much_does_not_get_to_the_callback_either(gateway: Gateway) -> None:
    for _ in range(ADDRESS_LIMIT + 1):
        await gateway.ask({"x-api-key": "guess"})
    denial_of(await gateway.ask({}, rpc=CALLBACK), http=429)
