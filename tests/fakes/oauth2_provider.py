"""A provider that speaks OAuth 2: a real HTTP server, strict where providers are, and as badly behaved as a test asks.

Codes are single use, and the second use of one ends its tokens; PKCE is checked; refresh tokens rotate, and the use of
a spent one ends all that came of the same consent (RFC 9700, 4.14.2). Run it alone with
`python -m tests.fakes.oauth2_provider --port 18900`: the page at `/authorize` is there to be clicked.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlencode

from aiohttp import ClientSession, web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

#: How a request is answered other than well, by name.
BROKEN: Mapping[str, Callable[[], web.Response]] = {
    "503": lambda: web.Response(status=503, text="maintenance"),
    "500": lambda: web.Response(status=500, text="a fault, and secret-in-a-fault"),
    "429": lambda: web.Response(status=429, headers={"Retry-After": "7"}),
    "redirect": lambda: web.Response(status=302, headers={"Location": "https://elsewhere.example/"}),
    "html": lambda: web.Response(text="<html>sign in to the hotel's network</html>", content_type="text/html"),
    "not json": lambda: web.Response(text='{"access_token": "half', content_type="application/json"),
    "a list": lambda: web.Response(text="[]", content_type="application/json"),
    "no token": lambda: web.json_response({"token_type": "bearer", "expires_in": 60}),
    "token of another type": lambda: web.json_response({"access_token": "t", "token_type": "mac"}),
    "a token that is none": lambda: web.json_response({"access_token": "a\r\nX-Evil: 1", "token_type": "bearer"}),
    "wrong charset": lambda: web.Response(body=b'{"access_token": "\xff\xfe"}', content_type="application/json"),
    "too large": lambda: web.Response(
        text='{"access_token": "' + "a" * 200_000 + '"}', content_type="application/json"
    ),
    "no reason": lambda: web.json_response({}, status=400),
    "temporarily unavailable": lambda: web.json_response({"error": "temporarily_unavailable"}, status=400),
    "unknown client": lambda: web.json_response({"error": "invalid_client"}, status=401),
}
_FORM_ERRORS = {"github": 200, "slack": 200, "rfc": 400}


@dataclass(slots=True)
class Consent:
    """What somebody said yes to, and all that has come of it."""

    client_id: str
    user: str
    scope: str
    redirect_uri: str = ""
    challenge: str = ""
    code_spent: bool = False
    revoked: bool = False
    #: Only the newest is good; the others are spent.
    refresh_tokens: list[str] = field(default_factory=list)
    #: Until when each access token is good, by the provider's clock.
    access_tokens: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Provider:
    """The provider's memory, and how it behaves."""

    url: str = ""
    clients: dict[str, str] = field(default_factory=dict)
    #: Who is asked at the consent page.
    user: str = "ada"
    #: Access tokens are good for so long; None tells nothing, and they do not end.
    lifetime_s: float | None = 3600.0
    rotates: bool = True
    gives_refresh_tokens: bool = True
    #: How errors are told: `rfc` by status 400; `github` and `slack` by 200.
    errors: str = "rfc"
    #: How far its clock is ahead.
    skew_s: float = 0.0
    #: Told to browsers as `iss`, where it is not empty.
    issuer: str = ""
    #: How the next requests of a path are answered; the last one stays.
    broken: dict[str, list[str]] = field(default_factory=dict)
    #: Paths whose requests take effect, and are not answered.
    lost: set[str] = field(default_factory=set)
    #: Paths that answer only once `release` is set.
    held: set[str] = field(default_factory=set)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    #: Every request, by path and form.
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    codes: dict[str, Consent] = field(default_factory=dict)
    consents: list[Consent] = field(default_factory=list)
    #: Times that a spent refresh token was used, and a family ended for it.
    punished: int = 0

    def now(self) -> float:
        return time.time() + self.skew_s

    def add_client(self, client_id: str = "penstock", secret: str = "") -> tuple[str, str]:
        self.clients[client_id] = secret or secrets.token_hex(16)
        return client_id, self.clients[client_id]

    def calls(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)

    def of_token(self, token: str) -> Consent | None:
        """The consent of an access token that is good now."""
        for consent in self.consents:
            if not consent.revoked and consent.access_tokens.get(token, 0.0) > self.now():
                return consent
        return None

    def revoke_all(self) -> None:
        """Everybody takes the consent back."""
        for consent in self.consents:
            consent.revoked = True

    def settings(self, **changes: Any) -> dict[str, Any]:
        """What an operator tells Penstock of this provider."""
        fields: dict[str, Any] = {
            "title": "Provider",
            "kind": "oauth2",
            "upstream": "http",
            "hosts": [self.url.removeprefix("http://")],
            "authorize_url": f"{self.url}/authorize",
            "token_url": f"{self.url}/token",
            "revoke_url": f"{self.url}/revoke",
            "scopes": ["read", "write"],
            "default_scopes": ["read"],
            "account": {"url": f"{self.url}/me", "id": "id", "name": "login"},
            "refresh": "rotates" if self.rotates else "keeps",
            "client_credentials": True,
        }
        return fields | changes

    async def click(self, url: str, *, yes: bool = True) -> str:
        """What a person does: opens the authorize URL, and says yes or no; answers where the browser is sent."""
        async with ClientSession() as session:
            async with session.get(url) as page:
                assert page.status == 200, await page.text()
            async with session.post(url, data={"answer": "yes" if yes else "no"}, allow_redirects=False) as answer:
                assert answer.status == 302, await answer.text()
                return answer.headers["Location"]


