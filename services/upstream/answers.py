"""An upstream's answer, read with bounds: nothing of it costs more memory than a result may have."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from services.upstream.domain import MAX_BODY_BYTES, MAX_HEADER_BYTES, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp
    from multidict import CIMultiDictProxy

#: What `Accept-Encoding` asks for, and what is undone; anything else stays as it came, under its `content-encoding`.
ACCEPTED_CODINGS = "gzip, deflate"
_GZIP = 16 + zlib.MAX_WBITS
_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}
#: The low bits of the first byte of a zlib stream (RFC 1950, 2.2); servers that send bare deflate have others there.
_ZLIB_METHOD = 8
_CHUNK_BYTES = 64 * 1024
#: Tell of the message on the wire, and no longer of the body once its coding is undone.
_OF_THE_CODED_BODY = frozenset({"content-encoding", "content-length"})


class AnswerError(Exception):
    """The answer cannot be taken.

    Args:
        reason: RESULT_TOO_LARGE or UPSTREAM_PROTOCOL.
        message: To be read behind the host that sent it.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Answer:
    """A status and headers that have come; the body is read when asked for.

    Args:
        response: Of aiohttp, whose own decoding is off.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
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

    async def body(self) -> bytes:
        """The body, content coding undone.

        Raises:
            AnswerError: It is larger than a result may be, or its coding is broken.
        """
        length = self._response.content_length or 0
        chunks = self._response.content.iter_chunked(_CHUNK_BYTES)
        if self._coding is None:
            if length > MAX_BODY_BYTES and self._response.method != "HEAD":
                raise _too_large()
            return await _read_plain(chunks)
        return await _read_coded(chunks, self._coding)


async def _read_plain(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(body)


async def _read_coded(chunks: AsyncIterator[bytes], window_bits: int) -> bytes:
    """Undoes gzip or deflate, a piece at a time, and never beyond the cap: a bomb stays folded."""
    body = bytearray()
    inflate = None
    try:
        async for chunk in chunks:
            rest = chunk
            while rest:
                if inflate is None:
                    inflate = zlib.decompressobj(_window_bits(window_bits, rest))
                body += inflate.decompress(rest, MAX_BODY_BYTES + 1 - len(body))
                if len(body) > MAX_BODY_BYTES:
                    raise _too_large()
                rest = inflate.unconsumed_tail
                if inflate.eof:  # a gzip file may have several members (RFC 1952, 2.2)
                    rest, inflate = inflate.unused_data, None
    except zlib.error as error:
        raise AnswerError(Reason.UPSTREAM_PROTOCOL, f"answered with a broken content coding ({error})") from error
    if inflate is not None:
        raise AnswerError(Reason.UPSTREAM_PROTOCOL, "answered with a content coding that ends too early")
    return bytes(body)


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


def _too_large() -> AnswerError:
    return AnswerError(
        Reason.RESULT_TOO_LARGE,
        f"answered with a body of more than {MAX_BODY_BYTES} bytes, the most that a result takes",
    )
