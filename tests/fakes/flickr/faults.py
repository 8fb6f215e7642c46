"""How the far end of Flickr misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.fakes.flickr.server import FlickrFarEnd

_MEGABYTE = b" " * 1024 * 1024
_OUTAGE = (
    "<!DOCTYPE html>\n<html><head><title>Flickr: Bad Panda</title></head><body>Hold your clicks a moment.</body></html>"
)


@dataclass(slots=True, kw_only=True)
class Fault:
    """One way to misbehave.

    Args:
        kind: A name of `KINDS`.
        method: Of the calls that meet it; empty for every one.
        times: How many of them do.
        options: What the kind takes.
    """

    kind: str
    method: str = ""
    times: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, method: str) -> bool:
        return self.times > 0 and self.method in {"", method}


async def _fail(_: FlickrFarEnd, request: web.Request, options: Mapping[str, Any]) -> web.StreamResponse:
    """`stat="fail"` with a code, in the form of the target."""
    code, message = options["code"], options.get("message", "told to")
    if request.path.endswith("/rest/"):
        return web.json_response({"stat": "fail", "code": code, "message": message}, status=options.get("status", 200))
    text = f'<?xml version="1.0" encoding="utf-8" ?>\n<rsp stat="fail"><err code="{code}" msg="{message}" /></rsp>'
    return web.Response(text=text, content_type="text/xml", status=options.get("status", 200))


async def _answer(_: FlickrFarEnd, __: web.Request, options: Mapping[str, Any]) -> web.StreamResponse:
    """Any answer: status, text or the hexadecimal digits of bytes, headers."""
    body = bytes.fromhex(options["hex"]) if "hex" in options else options.get("text", "").encode()
    headers = {"Content-Type": "application/json"} | dict(options.get("headers", {}))
    return web.Response(status=options.get("status", 200), body=body, headers=headers)


async def _outage(_: FlickrFarEnd, __: web.Request, options: Mapping[str, Any]) -> web.StreamResponse:
    return web.Response(text=_OUTAGE, content_type="text/html", status=options.get("status", 200))


async def _throttle(_: FlickrFarEnd, __: web.Request, options: Mapping[str, Any]) -> web.StreamResponse:
    return web.Response(status=429, text="Too Many Requests", headers={"Retry-After": str(options.get("after", 60))})


async def _oauth_problem(_: FlickrFarEnd, __: web.Request, options: Mapping[str, Any]) -> web.StreamResponse:
    return web.Response(status=401, text=f"oauth_problem={options['problem']}&debug_sbs=POST%26told")


async def _redirect(_: FlickrFarEnd, __: web.Request, options: Mapping[str, Any]) -> web.StreamResponse:
    return web.Response(status=options.get("status", 302), headers={"Location": options["to"]})


async def _slow(far: FlickrFarEnd, request: web.Request, _: Mapping[str, Any]) -> web.StreamResponse:
    """Nothing, until released; notes when the caller hangs up before."""
    while not far.release.is_set():
        if request.transport is None or request.transport.is_closing():
            far.hung_up += 1
            break
        await asyncio.sleep(0.02)
    return web.json_response({"stat": "ok"})


async def _drip(far: FlickrFarEnd, request: web.Request, _: Mapping[str, Any]) -> web.StreamResponse:
    """A byte at a time, without an end."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    try:
        while not far.release.is_set():
            await response.write(b" ")
            await asyncio.sleep(0.02)
    except ConnectionError:  # the caller hung up
        far.hung_up += 1
    return response


async def _cut(_: FlickrFarEnd, request: web.Request, options: Mapping[str, Any]) -> web.StreamResponse:
    """Hangs up: before the status, or in the middle of the body."""
    assert request.transport is not None
    if options.get("when") == "body":
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"photos": {"page": 1,')
    request.transport.abort()
    return web.Response()


async def _huge(far: FlickrFarEnd, request: web.Request, options: Mapping[str, Any]) -> web.StreamResponse:
    """A well-formed answer of so many bytes, told before or not."""
    size = int(options.get("bytes", 5 * 1024**3))
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    before, after = b'{"pad": "', b'", "stat": "ok"}'
    if options.get("told"):
        response.content_length = size
    try:
        await response.prepare(request)
        await response.write(before)
        left = size - len(before) - len(after)
        while left > 0:
            await response.write(_MEGABYTE[:left])
            far.sent_bytes += min(left, len(_MEGABYTE))
            left -= len(_MEGABYTE)
        await response.write(after)
    except ConnectionError:  # the caller hung up, as it should
        far.hung_up += 1
    return response


async def _half(_: FlickrFarEnd, __: web.Request, options: Mapping[str, Any]) -> web.StreamResponse:
    """A well-framed answer, whose JSON ends in the middle."""
    text = json.dumps({"photos": {"page": 1, "photo": [{"id": "1"}]}, "stat": "ok"})
    return web.Response(text=text[: len(text) // 2], content_type="application/json")


KINDS: Mapping[str, Callable[[FlickrFarEnd, web.Request, Mapping[str, Any]], Awaitable[web.StreamResponse]]] = {
    "fail": _fail,
    "answer": _answer,
    "outage": _outage,
    "throttle": _throttle,
    "oauth_problem": _oauth_problem,
    "redirect": _redirect,
    "slow": _slow,
    "drip": _drip,
    "cut": _cut,
    "huge": _huge,
    "half": _half,
}
