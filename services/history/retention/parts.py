"""What is known of the archive's parts: the collection `archive_parts` of the database `history`, one document a part.

A part that stands here is in the object store, and its jobs are archived: they may be deleted, and by their ids no
others. Manifests are made of what stands here, so that what lies in the store beside it, of a sweep that was killed or
of before a restore, is in no archive.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from pymongo import IndexModel

from services.history.jobs.documents import DATABASE
from services.history.retention.archive_format import Part
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from shared.mongo import Client, Document

_INDEXES = [
    IndexModel([("tenant", 1), ("day", 1)], name="day"),
    IndexModel([("tenant", 1), ("archived_at", 1)], name="age"),
    IndexModel([("tenant", 1), ("connections.id", 1), ("connections.oldest", 1)], name="connections"),
    # of those few alone that a sweep is about to be done with
    IndexModel("job_ids", name="open", partialFilterExpression={"job_ids": {"$exists": True}}),
    IndexModel("leftovers", name="left_over", partialFilterExpression={"leftovers": {"$exists": True}}),
    IndexModel("removed", name="removed", partialFilterExpression={"removed": True}),
]
_SUMMARY = {"job_ids": False, "connections": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPart:
    """A part, and what it takes to find and to remove it."""

    id: str
    tenant: str
    #: On which its jobs ended.
    day: date
    part: Part
    archived_at: datetime
    #: When the oldest and the newest of its jobs were made.
    oldest: datetime
    newest: datetime
    #: Of each connection that its jobs were made with, when the oldest of those was made; where that was read.
    connections: Mapping[str, datetime] = field(default_factory=dict[str, "datetime"])
    #: Those of its jobs that may not be deleted yet; empty where all are.
    job_ids: Sequence[str] = ()
    #: Names of what it was before, to be deleted.
    leftovers: Sequence[str] = ()


class MongoPartStore:
    """The store in MongoDB. Every method raises `Unavailable` when it cannot answer.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._parts = mongo.database(client, DATABASE).get_collection("archive_parts")

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._parts.create_indexes(_INDEXES)

    async def add(self, kept: KeptPart) -> KeptPart:
        """Adds a part, unless there is one of its id; answers with the one that stands then."""
        document = _document(kept)
        async with translated():
            await self._parts.update_one({"_id": document.pop("_id")}, {"$setOnInsert": document}, upsert=True)
        return await self.get(kept.id) or kept

    async def get(self, part_id: str) -> KeptPart | None:
        """A part by its id, with its jobs."""
        async with translated():
            document = await self._parts.find_one({"_id": part_id}, projection={"connections": False})
        return None if document is None else _kept(document)

    async def open(self) -> Sequence[str]:
        """The ids of parts whose jobs are not all deleted."""
        async with translated():
            found = await self._parts.find({"job_ids": {"$exists": True}}, projection=["_id"], hint="open").to_list()
        return [each["_id"] for each in found]

    async def close(self, part_id: str) -> None:
        """Notes that all jobs of a part are deleted."""
        async with translated():
            await self._parts.update_one({"_id": part_id}, {"$unset": {"job_ids": ""}})

    async def of_day(self, tenant: str, day: date) -> Sequence[KeptPart]:
        """The parts of a day, in their order."""
        query = {"tenant": tenant, "day": day.isoformat(), "removed": {"$exists": False}}
        async with translated():
            found = await self._parts.find(query, projection=_SUMMARY).sort("_id").to_list()
        return [_kept(each) for each in found]

    async def tenants(self) -> Sequence[str]:
        """Of whom there is an archive."""
        async with translated():
            return await self._parts.distinct("tenant")

    async def remove_older(self, tenant: str, before: datetime, *, limit: int) -> bool:
        """Has parts that were archived before a time be removed; answers whether there were any."""
        return await self._remove({"tenant": tenant, "archived_at": {"$lt": before}}, limit=limit)

    async def remove(self, part_id: str) -> None:
        """Has one part be removed, whose jobs are deleted or are to be."""
        async with translated():
            await self._parts.update_one({"_id": part_id}, {"$set": {"removed": True}})

    async def removed(self, *, limit: int) -> Sequence[KeptPart]:
        """Parts that are to be removed, and are in no manifest any more that is written from now on."""
        async with translated():
            found = (
                await self._parts.find({"removed": True}, projection=_SUMMARY, hint="removed").limit(limit).to_list()
            )
        return [_kept(each) for each in found]

    async def forget(self, part_ids: Collection[str]) -> None:
        """Forgets parts that are removed."""
        async with translated():
            await self._parts.delete_many({"_id": {"$in": list(part_ids)}, "removed": True})

    async def holding(self, tenant: str, connection_id: str, before: datetime, *, limit: int) -> Sequence[KeptPart]:
        """Parts with jobs of a tenant, or of one of its connections, that were made before a time."""
        query: Document = {"tenant": tenant, "removed": {"$exists": False}}
        if connection_id:
            query["connections"] = {"$elemMatch": {"id": connection_id, "oldest": {"$lt": before}}}
        else:
            query["oldest"] = {"$lt": before}
        async with translated():
            found = await self._parts.find(query, projection=_SUMMARY).sort("_id").limit(limit).to_list()
        return [_kept(each) for each in found]

    async def page(self, tenant: str, connection_id: str, *, after: str, limit: int) -> Sequence[KeptPart]:
        """Parts whose jobs are nowhere else, with jobs of a tenant or of one of its connections, in their order."""
        query: Document = {"tenant": tenant, "_id": {"$gt": after}}
        query |= {"removed": {"$exists": False}, "job_ids": {"$exists": False}}
        if connection_id:
            query["connections.id"] = connection_id
        async with translated():
            found = await self._parts.find(query, projection=_SUMMARY).sort("_id").limit(limit).to_list()
        return [_kept(each) for each in found]

    async def replace(self, kept: KeptPart, by: KeptPart) -> bool:
        """Has a part be another one, what it was being left over; answers whether it was still what it was."""
        changes = {name: value for name, value in _document(by).items() if name in {"part", "oldest", "newest"}}
        changes["connections"] = _connections(by)
        async with translated():
            result = await self._parts.update_one(
                {"_id": kept.id, "part.name": kept.part.name},
                {"$set": changes, "$addToSet": {"leftovers": kept.part.name}},
            )
        return result.matched_count == 1

    async def left_over(self) -> Sequence[KeptPart]:
        """Parts that were others before, which are not deleted yet."""
        query = {"leftovers": {"$exists": True}}
        async with translated():
            found = await self._parts.find(query, projection=_SUMMARY, hint="left_over").to_list()
        return [_kept(each) for each in found]

    async def clear(self, kept: KeptPart) -> None:
        """Notes that what a part was before is deleted."""
        async with translated():
            await self._parts.update_one({"_id": kept.id, "leftovers": kept.leftovers}, {"$unset": {"leftovers": ""}})

    async def names(self, tenant: str) -> Mapping[str, date]:
        """The names of all of a tenant's parts, what they were before among them, with their days."""
        async with translated():
            found = await self._parts.find(
                {"tenant": tenant}, projection={"part.name": True, "leftovers": True, "day": True}
            ).to_list()
        return {
            name: date.fromisoformat(each["day"])
            for each in found
            for name in (each["part"]["name"], *each.get("leftovers", ()))
        }

    async def _remove(self, query: Document, *, limit: int) -> bool:
        these: Document = {**query, "removed": {"$exists": False}, "job_ids": {"$exists": False}}
        async with translated():
            found = await self._parts.find(these, projection=["_id"]).limit(limit).to_list()
            ids = [each["_id"] for each in found]
            await self._parts.update_many({"_id": {"$in": ids}}, {"$set": {"removed": True}})
        return bool(ids)


def _document(kept: KeptPart) -> Document:
    return {
        "_id": kept.id,
        "tenant": kept.tenant,
        "day": kept.day.isoformat(),
        "part": asdict(kept.part),
        "archived_at": kept.archived_at,
        "oldest": kept.oldest,
        "newest": kept.newest,
        "connections": _connections(kept),
        "job_ids": list(kept.job_ids),
    }


def _connections(kept: KeptPart) -> list[Document]:
    return [{"id": name, "oldest": oldest} for name, oldest in sorted(kept.connections.items())]


def _kept(document: Document) -> KeptPart:
    return KeptPart(
        id=document["_id"],
        tenant=document["tenant"],
        day=date.fromisoformat(document["day"]),
        part=Part(**document["part"]),
        archived_at=document["archived_at"],
        oldest=document["oldest"],
        newest=document["newest"],
        job_ids=tuple(document.get("job_ids", ())),
        leftovers=tuple(document.get("leftovers", ())),
    )
