"""What a client that waits takes for its job's end, and what it does with any other answer."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from tests.bench.cpu import parse_resident_bytes
from tests.bench.holder import Ends, HeldCall
from tests.waiting import eventually

if TYPE_CHECKING:
    import asyncio

_REQUEST = b"GET /"


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


def answer(body: str, *, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


@pytest.fixture
def ends() -> Ends:
    return Ends(1)


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def call(ends: Ends, transport: Transport) -> HeldCall:
    made = HeldCall(ends, _REQUEST)
    made.connection_made(cast("asyncio.BaseTransport", transport))
    return made


def finished(seconds_ago: float = 0.0) -> str:
    return f'"finishedAt":"{datetime.fromtimestamp(time.time() - seconds_ago, UTC).isoformat()}"'


def test_the_time_since_the_jobs_end_is_taken_once(call: HeldCall, ends: Ends, transport: Transport) -> None:
    whole = answer("{" + finished(2.0) + "}")
    call.data_received(whole[:60])
    assert not ends.over.is_set()
    call.data_received(whole[60:])
    assert ends.over.is_set()
    assert 2000 <= ends.latencies_ms[0] < 4000
    assert transport.closed
    call.connection_lost(None)
    assert (ends.errors, len(ends.latencies_ms)) == (0, 1)


def test_an_answer_before_the_end_is_asked_for_again(call: HeldCall, ends: Ends, transport: Transport) -> None:
    call.data_received(answer('{"state":"QUEUED"}'))
    assert (ends.repeated, transport.written) == (1, [_REQUEST] * 2)
    call.data_received(answer("{" + finished() + "}"))
    assert ends.over.is_set()


def test_the_end_is_found_behind_many_events_of_a_stream(call: HeldCall, ends: Ends) -> None:
    call.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(1000):
        call.data_received(b"c\r\n: heartbeat\n\n\r\n")
    assert not ends.over.is_set()
    call.data_received(b"data: {" + finished().encode() + b"}\n\n")
    assert ends.over.is_set()


async def test_who_is_refused_comes_again(
    call: HeldCall, ends: Ends, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bench.holder._REFUSED_PAUSE_S", 0.0)
    call.data_received(answer("busy", status="503 Service Unavailable"))
    await eventually(lambda: transport.written == [_REQUEST] * 2)
    assert (ends.refused, ends.errors) == (1, 0)


@pytest.mark.parametrize("how", ["an error", "a lost connection"])
def test_whoever_is_left_without_an_end_is_an_error(call: HeldCall, ends: Ends, how: str) -> None:
    if how == "an error":
        call.data_received(answer("none", status="404 Not Found"))
    else:
        call.connection_lost(None)
    assert ends.over.is_set()
    assert ends.errors == 1
    assert ends.samples


def test_memory_is_read_off_what_linux_tells() -> None:
    assert parse_resident_bytes("Name:\tx\nVmHWM:\t  999 kB\nVmRSS:\t    12 kB\n") == 12 * 1024
