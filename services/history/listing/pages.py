"""Pages of a list, in both directions: by where a page begins and never by how many come before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.errors import InvalidArgument, shown
from shared.paging import Cursor, Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.history.jobs.domain import Filter, Record
    from services.history.listing.store import JobLists, Listed

#: A total is told exactly up to this.
MAX_TOTAL = 100_000
_ORDERS = {"": False, "createdAt desc": False, "createdAt": True}
#: Before every job, and after every job, in the order of their creation.
_EARLIEST = Position(created_at=datetime(1970, 1, 1, tzinfo=UTC), id="")
_LATEST = Position(created_at=datetime(9999, 12, 31, tzinfo=UTC), id="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of a list."""

    records: Sequence[Record]
    #: Leads on; None on the last page.
    next: Cursor | None
    #: Leads back; None on the first page.
    previous: Cursor | None


def oldest_first(order_by: str) -> bool:
    """Whether a list is to begin with the oldest job (AIP-132).

    Raises:
        InvalidArgument: No list is ordered so.
    """
    order = _ORDERS.get(" ".join(order_by.split()))
    if order is None:
        raise InvalidArgument.field(
            "orderBy", f"is {shown(order_by)}; it takes 'createdAt desc' for the newest first, or 'createdAt'"
        )
    return order


async def page_of(
    lists: JobLists, tenant: str, wanted: Filter, *, cursor: Cursor | None, size: int, oldest: bool
) -> Page:
    """The page that the cursor leads to.

    Jobs that come meanwhile stand before or after it, and shift nothing. A page that leads back is read against the
    list's order from where it ends; so it may have fewer jobs than it could where it is the first.

    Args:
        lists: Finds jobs.
        tenant: Whose.
        wanted: Which of them.
        cursor: None for the first page.
        size: How many jobs it has at most.
        oldest: Whether the list begins with the oldest job.

    Raises:
        Unavailable: The store is away.
    """
    back = cursor is not None and cursor.back
    found = await lists.page(
        tenant,
        wanted,
        after=cursor.position if cursor is not None else None,
        limit=size + 1,  # one more tells whether there are more
        oldest_first=oldest is not back,
    )
    page, more = found[:size], len(found) > size
    if back:
        page.reverse()
    first, last = _ends(page, oldest=oldest, back=back)
    return Page(
        records=[record for _, record in page],
        next=Cursor(position=last) if more or back else None,
        previous=Cursor(position=first, back=True) if (more if back else cursor is not None) else None,
    )


def _ends(page: Sequence[Listed], *, oldest: bool, back: bool) -> tuple[Position, Position]:
    """Where a page begins and ends; what was there when its token was made may be gone, and then all is on one side."""
    if page:
        return page[0][0], page[-1][0]
    begin, end = (_EARLIEST, _LATEST) if oldest else (_LATEST, _EARLIEST)
    return (begin, begin) if back else (end, end)
