"""Providers that are away, slow, broken, strict, or tell errors in ways of their own, at each step."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from services.auth.connections.domain import OAuth2Tokens
from services.auth.connections.providers.domain import (
    AccountSource,
    ClientAuthentication,
    Provider,
    ProviderClient,
    ProviderKind,
    Refresh,
)
from services.auth.connections.providers.http import MAX_ANSWER_BYTES, ProviderHttp
from services.auth.connections.providers.oauth1 import OAuth1
from services.auth.connections.providers.oauth2 import OAuth2
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from shared.errors import AuthorizationRefused, PenstockError, Unavailable
from tests.fakes.oauth2_provider import BROKEN, oauth2_provider
from tests.integration.auth.connecting import TIMEOUT, Desk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from tests.fakes.oauth2_provider import Provider as FarEnd

HOUR = timedelta(hours=1)
CLIENT = ProviderClient(id="penstock id/+", secret="secret &=:+%41")


@pytest.fixture
async def far_end() -> AsyncGenerator[FarEnd]:
    async with oauth2_provider() as provider:
        provider.clients = {CLIENT.id: CLIENT.secret}
        yield provider


@pytest.fixture
async def http() -> AsyncIterator[ProviderHttp]:
    made = ProviderHttp(AddressGuard(allow_loopback=True), timeout=TIMEOUT)
    yield made
    await made.close()


@pytest.fixture
def oauth2(http: ProviderHttp) -> OAuth2:
    return OAuth2(http, clock=SystemClock())


@pytest.fixture
async def hurried() -> AsyncIterator[OAuth2]:
    """The same, that gives no provider any time."""
    http = ProviderHttp(AddressGuard(allow_loopback=True), timeout=timedelta(seconds=0.5))
    yield OAuth2(http, clock=SystemClock())
    await http.close()


def provider_at(far_end: FarEnd, **fields: Any) -> Provider:
    given: dict[str, Any] = {
        "name": "shop",
        "title": "Shop",
        "kind": ProviderKind.OAUTH2,
        "upstream": "http",
        "authorize_url": f"{far_end.url}/authorize",
        "token_url": f"{far_end.url}/token",
        "revoke_url": f"{far_end.url}/revoke",
        "refresh": Refresh.ROTATES,
        "pkce": False,
    }
    return Provider(**given | fields)


@asynccontextmanager
async def answering(handler: Any) -> AsyncGenerator[str]:
    """A server that answers every request so; yields its URL."""
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", handler)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def given(oauth2: OAuth2, provider: Provider, far_end: FarEnd) -> OAuth2Tokens:
    """The tokens of somebody's consent."""
    url = f"{far_end.url}/authorize?response_type=code&client_id={CLIENT.id.replace(' ', '%20').replace('+', '%2B')}"
    sent = await far_end.click(f"{url}&redirect_uri=https://penstock.example/")
    code = sent.partition("code=")[2]
    grant = await oauth2.exchange(provider, CLIENT, code=code, redirect_uri="https://penstock.example/", verifier="")
    assert isinstance(grant.secret, OAuth2Tokens)
    return grant.secret


@pytest.mark.parametrize("way", list(ClientAuthentication))
async def test_the_client_shows_itself_in_either_way_whatever_its_letters(
    oauth2: OAuth2, far_end: FarEnd, way: ClientAuthentication
) -> None:
    tokens = await given(oauth2, provider_at(far_end, client_authentication=way), far_end)
    assert far_end.of_token(tokens.access_token) is not None
    assert ("client_secret" in far_end.asked[-1][1]) is (way is ClientAuthentication.POST)


async def test_refresh_tokens_that_rotate_are_each_used_once(oauth2: OAuth2, far_end: FarEnd) -> None:
    provider = provider_at(far_end)
    tokens = await given(oauth2, provider, far_end)
    for _ in range(3):
        fresh = (await oauth2.refresh(provider, CLIENT, tokens)).secret
        assert isinstance(fresh, OAuth2Tokens)
        assert fresh.refresh_token not in {"", tokens.refresh_token}
        tokens = fresh
    assert far_end.punished == 0
    spent = far_end.consents[0].refresh_tokens[0]
    with pytest.raises(AuthorizationRefused, match="invalid_grant"):
        await oauth2.refresh(provider, CLIENT, OAuth2Tokens(access_token="a", refresh_token=spent))
    assert far_end.punished == 1
    assert far_end.of_token(tokens.access_token) is None  # the whole family is gone


