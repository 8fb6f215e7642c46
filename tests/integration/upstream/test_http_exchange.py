"""The connector `http`: what goes out, what comes back, and how much of it."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest

from services.upstream.domain import MAX_INLINE_BYTES, Health, Reason, Stored
from shared import observability
from shared.guarded_http import USER_AGENT
from tests.integration.upstream.conftest import MAX_RESULT_BYTES
from tests.integration.upstream.outcomes import failure, fate, success
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.fakes.contents import ContentStore
    from tests.fakes.far_end import FarEnd
    from tests.integration.upstream.conftest import MakeCall


#: Long enough for anything on loopback, and not reached by what must be bounded otherwise.
SOON_S = 0.3


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_query_headers_and_json_arrive_as_they_were_given(make_call: MakeCall, far_end: FarEnd) -> None:
    outcome = await make_call(
        "post",
        f"{far_end.url}/echo?given=a%20b",
        query={"text": "ä&=", "number": 5.0, "half": 0.5, "yes": True, "list": ["x", 1, False]},
        headers={"X-Own": "value", "Accept": "text/csv"},
        json={"b": [1, 2.5, None], "ä": "☂"},
    )
    echo = json.loads(success(outcome).body)
    assert echo["method"] == "POST"
    assert echo["query"] == [
        ["given", "a b"],
        ["text", "ä&="],
        ["number", "5"],
        ["half", "0.5"],
        ["yes", "true"],
        ["list", "x"],
        ["list", "1"],
        ["list", "false"],
    ]
    assert json.loads(far_end.last.body) == {"b": [1, 2.5, None], "ä": "☂"}
    headers = far_end.last.headers
    assert (headers["X-Own"], headers["Accept"], headers["Content-Type"]) == ("value", "text/csv", "application/json")
    assert (headers["User-Agent"], headers["Accept-Encoding"]) == (USER_AGENT, "gzip, deflate")


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "patch", "delete"])
async def test_each_method_is_its_verb(make_call: MakeCall, far_end: FarEnd, method: str) -> None:
    assert success(await make_call(method, f"{far_end.url}/echo")).status == 200
    assert far_end.last.method == method.upper()
    assert far_end.last.body == b""


async def test_text_goes_out_in_utf_8_under_the_type_that_is_asked_for(make_call: MakeCall, far_end: FarEnd) -> None:
    await make_call("put", f"{far_end.url}/echo", text="straße")
    assert far_end.last.body == "straße".encode()
    assert far_end.last.headers["Content-Type"] == "text/plain; charset=utf-8"
    await make_call("put", f"{far_end.url}/echo", text="<a/>", headers={"content-type": "text/xml"})
    assert far_end.last.headers.getall("Content-Type") == ["text/xml"]


@pytest.mark.parametrize("path", ["/echo?sig=%7Ea%2Fb%2B+c", "/echo?a=1;b=2&&c", "/echo?x=%C3%A4"])
async def test_a_quoted_url_is_sent_character_for_character(make_call: MakeCall, far_end: FarEnd, path: str) -> None:
    await make_call("get", far_end.url + path)
    assert far_end.raw_targets[-1] == path


async def test_the_call_carries_the_trace_it_is_part_of(make_call: MakeCall, far_end: FarEnd) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with observability.span("attempt", traceparent=f"00-{trace}-b7ad6b7169203331-01"):
        await make_call("get", f"{far_end.url}/echo")
    assert far_end.last.headers["traceparent"].split("-")[1] == trace


async def test_no_cookie_of_one_call_goes_out_with_another(make_call: MakeCall, far_end: FarEnd) -> None:
    outcome = success(await make_call("get", f"{far_end.url}/cookies"))
    assert "set-cookie" not in outcome.headers
    assert outcome.headers["x-two"] == "1, 2"
    await make_call("get", f"{far_end.url}/echo")
    assert "Cookie" not in far_end.last.headers


async def test_no_proxy_of_the_environment_is_used(
    make_call: MakeCall, far_end: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    assert success(await make_call("get", f"{far_end.url}/echo")).status == 200


async def test_connections_are_used_again(make_call: MakeCall, far_end: FarEnd) -> None:
    for _ in range(5):
        await make_call("get", f"{far_end.url}/echo")
        await make_call("get", f"{far_end.url}/status/503")
    assert len(far_end.connections) == 1


@pytest.mark.parametrize(
    "content", [b"\x00\x01\xff\xfe", "straße".encode("latin-1"), b"\xef\xbb\xbfbom", b"plain", b"\r\n \n"]
)
async def test_a_body_comes_back_byte_for_byte(make_call: MakeCall, far_end: FarEnd, content: bytes) -> None:
    outcome = success(await make_call("get", f"{far_end.url}/body/{content.hex()}?type=text/plain;%20charset=latin-1"))
    assert outcome.body == content
    assert outcome.content_type == "text/plain; charset=latin-1"
    assert outcome.headers["content-length"] == str(len(content))


@pytest.mark.parametrize("coding", ["gzip", "gzip-members", "deflate", "deflate-bare"])
async def test_content_codings_are_undone(make_call: MakeCall, far_end: FarEnd, coding: str) -> None:
    outcome = success(await make_call("get", f"{far_end.url}/coded/{coding}/100000"))
    assert outcome.body == b"z" * 100_000
    assert not {"content-encoding", "content-length"} & outcome.headers.keys()


async def test_a_coding_that_was_not_asked_for_stays_with_its_name(make_call: MakeCall, far_end: FarEnd) -> None:
    outcome = success(await make_call("get", f"{far_end.url}/coded/unheard/10"))
    assert (outcome.body, outcome.headers["content-encoding"]) == (b"z" * 10, "unheard")


@pytest.mark.parametrize("coding", ["gzip-truncated", "gzip-garbage"])
async def test_a_broken_coding_is_a_protocol_error(make_call: MakeCall, far_end: FarEnd, coding: str) -> None:
    assert fate(await make_call("get", f"{far_end.url}/coded/{coding}/5000")) == (Reason.UPSTREAM_PROTOCOL, True, False)


@pytest.mark.parametrize("status", [200, 201, 204, 304, 399])
async def test_statuses_below_400_succeed(make_call: MakeCall, far_end: FarEnd, status: int) -> None:
    assert success(await make_call("get", f"{far_end.url}/status/{status}")).status == status


async def test_head_has_headers_and_no_body_whatever_its_length(make_call: MakeCall, far_end: FarEnd) -> None:
    outcome = success(await make_call("head", f"{far_end.url}/sized/5000000"))
    assert (outcome.body, outcome.headers["content-length"]) == (b"", "5000000")


@pytest.mark.parametrize("path", [f"/sized/{MAX_RESULT_BYTES + 1}", f"/coded/gzip/{MAX_RESULT_BYTES + 1}"])
@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_body_over_the_cap_fails_for_good(
    make_call: MakeCall, far_end: FarEnd, store: ContentStore, path: str, method: str
) -> None:
    assert fate(await make_call(method, far_end.url + path)) == (Reason.RESULT_TOO_LARGE, False, False)
    assert not store.contents


@pytest.mark.parametrize("size", [MAX_INLINE_BYTES + 1, MAX_RESULT_BYTES])
@pytest.mark.parametrize("path", ["/sized/", "/coded/gzip/"])
async def test_a_body_too_large_for_a_message_is_stored(
    make_call: MakeCall, far_end: FarEnd, store: ContentStore, path: str, size: int
) -> None:
    outcome = success(await make_call("get", f"{far_end.url}{path}{size}"))
    assert outcome.body == Stored(size=size)
    assert [len(content) for content in store.contents.values()] == [size]


@pytest.mark.parametrize("path", [f"/sized/{MAX_INLINE_BYTES}", f"/coded/gzip/{MAX_INLINE_BYTES}"])
async def test_a_body_that_fits_a_message_travels_in_it(
    make_call: MakeCall, far_end: FarEnd, store: ContentStore, path: str
) -> None:
    body = success(await make_call("get", far_end.url + path)).body
    assert isinstance(body, bytes)
    assert len(body) == MAX_INLINE_BYTES
    assert not store.contents


@pytest.mark.parametrize(("method", "retryable"), [("get", True), ("put", True), ("post", False)])
async def test_an_answer_that_cannot_be_stored_is_lost_though_its_call_was_carried_out(
    make_call: MakeCall, far_end: FarEnd, store: ContentStore, method: str, *, retryable: bool
) -> None:
    store.away_for = 1
    outcome = await make_call(method, f"{far_end.url}/sized/{MAX_RESULT_BYTES}")
    assert fate(outcome) == (Reason.UNAVAILABLE, retryable, not retryable)
    assert (failure(outcome).upstream_status, failure(outcome).health) == (200, Health.HEALTHY)
    assert ("was carried out" in failure(outcome).message) is not retryable


async def test_an_endless_answer_is_hung_up_on_at_the_cap(make_call: MakeCall, far_end: FarEnd) -> None:
    assert failure(await make_call("get", f"{far_end.url}/endless")).reason is Reason.RESULT_TOO_LARGE
    await eventually(lambda: far_end.hung_up == 1, what="the connection's end")
    assert far_end.sent_bytes < 32 * 1024 * 1024  # what fits the buffers of the two ends


async def test_a_slow_drip_ends_with_the_attempts_time(make_call: MakeCall, far_end: FarEnd) -> None:
    began = asyncio.get_running_loop().time()
    outcome = await make_call("get", f"{far_end.url}/drip", within=SOON_S)
    assert fate(outcome) == (Reason.UPSTREAM_TIMEOUT, True, False)
    assert asyncio.get_running_loop().time() - began < SOON_S + 30


async def test_headers_beyond_any_reason_are_refused(make_call: MakeCall, far_end: FarEnd) -> None:
    long = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n"
    assert failure(await make_call("get", far_end.raw(long))).reason is Reason.UPSTREAM_PROTOCOL
    many = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 4000) for n in range(20)) + b"\r\n"
    assert failure(await make_call("get", far_end.raw(many))).reason is Reason.RESULT_TOO_LARGE
