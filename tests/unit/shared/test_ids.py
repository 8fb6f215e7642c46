"""Ids sort by time, and say what they are of."""

from __future__ import annotations

import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import ids


def test_a_uuid_of_version_7_carries_its_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = ids.uuid7()
    after = time.time_ns() // 1_000_000
    assert before <= made.int >> 80 <= after
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


@pytest.mark.parametrize("upstream", ["http", "flickr", "aws-s3", "a1-b2"])
def test_a_job_id_tells_its_upstream(upstream: str) -> None:
    assert ids.upstream_of(ids.new_job_id(upstream)) == upstream


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http",
        "http-",
        "http-123",
        "HTTP-0198c6f2-6d3c-7abc-8def-0123456789ab",
        "http-0198c6f2-6d3c-4abc-8def-0123456789ab",
        "-0198c6f2-6d3c-7abc-8def-0123456789ab",
        "http-0198c6f2-6d3c-7abc-8def-0123456789ab\n",
        "http-0198C6F2-6d3c-7abc-8def-0123456789ab",
        "http-0198c6f2-6d3c-7abc-8def-0123456789ab:wait",
    ],
)
def test_what_is_no_job_id_has_no_upstream(text: str) -> None:
    assert ids.upstream_of(text) is None


@given(st.text(max_size=60))
def test_reading_an_id_never_fails(text: str) -> None:
    assert ids.upstream_of(text) is None or ids.is_slug(text[:-37])


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("http", True),
        ("a" * 40, True),
        ("a" * 41, False),
        ("aws-s3", True),
        ("aws--s3", False),
        ("1a", False),
        ("", False),
    ],
)
def test_slugs(text: str, *, is_one: bool) -> None:
    assert ids.is_slug(text) is is_one


def test_key_ids_and_request_ids_are_recognised() -> None:
    assert ids.is_key_id(ids.new_key_id())
    assert not ids.is_key_id("key_1")
    assert ids.is_request_id(ids.new_request_id())
    assert ids.is_request_id("a" * 128)
    assert not ids.is_request_id("a" * 129)
    assert not ids.is_request_id("two words")
    assert ids.new_error_id().startswith("err_")
