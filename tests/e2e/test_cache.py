"""Cached answers through Envoy: served, told as such, and forgotten."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import threading
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.api import Api
from tests.fakes import large_far_end
from tests.fakes.large_far_end import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh
    from tests.fakes.large_far_end import LargeFarEnd

_TIMEOUT_S = 30.0
_NUMBERS = itertools.count(1)
CON = "con_0198c6f2-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def api(mesh: Mesh) -> Api:
    """A tenant of this file's own."""
    return Api(mesh.url, mesh.new_key("cachers"))


@pytest.fixture(scope="module")
def far() -> Iterator[LargeFarEnd]:
    """A far end in a thread of its own, for the calls of these tests wait where they are."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = large_far_end.large_far_end()
    yield asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(_TIMEOUT_S)
    asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(_TIMEOUT_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_TIMEOUT_S)
    loop.close()


def fresh(far: LargeFarEnd, size: int) -> str:
    """A URL that nobody has asked for."""
    return f"{far.url}/large/{size}?type=image/png&n={next(_NUMBERS)}"


def result(api: Api, url: str, **body: Any) -> dict[str, Any]:
    """That of one more job."""
    job = api.wait(api.submit("http.get", {"url": url, "cacheTtlS": 300}, **body)["id"])
    assert job["state"] == "SUCCEEDED", job
    return job["result"]


@pytest.mark.parametrize("size", [1000, 100_000, 1_500_000])
def test_a_repeated_read_is_served_from_the_cache_with_the_same_bytes(api: Api, far: LargeFarEnd, size: int) -> None:
    url = fresh(far, size)
    jobs = [api.wait(api.submit("http.get", {"url": url, "cacheTtlS": 300})["id"]) for _ in range(2)]
    first, again = (job["result"] for job in jobs)
    assert (first.get("fromCache", False), again.get("fromCache", False)) == (False, True)
    assert first["contentType"] == again["contentType"] == "image/png"
    for job in jobs:
        answer = api.call("GET", f"/api/v1/jobs/{job['id']}/result")
        assert (answer.status == 302) is (size > 256 * 1024)
        body = answer.body
        if answer.status == 302:
            with urllib.request.urlopen(answer.headers["location"], timeout=_TIMEOUT_S) as linked:
                body = linked.read()
        assert hashlib.sha256(body).hexdigest() == digest(size)


def test_policies_are_those_of_the_job(api: Api, far: LargeFarEnd) -> None:
    url = fresh(far, 10)
    told = [
        result(api, url, cachePolicy=policy).get("fromCache", False)
        for policy in ("DEFAULT", "BYPASS", "REFRESH", "DEFAULT")
    ]
    assert told == [False, False, False, True]


def test_what_is_forgotten_is_called_for_by_every_form_of_the_path(api: Api, mesh: Mesh, far: LargeFarEnd) -> None:
    stranger = Api(mesh.url, mesh.new_key("cache-strangers"))
    url = fresh(far, 10)
    for method, path, body in (
        ("POST", "/api/v1/cache:invalidate", {"upstream": "http", "method": "http.get"}),
        ("POST", "/api/v1/cache/invalidate?method=http.get", None),
        ("DELETE", "/api/v1/cache/invalidate", None),
    ):
        assert not result(api, url).get("fromCache", False)
        assert result(api, url)["fromCache"]
        assert stranger.call("DELETE", "/api/v1/cache/invalidate").json == {}
        for kept in ("token_id", "tokenId", "connectionId"):
            answer = api.call("DELETE", f"/api/v1/cache/invalidate?{kept}={CON}")
            assert (answer.status, answer.json) == (200, {}), "none, which JSON leaves out"
        assert result(api, url)["fromCache"]
        answer = api.call(method, path, body)
        assert answer.status == 200, answer
        assert int(answer.json["entries"]) >= 1


def test_mistakes_are_told_by_their_fields(api: Api) -> None:
    answer = api.call("DELETE", "/api/v1/cache/invalidate?token_id=x&upstream=flicker")
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")
    assert answer.fields == {"tokenId", "upstream"}
    both = api.call("POST", "/api/v1/cache:invalidate", {"connectionId": CON, "tokenId": CON})
    assert both.status == 400, both
