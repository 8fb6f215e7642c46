"""The JSON Schema (2020-12) of what messages look like in proto3 JSON.

Where more is read than is written (an enum's name in any case or its number, a field by its name in the proto, a 64-bit
number as a number), the schema has the form that is written.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias

from google.api import field_behavior_pb2
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from gateway import deprecation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from google.protobuf.descriptor import Descriptor, OneofDescriptor

    from deploy.openapi.contract import Contract

Schema: TypeAlias = "dict[str, Any]"

_WHOLE_NUMBER = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
#: How proto3 JSON writes what is no message of ours.
_SCALARS: Mapping[int, Mapping[str, Any]] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: _WHOLE_NUMBER,
    FieldDescriptor.TYPE_STRING: {"type": "string"},
}
TIME: Mapping[str, Any] = {"type": "string", "format": "date-time"}
_WELL_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "google.protobuf.Any": {"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"]},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?\d+(\.\d+)?s$", "examples": ["1.5s"]},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.FieldMask": {"type": "string", "examples": ["displayName,expiresAt"]},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Timestamp": TIME,
    "google.protobuf.Value": {},
}


class Schemas:
    """Makes schemas of messages, and gathers those that others refer to.

    Args:
        contract: The protos.
        home: Where the gathered ones stand in the document, such as `#/$defs/`.
        closed: Messages that take no other fields than their own, by full name.
        instead: Schemas of fields that say less in their proto than is known of them, by full name.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        home: str,
        closed: Collection[str] = (),
        instead: Mapping[str, Schema] | None = None,
    ) -> None:
        self._contract = contract
        self._home = home
        self._closed = closed
        self._instead = instead or {}
        self._gathered: dict[str, Schema] = {}
        self._names: dict[str, str] = {}

    @property
    def gathered(self) -> dict[str, Schema]:
        """All that was referred to, by name."""
        return dict(sorted(self._gathered.items()))

    def reference(self, described: Descriptor | EnumDescriptor, *, without: Collection[str] = ()) -> Schema:
        """A reference to the schema of a message or an enum, which is gathered.

        Args:
            described: The message or enum.
            without: Fields that the schema leaves out, as JSON names them.

        Raises:
            ValueError: Another one has its short name, or it holds what has no schema.
        """
        if described.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[described.full_name])
        short = described.full_name.removeprefix(f"{described.file.package}.")
        if self._names.setdefault(short, described.full_name) != described.full_name:
            raise ValueError(f"{described.full_name} and {self._names[short]} would both be called {short}")
        if short not in self._gathered:
            self._gathered[short] = {}  # one that refers to itself ends here
            is_enum = isinstance(described, EnumDescriptor)
            self._gathered[short] = self._enum(described) if is_enum else self.message(described, without)
        return {"$ref": f"{self._home}{short}"}

    def message(self, message: Descriptor, without: Collection[str] = ()) -> Schema:
        """The schema of a message by itself, which is not gathered.

        Args:
            message: The message.
            without: Fields that it leaves out, as JSON names them.

        Raises:
            ValueError: It holds what has no schema.
        """
        fields = [field for field in message.fields if field.json_name not in without]
        schema: Schema = {
            "type": "object",
            "description": self._contract.comment(message.full_name),
            "properties": {field.json_name: self.field(field) for field in fields},
        }
        if required := [field.json_name for field in fields if is_required(field)]:
            schema["required"] = required
        if excluded := [each for oneof in message.oneofs for each in _alone(oneof, without)]:
            schema["allOf"] = excluded
        if message.full_name in self._closed:
            schema["additionalProperties"] = False
        return schema

    def field(self, field: FieldDescriptor) -> Schema:
        """The schema of a field, with what is said of it.

        Raises:
            ValueError: It is of a kind that has no schema.
        """
        schema = self._instead.get(field.full_name) or self.value(field)
        described = self.description(field)
        behaviors = behaviors_of(field)
        if field_behavior_pb2.OUTPUT_ONLY in behaviors:
            schema = {"readOnly": True, **schema}
        if deprecation.of_field(field) is not None:
            schema = {"deprecated": True, **schema}
        return {"description": described, **schema} if described else dict(schema)

    def description(self, field: FieldDescriptor) -> str:
        """What is said of a field: by its own comment, or where it has none by that of what it holds."""
        mark = deprecation.of_field(field)
        own = self._contract.comment(field.full_name)
        held = field.message_type or field.enum_type
        if not own and held is not None and held.full_name not in _WELL_KNOWN:
            own = self._contract.comment(held.full_name).partition("\n\n")[0]
        parts = [own]
        if mark is not None and field.containing_type is not None:
            instead = field.containing_type.fields_by_name[mark.instead].json_name
            parts.append(f"Deprecated since {mark.since:%Y-%m-%d}: use `{instead}`.")
        return " ".join(part for part in parts if part)

    def value(self, field: FieldDescriptor) -> Schema:
        """The schema of a field's value, with nothing said of it.

        Raises:
            ValueError: It is of a kind that has no schema.
        """
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self.value(message.fields_by_name["value"])}
        if field.type == FieldDescriptor.TYPE_GROUP or (message and message.full_name == "google.api.HttpBody"):
            raise ValueError(f"{field.full_name} is of a kind that has no schema in JSON")
        if held := message or field.enum_type:
            single = self.reference(held)
        elif field.type in _SCALARS:
            single = dict(_SCALARS[field.type])
        else:
            raise ValueError(f"{field.full_name} is of a type that this knows no schema for (number {field.type})")
        return {"type": "array", "items": single} if field.is_repeated else single

    def _enum(self, enum: EnumDescriptor) -> Schema:
        # the zero value is the default, which is left out
        names = [value.name for value in enum.values if value.number]
        said = {name: self._contract.comment(f"{enum.full_name}.{name}") for name in names}
        lines = [f"- `{name}`: {text}" for name, text in said.items() if text]
        parts = [self._contract.comment(enum.full_name), "\n".join(lines)]
        return {"type": "string", "description": "\n\n".join(part for part in parts if part), "enum": names}


def behaviors_of(field: FieldDescriptor) -> Collection[int]:
    """How a field behaves (AIP-203)."""
    return list(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])  # pyright: ignore[reportArgumentType]  the stubs know no extension's type


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request must have the field."""
    return field_behavior_pb2.REQUIRED in behaviors_of(field)


def _alone(oneof: OneofDescriptor, without: Collection[str]) -> list[Schema]:
    """That no two fields of a oneof go together; protoc makes one for each optional field too."""
    names = [field.json_name for field in oneof.fields if field.json_name not in without]
    return [{"not": {"required": list(pair)}} for pair in combinations(names, 2)]
