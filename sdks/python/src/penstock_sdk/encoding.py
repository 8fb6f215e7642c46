"""Between the API's JSON and Python's values: models, times, durations, bytes."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from penstock_sdk.errors import InvalidUse
from penstock_sdk.models import Int64

T = TypeVar("T")

_DURATION = re.compile(r"(?P<sign>-?)(?P<seconds>\d+)(?:\.(?P<fraction>\d{1,9}))?s")
_FRACTION = re.compile(r"\.\d+")
_MICROSECONDS = 6
#: JSON's names for what JSON has no numbers for.
_NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
_HUMP = re.compile(r"_([a-z0-9])")


def encode(value: Any, name: str = "") -> Any:
    """The JSON of a value, as the API takes it and answers it.

    Of a model, what has its zero is left out, and a number that JSON has as a text is one. A mapping is taken to be in
    the API's JSON already, but for the times, durations, bytes and models in it.

    Args:
        value: A model, a mapping, a sequence, a time, a duration, bytes, or what JSON has itself.
        name: Of the field that it is for, which an error names.

    Raises:
        InvalidUse: A time says no zone, or the value is nothing that JSON could say.
    """
    match value:
        case datetime():
            return _time(value, name)
        case timedelta():
            return _seconds(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case _:
            return _nested(value, name)


def decode(type_: type[T], json: Any) -> T:
    """The value that JSON says.

    Fields that the model does not know are passed over, for an API that is newer may answer with them; what is missing
    or null has its zero.

    Args:
        type_: A model, or what a field of one can be; `NoneType` where nothing is answered.
        json: As the API has answered.

    Raises:
        ValueError: It is no such thing.
    """
    return cast("T", None if type_ is NoneType else _decoded(type_, json, ""))


def _nested(value: Any, name: str) -> Any:
    """The JSON of what may hold other values, and of what JSON has itself."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): encode(each, _path(name, str(key))) for key, each in value.items()}
        case Sequence():
            return [encode(each, f"{name}[{place}]") for place, each in enumerate(value)]
        case _ if dataclasses.is_dataclass(value):
            return _model(value, name)
        case _:
            raise InvalidUse(
                f"{name or 'the value'} is a {type(value).__name__}, which JSON cannot say; give a text, a number, a "
                "bool, a datetime, a timedelta, bytes, a model, or a mapping or a sequence of these"
            )


def _time(value: datetime, name: str) -> str:
    if value.tzinfo is None:
        raise InvalidUse(
            f"{name or 'the time'} is {value.isoformat()}, which says no zone; give it one, as in datetime.now(UTC)"
        )
    exact = "auto" if value.microsecond % 1000 or not value.microsecond else "milliseconds"
    return value.astimezone(UTC).isoformat(timespec=exact).replace("+00:00", "Z")


def _seconds(value: timedelta) -> str:
    microseconds = value // timedelta(microseconds=1)
    whole, fraction = divmod(abs(microseconds), 10**_MICROSECONDS)
    digits = f".{fraction:0{_MICROSECONDS}}".rstrip("0").rstrip(".")
    return f"{'-' if microseconds < 0 else ''}{whole}{digits}s"


def _model(value: Any, name: str) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for field in _fields(type(value)):
        each = getattr(value, field.name)
        if each is not None and (each or field.optional):
            said[field.json_name] = _int64s(each) if field.int64 else encode(each, _path(name, field.json_name))
    return said


def _int64s(value: Any) -> Any:
    """Texts for numbers, also in a list and in a map."""
    match value:
        case Mapping():
            return {str(key): str(each) for key, each in value.items()}
        case Sequence() if not isinstance(value, str):
            return [str(each) for each in value]
        case _:
            return str(value)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    json_name: str
    #: Without `None` and what is said beside it.
    type: Any
    #: Whether it is told from zero that it is not given.
    optional: bool
    int64: bool


@cache
def _fields(model: type[Any]) -> tuple[_Field, ...]:
    """The fields of a model, as their annotations say."""
    hints = get_type_hints(model, include_extras=True)
    return tuple(_field(each.name, hints[each.name]) for each in dataclasses.fields(model))


