"""Everything that authorizes connections, in this process, before providers that are real servers; and browsers."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

import yaml
from aiohttp import web
from penstock.auth.v1 import connections_pb2

from services.auth.connections.authorizing import wiring
from services.auth.connections.authorizing.authorization import CALLBACK_PATH
from services.auth.connections.authorizing.wiring import Kept
from services.auth.connections.orders import ProviderOrder
from services.auth.connections.providers import files as provider_files
from services.auth.connections.providers.http import ProviderHttp
from services.auth.connections.sealing.vault import Vault
from services.auth.domain import Key, Suspension, Tenant
from shared.addresses import AddressGuard
from shared.audit import Audit
from shared.clock import SystemClock
from shared.config import Secret
from shared.identity import CLIENT_ADDRESS_HEADER, Principal, PrincipalKind
from shared.paging import PageTokens
from shared.rpc import call as current_call
from shared.rpc.call import Call
from shared.rpc.status import HTTP_STATUS_HEADER
from tests.fakes.authorization_store import FakeAuthorizationStore
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.data_keys import FakeKeys
from tests.fakes.flickr.accounts import Accounts
from tests.fakes.flickr.oauth import OAuth, app
from tests.fakes.oauth2_provider import oauth2_provider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime
    from pathlib import Path

    from google.api import httpbody_pb2

    from services.auth.connections.authorizing.answers import Authorizing
    from services.auth.connections.domain import Connection
    from services.auth.connections.domain import Secret as Tokens
    from services.auth.connections.providers.oauth2 import OAuth2
    from shared.audit import AuditEntry
    from tests.fakes.flickr.accounts import User
    from tests.fakes.oauth2_provider import Provider

PUBLIC_URL = "https://penstock.example"
PAGES = "text/html,application/xhtml+xml,*/*;q=0.8"
METHOD = "/penstock.auth.v1.ConnectionService/ReceiveCallback"
#: A provider that answers is given what a busy machine takes.
TIMEOUT = timedelta(seconds=20)


class Time(SystemClock):
    """The time, which a test may move on."""

    def __init__(self) -> None:
        self.elapsed = timedelta()

    def now(self) -> datetime:
        return super().now() + self.elapsed


class NotedAudit(Audit):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("auth")
        self.entries: list[AuditEntry] = []

    def refused(self, entry: AuditEntry) -> None:
        self.entries.append(entry)

    async def acted(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


@dataclass
class Holders:
    """Tenants and keys, all of which work unless a test says otherwise."""

    suspended: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    time: Time = field(default_factory=Time)

    async def tenant(self, name: str) -> Tenant | None:
        suspension = Suspension(at=self.time.now(), reason="unpaid", by="key_0") if name in self.suspended else None
        return Tenant(name=name, created_at=self.time.now(), suspension=suspension)

    async def key(self, tenant: str, key_id: str) -> Key | None:
        if key_id in self.gone:
            return None
        return Key(
            id=key_id,
            tenant=tenant,
            name="",
            prefix="psk_live_0000000",
            digest=b"",
            scopes=frozenset(),
            created_at=self.time.now(),
        )


@dataclass
class Others:
    """What authorizing shares with the rest of connections."""

    told: list[str] = field(default_factory=list)
    full: Exception | None = None

    async def tell(self, connection_id: str) -> None:
        self.told.append(connection_id)

    async def check_room(self, tenant: str) -> None:
        if self.full is not None:
            raise self.full


@dataclass
class Reply:
    """What a browser is answered."""

    status: int
    headers: list[tuple[str, str]]
    body: httpbody_pb2.HttpBody

    def header(self, name: str) -> str:
        (value,) = [value for key, value in self.headers if key == name]
        return value

    @property
    def location(self) -> str:
        assert self.status == 302, self.text
        return self.header("location")

    @property
    def text(self) -> str:
        """What a person reads on the page."""
        reader = _Reader()
        reader.feed(self.body.data.decode())
        return " ".join(reader.read)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self._shown = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._shown = tag in {"h1", "p"}

    def handle_data(self, data: str) -> None:
        if self._shown:
            self.read.append(data)


class _Context:
    """The gRPC context of a call: keeps the initial metadata."""

    def __init__(self) -> None:
        self.metadata: tuple[tuple[str, str], ...] = ()

    async def send_initial_metadata(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self.metadata = metadata


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@dataclass
class Browser:
    """Keeps cookies, and comes to the callback."""

    desk: Desk
    cookies: dict[str, str] = field(default_factory=dict)

    async def open(self, url: str, *, accept: str = PAGES) -> Reply:
        """Opens a URL of the mesh."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == PUBLIC_URL
        assert parts.path == CALLBACK_PATH
        return await self.bring(accept=accept, **query_of(url))

    async def bring(self, *, accept: str = PAGES, **query: str) -> Reply:
        """Comes with such a query."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        metadata = {"accept": accept, "cookie": cookie, CLIENT_ADDRESS_HEADER: "192.0.2.7"}
        context = _Context()
        call = Call(method=METHOD, service="auth", metadata=metadata, context=cast("Any", context), request_id="r-1")
        current_call.enter(call)
        request = connections_pb2.ReceiveCallbackRequest(**query)
        body = await self.desk.authorizing.receive(request, cast("Any", context))
        headers = list(context.metadata)
        status = next((int(value) for name, value in headers if name == HTTP_STATUS_HEADER), 200)
        for name, value in headers:
            if name == "set-cookie":
                self._keep(value)
        return Reply(status, headers, body)

    def _keep(self, line: str) -> None:
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


@dataclass
class Desk:
    """What a tenant, its users and the test see."""

    authorizing: Authorizing
    provider: Provider
    flickr: OAuth
    flickr_user: User
    connections: FakeConnectionStore
    authorizations: FakeAuthorizationStore
    keys: FakeKeys
    vault: Vault
    oauth2: OAuth2
    holders: Holders
    others: Others
    audit: NotedAudit
    time: Time

    def browser(self) -> Browser:
        return Browser(self)

    def as_(self, key: str = "key_01890000-0000-7000-8000-000000000001", tenant: str = "acme") -> Principal:
        """Has what comes next be asked by this key."""
        principal = Principal(kind=PrincipalKind.KEY, id=key, tenant=tenant, scopes=frozenset())
        call = Call(method="", service="auth", metadata={}, context=cast("Any", _Context()), principal=principal)
        current_call.enter(call)
        return principal

    async def authorize(
        self, provider: str = "shop", *, tenant: str = "acme", **fields: Any
    ) -> connections_pb2.AuthorizeConnectionResponse:
        self.as_(tenant=tenant)
        return await self.authorizing.authorize(connections_pb2.AuthorizeConnectionRequest(provider=provider, **fields))

    async def complete(self, state: str, code: str, **who: str) -> Connection:
        self.as_(**who)
        return await self.authorizing.complete(connections_pb2.CompleteConnectionRequest(state=state, code=code))

    async def create(self, provider: str = "shop", **fields: Any) -> Connection:
        return await self.authorizing.create(ProviderOrder(provider=provider, **fields), maker=self.as_())

    async def consented(self, provider: str = "shop", *, browser: Browser | None = None, **fields: Any) -> str:
        """Goes as far as to the provider's yes; answers where the browser is sent with it."""
        begun = await self.authorize(provider, **fields)
        browser = browser or self.browser()
        return await self.click((await browser.open(begun.authorization_url)).location)

    async def click(self, url: str, *, yes: bool = True) -> str:
        """Says yes or no at whichever provider."""
        if url.startswith(self.provider.url):
            return await self.provider.click(url, yes=yes)
        return await self.flickr.click(url, nsid=self.flickr_user.nsid)

    async def connected(self, provider: str = "shop", **fields: Any) -> Connection:
        """Goes all the way; answers with the connection."""
        before = set(self.connections.by_id)
        browser = self.browser()
        reply = await browser.open(await self.consented(provider, browser=browser, **fields))
        assert reply.status in {200, 302}, reply.text
        (made,) = set(self.connections.by_id) - before or {fields.get("connection_id", "")}
        return self.connections.by_id[made]

    async def tokens(self, connection: Connection) -> Tokens:
        return await self.vault.open(connection.sealed, tenant=connection.tenant, connection_id=connection.id)


