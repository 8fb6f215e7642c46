"""HTTP/2 frame by frame (RFC 9113), for tests that send what no client would."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
CANCEL = 8
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER_BYTES = 9
_TIMEOUT_S = 60.0
#: `:status 200` of HPACK's static table (RFC 7541, appendix A).
_STATUS_200 = 0x88


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def answers(self) -> bool:
        """Whether these are the headers of an answer with the status 200."""
        start = self.payload.lstrip(bytes(range(0x20, 0x40)))  # changes of the table's size may go before
        return self.kind == HEADERS and start[:1] == bytes([_STATUS_200])

    @property
    def ends(self) -> bool:
        """Whether nothing more comes on its stream."""
        return self.kind == RST_STREAM or (self.kind in {DATA, HEADERS} and bool(self.flags & END_STREAM))


class Http2:
    """A connection that is written to as the test likes.

    Args:
        address: The server's, `host:port`.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=_TIMEOUT_S)
        self._buffer = bytearray()
        self._socket.sendall(_PREFACE + frame(SETTINGS, 0, 0, b""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *frames: bytes) -> None:
        """Sends frames, in one piece.

        Raises:
            OSError: The server has closed the connection.
        """
        self._socket.sendall(b"".join(frames))

    def read(self) -> Frame | None:
        """The next frame; None when the server has closed the connection."""
        while True:
            whole = self._whole()
            if whole is not None:
                return whole
            try:
                data = self._socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._buffer += data

    def until_ended(self, stream: int) -> list[Frame]:
        """All frames until a stream has ended, or the connection."""
        found: list[Frame] = []
        while (got := self.read()) is not None:
            found.append(got)
            if got.stream == stream and got.ends:
                break
        return found

    def until_closed(self) -> list[Frame]:
        """All frames until the server closes the connection; once it says that it will, this end does not wait."""
        found: list[Frame] = []
        while (got := self.read()) is not None:
            found.append(got)
            if got.kind == GOAWAY:
                with suppress(OSError):  # it has already
                    self._socket.shutdown(socket.SHUT_WR)
        return found

    def _whole(self) -> Frame | None:
        if len(self._buffer) < _FRAME_HEADER_BYTES:
            return None
        end = _FRAME_HEADER_BYTES + int.from_bytes(self._buffer[:3], "big")
        if len(self._buffer) < end:
            return None
        stream = int.from_bytes(self._buffer[5:_FRAME_HEADER_BYTES], "big")
        found = Frame(self._buffer[3], self._buffer[4], stream, bytes(self._buffer[_FRAME_HEADER_BYTES:end]))
        del self._buffer[:end]
        return found


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame as it is sent."""
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def fields(pairs: Iterable[tuple[str | bytes, str | bytes]]) -> bytes:
    """Header fields in HPACK (RFC 7541), as literals that no table keeps and nobody has looked at."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in pairs)


def request(path: str, *more: tuple[str | bytes, str | bytes], method: str = "GET") -> bytes:
    """The header fields of a request."""
    return fields(((":method", method), (":scheme", "http"), (":path", path), (":authority", "penstock"), *more))


def _text(text: str | bytes) -> bytes:
    """A text as HPACK has it without Huffman coding: its length with a prefix of 7 bits (RFC 7541, 5.1 and 5.2)."""
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) < 0x7F:
        return bytes((len(raw),)) + raw
    length, rest = bytearray(b"\x7f"), len(raw) - 0x7F
    while rest >= 0x80:
        length.append(rest % 0x80 | 0x80)
        rest //= 0x80
    length.append(rest)
    return bytes(length) + raw