def _field(name: str, hint: Any) -> _Field:
    optional = isinstance(hint, UnionType) or NoneType in get_args(hint)
    of = next(each for each in get_args(hint) if each is not NoneType) if optional else hint
    return _Field(
        name=name,
        json_name=_HUMP.sub(lambda match: match[1].upper(), name),
        type=of,
        optional=optional,
        int64=of == Int64 or Int64 in get_args(of),
    )


def _decoded(of: Any, json: Any, name: str) -> Any:
    """What a type's JSON says.

    Raises:
        ValueError: It is no such thing; the field is named.
    """
    origin, arguments = get_origin(of), get_args(of)
    if origin is Sequence:
        return tuple(_decoded(arguments[0], each, f"{name}[{place}]") for place, each in enumerate(_list(json, name)))
    if origin is Mapping:
        return {key: _decoded(arguments[1], each, _path(name, key)) for key, each in _object(json, name).items()}
    if dataclasses.is_dataclass(of):
        return _decoded_model(cast("type[Any]", of), json, name)
    if origin is Annotated:
        of = arguments[0]
    return json if origin is Literal or of is Any else _scalar(of, json, name)


def _decoded_model(model: type[Any], json: Any, name: str) -> Any:
    said = _object(json, name)
    values = {
        field.name: _decoded(field.type, said[field.json_name], _path(name, field.json_name))
        for field in _fields(model)
        if said.get(field.json_name) is not None
    }
    return model(**values)


def _scalar(of: type[Any], json: Any, name: str) -> Any:
    try:
        return _read(of, json)
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise ValueError(f"{name or 'the answer'} is {json!r:.100}, which is no {of.__name__}") from error


def _read(of: type[Any], json: Any) -> Any:
    """A scalar of a type.

    Raises:
        ValueError, TypeError, OverflowError: It is none.
    """
    match json:
        case bool():
            value: Any = json if of is bool else None
        case int() | float() if of is float:
            value = float(json)
        case int() if of is int:
            value = json
        case float() if of is int and json.is_integer():
            value = int(json)
        case str():
            value = _OF_TEXT[of](json) if of in _OF_TEXT else None
        case _:
            value = None
    if value is None:
        raise TypeError
    return value


def _text(text: str) -> str:
    return text


def _number(text: str) -> float | None:
    return float(text) if text in _NO_NUMBERS else None


def _bytes(text: str) -> bytes:
    """Of base64 in either alphabet, padded or not, as proto3's JSON has it."""
    padded = text.replace("-", "+").replace("_", "/")
    return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)


def _datetime(text: str) -> datetime:
    """What is finer than a microsecond is cut off."""
    return datetime.fromisoformat(_FRACTION.sub(lambda match: match[0][: _MICROSECONDS + 1], text))


def _timedelta(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError
    fraction = int((found["fraction"] or "0").ljust(_MICROSECONDS, "0")[:_MICROSECONDS])
    length = timedelta(seconds=int(found["seconds"]), microseconds=fraction)
    return -length if found["sign"] else length


#: How a type is read of a text.
_OF_TEXT: Mapping[type[Any], Callable[[str], Any]] = {
    str: _text,
    int: int,
    float: _number,
    bytes: _bytes,
    datetime: _datetime,
    timedelta: _timedelta,
}


def _object(json: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(json, dict):
        raise ValueError(f"{name or 'the answer'} is {json!r:.100}, which is no object")  # noqa: TRY004  what was answered is wrong
    return cast("Mapping[str, Any]", json)


def _list(json: Any, name: str) -> Sequence[Any]:
    if not isinstance(json, list):
        raise ValueError(f"{name or 'the answer'} is {json!r:.100}, which is no list")  # noqa: TRY004  what was answered is wrong
    return cast("Sequence[Any]", json)


def _path(name: str, field: str) -> str:
    return f"{name}.{field}" if name else field
