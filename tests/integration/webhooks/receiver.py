"""A receiver of webhooks: a real HTTP server on loopback that answers as it is told, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import struct
import time
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable, Mapping

    from multidict import CIMultiDict

#: With it, a socket that is closed resets its connection (RST) and does not end it in order (FIN).
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_CHUNK = b"x" * 65536


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    path: str
    headers: CIMultiDict[str]
    body: bytes
    #: `time.monotonic()` when all of it was there.
    at_s: float = field(default_factory=time.monotonic)

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def timestamp(self) -> int:
        return int(self.headers["webhook-timestamp"])

    @property
    def signatures(self) -> list[str]:
        return self.headers["webhook-signature"].split(" ")

    @property
    def message(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a batch, or the one that it is."""
        message = self.message
        return message["data"]["events"] if message["type"] == "events.batch" else [message]

    @property
    def about(self) -> list[str]:
        """The ids of what its events tell of, in their order."""
        return [str(event["data"].get("id") or event["data"].get("endpointId")) for event in self.events]

    def is_signed_with(self, key: bytes) -> bool:
        """Whether a signature verifies as the specification words it."""
        signed = f"{self.webhook_id}.{self.timestamp}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{expected}" in self.signatures


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with; with `held`, once the receiver is released."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    held: bool = False
    #: Bytes of the body; None for one without end.
    size: int | None = 0
    #: The body, in place of so many bytes.
    body: bytes | None = None
    #: The body stays out for as long as the receiver is not released.
    silent: bool = False
    #: Hang up instead, having written these bytes.
    raw: bytes | None = None
    #: Then reset the connection, and do not end it in order.
    reset: bool = False
    #: Write these bytes again and again, and nothing else, until the client hangs up.
    endless: bytes | None = None
    #: How long it takes.
    after_s: float = 0.0


@dataclass(slots=True)
class Receiver:
    """What came, and what is answered."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    #: By path: the answers to come.
    answers: defaultdict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    #: By path: the answer after them; 200 where there is none.
    always: dict[str, Answer] = field(default_factory=dict)
    #: Asked first, if set: the answer to what came, or None for that of its path.
    judge: Callable[[Received], Answer | None] | None = None
    release: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[object] = field(default_factory=set)

    def at(self, path: str) -> list[Received]:
        """What came to a path."""
        return [each for each in self.received if each.path == path]

    def of_job(self, job_id: str) -> list[Received]:
        """What came about a job."""
        return [each for each in self.received if job_id in each.about]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.get_extra_info("peername"))
        received = Received(request.path, request.headers.copy(), await request.read())
        self.received.append(received)
        answer = self._answer_to(received)
        if answer.after_s:
            await asyncio.sleep(answer.after_s)
        if answer.held:
            await self.release.wait()
        if answer.raw is not None or answer.endless is not None:
            return await self._write_raw(request, answer)
        if answer.size is not None and not answer.silent:
            body = answer.body if answer.body is not None else b"x" * answer.size
            return web.Response(status=answer.status, headers=answer.headers, body=body)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        if answer.silent:
            await self.release.wait()
        while not self.release.is_set():  # until the client hangs up
            await response.write(_CHUNK)
        return response

    def _answer_to(self, received: Received) -> Answer:
        judged = self.judge(received) if self.judge is not None else None
        if judged is not None:
            return judged
        answers = self.answers[received.path]
        return answers.popleft() if answers else self.always.get(received.path, Answer())

    async def _write_raw(self, request: web.Request, answer: Answer) -> web.Response:
        """Writes bytes as they are, and hangs up."""
        transport = request.transport
        assert transport is not None
        transport.write(answer.raw or b"")
        while answer.endless is not None and not transport.is_closing() and not self.release.is_set():
            transport.write(answer.endless)
            await asyncio.sleep(0.01)
        if answer.reset:
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.close()
        return web.Response()


@asynccontextmanager
async def receiver(*, tls: ssl.SSLContext | None = None, name: str = "127.0.0.1") -> AsyncGenerator[Receiver]:
    """Runs it on a free port.

    Args:
        tls: Its certificate and key; plain HTTP without.
        name: By which its URL calls it.
    """
    state = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", state.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    state.url = f"{'https' if tls else 'http'}://{name}:{runner.addresses[0][1]}"
    try:
        yield state
    finally:
        state.release.set()
        await runner.cleanup()
