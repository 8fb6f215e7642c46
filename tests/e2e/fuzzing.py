"""Values for every field of a request, as its descriptor has them: good ones, wrong ones, and such as break programs.

A field that is new to a message is covered without a word here.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.protobuf.message import Message

_STRUCT = "google.protobuf.Struct"
_TIMES = {"google.protobuf.Timestamp", "google.protobuf.Duration"}


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that stand in a body as they are, whether they are JSON or not."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field of a request, or of what the request holds.

    Args:
        steps: The fields that lead to it, and it; where one is repeated, its second element is meant.
    """

    steps: tuple[FieldDescriptor, ...]

    @property
    def field(self) -> FieldDescriptor:
        """The field itself."""
        return self.steps[-1]

    @property
    def path(self) -> str:
        """As errors name it."""
        *before, last = self.steps
        return ".".join(
            [*(f"{step.json_name}[1]" if is_list(step) else step.json_name for step in before), last.json_name]
        )

    def __str__(self) -> str:
        return self.path

    def put(self, body: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """The body with this value in the field's place."""
        changed = json.loads(json.dumps(body))
        at = changed
        for step in self.steps[:-1]:
            at = at.setdefault(step.json_name, [{}, {}] if is_list(step) else {})
            at = at[1] if is_list(step) else at
        at[self.field.json_name] = value
        return changed


def is_list(field: FieldDescriptor) -> bool:
    """Whether the field is repeated, and no map."""
    return field.is_repeated and not is_map(field)


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def leaves(message: Descriptor, before: tuple[FieldDescriptor, ...] = ()) -> Iterator[Leaf]:
    """Every field of a message and of the messages in it."""
    for field in message.fields:
        steps = (*before, field)
        yield Leaf(steps)
        held = field.message_type
        if held is not None and not is_map(field) and not held.full_name.startswith("google.protobuf."):
            yield from leaves(held, steps)


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
_EDGES = [edge + step for edge in (0, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30) for step in (-1, 0, 1)]
NUMBERS = st.one_of(
    st.sampled_from([sign * edge for edge in _EDGES for sign in (1, -1)]),
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


def wire(leaf: Leaf, good: Message) -> st.SearchStrategy[bytes]:
    """A message as bytes, with something in the field's place that a client of ours could not send."""
    return _on_the_wire(leaf.field).map(lambda content: _within(leaf.steps, content, good))


def _within(steps: tuple[FieldDescriptor, ...], content: bytes, good: Message) -> bytes:
    """A good message with these bytes in the field's place; of a list it has a good first element, and a second one."""
    for step in reversed(steps[:-1]):
        before = b""
        if is_list(step):  # the first element stays as it is, and the second one is good but for the field
            first = getattr(good, step.name)[0].SerializeToString()
            before, content = _block(step.number, first), first + content
        content = before + _block(step.number, content)
    without = type(good)()
    without.CopyFrom(good)
    without.ClearField(steps[0].name)
    return without.SerializeToString() + content


def _on_the_wire(field: FieldDescriptor) -> st.SearchStrategy[bytes]:
    number = field.number
    lengths = st.one_of(
        st.binary(max_size=40),
        TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.integers(1, 200).map(_deep_struct),
        st.tuples(_VARINTS, _VARINTS).map(lambda pair: b"\x08" + _varint(pair[0]) + b"\x10" + _varint(pair[1])),
    )
    return st.one_of(
        lengths.map(lambda content: _block(number, content)),
        lengths.map(lambda content: _block(number, content) * 2),
        _VARINTS.map(lambda value: _tag(number, 0) + _varint(value)),
        st.floats().map(lambda value: _tag(number, 1) + struct.pack("<d", value)),
        st.integers(0, 2**32 - 1).map(lambda value: _tag(number, 5) + struct.pack("<I", value)),
        st.sampled_from(
            [
                _tag(number, 3),
                _tag(number, 4),
                _tag(number, 2) + b"\xff\xff\xff\xff\x7f",
                _tag(number, 6),
                _tag(number, 0),
            ]
        ),
    )


_VARINTS = st.one_of(
    st.sampled_from([edge % 2**64 for edge in (*_EDGES, *(-each for each in _EDGES))]),
    st.integers(0, 30),
    st.integers(0, 2**64 - 1),
)


def _deep_struct(levels: int) -> bytes:
    """A Struct with a member that holds one that holds one."""
    content = b""
    for _ in range(levels):
        content = _block(1, _block(1, b"a") + _block(2, _block(5, content)))
    return content


def _block(number: int, content: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(content)) + content


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
