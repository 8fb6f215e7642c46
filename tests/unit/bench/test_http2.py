"""The small HTTP/2 client: it tells success from failure, keeps to the far end's window, and answers its questions."""

from __future__ import annotations

import asyncio
import struct

import pytest

from tests.bench.http2 import Http2Connection, header_block, message
from tests.bench.tally import Tally

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
_END_STREAM = 1
_PREFACE_BYTES = 24


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        """Type, flags, stream and payload of all that was sent."""
        found, at = [], _PREFACE_BYTES
        while at < len(self.sent):
            length = int.from_bytes(self.sent[at : at + 3], "big")
            stream = int.from_bytes(self.sent[at + 5 : at + 9], "big")
            found.append((self.sent[at + 3], self.sent[at + 4], stream, bytes(self.sent[at + 9 : at + 9 + length])))
            at += 9 + length
        return found

    def streams(self) -> list[int]:
        """Those on which a call went out."""
        return [stream for kind, _, stream, _ in self.frames() if kind == _HEADERS]


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + struct.pack(">I", stream) + payload


class _Line:
    """A connection and its far end."""

    def __init__(self, *, callers: int = 1, count: int = 10, body: bytes = b"body") -> None:
        self.tally = Tally(count=count, seconds=60)
        self.tally.start()
        self.transport = _Transport()
        block = header_block("/a.B/C", "host:1", "token")
        self.connection = Http2Connection(self.tally, [(block, message(body))], callers)
        self.connection.connection_made(self.transport)
        self.connection.start()


async def test_a_call_with_a_message_in_its_answer_has_succeeded_and_the_caller_calls_again() -> None:
    line = _Line()
    line.connection.data_received(_frame(_HEADERS, 4, 1) + _frame(_DATA, 0, 1, b"answer"))
    assert line.tally.ended == 0
    line.connection.data_received(_frame(_HEADERS, 5, 1))
    assert (line.tally.ended, line.tally.errors) == (1, 0)
    assert line.transport.streams() == [1, 3]


async def test_a_call_without_a_message_has_failed() -> None:
    line = _Line()
    line.connection.data_received(_frame(_HEADERS, 4 | _END_STREAM, 1))
    assert line.tally.errors == 1


async def test_a_stream_that_was_reset_has_failed() -> None:
    line = _Line()
    line.connection.data_received(_frame(_RST_STREAM, 0, 1, b"\0\0\0\x08"))
    assert line.tally.errors == 1


async def test_a_lost_connection_fails_all_that_is_out() -> None:
    line = _Line(callers=3)
    line.connection.connection_lost(None)
    assert line.tally.errors == 3


async def test_frames_may_come_in_pieces() -> None:
    line = _Line()
    answer = _frame(_DATA, 0, 1, b"x" * 300) + _frame(_HEADERS, 5, 1)
    for byte in answer:
        line.connection.data_received(bytes((byte,)))
    assert (line.tally.ended, line.tally.errors) == (1, 0)


async def test_pings_and_settings_are_answered() -> None:
    line = _Line()
    line.connection.data_received(_frame(_SETTINGS, 0, 0) + _frame(_PING, 0, 0, b"12345678"))
    assert (_SETTINGS, 1, 0, b"") in line.transport.frames()
    assert (_PING, 1, 0, b"12345678") in line.transport.frames()


async def test_no_more_is_sent_than_the_far_end_has_room_for() -> None:
    line = _Line(callers=3, body=b"x" * 30_000)
    assert line.transport.streams() == [1, 3]
    line.connection.data_received(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", 30_000)))
    assert line.transport.streams() == [1, 3, 5]


@pytest.mark.parametrize(
    ("length", "prefix"), [(5, b"\x05"), (126, b"\x7e"), (127, b"\x7f\x00"), (1337, b"\x7f\xba\x09")]
)
async def test_lengths_of_texts_are_written_as_hpack_has_them(length: int, prefix: bytes) -> None:
    identity = "t" * length
    assert header_block("/", "h", identity).endswith(prefix + identity.encode())
