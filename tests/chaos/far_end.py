"""What the mesh calls while it is being killed: an upstream that counts its calls, and a receiver of callbacks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

#: Of so many jobs one is refused with 503 at its first call, so that retries are under way when things die.
_REFUSED_FIRST = 10
#: Calls take their time, so that many are under way when things die.
_CALL_TAKES_S = (0.0, 1.5)


@dataclass(slots=True)
class FarEnd:
    """Counts what it sees."""

    seed: int
    url: str = ""
    #: Calls by job number.
    calls: Counter[int] = field(default_factory=Counter)
    #: Callbacks by job id: each one's payload.
    callbacks: dict[str, list[dict]] = field(default_factory=dict)
    #: Callbacks that must not have been believed, with the reason.
    bad_callbacks: list[str] = field(default_factory=list)
    #: What endpoints were sent, by the path of each: the types of the events.
    events: dict[str, list[str]] = field(default_factory=dict)
    secret: bytes = b"a secret that only the two ends of this test know"

    async def call(self, request: web.Request) -> web.Response:
        number = int(request.query["job"])
        self.calls[number] += 1
        await asyncio.sleep(random.Random(f"{self.seed} {number} {self.calls[number]}").uniform(*_CALL_TAKES_S))
        if number % _REFUSED_FIRST == 0 and self.calls[number] == 1:
            return web.json_response({"refused": number}, status=503)
        return web.json_response({"job": number})

    async def callback(self, request: web.Request) -> web.Response:
        body = await request.read()
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(self.secret, signed, hashlib.sha256).digest()).decode()
        if expected not in request.headers["webhook-signature"].split(" "):
            self.bad_callbacks.append("a signature does not verify")
            return web.Response(status=401)
        payload = json.loads(body)
        received = self.callbacks.setdefault(payload["data"]["id"], [])
        if not received and random.Random(f"{self.seed}{payload['data']['id']}").random() < 0.1:
            received.append({"refused": True})
            return web.Response(status=500)
        received.append(payload)
        return web.Response(status=204)

    async def endpoint(self, request: web.Request) -> web.Response:
        """An endpoint, which answers with the status that its path ends with."""
        self.events.setdefault(request.path, []).append((await request.json())["type"])
        return web.Response(status=int(request.match_info["status"]))


@asynccontextmanager
async def far_end(seed: int) -> AsyncGenerator[FarEnd]:
    """Serves on a free port of this machine."""
    end = FarEnd(seed)
    app = web.Application()
    app.router.add_route("*", "/call", end.call)
    app.router.add_post("/callback", end.callback)
    app.router.add_post("/endpoints/{status}", end.endpoint)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    end.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield end
    finally:
        await runner.cleanup()
