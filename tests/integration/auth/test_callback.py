"""Browsers at the callback: the one that has begun, others, and what people are shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from services.auth.connections.authorizing import pages
from shared.errors import (
    AuthorizationNotFound,
    AuthorizationRefused,
    ConnectionLimitReached,
    InvalidArgument,
    PenstockError,
    TenantSuspended,
)
from tests.integration.auth.connecting import Desk, desk, query_of

if TYPE_CHECKING:
    from pathlib import Path

RETURN_URL = "https://app.example/connected?from=penstock"
PROGRAM = "application/json"


async def test_the_cookie_is_the_callbacks_alone(at_desk: Desk) -> None:
    begun = await at_desk.authorize()
    opened = await at_desk.browser().open(begun.authorization_url)
    name, _, rest = opened.header("set-cookie").partition("=")
    value, *attributes = rest.split("; ")
    assert re.fullmatch(r"__Secure-penstock-[0-9a-f]{16}", name)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", value)
    age = next(int(each.removeprefix("Max-Age=")) for each in attributes if each.startswith("Max-Age="))
    assert 590 <= age <= 600
    rest_of = {each for each in attributes if not each.startswith("Max-Age=")}
    assert rest_of == {"Path=/api/v1/connections/callback", "HttpOnly", "SameSite=Lax", "Secure"}
    (kept,) = at_desk.authorizations.by_digest.values()
    assert value.encode() not in (kept.browser or b"")
    assert begun.state not in name


async def test_without_tls_the_cookie_is_not_for_tls_alone(tmp_path: Path) -> None:
    async with desk(tmp_path, public_url="http://127.0.0.1:8080") as at_desk:
        begun = await at_desk.authorize()
        line = (await at_desk.browser().bring(begin=begun.state)).header("set-cookie")
        assert line.startswith("penstock-")
        assert "Secure" not in line


async def test_the_same_browser_may_open_the_link_again(at_desk: Desk) -> None:
    begun, browser = await at_desk.authorize(), at_desk.browser()
    first = await browser.open(begun.authorization_url)
    again = await browser.open(begun.authorization_url)
    assert first.location == again.location
    assert "set-cookie" not in dict(again.headers)


async def test_another_browser_cannot_open_the_link(at_desk: Desk) -> None:
    begun = await at_desk.authorize()
    await at_desk.browser().open(begun.authorization_url)
    refused = await at_desk.browser().open(begun.authorization_url)
    assert refused.status == 404
    assert "was begun in another browser" in refused.text
    assert "set-cookie" not in dict(refused.headers)


async def test_another_browser_cannot_complete_and_spoils_nothing(at_desk: Desk) -> None:
    shown = await at_desk.consented(browser=(browser := at_desk.browser()))
    thief = at_desk.browser()
    assert (await thief.open(shown)).status == 404
    thief.cookies = dict.fromkeys(browser.cookies, "x" * 43)
    assert (await thief.open(shown)).status == 404
    assert at_desk.provider.calls("/token") == 0
    assert (await browser.open(shown)).status == 200


async def test_an_answer_whose_link_nobody_has_opened_is_none(at_desk: Desk) -> None:
    begun = await at_desk.authorize()
    assert (await at_desk.browser().bring(state=begun.state, code="c")).status == 404


async def test_one_browser_may_go_through_two_at_once(at_desk: Desk) -> None:
    browser = at_desk.browser()
    first, second = await at_desk.consented(browser=browser), await at_desk.consented("flickr", browser=browser)
    assert len(browser.cookies) == 2
    assert (await browser.open(first)).status == 200
    assert (await browser.open(second)).status == 200
    assert browser.cookies == {}


async def test_the_answer_to_one_is_none_to_another(at_desk: Desk) -> None:
    browser = at_desk.browser()
    first, second = await at_desk.consented(browser=browser), await at_desk.consented(browser=browser)
    mixed = await browser.bring(state=query_of(second)["state"], code=query_of(first)["code"])
    assert mixed.status == 400  # the code was given for another challenge
    assert at_desk.connections.by_id == {}


async def test_a_verifier_of_another_request_token_costs_nothing(at_desk: Desk) -> None:
    shown = await at_desk.consented("flickr", browser=(browser := at_desk.browser()))
    told = query_of(shown)
    assert (await browser.bring(**told | {"oauth_token": "another"})).status == 400
    assert (await browser.bring(**{name: told[name] for name in ("state", "oauth_verifier")})).status == 400
    assert (await browser.bring(**told)).status == 200


async def test_an_answer_is_taken_once(at_desk: Desk) -> None:
    for provider in ("shop", "flickr"):
        shown = await at_desk.consented(provider, browser=(browser := at_desk.browser()))
        cookies = dict(browser.cookies)
        assert (await browser.open(shown)).status == 200
        browser.cookies = cookies
        replayed = await browser.open(shown)
        assert replayed.status == 404
        assert "was completed or refused" in replayed.text
    assert at_desk.provider.calls("/token") == 1
    assert not at_desk.provider.consents[0].revoked


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"begin": ""},
        {"state": ""},
        {"code": "c"},
        {"error": "access_denied"},
        {"begin": "x" * 43, "state": "x" * 43},
        {"begin": "x" * 43, "code": "c"},
    ],
)
async def test_what_nobody_has_sent_here_is_refused(at_desk: Desk, query: dict[str, str]) -> None:
    assert (await at_desk.browser().bring(**query)).status == 400
    with pytest.raises(InvalidArgument):
        await at_desk.browser().bring(accept=PROGRAM, **query)


@pytest.mark.parametrize("state", ["x", "x" * 43, "x" * 100_000, "a\r\nb", "\0" * 43, "ä" * 43, "../../x"])
async def test_a_state_that_is_none_is_not_found(at_desk: Desk, state: str) -> None:
    for query in ({"begin": state}, {"state": state, "code": "c"}):
        assert (await at_desk.browser().bring(**query)).status == 404
        with pytest.raises(AuthorizationNotFound):
            await at_desk.browser().bring(accept=PROGRAM, **query)


async def test_what_is_begun_out_of_band_is_not_for_browsers(at_desk: Desk) -> None:
    begun = await at_desk.authorize("flickr", out_of_band=True)
    assert (await at_desk.browser().bring(begin=begun.state)).status == 404
    assert (await at_desk.browser().bring(state=begun.state, oauth_token="t", oauth_verifier="v")).status == 404


@pytest.mark.parametrize("code", ["x" * 4097, "c\r\nSet-Cookie: a=b", "ä"])
async def test_a_code_that_can_be_none_costs_nothing(at_desk: Desk, code: str) -> None:
    shown = await at_desk.consented(browser=(browser := at_desk.browser()))
    assert (await browser.bring(state=query_of(shown)["state"], code=code)).status == 400
    assert (await browser.open(shown)).status == 200


async def test_a_no_ends_it_and_is_told_without_its_markup(at_desk: Desk) -> None:
    browser = at_desk.browser()
    begun = await at_desk.authorize()
    shown = await at_desk.click((await browser.open(begun.authorization_url)).location, yes=False)
    refused = await browser.open(shown)
    assert refused.status == 400
    assert "Provider was not connected" in refused.text
    assert "access_denied" in refused.text
    assert "The <b>user</b> said no" in refused.text
    assert b"<b>" not in refused.body.data
    assert browser.cookies == {}
    assert (await browser.open(begun.authorization_url)).status == 404


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"error": "access_denied"}, "access_denied"),
        ({"error": "<script>"}, "an error"),
        ({"error": "a\r\nb"}, "an error"),
        ({"denied": "a-request-token"}, "access_denied"),
    ],
)
async def test_every_way_to_say_no(at_desk: Desk, query: dict[str, str], told: str) -> None:
    browser = at_desk.browser()
    begun = await at_desk.authorize("flickr")
    await browser.open(begun.authorization_url)
    refused = await browser.bring(state=begun.state, **query)
    assert refused.status == 400
    assert f"answers {told}:" in refused.text


async def test_a_program_is_told_as_json(at_desk: Desk) -> None:
    browser = at_desk.browser()
    begun = await at_desk.authorize()
    await browser.open(begun.authorization_url, accept=PROGRAM)
    with pytest.raises(AuthorizationRefused):
        await browser.bring(accept=PROGRAM, state=begun.state, error="access_denied")


async def test_the_browser_is_sent_where_the_caller_wanted_it(at_desk: Desk) -> None:
    browser = at_desk.browser()
    done = await browser.open(await at_desk.consented(browser=browser, return_url=RETURN_URL))
    (connection,) = at_desk.connections.by_id
    assert done.location == f"{RETURN_URL}&connectionId={connection}"
    assert browser.cookies == {}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("access_denied", "access_denied"),
        ("&connectionId=con_1#\r\n", "authorization_refused"),
        ("x" * 500, "authorization_refused"),
    ],
)
async def test_the_caller_is_told_of_a_no_by_a_word(at_desk: Desk, error: str, told: str) -> None:
    browser = at_desk.browser()
    begun = await at_desk.authorize(return_url=RETURN_URL)
    await browser.open(begun.authorization_url)
    ended = await browser.bring(state=begun.state, error=error)
    assert ended.location == f"{RETURN_URL}&error={told}"


async def test_the_caller_is_told_of_a_refusal_and_not_of_an_outage(at_desk: Desk) -> None:
    browser = at_desk.browser()
    shown = await at_desk.consented(browser=browser, return_url=RETURN_URL)
    at_desk.provider.broken["/token"] = ["503"]
    assert (await browser.open(shown)).status == 503  # to be reloaded
    at_desk.provider.broken.clear()
    at_desk.provider.codes.clear()
    assert (await browser.open(shown)).location == f"{RETURN_URL}&error=invalid_grant"


async def test_a_tenant_that_has_no_room_keeps_no_tokens(at_desk: Desk) -> None:
    browser = at_desk.browser()
    shown = await at_desk.consented(browser=browser, return_url=RETURN_URL)
    at_desk.others.full = ConnectionLimitReached("the tenant has 1 connection")
    assert (await browser.open(shown)).location == f"{RETURN_URL}&error=connection_limit_reached"
    assert at_desk.provider.consents[-1].revoked


@pytest.mark.parametrize("step", ["open", "come back"])
async def test_a_suspended_tenant_connects_nothing(at_desk: Desk, step: str) -> None:
    browser = at_desk.browser()
    begun = await at_desk.authorize()
    if step == "come back":
        begun.authorization_url = await at_desk.click((await browser.open(begun.authorization_url)).location)
    at_desk.holders.suspended.add("acme")
    refused = await browser.open(begun.authorization_url)
    assert refused.status == 403
    assert "unpaid" not in refused.text  # that is for the tenant's own callers
    with pytest.raises(TenantSuspended):
        await browser.open(begun.authorization_url, accept=PROGRAM)
    assert at_desk.connections.by_id == {}
    at_desk.holders.suspended.clear()
    assert (await browser.open(begun.authorization_url)).status in {200, 302}


@pytest.mark.parametrize("step", ["open", "come back"])
async def test_what_a_revoked_key_has_begun_connects_nothing(at_desk: Desk, step: str) -> None:
    browser = at_desk.browser()
    begun = await at_desk.authorize()
    if step == "come back":
        begun.authorization_url = await at_desk.click((await browser.open(begun.authorization_url)).location)
    at_desk.holders.gone.add(at_desk.as_().id)
    assert (await browser.open(begun.authorization_url)).status == 404
    assert at_desk.connections.by_id == {}


@pytest.mark.parametrize(
    ("issuer", "told", "required", "status"),
    [
        ("https://as.example", "https://as.example", True, 200),
        ("https://as.example", "https://as.example", False, 200),
        ("https://as.example", "https://evil.example", False, 400),
        ("https://as.example", "", False, 200),
        ("https://as.example", "", True, 400),
    ],
)
async def test_another_issuer_than_the_provider_is_refused(
    tmp_path: Path, issuer: str, told: str, *, required: bool, status: int
) -> None:
    async with desk(tmp_path, shop={"issuer": issuer, "issuer_required": required}) as at_desk:
        at_desk.provider.issuer = told
        browser = at_desk.browser()
        assert (await browser.open(await at_desk.consented(browser=browser))).status == status
        assert (at_desk.provider.calls("/token") == 1) is (status == 200)


async def test_a_page_loads_nothing_and_is_put_in_no_frame(at_desk: Desk) -> None:
    browser = at_desk.browser()
    replies = [
        await browser.open(await at_desk.consented(browser=browser)),
        await browser.bring(begin="x" * 43),
    ]
    for reply in replies:
        html = reply.body.data.decode()
        assert reply.body.content_type == "text/html; charset=utf-8"
        policy = reply.header("content-security-policy")
        assert policy == pages.POLICY
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert not re.search(r"src=|href=|<script|<form|url\(|@import|javascript:", html)


async def test_what_happens_is_audited_and_what_is_secret_is_not(at_desk: Desk) -> None:
    browser = at_desk.browser()
    shown = await at_desk.consented(browser=browser)
    await at_desk.browser().open(shown)
    await browser.open(shown)
    begun = await at_desk.authorize()
    await browser.open(begun.authorization_url)
    await browser.bring(state=begun.state, error="access_denied")
    await browser.bring(begin="x" * 43)  # of nobody's
    (connection,) = at_desk.connections.by_id
    told = [(each.outcome, each.detail, each.refused, each.target.id) for each in at_desk.audit.entries]
    assert told == [
        ("AUTHORIZATION_NOT_FOUND", "other_browser", True, ""),
        ("OK", "", False, connection),
        ("AUTHORIZATION_REFUSED", "access_denied", False, ""),
    ]
    for entry in at_desk.audit.entries:
        assert (entry.tenant, entry.actor.id) == ("acme", at_desk.as_().id)
        assert entry.action == "ConnectionService.ReceiveCallback"
        assert (entry.client_address, entry.request_id, entry.target.kind) == ("192.0.2.7", "r-1", "connection")
        for secret in (query_of(shown)["code"], query_of(shown)["state"], begun.state):
            assert secret not in str(entry)


async def test_no_error_and_no_log_line_holds_a_secret(at_desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []
    for how in ("well", "503", "cut", "html", "not json", "no token", "too large", "unknown client"):
        browser = at_desk.browser()
        shown = await at_desk.consented(browser=browser)
        at_desk.provider.broken["/token"] = [how]
        try:
            await browser.open(shown, accept=PROGRAM)
        except PenstockError as error:
            seen += [error.message, str(error.metadata), repr(error.__cause__)]
        asked = at_desk.provider.asked[-1][1]
        secrets = [*query_of(shown).values(), *asked.values(), *browser.cookies.values()]
        secrets += [at_desk.provider.clients["penstock"]]
        shown_anywhere = "".join(seen) + "".join(capsys.readouterr())
        assert not [each for each in secrets if len(each) > 20 and each in shown_anywhere]
        at_desk.provider.broken.clear()
