"""Ids sort by time, and say what they are of."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import ids

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_ids_of_a_batch_and_of_an_upload_are_told_from_others() -> None:
    assert ids.is_batch_id(ids.new_batch_id())
    assert ids.is_upload_id(ids.new_upload_id())
    assert not ids.is_batch_id(ids.new_upload_id())
    assert not ids.is_upload_id(f"{ids.new_upload_id()}\n")


def test_the_jobs_of_a_batch_have_ids_of_their_own_that_are_always_the_same_and_sort_in_its_order() -> None:
    batch, other = ids.new_batch_id(), ids.new_batch_id()
    found = [ids.job_id_in_batch(batch, index, "http") for index in range(100)]
    assert found == sorted(set(found))
    assert found == [ids.job_id_in_batch(batch, index, "http") for index in range(100)]
    assert all(ids.upstream_of(job_id) == "http" for job_id in found)
    assert [ids.place_in_batch(job_id) for job_id in found] == list(range(100))
    assert not set(found) & {ids.job_id_in_batch(other, index, "http") for index in range(100)}
    assert found[0].removeprefix("http-")[:13] == batch.removeprefix("batch_")[:13]  # the same millisecond


@pytest.mark.parametrize(("batch_id", "index"), [("batch_x", 0), (ids.new_batch_id(), 4096), (ids.new_batch_id(), -1)])
def test_there_is_no_job_outside_of_a_batch(batch_id: str, index: int) -> None:
    with pytest.raises(ValueError, match="there is no job"):
        ids.job_id_in_batch(batch_id, index, "http")


@pytest.mark.parametrize("new_id", [ids.uuid7, ids.new_batch_id, lambda: ids.new_job_id("a-b")])
def test_an_id_tells_when_it_was_made(new_id: Callable[[], object]) -> None:
    before = datetime.now(UTC)
    assert before - timedelta(milliseconds=1) < ids.made_at(str(new_id())) <= datetime.now(UTC)


def test_a_job_of_a_batch_tells_when_the_batch_was_made() -> None:
    batch = ids.new_batch_id()
    assert ids.made_at(ids.job_id_in_batch(batch, 7, "http")) == ids.made_at(batch)


def test_a_text_that_is_no_id_tells_nothing() -> None:
    with pytest.raises(ValueError, match="badly formed"):
        ids.made_at("http-123")
