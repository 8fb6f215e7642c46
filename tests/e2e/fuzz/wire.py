"""Messages as bytes, with something in a field that no client of ours could send."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.e2e.fuzz.leaves import is_list
from tests.e2e.fuzz.values import EDGES, TEXTS

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message

    from tests.e2e.fuzz.leaves import Leaf


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
    st.sampled_from([edge % 2**64 for edge in (*EDGES, *(-each for each in EDGES))]),
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