@asynccontextmanager
async def oauth2_provider(port: int = 0) -> AsyncGenerator[Provider]:
    """Runs it on loopback, with one client."""
    provider = Provider()
    provider.add_client()
    app = web.Application(middlewares=[_misbehaviour(provider)])
    app.add_routes(_Handlers(provider).routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        provider.release.set()
        await runner.cleanup()


def _misbehaviour(provider: Provider) -> Any:
    @web.middleware
    async def behave(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        path = request.path
        form = await request.post() if request.method == "POST" else {}
        provider.asked.append((path, {name: str(value) for name, value in form.items()}))
        if path in provider.held:
            await provider.release.wait()
        waiting = provider.broken.get(path)
        if waiting:
            how = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if how == "cut":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            if how != "well":
                return BROKEN[how]()
        answer = await handler(request)
        if path in provider.lost and request.transport is not None:
            request.transport.abort()
        answer.headers["Date"] = formatdate(provider.now(), usegmt=True)
        return answer

    return behave


class _Handlers:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/authorize", self.page),
            web.post("/authorize", self.consent),
            web.post("/token", self.token),
            web.post("/revoke", self.revoke),
            web.get("/me", self.me),
            web.route("*", "/resource", self.resource),
        ]

    async def page(self, request: web.Request) -> web.Response:
        problem = self._problem_of(request.query)
        if problem:
            return web.Response(status=400, text=problem)
        form = '<button name="answer" value="yes">Yes</button><button name="answer" value="no">No</button>'
        asked = escape(request.query.get("scope", ""))
        html = f'<!doctype html><p>Let it read {asked}?</p><form method="post">{form}</form>'
        return web.Response(text=html, content_type="text/html")

    async def consent(self, request: web.Request) -> web.Response:
        query = request.query
        problem = self._problem_of(query)
        if problem:
            return web.Response(status=400, text=problem)
        told = {"state": query.get("state", "")} | ({"iss": self._provider.issuer} if self._provider.issuer else {})
        if (await request.post())["answer"] == "yes":
            consent = Consent(
                client_id=query["client_id"],
                user=self._provider.user,
                scope=query.get("scope", ""),
                redirect_uri=query["redirect_uri"],
                challenge=query.get("code_challenge", ""),
            )
            told["code"] = secrets.token_urlsafe(16)
            self._provider.codes[told["code"]] = consent
            self._provider.consents.append(consent)
        else:
            told |= {"error": "access_denied", "error_description": "The <b>user</b> said no"}
        raise web.HTTPFound(f"{query['redirect_uri']}?{urlencode(told)}")

    def _problem_of(self, query: Mapping[str, str]) -> str:
        if query.get("client_id") not in self._provider.clients:
            return "unknown client"
        if query.get("response_type") != "code" or "redirect_uri" not in query:
            return "no request for a code"
        return "" if query.get("code_challenge_method", "S256") == "S256" else "unknown challenge"

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        client_id = self._client(request, form)
        if client_id is None:
            return web.json_response({"error": "invalid_client"}, status=401)
        match form.get("grant_type"):
            case "authorization_code":
                return self._of_code(client_id, form)
            case "refresh_token":
                return self._of_refresh_token(client_id, form)
            case "client_credentials":
                consent = Consent(client_id=client_id, user=client_id, scope=form.get("scope", ""))
                self._provider.consents.append(consent)
                return self._tokens(consent, refreshable=False)
            case _:
                return self._error("unsupported_grant_type")

    def _client(self, request: web.Request, form: Mapping[str, str]) -> str | None:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, basic = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            client_id, _, secret = map(unquote_plus, base64.b64decode(basic).decode().partition(":"))
        return client_id if secret and self._provider.clients.get(client_id) == secret else None

    def _of_code(self, client_id: str, form: Mapping[str, str]) -> web.Response:
        consent = self._provider.codes.get(form.get("code", ""))
        if consent is None or consent.client_id != client_id or consent.redirect_uri != form.get("redirect_uri"):
            return self._error("invalid_grant")
        if consent.code_spent:  # whoever comes second may be a thief, or the first one was
            consent.revoked = True
            return self._error("invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if consent.challenge and base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != consent.challenge:
            return self._error("invalid_grant")
        consent.code_spent = True
        return self._tokens(consent, refreshable=self._provider.gives_refresh_tokens)

    def _of_refresh_token(self, client_id: str, form: Mapping[str, str]) -> web.Response:
        given = form.get("refresh_token", "")
        consent = next((each for each in self._provider.consents if given in each.refresh_tokens), None)
        if consent is None or consent.client_id != client_id or consent.revoked:
            return self._error("invalid_grant")
        if consent.refresh_tokens[-1] != given:
            consent.revoked = True
            self._provider.punished += 1
            return self._error("invalid_grant")
        return self._tokens(consent, refreshable=self._provider.rotates)

    def _tokens(self, consent: Consent, *, refreshable: bool) -> web.Response:
        token, lifetime_s = secrets.token_urlsafe(24), self._provider.lifetime_s
        consent.access_tokens[token] = self._provider.now() + lifetime_s if lifetime_s is not None else float("inf")
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer", "scope": consent.scope}
        if lifetime_s is not None:
            answer["expires_in"] = int(lifetime_s)
        if refreshable:
            answer["refresh_token"] = secrets.token_urlsafe(24)
            consent.refresh_tokens.append(answer["refresh_token"])
        return web.json_response(answer)

    def _error(self, error: str) -> web.Response:
        shape = self._provider.errors
        body = {"error": error, "error_description": "secret-in-a-description"}
        return web.json_response(({"ok": False} if shape == "slack" else {}) | body, status=_FORM_ERRORS[shape])

    async def revoke(self, request: web.Request) -> web.Response:
        token = (await request.post()).get("token")
        for consent in self._provider.consents:
            if token in consent.refresh_tokens or token in consent.access_tokens:
                consent.revoked = True
        return web.Response()

    async def me(self, request: web.Request) -> web.Response:
        consent = self._bearer(request)
        if consent is None:
            return web.Response(status=401)
        return web.json_response({"id": len(consent.user) * 1000, "login": consent.user})

    async def resource(self, request: web.Request) -> web.Response:
        """What is protected: says whose it is, or 401."""
        consent = self._bearer(request)
        if consent is None:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return web.json_response({"user": consent.user, "scope": consent.scope})

    def _bearer(self, request: web.Request) -> Consent | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._provider.of_token(token) if scheme == "Bearer" else None


async def _run(port: int) -> None:
    async with oauth2_provider(port) as provider:
        print(f"{provider.url}  clients: {provider.clients}", flush=True)  # noqa: T201  a program's answer
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A provider that speaks OAuth 2, for tests and trials.")
    parser.add_argument("--port", type=int, default=18900)
    asyncio.run(_run(parser.parse_args().port))
