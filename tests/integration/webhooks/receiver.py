"""A receiver of callbacks: a real HTTP server on loopback that answers as it is told, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from multidict import CIMultiDict


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    path: str
    headers: CIMultiDict[str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def timestamp(self) -> int:
        return int(self.headers["webhook-timestamp"])

    @property
    def message(self) -> dict[str, Any]:
        return json.loads(self.body)

    def is_signed_with(self, key: bytes) -> bool:
        """Whether the signature verifies as the specification words it."""
        signed = f"{self.webhook_id}.{self.timestamp}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return self.headers["webhook-signature"] == f"v1,{expected}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with; with `held`, once the receiver is released."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    held: bool = False
    #: Bytes of the body; None for one without end.
    size: int | None = 0
    #: The body stays out for as long as the receiver is not released.
    silent: bool = False
    #: Hang up instead, having written these bytes.
    raw: bytes | None = None


@dataclass(slots=True)
class Receiver:
    """What came, and what is answered."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    #: By path: the answers to come, and 200 after them.
    answers: defaultdict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    release: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[object] = field(default_factory=set)

    def at(self, path: str) -> list[Received]:
        """What came to a path."""
        return [each for each in self.received if each.path == path]

    def of_job(self, job_id: str) -> list[Received]:
        """What came about a job."""
        return [each for each in self.received if each.message["data"]["id"] == job_id]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.get_extra_info("peername"))
        self.received.append(Received(request.path, request.headers.copy(), await request.read()))
        answers = self.answers[request.path]
        answer = answers.popleft() if answers else Answer()
        if answer.held:
            await self.release.wait()
        if answer.raw is not None:
            assert request.transport is not None
            request.transport.write(answer.raw)
            request.transport.close()
            return web.Response()
        if answer.size is not None and not answer.silent:
            return web.Response(status=answer.status, headers=answer.headers, body=b"x" * answer.size)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        if answer.silent:
            await self.release.wait()
        while not self.release.is_set():  # until the client hangs up
            await response.write(b"x" * 65536)
        return response


@asynccontextmanager
async def receiver() -> AsyncGenerator[Receiver]:
    """Runs it on a free port."""
    state = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", state.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    state.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield state
    finally:
        state.release.set()
        await runner.cleanup()
