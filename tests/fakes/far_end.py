"""A far end: a real HTTP server on loopback that behaves as badly as upstreams do, and counts what it is asked."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from multidict import CIMultiDict
    from yarl import URL

_MEGABYTE = b"x" * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    body: bytes


@dataclass(slots=True)
class FarEnd:
    """What the far end was asked, and where it is."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    #: The target of each request, as it stood in its first line.
    raw_targets: list[str] = field(default_factory=list)
    #: The far ends of the connections it was asked over.
    connections: set[object] = field(default_factory=set)
    #: Bytes of endless answers that went out, and how many answers were hung up on.
    sent_bytes: int = 0
    hung_up: int = 0
    raw_answers: list[bytes] = field(default_factory=list)
    #: Holds back `/held` until set.
    release: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def calls(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(each.url.path for each in self.asked)

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    def raw(self, answer: bytes) -> str:
        """A URL that is answered with these bytes, and the end of the connection."""
        self.raw_answers.append(answer)
        return f"{self.url}/raw/{len(self.raw_answers) - 1}"


@asynccontextmanager
async def far_end(host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[FarEnd]:
    """Runs it on a free port."""
    state = FarEnd()

    @web.middleware
    async def count(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        state.raw_targets.append(request.raw_path)
        state.connections.add(request.get_extra_info("peername"))
        state.asked.append(Asked(request.method, request.url, request.headers.copy(), await request.read()))
        return await handler(request)

    app = web.Application(middlewares=[count], client_max_size=8 * 1024 * 1024)
    app.add_routes(_Handlers(state).routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    server_port = runner.addresses[0][1]
    state.url = f"{'https' if tls else 'http'}://{host}:{server_port}"
    try:
        yield state
    finally:
        state.release.set()
        await runner.cleanup()


class _Handlers:
    """How each path behaves."""

    def __init__(self, state: FarEnd) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/echo", self.echo),
            web.route("*", "/status/{code}", self.status),
            web.route("*", "/redirect/{code}", self.redirect),
            web.route("*", "/hops/{left}", self.hops),
            web.route("*", "/held", self.held),
            web.route("*", "/hanging", self.hanging),
            web.route("*", "/saying/{code}", self.saying),
            web.route("*", "/drip", self.drip),
            web.route("*", "/endless", self.endless),
            web.route("*", "/sized/{bytes}", self.sized),
            web.route("*", "/body/{hex}", self.body),
            web.route("*", "/coded/{coding}/{bytes}", self.coded),
            web.route("*", "/broken/{when}", self.broken),
            web.route("*", "/raw/{number}", self.raw),
            web.route("*", "/cookies", self.cookies),
        ]

    async def echo(self, request: web.Request) -> web.Response:
        asked = self._state.last
        query = [[name, value] for name, value in request.query.items()]
        body = asked.body.decode("latin-1")
        return web.json_response({"method": asked.method, "query": query, "body": body})

    async def status(self, request: web.Request) -> web.Response:
        headers = {"Retry-After": request.query["after"]} if "after" in request.query else {}
        return web.Response(status=int(request.match_info["code"]), text="a secret body", headers=headers)

    async def redirect(self, request: web.Request) -> web.Response:
        headers = {"Location": request.query["to"]} if "to" in request.query else {}
        return web.Response(status=int(request.match_info["code"]), headers=headers)

    async def hops(self, request: web.Request) -> web.Response:
        left = int(request.match_info["left"])
        return (
            web.Response(status=302, headers={"Location": f"/hops/{left - 1}"}) if left else web.Response(text="there")
        )

    async def held(self, _: web.Request) -> web.Response:
        await self._state.release.wait()
        return web.Response(text="released")

    async def hanging(self, request: web.Request) -> web.Response:
        """Answers as `/held` does, and notes when the caller hangs up before."""
        while not self._state.release.is_set():
            if request.transport is None or request.transport.is_closing():
                self._state.hung_up += 1
                break
            await asyncio.sleep(0.02)
        return web.Response(text="released")

    async def saying(self, request: web.Request) -> web.Response:
        """Answers with the query as headers."""
        return web.Response(status=int(request.match_info["code"]), headers=request.query)

    async def drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while not self._state.release.is_set():
                await response.write(b".")
                await asyncio.sleep(0.02)
        except ConnectionError:  # the client hung up
            self._state.hung_up += 1
        return response

    async def endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": request.query.get("coding", "")})
        await response.prepare(request)
        try:
            while True:
                await response.write(_MEGABYTE)
                self._state.sent_bytes += len(_MEGABYTE)
        except ConnectionError:  # the client hung up, as it should
            self._state.hung_up += 1
            return response

    async def sized(self, request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.match_info["bytes"]), content_type="text/plain")

    async def body(self, request: web.Request) -> web.Response:
        content_type = request.query.get("type", "application/octet-stream")
        return web.Response(body=bytes.fromhex(request.match_info["hex"]), headers={"Content-Type": content_type})

    async def coded(self, request: web.Request) -> web.Response:
        how, size = request.match_info["coding"], int(request.match_info["bytes"])
        return web.Response(body=_CODINGS[how](b"z" * size), headers={"Content-Encoding": how.partition("-")[0]})

    async def broken(self, request: web.Request) -> web.StreamResponse:
        """Hangs up: before the status, or in the middle of the body."""
        assert request.transport is not None
        if request.match_info["when"] == "body":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"half")
        request.transport.abort()
        return web.Response()

    async def raw(self, request: web.Request) -> web.StreamResponse:
        """Answers with bytes as they are."""
        assert request.transport is not None
        request.transport.write(self._state.raw_answers[int(request.match_info["number"])])
        request.transport.close()
        return web.Response()

    async def cookies(self, _: web.Request) -> web.Response:
        response = web.Response(text="crumbs", headers={"X-Two": "1"})
        response.headers.add("X-Two", "2")
        response.set_cookie("session", "of-one-tenant", path="/")
        return response


def _bare_deflate(content: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


def _gzip_members(content: bytes) -> bytes:
    half = len(content) // 2
    return gzip.compress(content[:half]) + gzip.compress(content[half:])


#: By the last part of `/coded/…`; up to the first hyphen it is the coding that the answer names.
_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip-members": _gzip_members,
    "gzip-truncated": lambda content: gzip.compress(content)[:-6],
    "gzip-garbage": lambda _: b"this is no gzip",
    "deflate": zlib.compress,
    "deflate-bare": _bare_deflate,
    "unheard": lambda content: content,
}
