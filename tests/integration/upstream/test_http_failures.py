"""The connector `http` against a far end that behaves as badly as upstreams do."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from services.upstream.connectors.http import HttpConnector
from services.upstream.domain import Reason
from services.upstream.http_client import HttpClient
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from tests.certificates import self_signed
from tests.fakes import far_end as far_end_
from tests.integration.upstream.conftest import MakeCall, caller
from tests.integration.upstream.outcomes import failure, fate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.far_end import FarEnd


#: Long enough for anything on loopback, and not reached by what must be bounded otherwise.
SOON_S = 0.3


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("method", "status", "retryable"),
    [
        ("get", 400, False),
        ("get", 404, False),
        ("get", 429, True),
        ("get", 500, True),
        ("put", 502, True),
        ("delete", 504, True),
        ("head", 503, True),
        ("get", 501, False),
        ("post", 429, True),
        ("post", 503, True),
        ("post", 500, False),
        ("patch", 502, False),
        ("post", 504, False),
    ],
)
async def test_statuses_from_400_fail_and_some_may_be_tried_again(
    make_call: MakeCall, far_end: FarEnd, method: str, status: int, *, retryable: bool
) -> None:
    outcome = failure(await make_call(method, f"{far_end.url}/status/{status}?secret=hidden"))
    assert (outcome.reason, outcome.upstream_status) == (Reason.UPSTREAM_STATUS, status)
    assert outcome.retryable is retryable
    assert not outcome.outcome_unknown
    assert str(status) in outcome.message
    assert "127.0.0.1" in outcome.message
    assert "secret" not in outcome.message  # neither of the query nor of the body


@pytest.mark.parametrize(("statuses", "retryable"), [([], False), ([418], False), ([500, 418], True), ([500.0], True)])
async def test_the_caller_may_say_which_statuses_are_tried_again(
    make_call: MakeCall, far_end: FarEnd, statuses: list[float], *, retryable: bool
) -> None:
    for method in ("get", "post"):
        outcome = failure(await make_call(method, f"{far_end.url}/status/500", retryStatuses=statuses))
        assert outcome.retryable is retryable


@pytest.mark.parametrize(("after", "pause"), [("17", timedelta(seconds=17)), ("soon", None)])
async def test_a_pause_that_the_upstream_asks_for_is_handed_on(
    make_call: MakeCall, far_end: FarEnd, after: str, pause: timedelta | None
) -> None:
    assert failure(await make_call("get", f"{far_end.url}/status/429?after={after}")).retry_after == pause


@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_refused_connection_may_be_tried_again_for_nothing_was_sent(make_call: MakeCall, method: str) -> None:
    outcome = await make_call(method, f"http://127.0.0.1:{unused_port()}/?key=hidden")
    assert fate(outcome) == (Reason.UPSTREAM_UNREACHABLE, True, False)
    assert "hidden" not in failure(outcome).message


@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_name_that_is_not_known_may_be_tried_again(method: str) -> None:
    class Nowhere(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            raise OSError(f"nobody knows {host}:{port}/{family}")

        async def close(self) -> None:
            return

    client = HttpClient(AddressGuard(), limit=1, resolver=Nowhere())
    outcome = await caller(HttpConnector(client, SystemClock()))(method, "http://nowhere.example/")
    assert fate(outcome) == (Reason.UPSTREAM_UNREACHABLE, True, False)
    await client.close()


@pytest.mark.parametrize("when", ["headers", "body"])
@pytest.mark.parametrize(("method", "known"), [("get", True), ("put", True), ("post", False), ("patch", False)])
async def test_a_connection_broken_after_sending_leaves_unknown_what_may_not_be_repeated(
    make_call: MakeCall, far_end: FarEnd, when: str, method: str, *, known: bool
) -> None:
    outcome = await make_call(method, f"{far_end.url}/broken/{when}")
    assert fate(outcome) == (Reason.UPSTREAM_UNREACHABLE, known, not known)


@pytest.mark.parametrize(("method", "known"), [("get", True), ("delete", True), ("post", False), ("patch", False)])
async def test_a_timeout_after_sending_leaves_unknown_what_may_not_be_repeated(
    make_call: MakeCall, far_end: FarEnd, method: str, *, known: bool
) -> None:
    outcome = await make_call(method, f"{far_end.url}/held", timeoutS=SOON_S, within=60)
    assert fate(outcome) == (Reason.UPSTREAM_TIMEOUT, known, not known)
    assert far_end.calls["/held"] == 1


async def test_a_post_that_timed_out_before_it_had_a_connection_may_be_tried_again(make_call: MakeCall) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:  # accepts nothing, and its queue fills
        port = full.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)  # noqa: FBT003  the socket's own
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        outcome = await make_call("post", f"http://127.0.0.1:{port}/", timeoutS=SOON_S)
        for filler in fillers:
            filler.close()
    assert fate(outcome) == (Reason.UPSTREAM_TIMEOUT, True, False)


@pytest.mark.parametrize(
    "answer", [b"\x16\x03\x01 not http\r\n\r\n", b"HTTP/9 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n"]
)
@pytest.mark.parametrize(("method", "known"), [("get", True), ("post", False)])
async def test_malformed_http_is_a_protocol_error(
    make_call: MakeCall, far_end: FarEnd, answer: bytes, method: str, *, known: bool
) -> None:
    assert fate(await make_call(method, far_end.raw(answer))) == (Reason.UPSTREAM_PROTOCOL, known, not known)


async def test_tls_with_what_speaks_none_is_unreachable(make_call: MakeCall, far_end: FarEnd) -> None:
    outcome = await make_call("post", far_end.url.replace("http:", "https:"))
    assert fate(outcome) == (Reason.UPSTREAM_UNREACHABLE, True, False)


async def test_a_certificate_that_nobody_vouches_for_is_not_taken(make_call: MakeCall, tmp_path: Path) -> None:
    async with far_end_.far_end(tls=self_signed(tmp_path)) as far:
        outcome = await make_call("post", f"{far.url}/echo")
        assert not far.asked
    assert fate(outcome) == (Reason.UPSTREAM_UNREACHABLE, True, False)
    assert "TLS" in failure(outcome).message
