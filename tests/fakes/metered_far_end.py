"""A far end that allows each token so many requests at a time of its own counting, and refuses what is beyond."""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator


@dataclass(slots=True)
class MeteredFarEnd:
    """What it allows, and what it was asked.

    Args:
        allowance: Requests of a token within a window.
        window_s: A span that begins with a token's first request after the last one was over; with `sliding` any span.
        tells: Whether it says in each answer how many are left.
    """

    allowance: int
    window_s: float
    sliding: bool = False
    tells: bool = False
    url: str = ""
    hits: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    #: Refuses all of these tokens' requests, whatever they are allowed.
    throttled: set[str] = field(default_factory=set)
    #: Requests of these tokens are held until they are let go.
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    _accepted: dict[str, list[float]] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        token = request.match_info["token"]
        self.hits[token] += 1
        if token in self.held:
            await self.held[token].wait()
        now = time.monotonic()
        within = self._within(token, now)
        refuses = token in self.throttled or len(within) >= self.allowance
        if refuses:
            self.refused[token] += 1
        else:
            within.append(now)
        self._accepted[token] = within
        return web.Response(status=429 if refuses else 200, text="metered", headers=self._headers(within, now))

    def _within(self, token: str, now: float) -> list[float]:
        accepted = self._accepted.get(token, [])
        if self.sliding:
            return [at for at in accepted if at > now - self.window_s]
        return accepted if accepted and accepted[0] > now - self.window_s else []

    def _headers(self, within: list[float], now: float) -> dict[str, str]:
        if not self.tells or not within:
            return {}
        reset = math.ceil(within[0] + self.window_s - now)
        return {
            "X-RateLimit-Limit": str(self.allowance),
            "X-RateLimit-Remaining": str(self.allowance - len(within)),
            "X-RateLimit-Reset": str(reset),
        }


@asynccontextmanager
async def metered_far_end(
    allowance: int, window_s: float, *, sliding: bool = False, tells: bool = False
) -> AsyncGenerator[MeteredFarEnd]:
    """Runs it on a free port; a token's requests go to `<url>/<token>`."""
    state = MeteredFarEnd(allowance, window_s, sliding=sliding, tells=tells)
    app = web.Application()
    app.add_routes([web.get("/{token}", state.answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield state
    finally:
        for event in state.held.values():
            event.set()
        await runner.cleanup()
