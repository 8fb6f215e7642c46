"""A far end of large things: hashes bodies of any size, and answers with as many bytes as it is asked for."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import random
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

_CHUNK_BYTES = 64 * 1024
#: Bytes as nobody would guess them, the same in every run; none that repeat, so that gzip leaves them large.
_NOISE = random.Random(1).randbytes(_CHUNK_BYTES)


def content(size: int) -> Iterator[bytes]:
    """So many bytes, each chunk another one."""
    for start in range(0, size, _CHUNK_BYTES):
        number = (start // _CHUNK_BYTES).to_bytes(8, "big")
        yield (number + _NOISE[8:])[: size - start]


def digest(size: int) -> str:
    """SHA-256 of that content, in hexadecimal digits."""
    sha256 = hashlib.sha256()
    for chunk in content(size):
        sha256.update(chunk)
    return sha256.hexdigest()


@dataclass(slots=True)
class LargeFarEnd:
    """Where it is, and what came.

    Args:
        gathers: How many requests have to be there, with their bodies, before any is answered.
    """

    gathers: int = 1
    url: str = ""
    #: The digest of each body that came whole.
    received: list[str] = field(default_factory=list)
    #: How many bytes of answers have gone out.
    sent_bytes: int = 0
    #: Holds back the second half of answers of `/half` until it is set.
    release: asyncio.Event = field(default_factory=asyncio.Event)
    _gathered: asyncio.Event = field(default_factory=asyncio.Event)

    async def exchange(self, request: web.Request) -> web.StreamResponse:
        """Answers with as many bytes as the path says: of known length, in chunks, coded with gzip, or cut off."""
        sha256 = hashlib.sha256()
        async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
            sha256.update(chunk)
        self.received.append(sha256.hexdigest())
        if len(self.received) >= self.gathers:
            self._gathered.set()
        await self._gathered.wait()
        size, how = int(request.match_info["size"]), request.query.get("how", "known")
        response = web.StreamResponse(status=int(request.query.get("status", "200")))
        response.content_type = request.query.get("type", "application/octet-stream")
        if how in {"known", "cut", "half"}:
            response.content_length = size
        if how == "gzip":
            response.headers["Content-Encoding"] = "gzip"
        await response.prepare(request)
        with suppress(ConnectionError):  # the caller hung up
            await self._send(request, response, size, how)
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, size: int, how: str) -> None:
        for start, chunk in zip(range(0, size, _CHUNK_BYTES), content(size), strict=True):
            if start >= size // 2 and how in {"half", "half-chunked"}:
                await self.release.wait()
            if start >= size // 2 and how in {"cut", "cut-chunked"}:
                assert request.transport is not None
                request.transport.abort()
                return
            await response.write(gzip.compress(chunk, 1) if how == "gzip" else chunk)  # members, one after another
            self.sent_bytes += len(chunk)
            await asyncio.sleep(0)  # whoever runs it has other things to do, and a fast reader never makes it wait


@asynccontextmanager
async def large_far_end(*, gathers: int = 1) -> AsyncGenerator[LargeFarEnd]:
    """Runs it on a free port: `/large/<bytes>`, with `how` and `status` in the query."""
    state = LargeFarEnd(gathers=gathers)
    app = web.Application()
    app.add_routes([web.route("*", "/large/{size}", state.exchange)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    state.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield state
    finally:
        state.release.set()
        await runner.cleanup()
