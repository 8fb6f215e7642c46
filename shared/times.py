"""Times, as protos have them and as the domain does."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, overload

from google.protobuf.timestamp_pb2 import Timestamp

from shared.errors import InvalidArgument

if TYPE_CHECKING:
    from datetime import datetime


@overload
def timestamp(time: datetime) -> Timestamp: ...
@overload
def timestamp(time: datetime | None) -> Timestamp | None: ...
def timestamp(time: datetime | None) -> Timestamp | None:
    """A time for a message; none stays none."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def time_of(message: Timestamp, field: str) -> datetime:
    """The time that a caller's field holds, in UTC.

    Raises:
        InvalidArgument: It holds none.
    """
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument.field(
            field, "is no time between the years 1 and 9999; write it as in 2027-01-31T12:00:00Z"
        ) from None
