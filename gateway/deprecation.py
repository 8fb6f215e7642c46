"""What is deprecated, as the protos mark it (`penstock/api/v1/deprecation.proto`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from penstock.api.v1 import deprecation_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

#: Under what Lua notes beside a request which deprecated things it uses, by name.
METADATA = "penstock.deprecated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """Something works on as before for now, and something else takes its place."""

    #: The start of the day since which it is deprecated.
    since: datetime
    #: The start of the day from which on it may be gone; None while there is no plan to remove it.
    sunset: datetime | None
    #: What takes its place: a field by its name in protos, an RPC by its full name, or a path.
    instead: str

    @classmethod
    def parse(cls, name: str, mark: deprecation_pb2.Deprecation) -> Deprecation:
        """Reads a mark.

        Args:
            name: Of what is marked, for errors.
            mark: What the proto says.

        Raises:
            ValueError: A day is none, the sunset is no later day, or nothing takes its place.
        """
        since, sunset = _day(name, mark.since), _day(name, mark.sunset) if mark.sunset else None
        if sunset is not None and sunset <= since:
            raise ValueError(f"{name} may be gone from {mark.sunset} on, which is not after {mark.since}")
        if not mark.instead:
            raise ValueError(f"{name} is deprecated, and its mark does not say what to use instead")
        return cls(since=since, sunset=sunset, instead=mark.instead)


def of_field(field: FieldDescriptor) -> Deprecation | None:
    """The mark of a field.

    Raises:
        ValueError: The mark is wrong, or stands without the standard option, or that without the mark.
    """
    options = field.GetOptions()
    mark = _marked(field.full_name, options.deprecated, options.HasExtension(deprecation_pb2.field_deprecation))
    if not mark:
        return None
    found = Deprecation.parse(field.full_name, options.Extensions[deprecation_pb2.field_deprecation])
    if field.containing_type is None or found.instead not in field.containing_type.fields_by_name:
        raise ValueError(f"{field.full_name}: {found.instead} is to take its place, which is no field beside it")
    return found


def of_rpc(method: MethodDescriptor) -> Deprecation | None:
    """The mark of an RPC, which holds for all its paths.

    Raises:
        ValueError: As of a field.
    """
    options = method.GetOptions()
    if not _marked(method.full_name, options.deprecated, options.HasExtension(deprecation_pb2.rpc_deprecation)):
        return None
    return Deprecation.parse(method.full_name, options.Extensions[deprecation_pb2.rpc_deprecation])


def of_paths(method: MethodDescriptor) -> Mapping[str, Deprecation]:
    """The marks of single paths of an RPC, by the path as its HTTP rule has it.

    Raises:
        ValueError: A mark is wrong.
    """
    marks = method.GetOptions().Extensions[deprecation_pb2.deprecated_paths]
    return {mark.path: Deprecation.parse(f"{method.full_name} {mark.path}", mark.deprecation) for mark in marks}


def _marked(name: str, standard: bool, mark: bool) -> bool:  # noqa: FBT001  both are what the proto says
    if standard != mark:
        raise ValueError(f"{name} has one of the option deprecated and the mark of penstock.api.v1; give it both")
    return mark


def _day(name: str, text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{name} is deprecated from or until {text!r}; give a day such as 2026-11-27") from error
