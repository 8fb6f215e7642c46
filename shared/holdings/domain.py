"""Whose things are asked for, what a shelf is, and what became of what was on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

#: What one step of a shelf takes in hand: such a step stays well below a second.
MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose things: a tenant's, or one of its connections'."""

    tenant: str
    #: Empty for all of the tenant's.
    connection_id: str = ""
    #: Some of the connection's jobs, for shelves that know jobs and not their connections.
    job_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what is on a shelf."""

    #: Each as JSON.
    texts: Sequence[str] = ()
    #: What the next page goes on from; empty where this is the last.
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What became of what was on a shelf."""

    #: How many documents, keys or objects.
    removed: int = 0
    #: Something may be left that can be erased at once.
    more: bool = False
    #: Something is left that can be erased a moment later.
    pending: bool = False
    #: Where something is left that goes by itself: by when.
    forgets_by: datetime | None = None
    #: For people: why, or what is left.
    note: str = ""


class Shelf(Protocol):
    """One store of a service, as far as it holds anything of tenants."""

    @property
    def name(self) -> str:
        """Such as `auth.keys`."""
        ...

    async def export(self, subject: Subject, after: str) -> Page:
        """A page of what is held, secrets left out.

        Args:
            subject: Whose.
            after: What the page before has ended with; empty for the first.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """Erases what is of before that time, or a step's worth of it; what comes again does not bring it back.

        Raises:
            Unavailable: The store is away; any part may be erased.
        """
        ...
