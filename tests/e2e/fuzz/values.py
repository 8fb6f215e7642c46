"""Values for a field in JSON, or in an URL: good ones, wrong ones, and such as break programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from google.protobuf.descriptor import FieldDescriptor
from hypothesis import strategies as st

from tests.e2e.fuzz.leaves import is_list, is_map

_STRUCT = "google.protobuf.Struct"
_TIMES = {"google.protobuf.Timestamp", "google.protobuf.Duration"}


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that stand in a body as they are, whether they are JSON or not."""

    text: bytes


def written(value: Any) -> bytes:
    """A value as JSON, but for what is raw."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return b"{" + b",".join(json.dumps(name).encode() + b":" + written(held) for name, held in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(written(held) for held in value) + b"]"
    return json.dumps(value).encode()


def _nested(levels: int, kind: str) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value} if kind == "object" else [value]
    return value


_LONG = [200, 2_000, 70_000, 300_000]
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(max_codepoint=0x9F), max_size=12),
    st.tuples(st.sampled_from(["x", "é", "😀", "\x00", '"', "\\", " "]), st.sampled_from(_LONG)).map(
        lambda it: it[0] * it[1]
    ),
    st.sampled_from(
        ["", " ", "\x00", "null", "true", "0", "../../etc/passwd", "%00", "{}", "\u202e", "\ufeff", "http", "HTTP"]
    ),
)
#: No text of JSON, or none that may be sent.
_NO_TEXTS = st.sampled_from(
    [
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xed\xa0\x80"',
        b'"\x01"',
        b'"\\x"',
        b'"',
        b"'a'",
        b'"\\u12"',
    ]
).map(Raw)
_NO_NUMBERS = st.sampled_from(
    [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"01", b"+1", b"1.", b".5", b"0x10", b"-"]
).map(Raw)
EDGES = [edge + step for edge in (0, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30) for step in (-1, 0, 1)]
NUMBERS = st.one_of(
    st.sampled_from([sign * edge for edge in EDGES for sign in (1, -1)]),
    st.integers(-100, 100),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.5, -0.0, 1e308, 5e-324, 1.0]),
)
_DEEP = st.sampled_from([_nested(levels, kind) for levels in (20, 31, 33, 200) for kind in ("object", "array")])
_PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20))
ANYTHING = st.one_of(
    _PLAIN,
    TEXTS,
    _NO_TEXTS,
    _NO_NUMBERS,
    _DEEP,
    st.recursive(
        _PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ),
)
_TIMESTAMPS = st.one_of(
    st.datetimes().map(lambda time: time.isoformat() + "Z"),
    st.sampled_from(
        [
            *("2026-01-31T12:00:00Z", "2099-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"),
            *("0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z"),
            *("2026-01-01T00:00:60Z", "2026-01-01T00:00:00", "2026-01-01", "2026-01-01T00:00:00+24:00", "now"),
            *(
                "2026-01-01T00:00:00.1234567890Z",
                "2026-01-01t00:00:00z",
                "0001-01-01T00:00:00+23:59",
                "٢٠٢٦-01-01T00:00:00Z",
            ),
            *("9999-12-31T23:59:59-23:59", "-001-01-01T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00.Z"),
        ]
    ),
)
_DURATIONS = st.one_of(
    st.floats(-1e6, 1e6).map(lambda seconds: f"{seconds:.9f}s"),
    st.integers(-(2**65), 2**65).map(lambda seconds: f"{seconds}s"),
    st.sampled_from(
        [
            "1s",
            "0s",
            "-0s",
            "-0.5s",
            "1",
            "s",
            "1h",
            "1.s",
            ".5s",
            "1e3s",
            "1.0000000001s",
            "315576000000s",
            "315576000001s",
            "٣s",
        ]
    ),
)
_MAPS = st.one_of(
    st.dictionaries(TEXTS, st.text(max_size=300), max_size=3),
    st.dictionaries(st.text(max_size=8), _PLAIN, max_size=3),
    st.integers(19, 2000).map(lambda count: {f"k{number}": "v" for number in range(count)}),
    st.sampled_from(
        [Raw(b'{"a":"1","a":"2"}'), Raw(b'{"a":"1",}'), Raw(b'{a:"1"}'), {"k" * 65: "v"}, {"k": "v" * 257}]
    ),
)
_STRUCTS = st.dictionaries(
    st.text(max_size=8) | st.sampled_from(["url", "headers", "query", "timeoutS"]), ANYTHING, max_size=4
)


#: In a path or a query, written as an URL has it, or not quite.
IN_URLS = st.one_of(
    st.text(max_size=20).map(lambda text: quote(text, safe="")),
    st.text(st.sampled_from("abz09-._~:@!$'()*,;%+="), max_size=12),
    st.one_of(_TIMESTAMPS, _DURATIONS, NUMBERS.map(str)).map(lambda text: quote(text, safe=":+")),
    st.sampled_from(
        [
            *(
                "%FF",
                "%C0%80",
                "%00",
                "%2F",
                "%2e%2e%2f",
                "%",
                "%zz",
                "%ED%A0%80",
                "..",
                ".",
                "%0d%0aX:%20y",
                "a" * 5_000,
            ),
            *(
                "http",
                "HTTP",
                "x:bogus",
                "true",
                "NaN",
                "http-" + "0" * 36,
                "http-01a3185c-5000-7000-8000-000000000001",
            ),
        ]
    ),
)


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """What may stand in a field in JSON, most of it wrong."""
    kind = field.message_type.full_name if field.message_type is not None else ""
    if is_map(field):
        its = _MAPS
    elif is_list(field):
        its = st.lists(ANYTHING, max_size=3) | st.integers(99, 300).map(lambda count: [{}] * count)
    elif kind == _STRUCT:
        its = _STRUCTS
    elif kind in _TIMES:
        its = _TIMESTAMPS if kind.endswith("Timestamp") else _DURATIONS
    elif field.enum_type is not None:
        names = [value.name for value in field.enum_type.values]
        its = (
            st.sampled_from([*names, *map(str.lower, names), *map(str.title, names), *range(-2, 9), 2**31, "1"]) | TEXTS
        )
    elif field.type == FieldDescriptor.TYPE_STRING:
        its = TEXTS
    elif field.type == FieldDescriptor.TYPE_BOOL:
        its = st.sampled_from([True, False, "true", 0, 1])
    elif kind:
        its = st.dictionaries(st.text(max_size=8), ANYTHING, max_size=3)
    else:
        its = NUMBERS | NUMBERS.map(str)
    return its | ANYTHING