async def test_a_refresh_token_that_stays_is_kept(oauth2: OAuth2, far_end: FarEnd) -> None:
    far_end.rotates = False
    provider = provider_at(far_end, refresh=Refresh.KEEPS)
    tokens = await given(oauth2, provider, far_end)
    fresh = (await oauth2.refresh(provider, CLIENT, tokens)).secret
    assert isinstance(fresh, OAuth2Tokens)
    assert fresh.refresh_token == tokens.refresh_token


async def test_a_spent_refresh_token_is_not_kept_where_no_other_was_given(oauth2: OAuth2, far_end: FarEnd) -> None:
    far_end.rotates = False  # it gives none, and its settings say that it does
    provider = provider_at(far_end)
    fresh = (await oauth2.refresh(provider, CLIENT, await given(oauth2, provider, far_end))).secret
    assert isinstance(fresh, OAuth2Tokens)
    assert fresh.refresh_token == ""
    with pytest.raises(AuthorizationRefused, match="nothing renews it"):
        await oauth2.refresh(provider, CLIENT, fresh)


async def test_the_clients_own_tokens_are_renewed_by_its_credentials(oauth2: OAuth2, far_end: FarEnd) -> None:
    provider = provider_at(far_end, client_credentials=True)
    tokens = (await oauth2.of_client(provider, CLIENT, ["read"])).secret
    assert isinstance(tokens, OAuth2Tokens)
    grant = await oauth2.refresh(provider, CLIENT, tokens, scopes=["read"])
    assert isinstance(grant.secret, OAuth2Tokens)
    assert grant.secret.of_client
    assert grant.secret.access_token != tokens.access_token
    assert [form["scope"] for _, form in far_end.asked] == ["read", "read"]


@pytest.mark.parametrize("shape", ["rfc", "github", "slack"])
@pytest.mark.parametrize("refresh", [True, False])
async def test_a_refusal_is_one_whatever_its_shape(
    oauth2: OAuth2, far_end: FarEnd, shape: str, *, refresh: bool
) -> None:
    provider = provider_at(far_end)
    far_end.errors = shape
    if refresh:
        asking = oauth2.refresh(provider, CLIENT, OAuth2Tokens(access_token="a", refresh_token="r"))
    else:
        asking = oauth2.exchange(provider, CLIENT, code="c", redirect_uri="https://a.example/", verifier="")
    with pytest.raises(AuthorizationRefused) as refused:
        await asking
    assert refused.value.metadata == {"provider": "shop", "error": "invalid_grant"}
    assert "secret-in" not in str(refused.value)


@pytest.mark.parametrize("problem", ["bad_refresh_token", "token_revoked"])
async def test_a_providers_own_words_for_a_refusal(oauth2: OAuth2, problem: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"ok": False, "error": problem})

    async with answering(answer) as url:
        provider = provider_at(FarEndAt(url), refused_grants=("bad_refresh_token", "token_revoked"))
        with pytest.raises(AuthorizationRefused, match=problem):
            await oauth2.refresh(provider, CLIENT, OAuth2Tokens(access_token="a", refresh_token="r"))


class FarEndAt:
    def __init__(self, url: str) -> None:
        self.url = url


@pytest.mark.parametrize("how", [*BROKEN, "cut"])
async def test_no_fault_at_a_refresh_is_a_refusal(oauth2: OAuth2, far_end: FarEnd, how: str) -> None:
    far_end.broken["/token"] = [how]
    tokens = OAuth2Tokens(access_token="a", refresh_token="secret-refresh-token")
    with pytest.raises(Unavailable) as fault:
        await oauth2.refresh(provider_at(far_end), CLIENT, tokens)
    _assert_tells_nothing(fault.value, "secret-refresh-token")


