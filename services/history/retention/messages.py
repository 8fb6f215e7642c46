"""Retentions as messages of RetentionService, and what callers send as changes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from penstock.history.v1 import retention_pb2

from services.history.retention.domain import (
    BOUNDS,
    FIELDS,
    MAX_INDEXED_KEYS,
    MAX_KEY_CHARACTERS,
    Change,
    OwnRetention,
    days_problem,
)
from shared.errors import FieldViolation, InvalidArgument, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.history.retention.domain import Retention

_KEYS = "indexed_metadata"
#: Stands for all fields in a mask (AIP-134).
_ALL = "*"


def retention_message(retention: Retention) -> retention_pb2.Retention:
    """A retention, as answers have it."""
    spans = {name: _duration(getattr(retention, name)) for name in BOUNDS}
    return retention_pb2.Retention(archive=retention.archive, indexed_metadata=retention.indexed_metadata, **spans)


def change(request: retention_pb2.UpdateRetentionRequest) -> Change:
    """The change that a caller asks for.

    Raises:
        InvalidArgument: Any field is wrong; each is named.
    """
    message = request.retention
    violations: list[FieldViolation] = []
    named = _named(request, violations)
    values: dict[str, timedelta | bool | tuple[str, ...]] = {}
    for name in sorted(named & BOUNDS.keys()):
        if message.HasField(name):  # pyright: ignore[reportArgumentType]  the names of the bounds are those of its fields
            span = _span(name, getattr(message, name), violations)
            if span is not None:
                values[name] = span
    if "archive" in named and message.HasField("archive"):
        values["archive"] = message.archive
    if _KEYS in named and message.indexed_metadata:
        violations += _keys_violations(message.indexed_metadata)
        values[_KEYS] = tuple(dict.fromkeys(message.indexed_metadata))
    if violations:
        raise InvalidArgument.of(violations)
    return Change(fields=frozenset(named), to=OwnRetention(**values))  # pyright: ignore[reportArgumentType]  by name


def _named(request: retention_pb2.UpdateRetentionRequest, violations: list[FieldViolation]) -> set[str]:
    """The fields that are to be changed: those of the mask, or else those that are given."""
    if not request.HasField("retention"):
        violations.append(FieldViolation("retention", "is missing; give what is to be changed, or {} with a mask"))
        return set()
    if not request.HasField("update_mask") or not request.update_mask.paths:
        given = {field.name for field, _ in request.retention.ListFields()} & set(FIELDS)
        if not given:
            violations.append(FieldViolation("retention", f"names nothing to change; there are {_there_are()}"))
        return given
    named: set[str] = set()
    for path in request.update_mask.paths:
        if path == _ALL:
            named |= set(FIELDS)
        elif path in FIELDS:
            named.add(path)
        else:
            named_so = shown(_json_name(path))
            violations.append(
                FieldViolation("updateMask", f"names {named_so}, which is nothing to change; there are {_there_are()}")
            )
    return named


def _span(name: str, message: Duration, violations: list[FieldViolation]) -> timedelta | None:
    path = f"retention.{_json_name(name)}"
    try:
        span = message.ToTimedelta()
        exact = not message.nanos
    except (ValueError, OverflowError):
        violations.append(FieldViolation(path, "is no time span; write days in seconds, as in 2592000s for 30 days"))
        return None
    problem = days_problem(name, span if exact else span + timedelta(microseconds=1))
    if problem is not None:
        violations.append(FieldViolation(path, problem))
    return span


def _keys_violations(keys: Sequence[str]) -> Iterator[FieldViolation]:
    path = f"retention.{_json_name(_KEYS)}"
    if len(set(keys)) > MAX_INDEXED_KEYS:
        yield FieldViolation(path, f"are {len(set(keys))} keys; there may be {MAX_INDEXED_KEYS}")
        return
    for index, key in enumerate(keys):
        if not 0 < len(key) <= MAX_KEY_CHARACTERS:
            yield FieldViolation(
                f"{path}[{index}]", f"has {len(key)} characters; keys of jobs' metadata have 1 to {MAX_KEY_CHARACTERS}"
            )
        elif "=" in key:
            yield FieldViolation(
                f"{path}[{index}]", f"is {shown(key)}; a key by which jobs are listed holds no =, which ends it there"
            )


def _there_are() -> str:
    return ", ".join(map(_json_name, FIELDS))


def _json_name(name: str) -> str:
    """As proto3 JSON spells a field's name."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _duration(span: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(span)
    return message
