"""Somebody consents in a browser, and the connection is there; a secret is never on the command line."""

from __future__ import annotations

import threading
import urllib.request
import webbrowser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from sdks.python.tests.command.conftest import asked_of

if TYPE_CHECKING:
    from sdks.python.tests.command.conftest import Shell
    from sdks.python.tests.command.fake_gateway import FakeGateway

CONNECTION = {"id": "con_1", "upstream": "flickr", "provider": "flickr", "state": "ACTIVE", "account": {"name": "Ada"}}


@pytest.fixture
def owner(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the account's owner sends back."""
    says = {"connectionId": "con_1"}
    gateway.things["connections"]["con_1"] = CONNECTION

    def authorize(_: Any, body: Any) -> Any:
        return {"authorizationUrl": f"{gateway.url}/begin?{urlencode({'to': body['returnUrl']})}", "state": "s"}

    def open_(url: str) -> bool:
        back = asked_of(gateway, "POST", "/connections:authorize")[-1]["returnUrl"]
        assert url.startswith(gateway.url)
        for other in (f"{back}x?connectionId=con_2", f"{back}?{urlencode(says)}"):
            threading.Thread(target=visit, args=(other,)).start()
        return True

    def visit(url: str) -> None:
        try:
            urllib.request.urlopen(url, timeout=10).read()
        except urllib.error.HTTPError as error:
            error.close()

    gateway.answers["POST", "/connections:authorize"] = authorize
    monkeypatch.setattr(webbrowser, "open", open_)
    return says


def test_a_consent_in_the_browser_makes_a_connection(shell: Shell, gateway: FakeGateway, owner: dict[str, str]) -> None:
    done = shell("connections", "add", "flickr", "--scope", "write", "--name", "Ada on Flickr")
    assert done.stdout == "con_1  ACTIVE  Ada\n"
    asked = asked_of(gateway, "POST", "/connections:authorize")[0]
    assert asked["returnUrl"].startswith("http://127.0.0.1:")
    assert {name: asked[name] for name in ("provider", "scopes", "displayName")} == {
        "provider": "flickr", "scopes": ["write"], "displayName": "Ada on Flickr",
    }  # fmt: skip
    shell("connections", "reauthorize", "con_1")
    assert asked_of(gateway, "POST", "/connections:authorize")[1]["connectionId"] == "con_1"


def test_a_no_is_told_and_nobody_at_all_is_not_waited_for(shell: Shell, owner: dict[str, str]) -> None:
    owner.clear()
    owner["error"] = "access_denied"
    assert "the account's owner said no" in shell("connections", "add", "flickr", code=1).stderr
    told = shell("connections", "add", "flickr", "--no-browser", "--timeout", "50ms", code=6).stderr
    assert "/begin?to=" in told
    assert "nobody consented" in told


def test_a_code_is_typed_in_where_no_browser_comes_back(shell: Shell, gateway: FakeGateway) -> None:
    gateway.answers["POST", "/connections:authorize"] = {"authorizationUrl": "http://x.example/", "state": "s"}
    gateway.answers["POST", "/connections:complete"] = lambda _, body: {**CONNECTION, "displayName": body["code"]}
    shell("connections", "add", "flickr", "--by-hand", "--no-browser", typed="123-456\n")
    assert asked_of(gateway, "POST", "/connections:authorize") == [{"provider": "flickr", "outOfBand": True}]
    assert asked_of(gateway, "POST", "/connections:complete") == [{"state": "s", "code": "123-456"}]


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        (("--bearer",), {"bearer": {"token": "t0ken"}}),
        (("--header", "X-Key"), {"header": {"name": "X-Key", "value": "t0ken"}}),
        (("--basic", "ada"), {"basic": {"username": "ada", "password": "t0ken"}}),
    ],
)
def test_a_secret_is_asked_for_unseen(
    shell: Shell, gateway: FakeGateway, kind: tuple[str, ...], secret: dict[str, Any]
) -> None:
    gateway.answers["POST", "/connections"] = {**CONNECTION, "upstream": "http"}
    done = shell("connections", "add", "http", *kind, "--host", "api.example.com", typed="t0ken\n")
    assert "t0ken" not in done.output
    assert asked_of(gateway, "POST", "/connections") == [
        {"upstream": "http", "hosts": ["api.example.com"], "secret": secret}
    ]