@asynccontextmanager
async def flickr_dance() -> AsyncGenerator[tuple[OAuth, str]]:
    """Flickr's dance on a free port, and its URL."""
    oauth = OAuth(Accounts())
    runner = web.AppRunner(app(oauth), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield oauth, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def desk(
    folder: Path, *, public_url: str = PUBLIC_URL, shop: dict[str, Any] | None = None
) -> AsyncGenerator[Desk]:
    """All of it, with the providers `shop` (OAuth 2) and `flickr`.

    Args:
        folder: For the operator's file.
        public_url: Where browsers reach the mesh.
        shop: Fields of the provider other than the usual ones.
    """
    http = ProviderHttp(AddressGuard(allow_loopback=True), timeout=TIMEOUT)
    async with oauth2_provider() as provider, flickr_dance() as (flickr, flickr_url):
        client, user = flickr.accounts.add_client(), flickr.accounts.add_user()
        file = folder / "providers.yaml"
        file.write_text(
            yaml.safe_dump({"shop": provider.settings(**shop or {}), "flickr": flickr.settings(flickr_url)})
        )
        clients = {
            "shop": {"id": "penstock", "secret": provider.clients["penstock"]},
            "flickr": {"id": client.key, "secret": client.secret},
        }
        providers = provider_files.read(str(file), Secret(json.dumps(clients)), allow_loopback=True)
        time, keys, others = Time(), FakeKeys(), Others()
        vault, audit, holders = Vault(keys), NotedAudit(), Holders(time=time)
        connections, authorizations = FakeConnectionStore(), FakeAuthorizationStore(time.now)
        kept = Kept(
            authorizations=authorizations,
            connections=connections,
            room=others,
            vault=vault,
            changes=others,
            holders=holders,
        )
        authorizing = wiring.authorizing(
            kept,
            providers=providers,
            http=http,
            public_url=public_url,
            lifetime=timedelta(minutes=10),
            page_tokens=PageTokens(b"a key of the tests"),
            audit=audit,
            clock=time,
        )
        made = Desk(
            authorizing=authorizing,
            provider=provider,
            flickr=flickr,
            flickr_user=user,
            connections=connections,
            authorizations=authorizations,
            keys=keys,
            vault=vault,
            oauth2=wiring.OAuth2(http, clock=time),
            holders=holders,
            others=others,
            audit=audit,
            time=time,
        )
        try:
            yield made
        finally:
            await http.close()
