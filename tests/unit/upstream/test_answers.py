"""Content codings undone piece by piece, and never beyond the cap."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.upstream.answers import Answer, AnswerError, _decoded, _joined
from services.upstream.domain import MAX_INLINE_BYTES, Reason, Stored
from tests.fakes.contents import ContentStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

from multidict import CIMultiDict, CIMultiDictProxy

GZIP = 16 + zlib.MAX_WBITS
MOST = 4 * MAX_INLINE_BYTES
KEY = "results/acme/http-1/1"


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def decoded(coded: bytes, size: int, window_bits: int = GZIP) -> bytes:
    return b"".join([piece async for piece in _decoded(pieces(coded, size), window_bits)])


class Response:
    """What an answer reads of aiohttp's response."""

    def __init__(self, content: bytes, *, status: int = 200, method: str = "GET", **headers: str) -> None:
        self.status = status
        self.method = method
        self.headers = CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))
        length = self.headers.get("Content-Length")
        self.content_length = int(length) if length is not None else None
        self.content = self
        self.body = content

    def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        return pieces(self.body, size)


def answer(content: bytes, store: ContentStore | None = None, **told: Any) -> Answer:
    response = cast("aiohttp.ClientResponse", Response(content, **told))
    return Answer(response, (store or ContentStore()).place(KEY, at_most=MOST))


def fills(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + b"x" * (size % 256)


@given(content=st.binary(max_size=5000), members=st.integers(1, 4), size=st.integers(1, 700))
async def test_gzip_is_undone_however_it_is_cut(content: bytes, members: int, size: int) -> None:
    step = len(content) // members + 1
    coded = b"".join(gzip.compress(content[start : start + step]) for start in range(0, len(content) + 1, step))
    assert await decoded(coded, size) == content


@given(content=st.binary(max_size=5000), bare=st.booleans(), size=st.integers(1, 700))
async def test_deflate_is_undone_with_and_without_its_wrapping(content: bytes, *, bare: bool, size: int) -> None:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS if bare else zlib.MAX_WBITS)
    coded = compressor.compress(content) + compressor.flush()
    assert await decoded(coded, size, zlib.MAX_WBITS) == content


@given(coded=st.binary(min_size=1, max_size=300))
async def test_noise_is_never_more_than_a_protocol_error(coded: bytes) -> None:
    for window_bits in (GZIP, zlib.MAX_WBITS):
        try:
            await decoded(coded, 64, window_bits)
        except AnswerError as error:
            if error.reason is not Reason.UPSTREAM_PROTOCOL:
                raise


async def test_a_bomb_is_not_unfolded() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    store = ContentStore()
    tracemalloc.start()
    try:
        with pytest.raises(AnswerError) as caught:
            await answer(bomb, store, Content_Encoding="gzip").body()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.reason is Reason.RESULT_TOO_LARGE
    assert not store.contents
    assert peak < 2 * MOST  # what the store in memory had of it


@pytest.mark.parametrize("size", [0, 1, MAX_INLINE_BYTES - 1, MAX_INLINE_BYTES])
async def test_a_body_that_fits_a_message_is_taken_as_it_is(size: int) -> None:
    content, store = fills(size), ContentStore()
    assert await answer(content, store, Content_Length=str(size)).body() == content
    assert await answer(content, store).body() == content
    assert await answer(gzip.compress(content), store, Content_Encoding="gzip").body() == content
    assert not store.contents


@pytest.mark.parametrize("size", [MAX_INLINE_BYTES + 1, MOST])
async def test_a_larger_one_is_stored_as_it_comes(size: int) -> None:
    content, store = fills(size), ContentStore()
    told = {"Content_Length": str(size), "Content_Type": "image/png"}
    assert await answer(content, store, **told).body() == Stored(size=size)
    assert (store.contents, store.types, store.told) == ({KEY: content}, {KEY: "image/png"}, {KEY: size})


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_a_larger_one_of_no_known_length_is_stored_too(coding: str) -> None:
    content, store = fills(MAX_INLINE_BYTES + 1), ContentStore()
    coded = gzip.compress(content) if coding else content
    assert await answer(coded, store, Content_Encoding=coding).body() == Stored(size=len(content))
    assert (store.contents, store.told) == ({KEY: content}, {KEY: None})


@pytest.mark.parametrize("told", [{"Content_Length": str(MOST + 1)}, {}])
async def test_one_byte_over_the_cap_is_refused_and_nothing_stays(told: dict[str, str]) -> None:
    store = ContentStore()
    with pytest.raises(AnswerError, match=str(MOST)) as caught:
        await answer(fills(MOST + 1), store, **told).body()
    assert caught.value.reason is Reason.RESULT_TOO_LARGE
    assert not store.contents


async def test_one_that_cannot_be_stored_says_that_it_came() -> None:
    with pytest.raises(AnswerError, match="answered 201") as caught:
        await answer(fills(MOST), ContentStore(away_for=1), status=201).body()
    assert (caught.value.reason, caught.value.status) == (Reason.UNAVAILABLE, 201)


@pytest.mark.parametrize("told", [{"method": "HEAD"}, {"status": 304}, {"status": 204}])
async def test_an_answer_without_a_body_has_none_whatever_its_length_says(told: dict[str, Any]) -> None:
    assert await answer(b"", Content_Length=str(MOST + 1), **told).body() == b""


def test_headers_are_joined_in_lower_case_without_cookies_and_as_latin_1_where_they_are_no_utf_8() -> None:
    headers = CIMultiDict(
        [("X-A", "1"), ("x-a", "2"), ("Set-Cookie", "a=b"), ("X-Name", b"M\xfcller".decode("utf-8", "surrogateescape"))]
    )
    assert _joined(CIMultiDictProxy(headers)) == {"x-a": "1, 2", "x-name": "Müller"}
