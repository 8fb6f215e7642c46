"""What a request for an upload must be."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock.jobs.v1 import uploads_pb2

from services.intake.domain import Content
from services.intake.upload_servicer import read_content
from services.intake.uploads import MAX_UPLOAD_BYTES
from shared.errors import InvalidArgument, TooLarge

DIGEST = hashlib.sha256(b"x").hexdigest()


def read(**changes: Any) -> Content:
    return read_content(uploads_pb2.CreateUploadRequest(**{"size": 1, "sha256": DIGEST, **changes}))


def refused(**changes: Any) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as error:
        read(**changes)
    return error.value


def test_what_is_told_is_read() -> None:
    assert read(content_type="image/png") == Content(
        size=1, sha256=hashlib.sha256(b"x").digest(), content_type="image/png"
    )
    assert read().content_type == "application/octet-stream"
    assert read(sha256=DIGEST.upper()) == read()
    assert read(size=MAX_UPLOAD_BYTES).size == 104_857_600


@pytest.mark.parametrize(
    "text",
    [
        "text/plain; charset=utf-8",
        'text/plain;charset="utf-8"',
        r'multipart/form-data; boundary="a \"quoted\" one"',
        "application/vnd.api+json",
        "x/" + "y" * 253,
    ],
)
def test_a_content_type_is_taken_as_it_is(text: str) -> None:
    assert read(content_type=text).content_type == text


@pytest.mark.parametrize(
    "text",
    [
        "image",
        "image/",
        "/png",
        "*/*",
        "image/*",
        "image/png,image/gif",
        "image/png;",
        "image/png; x",
        "a b/c",
        "image/png\r\nx: y",
        "text/ä",
        'text/plain; x="',
        " image/png",
        "x/" + "y" * 254,
    ],
)
def test_what_is_no_content_type_is_refused(text: str) -> None:
    assert [violation.field for violation in refused(content_type=text).violations] == ["contentType"]


@pytest.mark.parametrize("text", ["", "x", DIGEST[:-1], DIGEST + "0", DIGEST[:-1] + "g", "é" * 64])
def test_what_is_no_digest_is_refused(text: str) -> None:
    assert [violation.field for violation in refused(sha256=text).violations] == ["sha256"]


@pytest.mark.parametrize("size", [0, -1])
def test_no_bytes_are_no_upload(size: int) -> None:
    error = refused(size=size)
    assert not isinstance(error, TooLarge)
    assert [violation.field for violation in error.violations] == ["size"]


def test_too_many_bytes_are_too_large_beside_every_other_fault() -> None:
    error = refused(size=MAX_UPLOAD_BYTES + 1, sha256="x", content_type="*")
    assert isinstance(error, TooLarge)
    assert error.metadata == {"limit_bytes": "104857600"}
    assert [violation.field for violation in error.violations] == ["size", "sha256", "contentType"]


@given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=80), st.text(max_size=300))
def test_whatever_is_told_is_read_or_refused_by_its_field(size: int, sha256: str, content_type: str) -> None:
    faults: set[str] = set()
    content = None
    try:
        content = read(size=size, sha256=sha256, content_type=content_type)
    except InvalidArgument as error:
        faults = {violation.field for violation in error.violations}
    assert bool(content) != bool(faults)
    assert faults <= {"size", "sha256", "contentType"}
    assert content is None or content.content_type.isprintable()
