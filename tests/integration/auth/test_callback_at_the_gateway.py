"""The whole way through a real Envoy: a tenant's key begins, browsers without one come to the callback."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
import yaml

from services.auth.__main__ import serve
from services.auth.connections.authorizing import pages
from services.auth.domain import KeyHasher
from services.auth.keyring import issue
from services.auth.orders import KeyOrder
from services.auth.signing_keys import SigningKeys
from shared.clock import SystemClock
from shared.config import Secret
from shared.permissions import Role
from tests.fakes.oauth2_provider import oauth2_provider
from tests.integration.auth.connecting import PAGES, flickr_dance
from tests.integration.gateway import envoys
from tests.integration.gateway.conftest import settings_for
from tests.service import running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from services.auth.config import Config
    from services.auth.store import MongoStore
    from tests.fakes.flickr.oauth import OAuth
    from tests.fakes.oauth2_provider import Provider
    from tests.integration.gateway.envoys import Answer, Envoy

CALLBACK = "/api/v1/connections/callback"
PUBLIC_URL = "http://127.0.0.1:8080"
ADDRESS_LIMIT = 200


@dataclass
class Browser:
    """Without a key, with cookies; behind its own address where that matters."""

    envoy: Envoy
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    async def open(self, url: str, *, accept: str = PAGES) -> Answer:
        target = url.removeprefix(PUBLIC_URL)
        assert target.startswith(CALLBACK), url
        sent = {"accept": accept, **self.headers}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await asyncio.to_thread(self.envoy.call, "GET", target, key=None, headers=sent)
        if line := answer.headers.get("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies = {**self.cookies, name: value} if value else {}
        return answer

    async def bring(self, *, accept: str = PAGES, **query: str) -> Answer:
        return await self.open(f"{CALLBACK}?{urlencode(query)}", accept=accept)


@dataclass
class Scene:
    envoy: Envoy
    key: str
    provider: Provider
    flickr: OAuth

    def browser(self, **headers: str) -> Browser:
        return Browser(self.envoy, headers=headers)

    async def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
        return await asyncio.to_thread(self.envoy.call, method, path, body, key=key or self.key)

    async def authorize(self, provider: str = "shop", **fields: Any) -> dict[str, Any]:
        answer = await self.call("POST", "/api/v1/connections:authorize", {"provider": provider, **fields})
        assert answer.status == 200, answer.body
        return answer.json

    async def consented(self, browser: Browser, provider: str = "shop", **fields: Any) -> str:
        """Goes as far as to the provider's yes; answers where the browser is sent with it."""
        begun = await self.authorize(provider, **fields)
        opened = await browser.open(begun["authorizationUrl"])
        assert opened.status == 302, opened.body
        assert opened.body == b""
        if provider == "shop":
            return await self.provider.click(opened.headers["location"])
        (user,) = self.flickr.accounts.users
        return await self.flickr.click(opened.headers["location"], nsid=user)

    async def audited(self, action: str) -> list[dict[str, Any]]:
        return (await self.call("GET", f"/api/v1/audit?action={action}")).json.get("entries", [])

    async def connections(self) -> list[dict[str, Any]]:
        return (await self.call("GET", "/api/v1/connections")).json.get("connections", [])


@asynccontextmanager
async def behind_envoy(config: Config, store: MongoStore, folder: Path, **changes: Any) -> AsyncGenerator[Scene]:
    async with oauth2_provider() as provider, flickr_dance() as (flickr, flickr_url):
        client, _ = flickr.accounts.add_client(), flickr.accounts.add_user()
        file = folder / "providers.yaml"
        file.write_text(yaml.safe_dump({"shop": provider.settings(), "flickr": flickr.settings(flickr_url)}))
        clients = {
            "shop": {"id": "penstock", "secret": provider.clients["penstock"]},
            "flickr": {"id": client.key, "secret": client.secret},
        }
        config = replace(
            config,
            public_url=PUBLIC_URL,
            providers_file=str(file),
            provider_clients=Secret(json.dumps(clients)),
            allow_loopback=True,
            environment="test",
            address_rate_limit=ADDRESS_LIMIT,
            **changes,
        )
        _, secret = await issue(
            KeyOrder(tenant="acme", name="laptop", role=Role.ADMIN),
            store=store,
            hasher=KeyHasher(config.key_pepper),
            signing_keys=SigningKeys(config.sealing_key),
            clock=SystemClock(),
        )
        async with running("auth", serve, config) as address:
            settings = settings_for(address, trusted_hops=1)
            starting = envoys.running(settings, folder)
            envoy = await asyncio.to_thread(starting.__enter__)
            try:
                yield Scene(envoy, secret.reveal(), provider, flickr)
            finally:
                await asyncio.to_thread(starting.__exit__, None, None, None)


