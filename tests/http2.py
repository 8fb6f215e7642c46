"""One request over HTTP/2 (RFC 9113), byte for byte: what no client library would send can be sent."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 7, 8
_END_STREAM, _END_HEADERS = 0x1, 0x4
_STREAM = 1
_FRAME_HEADER_BYTES = 9
_MAX_FRAME_BYTES = 16_384
_TIMEOUT_S = 60.0


def answer_to(address: str, headers: Sequence[tuple[bytes, bytes]], body: bytes | None = None) -> bytes | None:
    """The body of the answer; None where the stream was reset instead.

    Args:
        address: Who is asked, `host:port`.
        headers: In order, pseudo-headers first.
        body: Less than 64 KiB, sent in frames without a content-length; None for a request that ends with its headers.
    """
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)  # literals (RFC 7541, 6.2.2)
    parts = [] if body is None else [body[at : at + _MAX_FRAME_BYTES] for at in range(0, len(body), _MAX_FRAME_BYTES)]
    sent = [_PREFACE, _frame(_SETTINGS, 0, 0, b"")]
    sent.append(_frame(_HEADERS, _END_HEADERS | (_END_STREAM if body is None else 0), _STREAM, block))
    sent += [_frame(_DATA, 0, _STREAM, part) for part in parts]
    if body is not None:
        sent.append(_frame(_DATA, _END_STREAM, _STREAM, b""))
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as connection:
        connection.sendall(b"".join(sent))
        return _answer(connection)


def _answer(connection: socket.socket) -> bytes | None:
    body = b""
    with connection.makefile("rb") as stream:
        while True:
            head = stream.read(_FRAME_HEADER_BYTES)
            if len(head) < _FRAME_HEADER_BYTES:
                return None
            length = int.from_bytes(head[:3], "big")
            kind, flags, stream_id = struct.unpack(">BBI", head[3:])
            payload = stream.read(length)
            if (stream_id == _STREAM and kind == _RST_STREAM) or kind == _GOAWAY:
                return None
            if stream_id == _STREAM and kind == _DATA:
                body += payload
            if stream_id == _STREAM and kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                return body


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream_id) + payload


def _text(text: bytes) -> bytes:
    """As HPACK has it, without Huffman coding (RFC 7541, 5.1 and 5.2)."""
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, encoded = len(text) - 127, b"\x7f"
    while rest >= 128:
        encoded += bytes([rest % 128 + 128])
        rest //= 128
    return encoded + bytes([rest]) + text
