"""A far end that answers whatever is asked of it in the way it is told to, for any connector."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

_MEGABYTE = b"x" * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came."""

    verb: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class ScriptedFarEnd:
    """Where it is, what it was asked, and how it answers: with a reply, or by a name of `_Handlers`."""

    url: str = ""
    answer: Reply | str = field(default_factory=Reply)
    #: Of answers by name.
    status: int = 200
    asked: list[Asked] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    sent_bytes: int = 0
    hung_up: int = 0


class _Handlers:
    def __init__(self, far: ScriptedFarEnd) -> None:
        self._far = far

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(verb=request.method, path=request.path, headers=request.headers.copy(), body=await request.read())
        self._far.asked.append(asked)
        answer = self._far.answer
        if isinstance(answer, Reply):
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = getattr(self, f"_{answer}")
        return await handler(request)

    async def _held(self, request: web.Request) -> web.StreamResponse:
        """Says nothing."""
        while not self._far.release.is_set():
            if request.transport is None or request.transport.is_closing():
                self._far.hung_up += 1
                break
            await asyncio.sleep(0.02)
        return web.Response()

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        """A byte at a time."""
        response = web.StreamResponse(status=self._far.status)
        await response.prepare(request)
        try:
            while not self._far.release.is_set():
                await response.write(b".")
                await asyncio.sleep(0.02)
        except ConnectionError:  # the caller hung up
            self._far.hung_up += 1
        return response

    async def _cut_before(self, request: web.Request) -> web.StreamResponse:
        """Hangs up without a word."""
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _cut_within(self, request: web.Request) -> web.StreamResponse:
        """Hangs up in the middle of the body."""
        assert request.transport is not None
        response = web.StreamResponse(status=self._far.status, headers={"Content-Length": "1000"})
        await response.prepare(request)
        with suppress(ConnectionError):
            await response.write(b"{")
        request.transport.abort()
        return response

    async def _garbage(self, request: web.Request) -> web.StreamResponse:
        """No HTTP at all."""
        assert request.transport is not None
        request.transport.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        request.transport.close()
        return web.Response()

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        """More than any result takes."""
        response = web.StreamResponse(status=self._far.status)
        await response.prepare(request)
        try:
            while True:
                await response.write(_MEGABYTE)
                self._far.sent_bytes += len(_MEGABYTE)
        except ConnectionError:  # the caller hung up, as it should
            self._far.hung_up += 1
            return response


@asynccontextmanager
async def scripted_far_end() -> AsyncGenerator[ScriptedFarEnd]:
    """Runs it on a free port."""
    far = ScriptedFarEnd()
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.add_routes([web.route("*", "/{path:.*}", _Handlers(far).handle)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    far.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield far
    finally:
        far.release.set()
        await runner.cleanup()
