"""What operations are, and what does their work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: How long an operation that has ended is kept, and with it its request's id.
RETENTION = timedelta(days=30)
#: What the names of operations begin with (AIP-151).
COLLECTION = "operations"


class Kind(StrEnum):
    """What an operation does."""

    CANCEL_JOBS = "CANCEL_JOBS"
    RETRY_JOBS = "RETRY_JOBS"
    EXPORT_DATA = "EXPORT_DATA"
    ERASE_DATA = "ERASE_DATA"


#: Operations of one kind that a tenant may have running at a time. Erasures wait for days, and hold nobody up.
MOST_RUNNING: Mapping[Kind, int] = MappingProxyType(
    {Kind.CANCEL_JOBS: 20, Kind.RETRY_JOBS: 20, Kind.EXPORT_DATA: 5, Kind.ERASE_DATA: 200}
)


class State(StrEnum):
    """Where an operation stands; all but RUNNING are its end."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    #: Its end was asked for, and it has come to it.
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asks for, that goes on as an operation."""

    #: Of who asks.
    tenant: str
    #: Who asks.
    principal: str
    kind: Kind
    #: By which a repeated request is known; empty where none was given.
    request_id: str
    #: What is asked for, serialised in one way alone: the same bytes for the same request.
    request: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Work that goes on by itself, in turns on any replica; times are whole milliseconds."""

    #: `op_<uuidv7>`; its name is `operations/<id>`.
    id: str
    #: Whose it is: the tenant of who has begun it.
    tenant: str
    #: Who has begun it.
    principal: str
    kind: Kind
    #: By which a repeated request is known; empty where none was given.
    request_id: str
    #: What was asked for, serialised; it never changes.
    request: bytes
    created_at: datetime
    state: State = State.RUNNING
    cancel_requested: bool = False
    #: How far it is, serialised: the metadata that is shown.
    metadata: bytes = b""
    #: What its runner goes on from; nobody else reads it.
    cursor: bytes = b""
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    #: SUCCEEDED: what it came to, serialised.
    response: bytes = b""
    #: FAILED: why, as a name of `penstock.errors.v1.ErrorReason` and in words.
    reason: str = ""
    message: str = ""

    @property
    def name(self) -> str:
        """As callers name it."""
        return f"{COLLECTION}/{self.id}"

    @property
    def ended(self) -> bool:
        """Whether nothing of it changes any more."""
        return self.state is not State.RUNNING

    def is_for(self, asked: Asked) -> bool:
        """Whether it was begun by the same request."""
        return (self.kind, self.request) == (asked.kind, asked.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which operations a list is asked for; None lets all pass."""

    kind: Kind | None = None
    ended: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a turn of an operation came to."""

    metadata: bytes
    cursor: bytes
    #: When the next turn is due; None where it has ended.
    due_at: datetime | None
    #: How it ended; RUNNING where it goes on.
    state: State = State.RUNNING
    response: bytes = b""
    reason: str = ""
    message: str = ""


class Runner(Protocol):
    """Does the work of one kind of operation."""

    async def take_turn(self, operation: Operation) -> Step:
        """Does a part of it, a second's worth or so, and answers how far it is.

        A turn may be done once more by another replica, where what it came to could not be kept: what it does is
        idempotent. What must be known to whoever does it again stands in the cursor of the step before.

        Where `cancel_requested`, it ends the work as soon as that is sound. A cancel that comes while a turn is taken
        brings the next one on at once, whenever the step wants it.

        Raises:
            Unavailable: Something that it needs is away; the same turn is taken again later. So it is with every error
                after which a call may be repeated.
            PenstockError: It cannot be done; the operation ends as FAILED with this.
        """
        ...

    async def response(self, operation: Operation) -> bytes:
        """What an operation that has succeeded came to, as it is shown now: links in it are signed anew.

        Raises:
            Unavailable: Something that it needs is away.
        """
        ...


def to_milliseconds(time: datetime) -> datetime:
    """The time cut to whole milliseconds, as MongoDB keeps it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
