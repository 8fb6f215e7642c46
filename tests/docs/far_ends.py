"""The hosts that pages name, on this machine: servers behind certificates of theirs."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import re
import secrets
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpbin
from aiohttp import web
from werkzeug.serving import make_server

from tests.certificates import Authority
from tests.docs.pages import ROOT, pages

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from aiohttp.typedefs import Handler

#: What RFC 2606 keeps for examples, and the one real host that stands for an API to try things at.
_NAMED = re.compile(r"\bhttps?://((?:[a-z0-9-]+\.)*(?:example\.(?:com|org|net)|[a-z0-9-]+\.example|httpbin\.org))")
_HTTPBIN = "httpbin.org"
_TIMEOUT_S = 30.0
_HOME_PAGE = (
    "<!doctype html><html><head><title>Example Domain</title></head><body><h1>Example Domain</h1></body></html>"
)
#: More than a job has of its result: 256 KiB.
_PICTURE = b"\xff\xd8\xff\xe0" + bytes(300 * 1024)


@dataclass(frozen=True, slots=True)
class FarEnds:
    """Where they are.

    Args:
        hosts: A file with the ports on which each host answers here, by the port that a URL has (JSON).
        certificate: Of the authority that vouches for them.
        asked: What they were asked for, `host/path?query`, and how often.
    """

    hosts: Path
    certificate: Path
    asked: Counter[str]


@contextmanager
def far_ends(folder: Path) -> Iterator[FarEnds]:
    """Every host that a page names, until the body is over."""
    named = sorted({host for page in pages() for host in _NAMED.findall((ROOT / page).read_text(encoding="utf-8"))})
    authority = Authority(folder)
    context = authority.server(*named)
    asked = Counter[str]()
    with _threaded(context, asked) as ports, _httpbin(context) as httpbin_ports:
        told = {host: httpbin_ports if host == _HTTPBIN else ports for host in named}
        hosts = folder / "hosts.json"
        hosts.write_text(json.dumps(told), encoding="utf-8")
        yield FarEnds(hosts, authority.certificate_file, asked)


@contextmanager
def _threaded(context: ssl.SSLContext, asked: Counter[str]) -> Iterator[dict[str, int]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="far-ends", daemon=True)
    thread.start()
    runner = web.AppRunner(_app(asked), shutdown_timeout=0.1)
    try:
        yield asyncio.run_coroutine_threadsafe(_served(runner, context), loop).result(_TIMEOUT_S)
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(_TIMEOUT_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_TIMEOUT_S)


async def _served(runner: web.AppRunner, context: ssl.SSLContext) -> dict[str, int]:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    https, http = (address[1] for address in runner.addresses)
    return {"443": https, "80": http}


@contextmanager
def _httpbin(context: ssl.SSLContext) -> Iterator[dict[str, int]]:
    servers = [make_server("127.0.0.1", 0, httpbin.app, threaded=True, ssl_context=each) for each in (context, None)]
    threads = [threading.Thread(target=server.serve_forever, name="httpbin", daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield {"443": servers[0].server_port, "80": servers[1].server_port}
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join(_TIMEOUT_S)
            server.server_close()


def _app(asked: Counter[str]) -> web.Application:
    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked[f"{request.host}{request.path_qs}"] += 1
        return await handler(request)

    app = web.Application(client_max_size=16 * 1024**2, middlewares=[count])
    app.add_routes([web.post("/token", _token), web.get("/", _home), web.route("*", "/{path:.*}", _anything)])
    return app


async def _home(_: web.Request) -> web.Response:
    return web.Response(text=_HOME_PAGE, content_type="text/html")


async def _token(request: web.Request) -> web.Response:
    """A provider of OAuth 2 that gives a client tokens of its own."""
    form = await request.post()
    answer: dict[str, Any] = {"access_token": secrets.token_urlsafe(24), "token_type": "Bearer", "expires_in": 3600}
    return web.json_response(answer | {"scope": str(form.get("scope", ""))})


async def _anything(request: web.Request) -> web.Response:
    """A picture where one is asked for; else an API, or a receiver of webhooks, that takes whatever comes."""
    await request.read()
    kind, _ = mimetypes.guess_type(request.path)
    if kind is not None and kind.startswith("image/"):
        return web.Response(body=_PICTURE, content_type=kind)
    return web.json_response({"ok": True, "method": request.method, "path": request.path})
