"""The field table: what Lua is told of every request message to check JSON by (proto3 JSON mapping)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from google.protobuf.descriptor import FieldDescriptor

from gateway import deprecation, descriptors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.descriptor import Descriptor, EnumDescriptor

    from gateway.deprecation import Deprecation

#: What a Lua table can be made of.
LuaValue: TypeAlias = "str | int | bool | dict[str, LuaValue] | dict[int, LuaValue]"

_KINDS: dict[int, str] = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_SINT32: "int32",
    FieldDescriptor.TYPE_SFIXED32: "int32",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_FIXED32: "uint32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_SINT64: "int64",
    FieldDescriptor.TYPE_SFIXED64: "int64",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_FIXED64: "uint64",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FLOAT: "double",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_MESSAGE: "message",
}
#: Messages that JSON writes in a form of their own.
_WELL_KNOWN = {
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
    "google.protobuf.FieldMask": "string",
    "google.protobuf.Struct": "struct",
    "google.protobuf.Value": "any",
    "google.protobuf.ListValue": "list",
    "google.protobuf.BoolValue": "bool",
    "google.protobuf.StringValue": "string",
    "google.protobuf.BytesValue": "bytes",
    "google.protobuf.Int32Value": "int32",
    "google.protobuf.UInt32Value": "uint32",
    "google.protobuf.Int64Value": "int64",
    "google.protobuf.UInt64Value": "uint64",
    "google.protobuf.DoubleValue": "double",
    "google.protobuf.FloatValue": "double",
}


def message_tables(names: Iterable[str]) -> dict[str, LuaValue]:
    """The fields of these messages and of all that they hold; a field stands under both of its names."""
    pool = descriptors.files()[0].pool
    tables: dict[str, LuaValue] = {}
    pending = [pool.FindMessageTypeByName(name) for name in names]
    while pending:
        message = pending.pop()
        if message.full_name in tables:
            continue
        fields: dict[str, LuaValue] = {}
        for field in message.fields:
            record = _record(field)
            fields[field.json_name] = fields[field.name] = record
            if record["kind"] == "message" and field.message_type is not None:
                pending.append(_held(field))
        tables[message.full_name] = fields
    return dict(sorted(tables.items()))


def json_name(message: str, field: str) -> str:
    """What JSON calls a field of a message."""
    return descriptors.files()[0].pool.FindMessageTypeByName(message).fields_by_name[field].json_name


def deprecated(tables: Mapping[str, LuaValue]) -> dict[str, tuple[str, Deprecation]]:
    """The fields in these tables that are deprecated, by their full names: what JSON calls each, and its mark."""
    found: dict[str, tuple[str, Deprecation]] = {}
    pool = descriptors.files()[0].pool
    for name in tables:
        for field in pool.FindMessageTypeByName(name).fields:
            if (mark := deprecation.of_field(field)) is not None:
                found[field.full_name] = field.json_name, replace(mark, instead=json_name(name, mark.instead))
    return found


def to_lua(value: LuaValue) -> str:
    """The value as a Lua expression."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{to_lua(key)}] = {to_lua(item)}" for key, item in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else _quoted(value)


def _quoted(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!r} is not plain enough to stand in Lua")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _record(field: FieldDescriptor) -> dict[str, LuaValue]:
    """One field: its JSON name, its kind and what goes with it."""
    element = field
    record: dict[str, LuaValue] = {"name": field.json_name}
    if _is_map(field) and field.message_type is not None:
        record["map"] = True
        element = field.message_type.fields_by_name["value"]
    elif field.is_repeated:
        record["repeated"] = True
    record["kind"] = _KINDS[element.type]
    if element.message_type is not None:
        record["kind"] = _WELL_KNOWN.get(element.message_type.full_name, "message")
        record["message"] = element.message_type.full_name
    if element.enum_type is not None:
        record["values"] = _values(element.enum_type)
        record["names"] = ", ".join(value.name for value in element.enum_type.values if value.number != 0)
    if field.containing_oneof is not None:
        record["oneof"] = field.containing_oneof.name
    if deprecation.of_field(field) is not None:
        record["deprecated"] = field.full_name
    return record


def _held(field: FieldDescriptor) -> Descriptor:
    """The message that a field, or a map's value, holds."""
    message = field.message_type
    if message is not None and _is_map(field):
        message = message.fields_by_name["value"].message_type
    if message is None:
        raise ValueError(f"{field.full_name} holds no message")
    if message.full_name.startswith("google.protobuf."):
        raise ValueError(f"{field.full_name} is a {message.full_name}, which the gateway cannot check")
    return message


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _values(enum: EnumDescriptor) -> dict[str, LuaValue]:
    """An enum's names, upper-case, for the transcoder takes any case, and its numbers as JSON writes them."""
    names: dict[str, LuaValue] = {value.name.upper(): True for value in enum.values}
    return names | {str(value.number): True for value in enum.values}