@pytest.mark.parametrize("how", [*BROKEN, "cut"])
async def test_no_fault_at_a_code_keeps_a_token(oauth2: OAuth2, far_end: FarEnd, how: str) -> None:
    far_end.broken["/token"] = [how]
    with pytest.raises(AuthorizationRefused if how == "unknown client" else Unavailable) as fault:
        await oauth2.exchange(
            provider_at(far_end), CLIENT, code="secret-code", redirect_uri="https://a.example/", verifier="secret-v"
        )
    _assert_tells_nothing(fault.value, "secret-code", "secret-v")
    if how == "429":
        assert fault.value.retry_after == timedelta(seconds=7)
    if how == "unknown client":
        assert "PENSTOCK_PROVIDER_CLIENTS" in fault.value.message


def _assert_tells_nothing(error: PenstockError, *secrets: str) -> None:
    told = f"{error.message} {error.metadata} {error.__cause__!r}"
    assert not [each for each in (*secrets, CLIENT.secret, "secret-in") if each in told]


async def test_a_provider_that_does_not_answer_in_time(hurried: OAuth2, far_end: FarEnd) -> None:
    far_end.held.add("/token")
    with pytest.raises(Unavailable, match=r"does not answer within 0\.5 s"):
        await hurried.of_client(provider_at(far_end), CLIENT, [])


async def test_a_provider_that_drips_does_not_hold_anybody_up(hurried: OAuth2) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(10**6):
                await response.write(b" " * 16)
        except ConnectionError:
            pass
        return response

    async with answering(drip) as url:
        with pytest.raises(Unavailable, match=f"within|more than {MAX_ANSWER_BYTES // 1024} KiB"):
            await hurried.of_client(provider_at(FarEndAt(url)), CLIENT, [])


async def test_a_provider_that_is_down(oauth2: OAuth2) -> None:
    with pytest.raises(Unavailable, match="Shop does not answer"):
        await oauth2.of_client(provider_at(FarEndAt("http://127.0.0.1:9")), CLIENT, [])


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://10.0.0.1", "http://169.254.169.254", "http://localhost"])
async def test_no_call_leads_into_the_network_that_penstock_stands_in(url: str) -> None:
    http = ProviderHttp(AddressGuard())
    try:
        with pytest.raises(Unavailable, match="an address that may not be called"):
            await OAuth2(http, clock=SystemClock()).of_client(provider_at(FarEndAt(url)), CLIENT, [])
    finally:
        await http.close()


@pytest.mark.parametrize(
    ("lifetime", "ends"),
    [
        (3600, True),
        ("3600", True),
        (3600.5, True),
        (10**300, True),
        (0, False),
        (-1, False),
        (None, False),
        (True, False),
        ("soon", False),
        ([], False),
        (float("nan"), False),
    ],
)
async def test_when_a_token_ends_as_far_as_that_is_told(oauth2: OAuth2, lifetime: Any, *, ends: bool) -> None:
    async def answer(_: web.Request) -> web.Response:
        text = json.dumps({"access_token": "t", "expires_in": lifetime})
        return web.Response(text=text, content_type="application/json")

    async with answering(answer) as url:
        grant = await oauth2.of_client(provider_at(FarEndAt(url)), CLIENT, [])
    assert isinstance(grant.secret, OAuth2Tokens)
    assert (grant.secret.expires_at is not None) is ends


@pytest.mark.parametrize(
    ("told", "scopes"), [("a b", ("a", "b")), ("a,b", ("a", "b")), ("", ()), (None, None), (7, None), ("a a", ("a",))]
)
async def test_what_was_granted_as_far_as_that_is_told(
    oauth2: OAuth2, told: Any, scopes: tuple[str, ...] | None
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "scope": told, "token_type": "BEARER"})

    async with answering(answer) as url:
        assert (await oauth2.of_client(provider_at(FarEndAt(url)), CLIENT, [])).scopes == scopes


