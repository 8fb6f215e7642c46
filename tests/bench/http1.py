"""Just enough of HTTP/1.1 (RFC 9112) to send JSON at a small part of a real client's cost; see `http2`."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.tally import Tally

_END_OF_HEAD = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OK = b"HTTP/1.1 200"


def post(path: str, authority: str, key: str, body: bytes) -> bytes:
    """A whole request.

    Args:
        path: Where to.
        authority: `host:port`.
        key: The API key.
        body: JSON.
    """
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str, authority: str, key: str) -> bytes:
    """The same without a body."""
    return f"GET {path} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {key}\r\n\r\n".encode()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a caller takes its time.

    Args:
        pause_s: From one call to the next, unless the answer takes longer; 0 for none.
        first_after_s: Until its first call, so that not all of them call at the same time.
    """

    pause_s: float
    first_after_s: float


class Http1Connection(asyncio.Protocol):
    """One connection, and the one caller on it, who calls again when it is answered.

    Args:
        tally: Says whether to go on, and notes how calls end.
        requests: What to send, without end.
        pace: How fast the caller calls.
    """

    def __init__(self, tally: Tally, requests: Iterator[bytes], pace: Pace) -> None:
        self._tally = tally
        self._requests = requests
        self._pace = pace
        self._due = 0.0
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._sent: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for `start`."""
        self._transport = cast("asyncio.Transport", transport)

    def start(self) -> None:
        """The caller begins."""
        self._due = asyncio.get_running_loop().time() + self._pace.first_after_s
        self._call_when_due()

    def _call_when_due(self) -> None:
        loop = asyncio.get_running_loop()
        if self._due <= loop.time():
            self._call()
        else:
            loop.call_at(self._due, self._call)

    def _call(self) -> None:
        if self._transport is not None and self._tally.take():
            self._sent = time.perf_counter()
            self._transport.write(next(self._requests))

    def connection_lost(self, exc: Exception | None) -> None:
        """The call that is out has failed; this caller calls no more."""
        if self._sent is not None:
            self._tally.end(self._sent, error=f"the connection was lost: {exc}")
            self._sent = None
            self._tally.take()

    def data_received(self, data: bytes) -> None:
        """Takes the answer, and calls again when it is whole."""
        self._buffer += data
        if self._sent is None or not is_whole(self._buffer):
            return
        error = "" if self._buffer.startswith(_OK) else self._buffer[:400].decode(errors="replace")
        self._tally.end(self._sent, error=error)
        self._sent = None
        self._buffer = b""
        self._due += self._pace.pause_s
        self._call_when_due()


def is_whole(answer: bytes) -> bool:
    """Whether an answer has come to its end."""
    head = answer.find(_END_OF_HEAD)
    if head < 0:
        return False
    length = _LENGTH.search(answer, 0, head)
    if length is not None:
        return len(answer) - head - len(_END_OF_HEAD) >= int(length[1])
    return answer.endswith(_LAST_CHUNK)
