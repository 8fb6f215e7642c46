"""Conditions and ranges of bytes, as RFC 9110 has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.conditions import Conditions, Part
from shared.errors import RangeNotSatisfiable

ETAG = '"abc"'


def part(asked: str, size: int = 10, *, if_range: str = "") -> Part | None:
    return Conditions(range=asked, if_range=if_range).part(ETAG, size)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-9", 0, 9),
        ("bytes=2-5", 2, 5),
        ("bytes=9-", 9, 9),
        ("bytes=0-", 0, 9),
        ("bytes=5-99999999999999999999999", 5, 9),
        ("bytes=-1", 9, 9),
        ("bytes=-10", 0, 9),
        ("bytes=-11", 0, 9),
        ("BYTES=2-5", 2, 5),
        ("bytes= 2-5 ", 2, 5),
        ("bytes=007-8", 7, 8),
    ],
)
def test_one_range_is_a_part(asked: str, first: int, last: int) -> None:
    found = part(asked)
    assert found == Part(first=first, last=last, size=10)
    assert found.content_range == f"bytes {first}-{last}/10"


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=1.5-2",
        "bytes=--5",
        "bytes=+1-2",
        "bytes=0-1,3-4",
        "items=0-1",
        "0-1",
        "bytes 0-1",
        "bytes=٣-٤",
        f"bytes={'9' * 5000}-",
    ],
)
def test_what_is_no_single_range_of_bytes_is_answered_with_all_of_it(asked: str) -> None:
    assert part(asked) is None


@pytest.mark.parametrize(
    ("asked", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-0", 0)]
)
def test_a_range_outside_of_the_content_is_refused_with_its_size(asked: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        part(asked, size)
    assert caught.value.metadata == {"size": str(size)}


def test_the_last_bytes_of_nothing_are_all_of_it() -> None:
    assert part("bytes=-5", 0) is None


@pytest.mark.parametrize(
    ("if_range", "is_part"),
    [
        (ETAG, True),
        (f" {ETAG} ", True),
        ('"other"', False),
        (f"W/{ETAG}", False),
        ("Wed, 21 Oct 2026 07:28:00 GMT", False),
        ("abc", False),
    ],
)
def test_a_part_is_given_only_of_the_content_that_the_reader_has_begun(if_range: str, *, is_part: bool) -> None:
    assert (part("bytes=0-1", if_range=if_range) is not None) is is_part


@pytest.mark.parametrize(
    ("if_none_match", "knows"),
    [
        ("", False),
        ("*", True),
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"x", {ETAG}', True),
        (f'W/"x",W/{ETAG} , "y"', True),
        ('"x"', False),
        ("abc", False),
        ('"a", "bc"', False),
        ('"abc', False),
    ],
)
def test_a_reader_knows_the_content_by_any_of_its_tags(if_none_match: str, *, knows: bool) -> None:
    assert Conditions(if_none_match=if_none_match).knows(ETAG) is knows


def test_they_are_read_off_the_headers() -> None:
    headers = {"range": "bytes=0-1", "if-range": ETAG, "if-none-match": "*", "other": "x"}
    assert Conditions.read(headers) == Conditions(range="bytes=0-1", if_range=ETAG, if_none_match="*")
    assert Conditions.read({}) == Conditions()


@given(asked=st.text(max_size=40) | st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}"), content=st.binary(max_size=50))
def test_whatever_is_asked_the_answer_lies_within_the_content(asked: str, content: bytes) -> None:
    try:
        found = part(asked, len(content))
    except RangeNotSatisfiable:
        return
    if found is not None:
        assert 0 <= found.first <= found.last < len(content)
        assert len(content[found.first : found.last + 1]) == found.last - found.first + 1
