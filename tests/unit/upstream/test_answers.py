"""Content codings undone piece by piece, and never beyond the cap."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.upstream.answers import AnswerError, _joined, _read_coded, _read_plain
from services.upstream.domain import MAX_BODY_BYTES, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

from multidict import CIMultiDict, CIMultiDictProxy

GZIP = 16 + zlib.MAX_WBITS


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@given(content=st.binary(max_size=5000), members=st.integers(1, 4), size=st.integers(1, 700))
async def test_gzip_is_undone_however_it_is_cut(content: bytes, members: int, size: int) -> None:
    step = len(content) // members + 1
    coded = b"".join(gzip.compress(content[start : start + step]) for start in range(0, len(content) + 1, step))
    assert await _read_coded(pieces(coded, size), GZIP) == content


@given(content=st.binary(max_size=5000), bare=st.booleans(), size=st.integers(1, 700))
async def test_deflate_is_undone_with_and_without_its_wrapping(content: bytes, *, bare: bool, size: int) -> None:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS if bare else zlib.MAX_WBITS)
    coded = compressor.compress(content) + compressor.flush()
    assert await _read_coded(pieces(coded, size), zlib.MAX_WBITS) == content


@given(coded=st.binary(min_size=1, max_size=300))
async def test_noise_is_never_more_than_a_protocol_error(coded: bytes) -> None:
    for window_bits in (GZIP, zlib.MAX_WBITS):
        try:
            await _read_coded(pieces(coded, 64), window_bits)
        except AnswerError as error:
            if error.reason is not Reason.UPSTREAM_PROTOCOL:
                raise


async def test_a_bomb_is_not_unfolded() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(AnswerError) as caught:
            await _read_coded(pieces(bomb, len(bomb)), GZIP)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.reason is Reason.RESULT_TOO_LARGE
    assert peak < 8 * MAX_BODY_BYTES


@pytest.mark.parametrize("size", [MAX_BODY_BYTES - 1, MAX_BODY_BYTES])
async def test_a_body_up_to_the_cap_is_taken(size: int) -> None:
    content = bytes(size)
    assert await _read_plain(pieces(content, 65536)) == content
    assert await _read_coded(pieces(gzip.compress(content), 100), GZIP) == content


async def test_a_body_one_byte_over_the_cap_is_refused() -> None:
    content = bytes(MAX_BODY_BYTES + 1)
    with pytest.raises(AnswerError, match="262144"):
        await _read_plain(pieces(content, 65536))
    with pytest.raises(AnswerError, match="262144"):
        await _read_coded(pieces(gzip.compress(content), 100), GZIP)


def test_headers_are_joined_in_lower_case_without_cookies_and_as_latin_1_where_they_are_no_utf_8() -> None:
    headers = CIMultiDict(
        [("X-A", "1"), ("x-a", "2"), ("Set-Cookie", "a=b"), ("X-Name", b"M\xfcller".decode("utf-8", "surrogateescape"))]
    )
    assert _joined(CIMultiDictProxy(headers)) == {"x-a": "1, 2", "x-name": "Müller"}
