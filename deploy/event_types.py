"""What follows from the protos about webhooks: the JSON Schema of each event type, and the page `docs/events.md`.

`make proto` writes them anew (`python -m deploy.event_types`), `make proto-check` compares.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)

from deploy.local.layout import ROOT
from deploy.proto_image import image
from services.webhooks.collecting.event_types.catalogue import BATCH, DATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PAGE = ROOT / "docs" / "events.md"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_WHOLE_NUMBER = {"type": "string", "pattern": "^-?[0-9]+$"}
_TIME = {"type": "string", "format": "date-time"}
#: How proto3 JSON writes what is no message of ours.
_SCALARS: Mapping[int, Mapping[str, Any]] = {
    FieldDescriptorProto.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptorProto.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptorProto.TYPE_INT32: {"type": "integer"},
    FieldDescriptorProto.TYPE_INT64: _WHOLE_NUMBER,
    FieldDescriptorProto.TYPE_STRING: {"type": "string"},
}
_WELL_KNOWN: Mapping[str, Mapping[str, Any]] = {".google.protobuf.Timestamp": _TIME}
_HEAD = """# Events

The types of events that endpoints can be sent; `GET /api/v1/event-types` answers with them too, each with the JSON
Schema of its body. Every body is `{"type", "timestamp", "data"}`: `timestamp` is when it happened, `data` is in proto3
JSON, in which a field that has its default (`0`, `false`, an empty text) is left out and a 64-bit number is a text.
Fields may be added: pass over what you do not know.

| type | when |
|---|---|
"""


class Schemas:
    """Makes schemas of messages.

    Args:
        descriptors: Of every proto and all that it imports, with its comments.
    """

    def __init__(self, descriptors: FileDescriptorSet) -> None:
        self._messages: dict[str, DescriptorProto] = {}
        self._enums: dict[str, EnumDescriptorProto] = {}
        self._comments: dict[str, str] = {}
        for file in descriptors.file:
            comments = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
            for index, message in enumerate(file.message_type):
                self._add(f".{file.package}.{message.name}", message, (4, index), comments)

    def of_type(self, name: str, written: Mapping[str, Any]) -> dict[str, Any]:
        """The schema of an event type's body.

        Args:
            name: The type.
            written: What its file says.
        """
        message = f".{written['message']}"
        needed: dict[str, Any] = {}
        data = self._reference(message, needed, without=written.get("without", ()))
        data["required"] = written["always"]
        if fixed := written.get("fixed"):
            data["properties"] = {field: {"const": value} for field, value in fixed.items()}
        return _body(name, written, data) | {"$defs": dict(sorted(needed.items()))}

    def _add(
        self, name: str, message: DescriptorProto, path: tuple[int, ...], comments: Mapping[tuple[int, ...], str]
    ) -> None:
        self._messages[name] = message
        self._comments[name] = _sentence(comments.get(path, ""))
        for index, field in enumerate(message.field):
            self._comments[f"{name}.{field.name}"] = _sentence(comments.get((*path, 2, index), ""))
        for index, nested in enumerate(message.nested_type):
            self._add(f"{name}.{nested.name}", nested, (*path, 3, index), comments)
        for enum in message.enum_type:
            self._enums[f"{name}.{enum.name}"] = enum

    def _reference(self, message: str, needed: dict[str, Any], *, without: Iterable[str] = ()) -> dict[str, Any]:
        """A reference to the schema of a message, which is added to those that are needed."""
        short = message.rsplit(".", 1)[-1]
        if short not in needed:
            needed[short] = {}  # one that refers to itself ends here
            fields = [field for field in self._messages[message].field if field.json_name not in without]
            needed[short] = {
                "type": "object",
                "description": self._comments[message],
                "properties": {field.json_name: self._field(message, field, needed) for field in fields},
            }
        return {"$ref": f"#/$defs/{short}"}

    def _field(self, message: str, field: FieldDescriptorProto, needed: dict[str, Any]) -> dict[str, Any]:
        schema = self._value(field, needed)
        comment = self._comments[f"{message}.{field.name}"]
        return ({"description": comment} if comment else {}) | schema

    def _value(self, field: FieldDescriptorProto, needed: dict[str, Any]) -> dict[str, Any]:
        if field.type == FieldDescriptorProto.TYPE_ENUM:
            # the zero value is the default, which is left out
            names = [value.name for value in self._enums[field.type_name].value if value.number]
            return {"type": "string", "enum": names}
        if field.type != FieldDescriptorProto.TYPE_MESSAGE:
            single = dict(_SCALARS[field.type])
        elif field.type_name in _WELL_KNOWN:
            single = dict(_WELL_KNOWN[field.type_name])
        elif (entry := self._messages[field.type_name]).options.map_entry:
            return {"type": "object", "additionalProperties": self._value(entry.field[1], needed)}
        else:
            single = self._reference(field.type_name, needed)
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return {"type": "array", "items": single}
        return single


def outputs() -> Iterator[tuple[Path, str]]:
    """Every file that follows, with what it is to say."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.binpb")
        image(path)
        schemas = Schemas(FileDescriptorSet.FromString(path.read_bytes()))
    types: dict[str, dict[str, Any]] = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(DATA.glob("*.yaml"))
    }
    batch = types.pop(BATCH)
    for name, written in types.items():
        yield DATA / f"{name}.schema.json", _text(schemas.of_type(name, written))
    yield DATA / f"{BATCH}.schema.json", _text(_batch_schema(batch, list(types)))
    yield PAGE, _page(types, batch)


def _body(name: str, written: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "$schema": _DIALECT,
        "title": name,
        "description": written["description"],
        "examples": [written["example"]],
        "type": "object",
        "properties": {"type": {"const": name}, "timestamp": dict(_TIME), "data": dict(data)},
        "required": ["type", "timestamp", "data"],
    }


def _batch_schema(written: Mapping[str, Any], types: list[str]) -> dict[str, Any]:
    event = {
        "type": "object",
        "properties": {
            "id": {"description": "The `webhook-id` that it would have had by itself.", "type": "string"},
            "type": {"enum": types},
            "timestamp": dict(_TIME),
            "data": {"description": "As in the schema of its type.", "type": "object"},
        },
        "required": ["id", "type", "timestamp", "data"],
    }
    events = {"type": "array", "minItems": 1, "items": event}
    data = {"type": "object", "properties": {"events": events}, "required": ["events"]}
    return _body(BATCH, written, data)


def _page(types: Mapping[str, Mapping[str, Any]], batch: Mapping[str, Any]) -> str:
    rows = "".join(f"| [`{name}`](#{_anchor(name)}) | {each['description']} |\n" for name, each in types.items())
    sections = "".join(_section(name, each) for name, each in {**types, BATCH: batch}.items())
    return f"{_HEAD}{rows}{sections}"


def _section(name: str, written: Mapping[str, Any]) -> str:
    example = json.dumps(written["example"], indent=2, ensure_ascii=False)
    return f"\n## {name}\n\n{written['description']}\n\n```json\n{example}\n```\n"


def _anchor(heading: str) -> str:
    """As repositories link to a heading."""
    return heading.replace(".", "")


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _sentence(comment: str) -> str:
    return " ".join(comment.split())


def main() -> None:
    """Writes every file anew."""
    for path, text in outputs():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
