"""Just enough of HTTP/2 (RFC 9113) to make unary gRPC calls at a small part of a real client's cost.

The load shares its cores with what it measures, so a call here is one write of bytes made beforehand, and its end one
look at frame headers. Whether a call succeeded is seen without reading header fields: a unary call that succeeds has a
message in DATA frames, one that fails has none.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.tally import Tally

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_FRAME_HEADER_BYTES = 9
_ENABLE_PUSH, _INITIAL_WINDOW_SIZE = 2, 4
#: What a peer may send on a connection, and on a stream, before it is told of more (6.9.2).
_DEFAULT_WINDOW = 65_535
#: More than all answers of a run, so that none waits for us.
_OUR_WINDOW = 1 << 30


def header_block(path: str, authority: str, identity: str) -> bytes:
    """The header fields of a gRPC call in HPACK (RFC 7541), as literals that no table keeps.

    Args:
        path: `/package.Service/Method`.
        authority: `host:port`.
        identity: The identity token.
    """
    method_post, scheme_http = b"\x83", b"\x86"
    return b"".join(
        (
            method_post,
            scheme_http,
            b"\x04" + _text(path),
            b"\x01" + _text(authority),
            *(
                b"\x00" + _text(name) + _text(value)
                for name, value in (
                    ("content-type", "application/grpc"),
                    ("te", "trailers"),
                    ("x-penstock-identity", identity),
                )
            ),
        )
    )


def message(payload: bytes) -> bytes:
    """A serialised message as gRPC sends it: not compressed, its length first."""
    return struct.pack(">BI", 0, len(payload)) + payload


class Http2Connection(asyncio.Protocol):
    """One connection with some callers on it, each of which calls again when it is answered.

    Args:
        tally: Says whether to go on, and notes how calls end.
        calls: Header block and message of each call, made in turn.
        callers: How many.
    """

    def __init__(self, tally: Tally, calls: Sequence[tuple[bytes, bytes]], callers: int) -> None:
        self._tally = tally
        self._parts = [
            (
                _frame_start(len(block), _HEADERS, _END_HEADERS),
                block + _frame_start(len(body), _DATA, _END_STREAM),
                body,
            )
            for block, body in calls
        ]
        self._callers = callers
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._next_stream = 1
        self._made = 0
        self._window = _DEFAULT_WINDOW
        #: When each open stream was sent, and whether a message has come on it.
        self._open: dict[int, list[float | bool]] = {}
        self._held_back: deque[float] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says what we take."""
        self._transport = cast("asyncio.Transport", transport)
        settings = struct.pack(">HIHI", _ENABLE_PUSH, 0, _INITIAL_WINDOW_SIZE, _OUR_WINDOW)
        self._transport.write(
            _PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _OUR_WINDOW))
        )

    def start(self) -> None:
        """Every caller calls."""
        for _ in range(self._callers):
            self._call()

    def connection_lost(self, exc: Exception | None) -> None:
        """Every call that is out has failed."""
        for sent, _ in self._open.values():
            self._tally.end(cast("float", sent), error=f"the connection was lost: {exc}")
        self._open.clear()

    def data_received(self, data: bytes) -> None:
        """Takes frames."""
        self._buffer += data
        buffer, at, end = self._buffer, 0, len(self._buffer)
        while end - at >= _FRAME_HEADER_BYTES:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if end - at - _FRAME_HEADER_BYTES < length:
                break
            start = at + _FRAME_HEADER_BYTES
            stream = int.from_bytes(buffer[at + 5 : start], "big")
            self._take(buffer[at + 3], buffer[at + 4], stream, bytes(buffer[start : start + min(length, 64)]), length)
            at = start + length
        del buffer[:at]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, length: int) -> None:
        if kind == _DATA and length:
            self._open[stream][1] = True
        if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
            self._ended(stream, "")
        elif kind == _RST_STREAM:
            self._ended(stream, f"the stream was reset: {payload.hex()}")
        elif kind == _SETTINGS and not flags & _ACK:
            self._write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._write(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
            while self._held_back and self._window >= self._next_size():
                self._send(self._held_back.popleft())
        elif kind == _GOAWAY:
            self._tally.samples.append(f"the server goes away: {payload!r}")

    def _ended(self, stream: int, error: str) -> None:
        sent, answered = self._open.pop(stream)
        if not answered and not error:
            error = "an error without a message"
        self._tally.end(cast("float", sent), error=error)
        self._call()

    def _call(self) -> None:
        if not self._tally.take():
            return
        now = time.perf_counter()
        if self._window < self._next_size():
            self._held_back.append(now)
        else:
            self._send(now)

    def _next_size(self) -> int:
        return len(self._parts[self._made % len(self._parts)][2])

    def _send(self, since: float) -> None:
        before, between, body = self._parts[self._made % len(self._parts)]
        self._made += 1
        stream = struct.pack(">I", self._next_stream)
        self._open[self._next_stream] = [since, False]
        self._next_stream += 2
        self._window -= len(body)
        self._write(b"".join((before, stream, between, stream, body)))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _frame_start(length: int, kind: int, flags: int) -> bytes:
    """A frame's header, up to the number of its stream."""
    return length.to_bytes(3, "big") + bytes((kind, flags))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _frame_start(len(payload), kind, flags) + struct.pack(">I", stream) + payload


def _text(text: str) -> bytes:
    """A text as HPACK has it without Huffman coding: its length with a prefix of 7 bits (RFC 7541, 5.1 and 5.2)."""
    raw = text.encode()
    if len(raw) < 0x7F:
        return bytes((len(raw),)) + raw
    length, rest = bytearray(b"\x7f"), len(raw) - 0x7F
    while rest >= 0x80:
        length.append(rest % 0x80 | 0x80)
        rest //= 0x80
    length.append(rest)
    return bytes(length) + raw
