"""Clients that hold on to what they get: slow, silent, many, or resetting all they ask; everybody else is answered.

API4:2023 of OWASP's list, as far as it is about connections. The gateway's times are short here, so that no test waits.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, suppress
from datetime import timedelta
from http.client import HTTPException
from typing import TYPE_CHECKING

import pytest

from tests import frames
from tests.frames import CANCEL, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Http2, frame
from tests.integration.gateway import envoys
from tests.integration.gateway.conftest import settings_for
from tests.integration.gateway.stand_ins import GOOD_KEY
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs/j-1"
_KEY = f"authorization: Bearer {GOOD_KEY}\r\n"
_SHORT = timedelta(seconds=0.4)
#: Long after which a connection that is not closed counts as held.
_HELD_S = 15.0
_CONNECTIONS = 60


@pytest.fixture(scope="module")
def impatient(all_services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """An Envoy that gives clients little time, and takes few of them."""
    settings = settings_for(
        all_services.address,
        headers_timeout=_SHORT,
        request_timeout=_SHORT * 2,
        idle_timeout=_SHORT * 2,
        max_connections=_CONNECTIONS,
    )
    with envoys.running(settings, tmp_path_factory.mktemp("impatient")) as envoy:
        yield envoy


def connected(envoy: Envoy) -> socket.socket:
    host, _, port = envoy.settings.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=_HELD_S)


def await_end(connection: socket.socket) -> None:
    """Waits until the other end has closed the connection, or says that it does."""
    said = b""
    while b"\r\nconnection: close" not in said and (got := connection.recv(65536)):
        said += got


def drip(connection: socket.socket, data: bytes) -> bytes:
    """Sends byte after byte until the other end has had enough; what it says then."""
    connection.setblocking(False)  # noqa: FBT003  the socket's own
    until, said = time.monotonic() + _HELD_S, b""
    for number in range(len(data)):
        try:
            connection.send(data[number : number + 1])
        except ConnectionError:
            return said
        wait_until = time.monotonic() + 0.02
        while time.monotonic() < wait_until:
            try:
                got = connection.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionError:
                return said
            said += got
            if not got or said:
                return said
        assert time.monotonic() < until, "the connection is held"
    raise AssertionError("all of it was taken")


@pytest.mark.parametrize(
    "slow",
    [
        f"GET {_PATH} HTTP/1.1\r\nhost: a\r\n{_KEY}x: ".encode() + b"a" * 2000,
        f"GET {_PATH}?".encode() + b"a" * 2000,
        f"POST /api/v1/jobs HTTP/1.1\r\nhost: a\r\n{_KEY}content-type: application/json\r\n".encode()
        + b"content-length: 5000\r\n\r\n"
        + b" " * 5000,
        f"POST /api/v1/jobs HTTP/1.1\r\nhost: a\r\n{_KEY}content-type: application/json\r\n".encode()
        + b"transfer-encoding: chunked\r\n\r\n"
        + b"1\r\n \r\n" * 1000,
    ],
    ids=["headers", "line", "body", "chunks"],
)
def test_a_request_that_comes_byte_by_byte_is_given_up(impatient: Envoy, services: Services, slow: bytes) -> None:
    with connected(impatient) as connection:
        began = time.monotonic()
        said = drip(connection, slow)
        assert time.monotonic() - began > _SHORT.total_seconds() / 2
    assert said.startswith(b"HTTP/1.1 408 ") or not said, said
    assert services.received == []


@pytest.mark.parametrize("started", [b"", b"P", f"POST {_PATH} HTTP/1.1\r\nhost: a\r\n".encode()])
def test_a_connection_on_which_nothing_comes_is_closed(impatient: Envoy, services: Services, started: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(started)
        await_end(connection)


def test_frames_that_lead_to_no_request_do_not_hold_a_connection(impatient: Envoy, services: Services) -> None:
    unfinished = frame(HEADERS, 0, 1, frames.request(_PATH, ("authorization", f"Bearer {GOOD_KEY}")))
    with ExitStack() as held:
        connections = [held.enter_context(Http2(impatient.settings.address)) for _ in range(4)]
        for connection, sent in zip(connections, (b"", unfinished, unfinished[:20], frame(9, 0, 1, b"")), strict=True):
            connection.send(sent)
        for connection in connections:
            assert not any(each.answers for each in connection.until_closed())
    assert services.received == []


def test_a_body_that_never_ends_is_given_up_while_others_on_its_connection_go_on(
    impatient: Envoy, services: Services
) -> None:
    key, media = ("authorization", f"Bearer {GOOD_KEY}"), ("content-type", "application/json")
    with Http2(impatient.settings.address) as connection:
        connection.send(frame(HEADERS, END_HEADERS, 1, frames.request("/api/v1/jobs", key, media, method="POST")))
        connection.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, frames.request(_PATH, key)))
        got = connection.until_ended(1)
    assert {each.stream for each in got if each.answers} == {3}
    assert [received.method for received in services.received] == ["/penstock.jobs.v1.JobService/GetJob"]


async def test_slow_clients_by_the_dozen_hold_up_nobody(impatient: Envoy, services: Services) -> None:
    with ExitStack() as held:
        slow = [held.enter_context(connected(impatient)) for _ in range(_CONNECTIONS // 2)]
        for connection in slow:
            connection.sendall(f"POST /api/v1/jobs HTTP/1.1\r\nhost: a\r\n{_KEY}content-length: 9\r\n".encode())
        assert impatient.call("GET", _PATH).status == 200
        for connection in slow:
            await_end(connection)
    assert impatient.call("GET", _PATH).status == 200


def is_answered(envoy: Envoy) -> bool:
    """Whether somebody who comes now is served."""
    try:
        return envoy.call("GET", _PATH).status == 200
    except (ConnectionError, HTTPException):  # closed at once
        return False


async def test_more_connections_than_there_may_be_are_closed_at_once(impatient: Envoy, services: Services) -> None:
    with ExitStack() as held:
        first = held.enter_context(connected(impatient))
        first.sendall(f"GET {_PATH} HTTP/1.1\r\nhost: a\r\n{_KEY}\r\n".encode())
        assert first.recv(65536).startswith(b"HTTP/1.1 200 ")
        more = [held.enter_context(connected(impatient)) for _ in range(_CONNECTIONS)]
        assert more[-1].recv(65536) == b""  # not even a word, which would cost something
    await eventually(lambda: is_answered(impatient), what="room for a connection")


def test_a_client_that_resets_all_it_asks_for_loses_its_connection(envoy: Envoy, services: Services) -> None:
    """Rapid reset (CVE-2023-44487)."""
    block = frames.request(_PATH, ("authorization", f"Bearer {GOOD_KEY}"))
    asked = [
        frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
        + frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))
        for stream in range(1, 40_001, 2)
    ]
    before = envoy.stat("http.api.downstream_rq_too_many_premature_resets")
    with Http2(envoy.settings.address) as connection:
        flood(connection, asked)
        connection.until_closed()
    assert envoy.stat("http.api.downstream_rq_too_many_premature_resets") == before + 1
    assert envoy.call("GET", _PATH).status == 200
    assert services.checks < len(asked) / 2


def flood(connection: Http2, pieces: list[bytes]) -> None:
    """Sends pieces, many at a time, for as long as the other end takes them."""
    with suppress(OSError):  # it has closed the connection
        for start in range(0, len(pieces), 100):
            connection.send(*pieces[start : start + 100])


async def test_more_streams_than_there_may_be_are_refused(envoy: Envoy, services: Services) -> None:
    key, media = ("authorization", f"Bearer {GOOD_KEY}"), ("content-type", "application/json")
    block = frames.request("/api/v1/jobs", key, media, method="POST")  # each waits for its body
    with Http2(envoy.settings.address) as connection:
        connection.send(*(frame(HEADERS, END_HEADERS, stream, block) for stream in range(1, 2401, 2)))
        refused = connection.until_ended(2001)
        assert any(each.stream == 2001 or each.kind == GOAWAY for each in refused)
        # a thousand questions stand before auth at once, whose answer to this one may come too late at first
        await eventually(lambda: is_answered(envoy), what="an answer to somebody else")
    assert [received.method for received in services.received] == ["/penstock.jobs.v1.JobService/GetJob"]


@pytest.mark.parametrize(
    "piece",
    [
        frame(frames.PING, 0, 0, bytes(8)),
        frame(frames.SETTINGS, 0, 0, b""),
        frame(frames.CONTINUATION, 0, 1, frames.fields([("x", "y" * 50)])),
        frame(frames.PRIORITY, 0, 3, bytes(5)),
        frame(frames.WINDOW_UPDATE, 0, 0, (1).to_bytes(4, "big")),
        frame(frames.DATA, 0, 1, b""),
    ],
    ids=["ping", "settings", "continuation", "priority", "window", "empty data"],
)
def test_a_flood_of_frames_holds_up_nobody(envoy: Envoy, services: Services, piece: bytes) -> None:
    flags = 0 if piece[3] == frames.CONTINUATION else END_HEADERS
    key, media = ("authorization", f"Bearer {GOOD_KEY}"), ("content-type", "application/json")
    with Http2(envoy.settings.address) as connection:
        connection.send(frame(HEADERS, flags, 1, frames.request("/api/v1/jobs", key, media, method="POST")))
        flood(connection, [piece * 10] * 40_000)
        assert envoy.call("GET", _PATH).status == 200
        connection.until_closed()
    assert [received.method for received in services.received] == ["/penstock.jobs.v1.JobService/GetJob"]


def test_headers_that_unfold_beyond_their_limit_are_refused(envoy: Envoy, services: Services) -> None:
    """An entry of HPACK's dynamic table, named over and over (RFC 7541, 7.3): 20 KB of frame, 60 MB of headers."""
    added = b"\x40" + frames.fields([("x-bomb", "b" * 3000)])[1:]  # a literal that the table keeps, as its first entry
    block = frames.request(_PATH, ("authorization", f"Bearer {GOOD_KEY}")) + added + b"\xbe" * 20_000
    frames_sent = [
        frame(HEADERS, END_STREAM, 1, block[:16_000]),
        frame(frames.CONTINUATION, END_HEADERS, 1, block[16_000:]),
    ]
    with Http2(envoy.settings.address) as connection:
        flood(connection, frames_sent)
        assert not any(each.answers for each in connection.until_ended(1))
    assert services.received == []
    assert envoy.call("GET", _PATH).status == 200
