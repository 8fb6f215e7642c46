"""What lies in a collection of MongoDB, found by its tenant."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from pymongo import ASCENDING

from shared.holdings.domain import MOST_AT_ONCE, Erased, Page
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pymongo.asynchronous.collection import AsyncCollection

    from shared.holdings.domain import Subject
    from shared.mongo import Document

    Query = Callable[[Subject], Document | None]
    Show = Callable[[Document], Any]

#: Documents of one page: some of them are as large as a result may be.
_MOST_SHOWN = 100


class MongoShelf:
    """The documents of a collection.

    Args:
        name: Such as `auth.keys`.
        collection: Which.
        of: Finds a subject's, by an index; None where the collection has nothing that is of such a one.
        made_at: The field that tells of when a document is, where it stays if it is of a later time; empty where
            none of them can be.
        hidden: Fields that are exported to nobody: secrets, and what only means something here.
        show: A document as it is exported, where that is more than its fields.
    """

    def __init__(
        self,
        name: str,
        collection: AsyncCollection[Document],
        of: Query,
        *,
        made_at: str = "created_at",
        hidden: Collection[str] = (),
        show: Show | None = None,
    ) -> None:
        self.name = name
        self._collection = collection
        self._of = of
        self._made_at = made_at
        self._hidden = dict.fromkeys(hidden, False)
        self._show = show or plain

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`."""
        query = self._of(subject)
        if query is None:
            return Page()
        if after:
            query = {"$and": [query, {"_id": {"$gt": after}}]}
        cursor = self._collection.find(query, self._hidden or None).sort("_id", ASCENDING)
        async with translated():
            found = await cursor.limit(_MOST_SHOWN).to_list()
        texts = [json.dumps(self._show(each), separators=(",", ":")) for each in found]
        return Page(texts, str(found[-1]["_id"]) if len(found) == _MOST_SHOWN else "")

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        query = self._of(subject)
        if query is None:
            return Erased()
        if self._made_at:  # what has no such time was left half made
            query = {"$and": [query, {"$or": [{self._made_at: {"$lt": before}}, {self._made_at: None}]}]}
        async with translated():
            found = await self._collection.find(query, {"_id": True}).limit(MOST_AT_ONCE).to_list()
            if not found:
                return Erased()
            gone = await self._collection.delete_many({"_id": {"$in": [each["_id"] for each in found]}})
        return Erased(removed=gone.deleted_count, more=len(found) == MOST_AT_ONCE)


def of_tenant(subject: Subject) -> Document | None:
    """What is a tenant's, and no connection's alone."""
    return None if subject.connection_id else {"tenant": subject.tenant}


def plain(value: Any) -> Any:
    """A document as JSON has it: times as RFC 3339 has them, bytes that are text as text, others in hexadecimal."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [plain(each) for each in cast("list[Any]", value)]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:  # no text
            return value.hex()
    return value