@pytest.mark.parametrize(
    ("answer", "account"),
    [
        ({"team": {"id": 7, "name": "Ada\0\n"}}, ("7", "Ada")),
        ({"team": {"id": True, "name": []}}, ("", "")),
        ({"team": []}, ("", "")),
        ({}, ("", "")),
        ({"team": {"id": "x" * 1000}}, ("x" * 200, "")),
    ],
)
async def test_whose_account_it_is_as_far_as_that_is_told(
    oauth2: OAuth2, answer: dict[str, Any], account: tuple[str, str]
) -> None:
    async def tell(_: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", **answer})

    async with answering(tell) as url:
        provider = provider_at(FarEndAt(url), account=AccountSource(id="team.id", name="team.name"))
        found = (await oauth2.exchange(provider, CLIENT, code="c", redirect_uri="", verifier="")).account
    assert (found.id, found.name) == account


async def test_tokens_that_nobody_is_to_use_are_ended_where_that_can_be(oauth2: OAuth2, far_end: FarEnd) -> None:
    provider = provider_at(far_end)
    tokens = await given(oauth2, provider, far_end)
    assert await oauth2.revoke(provider, CLIENT, tokens)
    assert far_end.of_token(tokens.access_token) is None
    assert not await oauth2.revoke(provider_at(far_end, revoke_url=""), CLIENT, tokens)
    far_end.broken["/revoke"] = ["503"]
    assert not await oauth2.revoke(provider, CLIENT, tokens)


async def test_flickr_refuses_a_clock_that_is_wrong(at_desk: Desk) -> None:
    at_desk.flickr.accounts.skew = timedelta(minutes=20)
    with pytest.raises(AuthorizationRefused, match=r"timestamp_refused.*clocks are 1[12]\d\d s apart; set the clock"):
        await at_desk.authorize("flickr")
    at_desk.flickr.accounts.skew = timedelta()
    begun = await at_desk.authorize("flickr", out_of_band=True)
    at_desk.flickr.accounts.skew = -timedelta(minutes=20)
    with pytest.raises(AuthorizationRefused, match="NTP"):
        await at_desk.complete(begun.state, "code")


async def test_flickr_refuses_a_client_that_it_does_not_know(at_desk: Desk) -> None:
    at_desk.flickr.accounts.clients.clear()
    with pytest.raises(AuthorizationRefused, match=r"consumer_key_unknown.*id and secret of flickr in PENSTOCK_PRO"):
        await at_desk.authorize("flickr")


async def test_flickr_refuses_what_is_signed_with_another_secret(at_desk: Desk) -> None:
    for client in list(at_desk.flickr.accounts.clients.values()):
        at_desk.flickr.accounts.add_client(client.key, "another")
    with pytest.raises(AuthorizationRefused, match="signature_invalid") as refused:
        await at_desk.authorize("flickr")
    assert "secret-in" not in str(refused.value)


FORM = "oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, "", Unavailable),
        (200, "<html>", Unavailable),
        (200, "oauth_token=t", Unavailable),
        (200, "oauth_token=t&oauth_token_secret=s", Unavailable),
        (200, FORM.replace("true", "false"), Unavailable),
        (200, FORM.replace("=s", "=a%0d%0aX-Evil:1"), Unavailable),
        (200, "oauth_problem=permission_unknown", AuthorizationRefused),
        (200, '{"oauth_token": 1, "oauth_token_secret": []}', Unavailable),
        (200, "&".join(f"a{index}=b" for index in range(200)), Unavailable),
        (401, "", AuthorizationRefused),
        (400, "oauth_problem=<script>", AuthorizationRefused),
        (401, "oauth_problem=nonce_used", Unavailable),
        (302, "", Unavailable),
        (500, FORM, Unavailable),
        (503, "", Unavailable),
        (429, "", Unavailable),
    ],
)
async def test_what_no_request_token_is(http: ProviderHttp, status: int, body: str, error: type[Exception]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers={"Location": "http://127.0.0.1:9/"})

    async with answering(answer) as url:
        provider = provider_at(FarEndAt(url), kind=ProviderKind.OAUTH1, request_token_url=url)
        with pytest.raises(error) as refused:
            await OAuth1(http).request_token(provider, CLIENT, callback="oob")
    assert "<script>" not in str(refused.value)