@pytest.fixture
async def scene(config: Config, store: MongoStore, tmp_path: Path) -> AsyncGenerator[Scene]:
    async with behind_envoy(config, store, tmp_path) as made:
        yield made


@pytest.mark.parametrize("provider", ["shop", "flickr"])
async def test_from_the_key_over_the_browser_to_the_connection(scene: Scene, provider: str) -> None:
    browser = scene.browser()
    shown = await scene.consented(browser, provider)
    (cookie,) = browser.cookies
    done = await browser.open(shown)
    assert done.status == 200, done.body
    assert done.headers["content-type"] == "text/html; charset=utf-8"
    assert done.headers["content-security-policy"] == pages.POLICY
    assert (done.headers["cache-control"], done.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert done.headers["set-cookie"].startswith(f"{cookie}=; Path={CALLBACK}; Max-Age=0; HttpOnly; SameSite=Lax")
    assert not [name for name in done.headers if name.startswith(("grpc-", "x-penstock-"))]
    (connection,) = await scene.connections()
    assert connection["id"] in done.body.decode()
    assert (connection["provider"], connection["state"]) == (provider, "ACTIVE")
    assert connection["account"]["name"] == "ada"
    assert (await browser.open(shown)).status == 404
    audited = await eventually(lambda: scene.audited("ConnectionService.ReceiveCallback"))
    assert audited[0]["outcome"] == "OK"
    assert audited[0]["target"] == {"kind": "connection", "id": connection["id"]}
    assert audited[0]["clientAddress"] == "127.0.0.1"


async def test_out_of_band(scene: Scene) -> None:
    begun = await scene.authorize("flickr", outOfBand=True)
    (user,) = scene.flickr.accounts.users
    page = await scene.flickr.click(begun["authorizationUrl"], nsid=user)
    code = page.partition("<b>")[2].partition("</b>")[0]
    body = {"state": begun["state"], "code": code}
    done = await scene.call("POST", "/api/v1/connections:complete", body)
    assert done.json["account"] == {"id": user, "name": "ada"}
    again = await scene.call("POST", "/api/v1/connections:complete", body)
    assert (again.status, again.info["reason"]) == (404, "AUTHORIZATION_NOT_FOUND")


async def test_the_browser_is_sent_where_the_caller_wanted_it(scene: Scene) -> None:
    browser = scene.browser()
    done = await browser.open(await scene.consented(browser, returnUrl="https://app.example/done?a=b"))
    (connection,) = await scene.connections()
    assert done.status == 302
    assert done.headers["location"] == f"https://app.example/done?a=b&connectionId={connection['id']}"
    assert "content-type" not in done.headers


async def test_what_providers_add_is_left_out(scene: Scene) -> None:
    browser = scene.browser()
    shown = await scene.consented(browser)
    added = "&authuser=0&prompt=consent&session_state=a%2Fb&hd=&x%ZZ=%ff&&=&state.x=1&scope=read+write&a=%00"
    assert (await browser.open(shown + added)).status == 200


async def test_what_is_malformed_is_refused_in_the_one_shape(scene: Scene) -> None:
    for query in (
        *("state=a&state=b", "state=%ff", "state=%00", "state=%0d%0aX-Evil:1", "code=%0d%0aSet-Cookie:a=b"),
        *("begin", "", "error=%FF", "begin=%0d%0aLocation:x"),
    ):
        answer = await asyncio.to_thread(scene.envoy.call, "GET", f"{CALLBACK}?{query}", key=None)
        assert answer.status in {400, 404}, query
        assert answer.error["message"]
        assert not {"set-cookie", "x-evil", "location"} & answer.headers.keys()


async def test_another_browser_is_refused_by_a_page_and_a_program_by_json(scene: Scene) -> None:
    browser = scene.browser()
    shown = await scene.consented(browser)
    page = await scene.browser().open(shown)
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"begun in another browser" in page.body
    told = await scene.browser().open(shown, accept="application/json")
    assert (told.status, told.info["reason"]) == (404, "AUTHORIZATION_NOT_FOUND")
    assert await scene.connections() == []
    assert (await browser.open(shown)).status == 200


async def test_a_provider_that_is_away_is_a_503_that_can_be_reloaded(scene: Scene) -> None:
    browser = scene.browser()
    shown = await scene.consented(browser)
    scene.provider.broken["/token"] = ["429", "503", "well"]
    first = await browser.open(shown)
    assert (first.status, first.headers["retry-after"]) == (503, "7")
    assert first.headers["content-type"].startswith("text/html")
    assert (await browser.open(shown, accept="application/json")).info["reason"] == "UNAVAILABLE"
    assert (await browser.open(shown)).status == 200


async def test_a_no_is_a_400_with_a_page(scene: Scene) -> None:
    browser = scene.browser()
    begun = await scene.authorize()
    opened = await browser.open(begun["authorizationUrl"])
    page = await browser.open(await scene.provider.click(opened.headers["location"], yes=False))
    assert page.status == 400
    assert b"access_denied" in page.body
    assert b"<b>user" not in page.body


async def test_a_key_at_the_callback_is_ignored(scene: Scene) -> None:
    browser = scene.browser(authorization=f"Bearer {scene.key}")
    shown = await scene.consented(browser)
    for wrong in ({"x-api-key": "none"}, {"authorization": "Basic eDp5"}, {"signature": "x", "signature-input": "y"}):
        stranger = Browser(scene.envoy, cookies=dict(browser.cookies), headers=wrong)
        assert (await stranger.bring(state="x" * 43, code="c")).status == 404
    assert (await browser.open(shown)).status == 200


async def test_no_other_path_and_no_other_method_is_without_a_key(scene: Scene) -> None:
    for path in (
        "/api/v1/connections/callback/",
        "/api/v1/connections/callback/x",
        "/api/v1/connections/%63allback",
        "/api/v1//connections/callback",
        "/api/v1/connections/callback:x",
        "/api/v1/connections/Callback",
        "/api/v1/connections",
        "/penstock.auth.v1.ConnectionService/ReceiveCallback",
    ):
        answer = await asyncio.to_thread(scene.envoy.call, "GET", f"{path}?state=x", key=None)
        assert answer.status in {401, 404}, path
        assert answer.info["reason"] in {"UNAUTHENTICATED", "ROUTE_NOT_FOUND"}
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await asyncio.to_thread(scene.envoy.call, method, CALLBACK, key=None)
        assert answer.status in {401, 405}, method


async def test_a_flood_from_one_address_is_held_back_and_no_other(scene: Scene) -> None:
    flood = {"x-forwarded-for": "192.0.2.66"}
    statuses = [
        (await asyncio.to_thread(scene.envoy.call, "GET", f"{CALLBACK}?state=x", key=None, headers=flood)).status
        for _ in range(ADDRESS_LIMIT + 5)
    ]
    assert statuses.count(404) == ADDRESS_LIMIT
    assert statuses[-5:] == [429] * 5
    browser = scene.browser(**{"x-forwarded-for": "192.0.2.67"})
    assert (await browser.open(await scene.consented(browser))).status == 200


async def test_huge_inputs_break_nothing(scene: Scene) -> None:
    for query in (f"state={'x' * 50_000}", f"code={'x' * 50_000}&state={'y' * 43}", "&".join(["a=b"] * 10_000)):
        answer = await asyncio.to_thread(scene.envoy.call, "GET", f"{CALLBACK}?{query}", key=None)
        assert answer.status in {400, 404, 431}
    answer = await asyncio.to_thread(scene.envoy.call, "GET", f"{CALLBACK}?state={'x' * 100_000}", key=None)
    assert answer.status == 431


async def test_no_log_of_the_gateway_or_of_auth_holds_what_is_secret(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets: set[str] = set()
    for provider in ("shop", "flickr"):
        browser = scene.browser()
        shown = await scene.consented(browser, provider)
        assert (await browser.open(shown)).status == 200
        secrets |= {part.partition("=")[2] for part in urlsplit(shown).query.split("&")} | set(browser.cookies.values())
    secrets |= {scene.provider.clients["penstock"], *scene.provider.consents[0].access_tokens}
    secrets |= set(scene.provider.consents[0].refresh_tokens) | set(scene.flickr.accounts.access_tokens)
    await eventually(lambda: scene.envoy.log.read_text().count("ReceiveCallback") >= 4)
    logs = scene.envoy.log.read_text() + "".join(capsys.readouterr())
    assert re.search(r'"path":\s?"/api/v1/connections/callback"', logs)
    assert not [secret for secret in secrets if len(secret) > 8 and secret in logs]


async def test_the_gateway_lets_nobody_by_while_auth_is_away(config: Config, store: MongoStore, tmp_path: Path) -> None:
    settings = settings_for("127.0.0.1:9")
    starting = envoys.running(settings, tmp_path)
    envoy = await asyncio.to_thread(starting.__enter__)
    try:
        answer = await asyncio.to_thread(envoy.call, "GET", f"{CALLBACK}?state=x", key=None)
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)
    assert (answer.status, answer.info["reason"]) == (503, "UNAVAILABLE")
