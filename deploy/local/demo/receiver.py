"""A receiver of callbacks: it refuses some, and believes none whose signature does not verify."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Message:
    """One attempt, as it came."""

    webhook_id: str
    payload: dict[str, Any]


@dataclass(slots=True)
class Receiver:
    """What a client of Penstock runs to be told of the ends of its jobs.

    Args:
        secret: The tenant's, `whsec_…`.
        refusals: How many attempts it answers with 503 before it takes one.
    """

    secret: str
    refusals: int
    url: str = ""
    messages: list[Message] = field(default_factory=list[Message])
    disbelieved: list[str] = field(default_factory=list[str])
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.Response:
        """Answers one attempt."""
        body = await request.read()
        if not self._is_signed(request, body):
            self.disbelieved.append("a signature does not verify")
            return web.Response(status=401)
        self.messages.append(Message(request.headers["webhook-id"], json.loads(body)))
        if len(self.messages) <= self.refusals:
            return web.Response(status=503)
        self.taken.set()
        return web.Response(status=204)

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        """As Standard Webhooks 1.0.0 has it."""
        key = base64.b64decode(self.secret.removeprefix(_PREFIX))
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return any(
            hmac.compare_digest(expected, signature) for signature in request.headers["webhook-signature"].split(" ")
        )


@asynccontextmanager
async def receiver(secret: str, *, refusals: int) -> AsyncGenerator[Receiver]:
    """Serves on a free port of this machine."""
    serving = Receiver(secret, refusals)
    app = web.Application()
    app.router.add_post("/hook", serving.receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    serving.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield serving
    finally:
        await runner.cleanup()
