"""The far end of Flickr as a program of its own, driven from outside."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp

from services.upstream import urls
from services.upstream.connectors import flickr
from services.upstream.credentials import OAuth1Secret
from shared.clock import SystemClock
from tests.fakes.flickr.server import FlickrFarEnd, flickr_far_end
from tests.integration.upstream.flickr_calls import calls_to
from tests.integration.upstream.outcomes import failure, success

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from services.upstream.http_client import HttpClient


@asynccontextmanager
async def program() -> AsyncGenerator[dict[str, Any]]:
    """Runs it; answers with what it says of itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.flickr", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(150):
            yield json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_it_is_called_with_what_it_says_and_misbehaves_as_told(client: HttpClient) -> None:
    async with flickr_far_end() as here, program() as known, aiohttp.ClientSession(known["url"]) as control:
        calls = calls_to(here, client)
        secret = OAuth1Secret(
            client_key=known["client_key"],
            client_secret=known["client_secret"],
            token=known["token"],
            token_secret=known["token_secret"],
        )
        assert calls.credential is not None
        calls.credential = replace(calls.credential, secret=secret)
        there = urls.parse(FlickrFarEnd(url=known["url"]).urls)["flickr"]
        calls.connector = flickr.connector(client, SystemClock(), there)
        answer = success(await calls("test.login"))
        assert isinstance(answer.body, bytes)
        assert json.loads(answer.body)["user"]["id"] == known["nsid"]
        await control.post("/control/faults", json={"kind": "fail", "options": {"code": 105}})
        assert failure(await calls("test.login")).upstream_code == "105"
        async with control.get("/control/calls") as told:
            assert await told.json() == {"flickr.test.login": 2}
