"""An upstream's answer, read with bounds: whatever its size, it costs no more memory than what travels in a message."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

import aiohttp

from services.upstream.domain import MAX_HEADER_BYTES, MAX_INLINE_BYTES, Reason
from shared.errors import Unavailable
from shared.media_types import media_type

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from multidict import CIMultiDictProxy

    from services.upstream.contents import ResultPlace
    from services.upstream.domain import Stored

#: What `Accept-Encoding` asks for, and what is undone; anything else stays as it came, under its `content-encoding`.
ACCEPTED_CODINGS = "gzip, deflate"
_GZIP = 16 + zlib.MAX_WBITS
_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}
#: The low bits of the first byte of a zlib stream (RFC 1950, 2.2); servers that send bare deflate have others there.
_ZLIB_METHOD = 8
_CHUNK_BYTES = 64 * 1024
_EDGE_BYTES = 1024
#: No body ever comes with these (RFC 9110, 6.4.1).
_WITHOUT_BODY = frozenset({204, 304})
#: Tell of the message on the wire, and no longer of the body once its coding is undone.
_OF_THE_CODED_BODY = frozenset({"content-encoding", "content-length"})


class AnswerError(Exception):
    """The answer cannot be taken.

    Args:
        reason: RESULT_TOO_LARGE, UPSTREAM_PROTOCOL, or UNAVAILABLE where it cannot be stored.
        message: To be read behind the host that sent it.
        status: The answer's, where the answer itself is well.
    """

    def __init__(self, reason: Reason, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status


class Edges:
    """The first and the last bytes of a body: what can be told of one that is too large to be looked at whole."""

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""

    async def of(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks as they are, seen."""
        async for chunk in chunks:
            if len(self.head) < _EDGE_BYTES:
                self.head = (self.head + chunk)[:_EDGE_BYTES]
            self.tail = (self.tail + chunk)[-_EDGE_BYTES:] if len(chunk) < _EDGE_BYTES else chunk[-_EDGE_BYTES:]
            yield chunk


