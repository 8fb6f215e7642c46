"""Connections authorized at providers that are real servers, from the order to the connection."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.auth.v1 import connections_pb2

from services.auth.connections.domain import Account, Kind, OAuth1Token, OAuth2Tokens, ReauthPolicy, State
from shared.errors import (
    AuthorizationNotFound,
    AuthorizationRefused,
    ConnectionLimitReached,
    ConnectionNotFound,
    InvalidArgument,
    ProviderNotFound,
    Unavailable,
)
from tests.integration.auth.connecting import PUBLIC_URL, Desk, desk, query_of
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

OTHER_KEY = "key_01890000-0000-7000-8000-000000000002"


async def out_of_band(at_desk: Desk) -> tuple[connections_pb2.AuthorizeConnectionResponse, str]:
    """An authorization at Flickr that was begun out of band, and the code that somebody was shown."""
    begun = await at_desk.authorize("flickr", out_of_band=True)
    page = await at_desk.click(begun.authorization_url)
    return begun, page.partition("<b>")[2].partition("</b>")[0]


async def test_oauth2_from_the_link_to_the_connection(at_desk: Desk) -> None:
    browser = at_desk.browser()
    begun = await at_desk.authorize(display_name="Ada's shop", scopes=["read", "write"], reauth_policy="WAIT")
    assert begun.authorization_url == f"{PUBLIC_URL}/api/v1/connections/callback?begin={begun.state}"
    assert begun.expires_at.ToDatetime() > at_desk.time.now().replace(tzinfo=None) + timedelta(minutes=9)
    opened = await browser.open(begun.authorization_url)
    asked = query_of(opened.location)
    assert asked["scope"] == "read write"
    assert asked["state"] == begun.state
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == f"{PUBLIC_URL}/api/v1/connections/callback"
    reply = await browser.open(await at_desk.click(opened.location))
    (connection,) = at_desk.connections.by_id.values()
    assert reply.status == 200
    assert f"{connection.id} can be used now" in reply.text
    assert (connection.tenant, connection.provider, connection.upstream) == ("acme", "shop", "http")
    assert (connection.kind, connection.state, connection.version) == (Kind.OAUTH2, State.ACTIVE, 1)
    assert connection.hosts == (at_desk.provider.url.removeprefix("http://"),)
    assert (connection.display_name, connection.reauth_policy) == ("Ada's shop", ReauthPolicy.WAIT)
    assert connection.scopes == ("read", "write")
    assert connection.account == Account(id="3000", name="ada")
    assert connection.made_by == at_desk.as_().id
    tokens = await at_desk.tokens(connection)
    assert isinstance(tokens, OAuth2Tokens)
    assert at_desk.provider.of_token(tokens.access_token) is not None
    assert tokens.refresh_token
    assert connection.expires_at == tokens.expires_at
    assert at_desk.authorizations.by_digest == {}


async def test_oauth1_from_the_link_to_the_connection(at_desk: Desk) -> None:
    connection = await at_desk.connected("flickr", scopes=["write"])
    assert (connection.upstream, connection.kind, connection.hosts) == ("flickr", Kind.OAUTH1, ())
    assert connection.account == Account(id=at_desk.flickr_user.nsid, name="ada")
    assert connection.scopes == ("write",)
    token = await at_desk.tokens(connection)
    assert isinstance(token, OAuth1Token)
    kept = at_desk.flickr.accounts.access_tokens[token.token]
    assert (kept.secret, kept.permission) == (token.token_secret, "write")


async def test_oauth1_out_of_band(at_desk: Desk) -> None:
    begun, code = await out_of_band(at_desk)
    assert query_of(begun.authorization_url)["perms"] == "read"
    connection = await at_desk.complete(begun.state, f" {code}\n")
    assert at_desk.connections.by_id == {connection.id: connection}
    assert connection.account.id == at_desk.flickr_user.nsid
    with pytest.raises(AuthorizationNotFound):
        await at_desk.complete(begun.state, code)


async def test_oauth2_out_of_band(tmp_path: Path) -> None:
    shop = {"out_of_band": True, "out_of_band_uri": "https://shop.example/shows-the-code"}
    async with desk(tmp_path, shop=shop, public_url="") as at_desk:
        begun = await at_desk.authorize(out_of_band=True)
        sent = await at_desk.click(begun.authorization_url)
        assert sent.startswith("https://shop.example/shows-the-code?")
        connection = await at_desk.complete(begun.state, query_of(sent)["code"])
        assert connection.account.name == "ada"


async def test_client_credentials(at_desk: Desk) -> None:
    connection = await at_desk.create(scopes=("write",), display_name="ours")
    assert (connection.kind, connection.scopes, connection.display_name) == (Kind.OAUTH2, ("write",), "ours")
    tokens = await at_desk.tokens(connection)
    assert isinstance(tokens, OAuth2Tokens)
    assert (tokens.of_client, tokens.refresh_token) == (True, "")
    assert at_desk.provider.of_token(tokens.access_token) is not None
    with pytest.raises(InvalidArgument, match="gives clients no tokens"):
        await at_desk.create("flickr")
    with pytest.raises(InvalidArgument, match="are for http"):
        await at_desk.create(upstream="flickr")


async def test_only_who_has_begun_completes_by_hand(at_desk: Desk) -> None:
    begun, code = await out_of_band(at_desk)
    for who in ({"tenant": "globex"}, {"key": OTHER_KEY}):
        with pytest.raises(AuthorizationNotFound):
            await at_desk.complete(begun.state, code, **who)
    for state in ("", "x" * 43, begun.state[:-1], begun.state + "x" * 100_000, "../" + begun.state):
        with pytest.raises(AuthorizationNotFound):
            await at_desk.complete(state, code)
    assert await at_desk.complete(begun.state, code)


async def test_what_a_browser_is_to_complete_is_not_completed_by_hand(at_desk: Desk) -> None:
    begun = await at_desk.authorize()
    with pytest.raises(AuthorizationNotFound, match="by the browser"):
        await at_desk.complete(begun.state, "code")


@pytest.mark.parametrize("code", ["", " ", "x" * 4097, "a\0b", "ä", "a\nb"])
async def test_a_code_that_can_be_none_costs_nothing(at_desk: Desk, code: str) -> None:
    begun, good = await out_of_band(at_desk)
    with pytest.raises(InvalidArgument):
        await at_desk.complete(begun.state, code)
    assert await at_desk.complete(begun.state, good)


async def test_a_wrong_verifier_ends_the_authorization(at_desk: Desk) -> None:
    begun, code = await out_of_band(at_desk)
    with pytest.raises(AuthorizationRefused, match=r"verifier_invalid.*begin anew"):
        await at_desk.complete(begun.state, "000-000-000")
    with pytest.raises(AuthorizationNotFound):
        await at_desk.complete(begun.state, code)
    assert at_desk.connections.by_id == {}


async def test_a_request_token_that_has_expired_at_the_provider(at_desk: Desk) -> None:
    begun, code = await out_of_band(at_desk)
    at_desk.flickr.accounts.request_tokens.clear()
    with pytest.raises(AuthorizationRefused, match="token_rejected"):
        await at_desk.complete(begun.state, code)


async def test_an_authorization_ends_by_itself(at_desk: Desk) -> None:
    begun, code = await out_of_band(at_desk)
    at_desk.time.elapsed = timedelta(minutes=11)
    with pytest.raises(AuthorizationNotFound, match="its time is over"):
        await at_desk.complete(begun.state, code)


async def test_a_provider_that_is_away_at_the_last_step_can_be_asked_again(at_desk: Desk) -> None:
    shown = await at_desk.consented(browser=(browser := at_desk.browser()))
    for how in ("503", "cut", "html"):
        at_desk.provider.broken["/token"] = [how]
        reply = await browser.open(shown)
        assert reply.status == 503
        assert "reload this page" in reply.text
    del at_desk.provider.broken["/token"]
    assert (await browser.open(shown)).status == 200
    assert len(at_desk.connections.by_id) == 1


async def test_a_code_whose_answer_was_lost_is_refused_the_second_time(at_desk: Desk) -> None:
    shown = await at_desk.consented(browser=(browser := at_desk.browser()))
    at_desk.provider.lost.add("/token")
    assert (await browser.open(shown)).status == 503
    at_desk.provider.lost.clear()
    reply = await browser.open(shown)
    assert (reply.status, at_desk.connections.by_id) == (400, {})
    assert "begin anew" in reply.text


async def test_the_store_away_after_the_consent_keeps_nothing_and_says_so(at_desk: Desk) -> None:
    shown = await at_desk.consented(browser=(browser := at_desk.browser()))
    at_desk.connections.away = True
    assert (await browser.open(shown)).status == 503
    at_desk.connections.away = False
    assert (await browser.open(shown)).status == 400  # the code is spent
    assert at_desk.connections.by_id == {}


async def test_the_key_provider_away_leaves_an_authorization_as_it_is(at_desk: Desk) -> None:
    at_desk.keys.away = True
    with pytest.raises(Unavailable):
        await at_desk.authorize()
    at_desk.keys.away = False
    shown = await at_desk.consented(browser=(browser := at_desk.browser()))
    at_desk.keys.away = True
    assert (await browser.open(shown)).status == 503
    assert at_desk.provider.calls("/token") == 0
    at_desk.keys.away = False
    assert (await browser.open(shown)).status == 200


async def test_of_many_copies_of_one_answer_one_is_exchanged(at_desk: Desk) -> None:
    shown = await at_desk.consented(browser=(browser := at_desk.browser()))
    replies = await asyncio.gather(*(browser.open(shown) for _ in range(10)))
    assert [reply.status for reply in replies].count(200) == 1
    assert {reply.status for reply in replies} <= {200, 404, 503}
    assert at_desk.provider.calls("/token") == 1
    assert len(at_desk.connections.by_id) == 1


async def test_a_browser_that_leaves_midway_does_not_cost_the_tokens(at_desk: Desk) -> None:
    shown = await at_desk.consented(browser=(browser := at_desk.browser()))
    at_desk.provider.held.add("/me")
    leaving = asyncio.create_task(browser.open(shown))
    await eventually(lambda: at_desk.provider.calls("/me") == 1)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    at_desk.provider.release.set()
    await at_desk.authorizing.drain()
    assert len(at_desk.connections.by_id) == 1
    assert [entry.outcome for entry in at_desk.audit.entries] == ["OK"]


async def test_authorizing_anew_gives_the_connection_another_secret(at_desk: Desk) -> None:
    before = await at_desk.connected(display_name="shop")
    await at_desk.connections.mark_needs_reauth(
        "acme", before.id, version=1, reason="the provider refuses", at=at_desk.time.now()
    )
    after = await at_desk.connected(connection_id=before.id, scopes=["write"])
    assert (after.id, after.version, after.state, after.state_reason) == (before.id, 2, State.ACTIVE, "")
    assert after.revision > before.revision
    assert (after.display_name, after.scopes) == ("shop", ("write",))
    assert await at_desk.tokens(after) != await at_desk.tokens(before)
    assert at_desk.others.told == [before.id]


async def test_another_account_is_no_way_to_authorize_anew(at_desk: Desk) -> None:
    before = await at_desk.connected()
    at_desk.provider.user = "mallory"
    browser = at_desk.browser()
    reply = await browser.open(await at_desk.consented(browser=browser, connection_id=before.id))
    assert reply.status == 400
    assert "of the account 'ada' at Provider, and the consent came from 'mallory'" in reply.text
    assert at_desk.connections.by_id[before.id] == before
    assert at_desk.provider.consents[-1].revoked  # nobody is to use what was given
    assert not at_desk.provider.consents[0].revoked


async def test_an_account_that_nobody_tells_is_no_way_either(at_desk: Desk) -> None:
    before = await at_desk.connected()
    browser = at_desk.browser()
    shown = await at_desk.consented(browser=browser, connection_id=before.id)
    at_desk.provider.broken["/me"] = ["503"]
    assert "does not say now whose account" in (await browser.open(shown)).text
    assert at_desk.connections.by_id[before.id] == before


async def test_a_new_connection_does_without_the_account(at_desk: Desk) -> None:
    at_desk.provider.broken["/me"] = ["not json"]
    assert (await at_desk.connected()).account == Account()


async def test_only_ones_own_connection_of_the_same_provider_is_authorized_anew(at_desk: Desk) -> None:
    before = await at_desk.connected()
    with pytest.raises(ConnectionNotFound):
        await at_desk.authorize(tenant="globex", connection_id=before.id)
    with pytest.raises(InvalidArgument, match="was authorized at shop, and not at flickr"):
        await at_desk.authorize("flickr", connection_id=before.id)
    assert at_desk.flickr.accounts.request_tokens == {}


async def test_a_connection_that_was_deleted_meanwhile_is_not_authorized_anew(at_desk: Desk) -> None:
    before = await at_desk.connected()
    browser = at_desk.browser()
    shown = await at_desk.consented(browser=browser, connection_id=before.id)
    await at_desk.connections.delete("acme", before.id, at_desk.time.now())
    assert (await browser.open(shown)).status == 404
    assert at_desk.connections.by_id == {}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"scopes": ["admin"]}, "scopes[0]"),
        ({"scopes": ["read", "read write"]}, "scopes[1]"),
        ({"out_of_band": True}, "outOfBand"),
        ({"display_name": "x" * 101}, "displayName"),
        ({"display_name": "a\x1b[31m"}, "displayName"),
        ({"connection_id": "con_1"}, "connectionId"),
        ({"reauth_policy": 7}, "reauthPolicy"),
        ({"return_url": "http://elsewhere.example/"}, "returnUrl"),
        ({"return_url": "https://app.example/\r\nSet-Cookie: a=b"}, "returnUrl"),
        ({"provider": "github"}, "provider"),
    ],
)
async def test_what_is_wrong_with_an_order_is_named(at_desk: Desk, fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await at_desk.authorize(**{"provider": "shop", **fields})
    assert [violation.field for violation in refused.value.violations] == [wrong]
    assert at_desk.authorizations.by_digest == {}


async def test_flickr_takes_one_permission(at_desk: Desk) -> None:
    with pytest.raises(InvalidArgument, match="takes one"):
        await at_desk.authorize("flickr", scopes=["read", "write"])


async def test_a_provider_that_there_is_not(at_desk: Desk) -> None:
    with pytest.raises(ProviderNotFound, match="there are flickr, github, google, shop, slack"):
        await at_desk.authorize("nowhere")


async def test_without_a_public_url_nothing_is_authorized_by_browsers(tmp_path: Path) -> None:
    async with desk(tmp_path, public_url="") as at_desk:
        with pytest.raises(InvalidArgument, match="PENSTOCK_PUBLIC_URL"):
            await at_desk.authorize()
        begun, code = await out_of_band(at_desk)
        assert await at_desk.complete(begun.state, code)


async def test_providers_are_listed_by_name_page_by_page(at_desk: Desk) -> None:
    at_desk.as_()
    found: list[connections_pb2.Provider] = []
    token = ""
    for _ in range(3):
        request = connections_pb2.ListProvidersRequest(page_size=2, page_token=token)
        page = await at_desk.authorizing.list_providers(request)
        found += page.providers
        token = page.next_page_token
    assert token == ""
    assert [each.name for each in found] == ["flickr", "github", "google", "shop", "slack"]
    assert [each.name for each in found if each.configured] == ["flickr", "shop"]
    flickr = found[0]
    assert (flickr.kind, flickr.upstream, list(flickr.default_scopes)) == (flickr.OAUTH1, "flickr", ["read"])
    assert (flickr.out_of_band, flickr.client_credentials) == (True, False)
    assert found[3].client_credentials


@pytest.mark.parametrize("token", ["flickr", "x" * 1000, "!"])
async def test_a_page_token_that_was_not_made_here_is_refused(at_desk: Desk, token: str) -> None:
    at_desk.as_()
    with pytest.raises(InvalidArgument):
        await at_desk.authorizing.list_providers(connections_pb2.ListProvidersRequest(page_token=token))
    with pytest.raises(InvalidArgument):
        await at_desk.authorizing.list_providers(connections_pb2.ListProvidersRequest(page_size=-1))


async def test_a_tenant_that_has_no_room_does_not_even_begin(at_desk: Desk) -> None:
    at_desk.others.full = ConnectionLimitReached("the tenant has 1 connection")
    for begin in (at_desk.authorize("flickr"), at_desk.create()):
        with pytest.raises(ConnectionLimitReached):
            await begin
    assert at_desk.flickr.accounts.request_tokens == {}
    assert at_desk.provider.asked == []
    at_desk.others.full = None
    before = await at_desk.connected()
    at_desk.others.full = ConnectionLimitReached("the tenant has 1 connection")
    assert (await at_desk.connected(connection_id=before.id)).version == 2
