"""Judges a method's params by its JSON Schema, and says what is wrong in plain words under the caller's own paths."""

from __future__ import annotations

import difflib
import json
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind

from services.intake.canonical import join, shortened
from shared.errors import FieldViolation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence, Sized

    from jsonschema_rs import ValidationError

    from shared.formats import Format

ROOT = "params"
#: More than are told at once; what has more faults than this is not worth the time to find them all.
MAX_FAULTS = 100
_MAX_VALUE_CHARACTERS = 60
_MAX_LISTED = 20
#: Values behind names with such a part are not shown: errors are logged, and read by more people than params are.
_SECRET_PARTS = ("auth", "cookie", "headers", "key", "passw", "secret", "signature", "token")
_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
}
_SIZES = {
    "minLength": ("characters", "at least"),
    "maxLength": ("characters", "at most"),
    "minItems": ("items", "at least"),
    "maxItems": ("items", "at most"),
    "minProperties": ("members", "at least"),
    "maxProperties": ("members", "at most"),
}


class ParamsSchema:
    """The schema of one method's params (JSON Schema 2020-12), compiled.

    Args:
        schema: As the connector has it.
        formats: The formats that it may name beside those of JSON Schema.

    Raises:
        ValueError: It is no schema, or refers to what is not in it.
    """

    def __init__(self, schema: Mapping[str, Any], *, formats: Mapping[str, Format]) -> None:
        self._schema = {"properties": {}, **schema}  # without it an unknown name is refused, but not told
        self._formats = formats
        checks: dict[str, Callable[[str], bool]] = {name: known.accepts for name, known in formats.items()}
        self._validator = jsonschema_rs.Draft202012Validator(
            self._schema, formats=checks, validate_formats=True, offline=True
        )

    def faults(self, params: Mapping[str, Any]) -> list[FieldViolation]:
        """All that is wrong with the params, up to `MAX_FAULTS`; nothing where they are good."""
        if self._validator.is_valid(params):  # many times faster than listing no errors
            return []
        found = (fault for error in self._validator.iter_errors(params) for fault in self._said(error))
        return list(dict.fromkeys(islice(found, MAX_FAULTS)))  # several parts of a schema may find the same fault

    def _said(self, error: ValidationError) -> Iterable[FieldViolation]:
        path = _path(error.instance_path)
        match error.kind:
            case Kind.Required(property=name):
                yield FieldViolation(join(path, name), "is missing; it is required")
            case Kind.AdditionalProperties(unexpected=names) | Kind.UnevaluatedProperties(unexpected=names):
                known = self._known_names(error.instance_path)
                for name in names:
                    yield FieldViolation(join(path, name), f"is not known here; {_instead(name, known)}")
            case Kind.PropertyNames(error=inner):
                name = str(inner.instance)
                for fault in self._said(inner):
                    yield FieldViolation(join(path, name), fault.description)
            case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
                yield from self._nearest(path, branches)
            case Kind.Not(schema={"required": [*names]}):
                for name in names:
                    others = " and ".join(str(other) for other in names if other != name)
                    yield FieldViolation(join(path, str(name)), f"excludes {others}; leave out one of them")
            case Kind.FalseSchema():
                yield FieldViolation(path, "is not allowed here; leave it out")
            case _:
                yield FieldViolation(path, self._described(error, path))

    def _known_names(self, instance_path: Iterable[str | int]) -> list[str]:
        """The names that a schema written plainly has at this place."""
        place: Any = self._schema
        for part in instance_path:
            place = place.get("properties", {}).get(part, {}) if isinstance(place, dict) else {}
        return sorted(place.get("properties", {})) if isinstance(place, dict) else []

    def _nearest(self, path: str, branches: Sequence[Sequence[ValidationError]]) -> Iterable[FieldViolation]:
        """Of several forms that a value may have, the one that it comes nearest to is what its faults are told by."""
        nearest = min(branches, key=len, default=())
        if not nearest:
            yield FieldViolation(path, "has none of the forms it may have")
        for error in nearest:
            yield from self._said(error)

    def _described(self, error: ValidationError, path: str) -> str:
        shown = _shown(error.instance, path)
        match error.kind:
            case Kind.Type(types=types):
                names = " or ".join(_TYPES.get(name, name) for name in types)
                return f"is {shown}; it must be {names}"
            case Kind.Enum(options=options):
                listed = cast("list[Any]", options)
                return f"is {shown}; it must be one of {', '.join(map(_literal, listed[:_MAX_LISTED]))}"
            case Kind.Constant(expected_value=wanted):
                return f"is {shown}; it must be {_literal(wanted)}"
            case Kind.Format(format=name):
                known = self._formats.get(name)
                problem = known.problem(str(error.instance)) if known else None
                return problem or f"is {shown}; it must be a well-formed {name}"
            case Kind.OneOfMultipleValid():
                return "has several of the forms of which it may have one; leave out what is too much"
            case _:
                return _limited(error, shown)


def _limited(error: ValidationError, shown: str) -> str:
    """What is wrong with a value that is beyond a limit."""
    keyword = error.kind.name
    if keyword in _BOUNDS:
        return f"is {shown}; it must be {_BOUNDS[keyword]} {_literal(error.kind.value)}"
    if keyword in _SIZES:
        size, what, bound = len(cast("Sized", error.instance)), *_SIZES[keyword]
        return f"has {size} {what}; it must have {bound} {_literal(error.kind.value)}"
    match error.kind:
        case Kind.UniqueItems():
            return "holds a value twice; each must be there once"
        case Kind.Pattern(pattern=pattern):
            return f"is {shown}; it must match {pattern}"
        case _:
            return f"does not satisfy {keyword} of the method's schema"


def _path(parts: Iterable[str | int]) -> str:
    path = ROOT
    for part in parts:
        path = f"{path}[{part}]" if isinstance(part, int) else join(path, part)
    return path


def _shown(value: object, path: str) -> str:
    """The value for people: shortened, and not shown at all where it may be a secret."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if any(part in path.lower() for part in _SECRET_PARTS):
        return "of another kind" if value is not None else "null"
    return _literal(value)


def _literal(value: object) -> str:
    return shortened(json.dumps(value, ensure_ascii=False), _MAX_VALUE_CHARACTERS)


def _instead(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(known[:_MAX_LISTED])}" if known else "leave it out, or mend its spelling"