class Answer:
    """A status and headers that have come; the body is read when asked for.

    Args:
        response: Of aiohttp, whose own decoding is off.
        place: Where its body goes if it is too large to travel in messages.
    """

    def __init__(self, response: aiohttp.ClientResponse, place: ResultPlace) -> None:
        self._response = response
        self._place = place
        self._coding = _CODINGS.get(response.headers.get("Content-Encoding", "").strip().lower())
        self.status = response.status

    def header(self, name: str) -> str | None:
        """The first header of this name, or None."""
        return self._response.headers.get(name)

    def field(self, name: str) -> str | None:
        """The header of this name, several of one name joined as RFC 9110, 5.3 has it, or None."""
        values = self._response.headers.getall(name, [])
        return ", ".join(values) if values else None

    def headers(self) -> dict[str, str]:
        """The headers as a result shows them: names in lower case, several of one name joined, no cookies.

        Raises:
            AnswerError: They are larger than a result's may be.
        """
        shown = _joined(self._response.headers)
        if self._coding is not None:
            shown = {name: value for name, value in shown.items() if name not in _OF_THE_CODED_BODY}
        size = sum(len(name) + len(value.encode()) for name, value in shown.items())
        if size > MAX_HEADER_BYTES:
            raise AnswerError(
                Reason.RESULT_TOO_LARGE,
                f"answered with {size} bytes of headers; a result takes at most {MAX_HEADER_BYTES}",
            )
        return shown

    async def start(self, *, at_most: int, within: timedelta) -> bytes:
        """What can be had of the body, content coding undone: the rest is not read, and nothing is stored or raised.

        For the body of an error, which tells more where it is there, and whose status tells enough where it is not.

        Args:
            at_most: Bytes.
            within: How long to wait for them.
        """
        if self._has_no_body:
            return b""
        start = bytearray()
        try:
            async with asyncio.timeout(within.total_seconds()):
                async for chunk in self._chunks():
                    start += chunk
                    if len(start) >= at_most:
                        break
        except (TimeoutError, AnswerError, aiohttp.ClientError, OSError):
            pass  # what has come stands for itself
        return bytes(start[:at_most])

    async def body(self, edges: Edges | None = None) -> bytes | Stored:
        """The body, content coding undone: itself, or, where it is too large to travel in messages, that it is stored.

        Args:
            edges: Is shown what comes.

        Raises:
            AnswerError: It is larger than a result may be, its coding is broken, or it cannot be stored.
        """
        if self._has_no_body:
            return b""
        chunks = self._chunks()
        if edges is not None:
            chunks = edges.of(chunks)
        if self._coding is None and (length := self._response.content_length or 0) > MAX_INLINE_BYTES:
            return await self._store(chunks, size=length)
        start = bytearray()
        async for chunk in chunks:
            start += chunk
            if len(start) > MAX_INLINE_BYTES:
                return await self._store(_continued(start, chunks), size=None)
        return bytes(start)

    @property
    def _has_no_body(self) -> bool:
        """Whatever its `Content-Length` says of another answer."""
        return self._response.method == "HEAD" or self.status in _WITHOUT_BODY

    def _chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, content coding undone."""
        chunks = self._response.content.iter_chunked(_CHUNK_BYTES)
        return chunks if self._coding is None else _decoded(chunks, self._coding)

    async def _store(self, chunks: AsyncIterator[bytes], *, size: int | None) -> Stored:
        most = self._place.at_most
        if size is not None and size > most:
            raise _too_large(most)
        content_type = media_type(_text(self.header("Content-Type") or ""))
        try:
            return await self._place.put(_bounded(chunks, most), size=size, content_type=content_type)
        except Unavailable as error:
            raise AnswerError(
                Reason.UNAVAILABLE,
                f"answered {self.status}, and its answer could not be stored: {error.message}",
                status=self.status,
            ) from error


async def _continued(start: bytearray, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield bytes(start)
    start.clear()
    async for chunk in chunks:
        yield chunk


async def _bounded(chunks: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """The chunks, as long as there are no more bytes in them than there may be."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        yield chunk


async def _decoded(chunks: AsyncIterator[bytes], window_bits: int) -> AsyncIterator[bytes]:
    """Undoes gzip or deflate, a small piece at a time: who reads no further unfolds no more, so a bomb stays folded."""
    inflate = None
    try:
        async for chunk in chunks:
            rest = chunk
            while rest:
                if inflate is None:
                    inflate = zlib.decompressobj(_window_bits(window_bits, rest))
                if piece := inflate.decompress(rest, _CHUNK_BYTES):
                    yield piece
                rest = inflate.unconsumed_tail
                if inflate.eof:  # a gzip file may have several members (RFC 1952, 2.2)
                    rest, inflate = inflate.unused_data, None
    except zlib.error as error:
        raise AnswerError(Reason.UPSTREAM_PROTOCOL, f"answered with a broken content coding ({error})") from error
    if inflate is not None:
        raise AnswerError(Reason.UPSTREAM_PROTOCOL, "answered with a content coding that ends too early")


def _window_bits(coding: int, start: bytes) -> int:
    bare = coding == zlib.MAX_WBITS and start[0] & 0x0F != _ZLIB_METHOD
    return -zlib.MAX_WBITS if bare else coding


def _joined(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers.items():
        name = raw_name.lower()
        if name == "set-cookie":
            continue
        value = _text(raw_value)
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _text(value: str) -> str:
    """A header's value, which aiohttp read as UTF-8 with surrogates for what is not; that is Latin-1 then."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _too_large(most: int) -> AnswerError:
    return AnswerError(
        Reason.RESULT_TOO_LARGE, f"answered with a body of more than {most} bytes, the most that a result takes"
    )
