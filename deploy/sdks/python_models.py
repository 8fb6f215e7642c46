"""The models that are generated in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.sdks import naming, prose
from deploy.sdks.types import Kind

if TYPE_CHECKING:
    from deploy.sdks.surface import Choice, Field, Model, Surface
    from deploy.sdks.types import Type

#: What every generated file says of itself.
MADE = "Made by `make sdks` of the API's document; do not edit."
_SCALARS = {
    Kind.TEXT: ("str", '""'),
    Kind.INT32: ("int", "0"),
    Kind.INT64: ("Int64", "0"),
    Kind.NUMBER: ("float", "0.0"),
    Kind.BOOLEAN: ("bool", "False"),
    Kind.BYTES: ("bytes", 'b""'),
}
_OTHERS = {Kind.TIME: "datetime", Kind.DURATION: "timedelta", Kind.OBJECT: "Mapping[str, Any]"}


def models(surface: Surface) -> str:
    """The module of models."""
    parts = [_MODELS_HEAD]
    parts += [_choice(each) for each in surface.choices]
    parts += [_model(each) for each in surface.models]
    return "\n".join(parts)


def annotation(of: Type) -> str:
    """What a type is called, where nothing need be said of absence."""
    match of.kind:
        case Kind.ENUM | Kind.MESSAGE:
            return naming.model(of.name)
        case Kind.LIST if of.item:
            return f"Sequence[{annotation(of.item)}]"
        case Kind.MAP if of.item:
            return f"Mapping[str, {annotation(of.item)}]"
        case kind:
            return _OTHERS[kind] if kind in _OTHERS else _SCALARS[kind][0]


def docstring(text: str, indent: str) -> str:
    """A text as a docstring, on one line where it fits."""
    filled = prose.paragraphs(f'"""{text}', indent)
    if "\n" in filled:
        return f'{filled}\n{indent}"""'
    return f'{filled}"""' if len(filled) + 3 <= prose.WIDTH else f'{filled}\n{indent}"""'


def _choice(choice: Choice) -> str:
    name = naming.model(choice.schema)
    values = ", ".join(f'"{value}"' for value in choice.values)
    return f"{_comment(choice.text)}\n{name}: TypeAlias = Literal[{values}]\n"


def _model(model: Model) -> str:
    lines = [
        "",
        "@dataclass(frozen=True, slots=True, kw_only=True)",
        f"class {naming.model(model.schema)}:",
        docstring(model.text, "    "),
        "",
    ]
    for field in model.fields:
        if field.text:
            lines.append(_comment(field.text, "    "))
        lines.append(f"    {naming.snake(field.name)}: {_declared(field)}")
    return "\n".join([*lines, ""])


def _declared(field: Field) -> str:
    """A field's type and what it is where it is not given."""
    of = annotation(field.type)
    match field.type.kind:
        case Kind.LIST:
            return f"{of} = ()"
        case Kind.MAP:
            return f"{of} = field(default_factory=dict[{of.removeprefix('Mapping[')})"
        case kind if kind in _SCALARS and not field.optional:
            zero = _SCALARS[kind][1]
            return f"{of} = field(default={zero}, repr=False)" if field.secret else f"{of} = {zero}"
        case _:
            return f"{of} | None = None"


def _comment(text: str, indent: str = "") -> str:
    return prose.plain_paragraphs(text, f"{indent}#: ")


_MODELS_HEAD = f'''"""What the API is asked with and answers, as frozen values.

A field that the API leaves out has its zero: `""`, 0, False, `()`, {{}}; a message, a time, a duration and an enum are
None. An enum's value that is newer than this package comes as it is.

{MADE}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias

#: JSON has it as a text.
Int64: TypeAlias = Annotated[int, "int64"]
'''
