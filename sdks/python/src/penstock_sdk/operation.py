"""What the SDK knows of an operation of the API, and how a caller may have it made."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock_sdk.errors import ApiError


class Repeat(enum.Enum):
    """When a call may be made again whose outcome is not known."""

    #: Always: made twice it comes to the same as made once.
    ALWAYS = enum.auto()
    #: Always under the same idempotency key, by which Penstock knows it again.
    KEYED = enum.auto()
    #: Only where it was surely not carried out: there was no connection, or Penstock has refused it.
    REFUSED_ONLY = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of the API.

    Args:
        name: Service and RPC, such as `JobService.GetJob`.
        verb: The HTTP method.
        path: From `/` on, with the JSON names of fields in braces.
        path_names: The fields that stand in the path.
        query_names: The fields that stand in the query.
        has_body: Whether the other fields stand in a body; without, there are no others.
        repeat: When it may be made again.
    """

    name: str
    verb: str
    path: str
    path_names: tuple[str, ...] = ()
    query_names: tuple[str, ...] = ()
    has_body: bool = False
    repeat: Repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How a caller wants a call to be made.

    Args:
        idempotency_key: Under which a KEYED operation is made, whatever program makes it; one is drawn unless given.
        timeout_s: How long each try may take, in seconds; the client's own unless given.
        raised_at_once: Errors that are not tried again.
    """

    idempotency_key: str | None = None
    timeout_s: float | None = None
    raised_at_once: tuple[type[ApiError], ...] = ()
