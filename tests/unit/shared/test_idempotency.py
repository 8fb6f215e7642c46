"""Which idempotency key a request carries, in the field or in either header, quoted or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.idempotency import read_key

ONE, OTHER = "idempotency-key", "x-idempotency-key"
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)


@pytest.mark.parametrize(
    ("request_id", "metadata", "key"),
    [
        ("", {}, ""),
        ("abc", {}, "abc"),
        ("", {ONE: "abc"}, "abc"),
        ("", {OTHER: "abc"}, "abc"),
        ("", {ONE: '"abc"'}, "abc"),
        ("", {ONE: ' "abc"\t'}, "abc"),
        ("", {ONE: r'"a\"b\\c"'}, r"a\"b\\c".replace(r"\"", '"').replace(r"\\", "\\")),
        ("", {ONE: '"abc'}, '"abc'),
        ("", {ONE: "8e03978e-40d5-43dd-bc93-6894a57f9324"}, "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("abc", {ONE: '"abc"', OTHER: "abc"}, "abc"),
        ("", {"unrelated": "abc"}, ""),
    ],
)
def test_a_key_is_read_from_wherever_it_stands(request_id: str, metadata: dict[str, str], key: str) -> None:
    assert read_key(request_id, metadata) == (key, [])


@pytest.mark.parametrize(
    ("request_id", "metadata", "fields"),
    [
        ("abc", {ONE: "abd"}, {"requestId", "Idempotency-Key"}),
        ("", {ONE: "abc", OTHER: "abd"}, {"Idempotency-Key", "X-Idempotency-Key"}),
        ("abc", {ONE: "abc", OTHER: "abd"}, {"requestId", "Idempotency-Key", "X-Idempotency-Key"}),
    ],
)
def test_keys_that_differ_are_refused_under_every_name(
    request_id: str, metadata: dict[str, str], fields: set[str]
) -> None:
    assert {fault.field for fault in read_key(request_id, metadata)[1]} == fields


@pytest.mark.parametrize(
    ("header", "description"),
    [("", "empty"), ('""', "empty"), ("  ", "empty"), ("a b", "visible"), ('"a b"', "visible"), ("x" * 256, "256")],
)
@pytest.mark.parametrize(("name", "field"), [(ONE, "Idempotency-Key"), (OTHER, "X-Idempotency-Key")])
def test_a_header_that_is_no_key_is_refused(header: str, description: str, name: str, field: str) -> None:
    _, [fault] = read_key("", {name: header})
    assert fault.field == field
    assert description in fault.description


@pytest.mark.parametrize("key", ["ä", "a\x00", "a\n", "\x7f"])
def test_what_is_not_visible_ascii_is_refused(key: str) -> None:
    assert [fault.field for fault in read_key(key, {})[1]] == ["requestId"]


@given(key=VISIBLE)
def test_every_visible_key_comes_through_quoted(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert read_key("", {ONE: quoted}) == (key, [])
