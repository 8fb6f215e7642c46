"""What kinds of values the document's schemas have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = "#/components/schemas/"
#: How the document writes a duration.
_DURATION = r"^-?\d+(\.\d+)?s$"


class Kind(Enum):
    """A kind of value."""

    TEXT = "text"
    INT32 = "int32"
    INT64 = "int64"
    NUMBER = "number"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    TIME = "time"
    DURATION = "duration"
    #: An object of whatever names and values.
    OBJECT = "object"
    ENUM = "enum"
    MESSAGE = "message"
    LIST = "list"
    MAP = "map"


_SCALARS = {
    ("string", None): Kind.TEXT,
    ("string", "int64"): Kind.INT64,
    ("string", "date-time"): Kind.TIME,
    ("integer", "int32"): Kind.INT32,
    ("number", "double"): Kind.NUMBER,
    ("boolean", None): Kind.BOOLEAN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """The type of a field or an argument."""

    kind: Kind
    #: The schema's, of an enum and of a message.
    name: str = ""
    #: Of a list's items, and of a map's values.
    item: Type | None = None

    @property
    def schemas(self) -> set[str]:
        """The names of the schemas that it is made of."""
        return ({self.name} if self.name else set()) | (self.item.schemas if self.item else set())


def reference(schema: Mapping[str, Any]) -> str | None:
    """The name of the schema that another one refers to, also where it says more about it; None where to none."""
    for each in (schema, *schema.get("allOf", ())):
        if (target := each.get("$ref")) is not None:
            return str(target).removeprefix(_REFERENCE)
    return None


def read_type(schema: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]) -> Type:
    """The type that a schema describes.

    Args:
        schema: It.
        schemas: Every schema of the document, by name.

    Raises:
        ValueError: It is of no kind that is known here.
    """
    if (name := reference(schema)) is not None:
        return Type(kind=Kind.ENUM if "enum" in schemas[name] else Kind.MESSAGE, name=name)
    match schema:
        case {"type": "array", "items": items}:
            return Type(kind=Kind.LIST, item=read_type(items, schemas))
        case {"type": "object", "additionalProperties": {**values}} if values:
            return Type(kind=Kind.MAP, item=read_type(values, schemas))
        case {"type": "object"}:
            return Type(kind=Kind.OBJECT)
        case {"type": str(of)} if (kind := _scalar(of, schema)) is not None:
            return Type(kind=kind)
        case _:
            raise ValueError(f"a schema is of no kind that deploy/sdks knows: {dict(schema)}")


def _scalar(of: str, schema: Mapping[str, Any]) -> Kind | None:
    if of == "string" and schema.get("contentEncoding") == "base64":
        return Kind.BYTES
    if of == "string" and schema.get("pattern") == _DURATION:
        return Kind.DURATION
    return _SCALARS.get((of, schema.get("format")))
