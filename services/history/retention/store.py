"""Where retentions are kept: the collection `retentions` of the database `history`, one document a tenant.

    {_id: tenant, succeeded_jobs_days, failed_jobs_days, audit_days, deliveries_days, archive, archives_days,
     indexed_metadata}

What a tenant has not of its own is not in its document, so that another default holds for it too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from pymongo import ReturnDocument

from services.history.jobs.documents import DATABASE
from services.history.retention.domain import BOUNDS, DAY, FIELDS, OwnRetention
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.history.retention.domain import Change
    from shared.mongo import Client, Document

_NOTHING = OwnRetention()


class RetentionStore(Protocol):
    """Keeps retentions. Every method raises `Unavailable` when it cannot answer; a change may be made then."""

    async def get(self, tenant: str) -> OwnRetention:
        """What a tenant has of its own."""
        ...

    async def change(self, tenant: str, change: Change) -> OwnRetention:
        """Changes what a tenant has of its own, in one step; answers with what that is then."""
        ...

    async def all(self) -> Mapping[str, OwnRetention]:
        """What tenants have of their own, by tenant; who has nothing may be among them."""
        ...

    async def erase(self, tenant: str) -> bool:
        """Removes what a tenant has of its own; answers whether it had anything."""
        ...


class MongoRetentionStore:
    """The store in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._retentions = mongo.database(client, DATABASE).get_collection("retentions")

    async def get(self, tenant: str) -> OwnRetention:
        """See `RetentionStore`."""
        async with translated():
            document = await self._retentions.find_one({"_id": tenant})
        return _NOTHING if document is None else _retention(document)

    async def change(self, tenant: str, change: Change) -> OwnRetention:
        """See `RetentionStore`."""
        values = {_place(name): _kept(getattr(change.to, name)) for name in change.fields}
        changes = {place: value for place, value in values.items() if value is not None}
        gone = dict.fromkeys(values.keys() - changes.keys(), "")
        update = {operator: those for operator, those in (("$set", changes), ("$unset", gone)) if those}
        async with translated():
            document = await self._retentions.find_one_and_update(
                {"_id": tenant}, update, upsert=True, return_document=ReturnDocument.AFTER
            )
        return _retention(document or {})  # there is one: it was made where it was missing

    async def all(self) -> Mapping[str, OwnRetention]:
        """See `RetentionStore`."""
        async with translated():
            documents = await self._retentions.find().to_list()
        return {document["_id"]: _retention(document) for document in documents}

    async def erase(self, tenant: str) -> bool:
        """See `RetentionStore`."""
        async with translated():
            return (await self._retentions.delete_one({"_id": tenant})).deleted_count == 1


def _place(name: str) -> str:
    return f"{name}_days" if name in BOUNDS else name


def _kept(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value // DAY
    return list(value) if isinstance(value, tuple) else value


def _retention(document: Document) -> OwnRetention:
    found: dict[str, Any] = {name: document[_place(name)] for name in FIELDS if _place(name) in document}
    found |= {name: timedelta(days=found[name]) for name in found.keys() & BOUNDS.keys()}
    if "indexed_metadata" in found:
        found["indexed_metadata"] = tuple(found["indexed_metadata"])
    return OwnRetention(**found)
