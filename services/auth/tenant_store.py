"""Where tenants are kept: the collection `tenants` of the database `auth`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pymongo import DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from services.auth.domain import Suspension, Tenant
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.mongo import Client, Document
    from shared.paging import Position

DATABASE = "auth"
NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]
_LIST_INDEX = IndexModel(NEWEST_FIRST, name="newest_first")
#: Of the few that a crash has left so; looking for them costs nothing.
_UNTOLD_INDEX = IndexModel("untold", name="untold", partialFilterExpression={"untold": True})


class TenantStore(Protocol):
    """Keeps tenants, times to the millisecond. Every method raises `Unavailable` when it cannot answer."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def add_tenant(self, tenant: Tenant) -> bool:
        """Adds a tenant; answers whether it was new, and leaves one of the same name as it is."""
        ...

    async def tenant(self, name: str) -> Tenant | None:
        """A tenant by its name."""
        ...

    async def tenants(
        self, *, limit: int, suspended: bool | None = None, after: Position | None = None
    ) -> Sequence[Tenant]:
        """Tenants, newest first, those that come after the position; all, or those that are suspended or are not."""
        ...

    async def suspend_tenant(self, name: str, suspension: Suspension) -> Tenant | None:
        """Suspends a tenant, which is untold from then on. None where there is no such tenant.

        One that is suspended keeps its time, is changed by another reason alone, and is told once more.
        """
        ...

    async def resume_tenant(self, name: str, at: datetime) -> Tenant | None:
        """Takes a suspension back; the tenant is untold from then on. None where there is no such tenant.

        One that is not suspended is not changed; if it ever was, it is told once more.
        """
        ...

    async def untold_tenants(self, *, limit: int) -> Sequence[Tenant]:
        """Tenants that were suspended or resumed, of which is to be told."""
        ...

    async def note_told(self, name: str, revision: int) -> None:
        """Notes that this revision of a tenant was told; a newer one stays untold."""
        ...


class MongoTenantStore:
    """Tenants in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._tenants = mongo.database(client, DATABASE).get_collection("tenants")

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet, and has the mesh told of tenants that were closed by hand.

        Before there were suspensions, `disabled_at` was all that a closed tenant had.
        """
        async with translated():
            await self._tenants.create_indexes([_LIST_INDEX, _UNTOLD_INDEX])
            await self._tenants.update_many(
                {"disabled_at": {"$ne": None}, "revision": {"$exists": False}},
                {"$set": {"revision": 1, "untold": True}},
            )

    async def add_tenant(self, tenant: Tenant) -> bool:
        """Adds a tenant; answers whether it was new, and leaves one of the same name as it is."""
        try:
            async with translated():
                await self._tenants.insert_one(_document(tenant))
        except DuplicateKeyError:  # it is there, which the answer says
            return False
        return True

    async def tenant(self, name: str) -> Tenant | None:
        """A tenant by its name."""
        async with translated():
            document = await self._tenants.find_one({"_id": name})
        return _tenant(document) if document is not None else None

    async def tenants(
        self, *, limit: int, suspended: bool | None = None, after: Position | None = None
    ) -> Sequence[Tenant]:
        """Tenants, newest first, those that come after the position; all, or those that are suspended or are not."""
        wanted = comes_after(after)
        if suspended is not None:
            wanted["disabled_at"] = {"$ne": None} if suspended else None
        async with translated():
            documents = await self._tenants.find(wanted).sort(NEWEST_FIRST).limit(limit).to_list()
        return [_tenant(document) for document in documents]

    async def suspend_tenant(self, name: str, suspension: Suspension) -> Tenant | None:
        """Suspends a tenant in one step; one that is suspended for this reason stays as it is."""
        changes = {"$or": [{"disabled_at": None}, {"suspended_for": {"$ne": suspension.reason}}]}
        update: Document = {
            "disabled_at": {"$ifNull": ["$disabled_at", suspension.at]},
            "suspended_for": {"$literal": suspension.reason},  # else one that begins with $ would be a field's name
            "suspended_by": {"$literal": suspension.by},
            "changed_at": suspension.at,
            "revision": {"$add": [{"$ifNull": ["$revision", 0]}, 1]},
            "untold": True,
        }
        return await self._change(name, changes, [{"$set": update}])

    async def resume_tenant(self, name: str, at: datetime) -> Tenant | None:
        """Takes a suspension back in one step."""
        update: Document = {
            "$set": {"disabled_at": None, "changed_at": at, "untold": True},
            "$unset": {"suspended_for": "", "suspended_by": ""},
            "$inc": {"revision": 1},
        }
        return await self._change(name, {"disabled_at": {"$ne": None}}, update)

    async def untold_tenants(self, *, limit: int) -> Sequence[Tenant]:
        """Tenants that were suspended or resumed, of which is to be told."""
        async with translated():
            documents = await self._tenants.find({"untold": True}).limit(limit).to_list()
        return [_tenant(document) for document in documents]

    async def note_told(self, name: str, revision: int) -> None:
        """Notes that this revision of a tenant was told; a newer one stays untold."""
        async with translated():
            await self._tenants.update_one({"_id": name, "revision": revision}, {"$unset": {"untold": ""}})

    async def _change(self, name: str, changes: Document, update: Document | list[Document]) -> Tenant | None:
        """Updates a tenant for which that changes anything; answers with it as it is then.

        Where it changes nothing, whoever asks again may know of somebody whom the change has not reached.
        """
        told_again = ({"_id": name, "revision": {"$gt": 0}}, {"$set": {"untold": True}})
        for wanted, change in (({"_id": name, **changes}, update), told_again):
            async with translated():
                document = await self._tenants.find_one_and_update(wanted, change, return_document=ReturnDocument.AFTER)
            if document is not None:
                return _tenant(document)
        return await self.tenant(name)


def comes_after(position: Position | None) -> Document:
    """What is asked for when a list that is ordered newest first goes on after the position."""
    if position is None:
        return {}
    return {
        "$or": [
            {"created_at": {"$lt": position.created_at}},
            {"created_at": position.created_at, "_id": {"$lt": position.id}},
        ]
    }


def _document(tenant: Tenant) -> Document:
    suspension = tenant.suspension
    document: Document = {
        "_id": tenant.name,
        "created_at": tenant.created_at,
        "display_name": tenant.display_name,
        # What it was called before there was more to say of a suspension: a replica of then reads it too.
        "disabled_at": suspension.at if suspension is not None else None,
        "revision": tenant.revision,
    }
    if suspension is not None:
        document |= {"suspended_for": suspension.reason, "suspended_by": suspension.by}
    if tenant.changed_at is not None:
        document["changed_at"] = tenant.changed_at
    return document


def _tenant(document: Document) -> Tenant:
    """The tenant; what a version before this one has written lacks the later fields."""
    suspended_at = document["disabled_at"]
    suspension = Suspension(
        at=suspended_at, reason=document.get("suspended_for", ""), by=document.get("suspended_by", "")
    )
    return Tenant(
        name=document["_id"],
        created_at=document["created_at"],
        display_name=document.get("display_name", ""),
        suspension=suspension if suspended_at is not None else None,
        changed_at=document.get("changed_at", suspended_at),
        revision=document.get("revision", 0),
    )
