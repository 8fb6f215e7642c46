"""Which jobs have had their time: what the sweep asks of the collection `jobs` of the database `history`.

A job that is about to be archived has the id of its part as `part`. It is deleted by that and its own id alone, and
only when the statistics have counted it; until then it is read and listed as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2
from pymongo import IndexModel

from services.history.jobs.documents import COLLECTION, DATABASE, record_of
from shared import mongo
from shared.mongo import translated
from shared.objects import result_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from services.history.jobs.domain import Record
    from services.history.retention.domain import Retention
    from shared.mongo import Client, Document

#: To be made on a collection that takes the place of `jobs`, too.
INDEXES = (
    IndexModel([("tenant", 1), ("state", 1), ("finished_at", 1)], name="ended"),
    IndexModel("part", name="part", partialFilterExpression={"part": {"$exists": True}}),
)
#: A job ends within 7 days. What has no end after this time has lost it, and counts as what failed when it was made.
NEVER_ENDED = timedelta(days=30)
_UNFINISHED = ("QUEUED", "RUNNING", "RETRYING")
_SUCCEEDED = "SUCCEEDED"
_OTHERWISE = tuple(
    name for name, number in jobs_pb2.Job.State.items() if number and name not in {*_UNFINISHED, _SUCCEEDED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A job that has had its time."""

    id: str
    #: When it ended; where that is not known, when it was made.
    ended_at: datetime
    #: When its time was over.
    since: datetime
    #: Of its document, in bytes.
    size: int

    @property
    def day(self) -> date:
        """In whose archive it is to be."""
        return self.ended_at.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A job that is about to be archived."""

    id: str
    tenant: str
    day: date
    created_at: datetime | None
    connection_id: str
    #: None where nothing is known but how it stood: it is deleted, and not archived.
    record: Record | None
    #: Where its answers may lie in the object store.
    results: Sequence[str]


class MongoDueStore:
    """The jobs in MongoDB. Every method raises `Unavailable` when it cannot answer.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._jobs = mongo.database(client, DATABASE).get_collection(COLLECTION)

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._jobs.create_indexes(list(INDEXES))

    async def tenants(self) -> Sequence[str]:
        """Of whom there are jobs; the index is leapt through."""
        async with translated():
            return await self._jobs.distinct("tenant")

    async def due(
        self, tenant: str, retention: Retention, now: datetime, *, limit: int, begun: bool = False
    ) -> Sequence[Due]:
        """Jobs of a tenant that have had their time, the oldest end first: those that succeeded, or else others.

        Args:
            tenant: Whose.
            retention: What holds for it.
            now: The time.
            limit: How many at most.
            begun: Whether those are meant too that are a part's already.
        """
        failed = now - retention.failed_jobs
        stuck = now - max(NEVER_ENDED, retention.failed_jobs)
        for states, ended, kept in (
            ((_SUCCEEDED,), {"finished_at": {"$lte": now - retention.succeeded_jobs}}, retention.succeeded_jobs),
            (_OTHERWISE, {"finished_at": {"$lte": failed}}, retention.failed_jobs),
            # which the version before has written of jobs that were never begun
            ((_SUCCEEDED, *_OTHERWISE), {"finished_at": None, "created_at": {"$lte": stuck}}, now - stuck),
            (_UNFINISHED, {"created_at": {"$lte": stuck}}, now - stuck),
        ):
            query: Document = {"tenant": tenant, "state": {"$in": list(states)}, **ended}
            if not begun:
                query["part"] = {"$exists": False}
            found = await self._found(query, limit=limit)
            if found:
                return [_due(each, kept) for each in found]
        return ()

    async def mark(self, job_ids: Sequence[str], part_id: str) -> None:
        """Has jobs be those of a part, unless they are another's."""
        async with translated():
            await self._jobs.update_many(
                {"_id": {"$in": list(job_ids)}, "part": {"$exists": False}}, {"$set": {"part": part_id}}
            )

    async def marked_parts(self) -> Sequence[str]:
        """The parts that jobs are marked with."""
        async with translated():
            return await self._jobs.distinct("part", {"part": {"$exists": True}})

    async def marked(self, part_id: str, *, content: bool = True) -> Sequence[Marked]:
        """The jobs of a part, in the order of their ids.

        Args:
            part_id: Its id.
            content: Whether their records are read.
        """
        projection = None if content else _WITHOUT_RECORD
        async with translated():
            found = await self._jobs.find({"part": part_id}, projection=projection, hint="part").sort("_id").to_list()
        return [_marked(each, content=content) for each in found]

    async def unmark(self, part_id: str) -> None:
        """Has jobs be nobody's that were marked when their part was done with."""
        async with translated():
            await self._jobs.update_many({"part": part_id}, {"$unset": {"part": ""}})

    async def delete(self, part_id: str, job_ids: Sequence[str]) -> int:
        """Deletes jobs of a part, of those that are named; answers how many of these are left, to be counted first."""
        these: Document = {"_id": {"$in": list(job_ids)}, "part": part_id}
        async with translated():
            await self._jobs.delete_many({**these, "uncounted": {"$exists": False}})
            return await self._jobs.count_documents(these, hint="_id_")

    async def _found(self, query: Document, *, limit: int) -> list[Document]:
        ended = "finished_at" if query.get("finished_at") else "created_at"
        these: Document = {**query, "uncounted": {"$exists": False}}
        projection = {"finished_at": True, "created_at": True, "size": {"$bsonSize": "$$ROOT"}}
        hint = "ended" if "finished_at" in query else None
        async with translated():
            cursor = self._jobs.find(these, projection=projection, hint=hint)
            return await cursor.sort(ended, 1).limit(limit).to_list()


_WITHOUT_RECORD = {"job": False, "result": False, "timeline": False}


def _due(document: Document, kept: timedelta) -> Due:
    ended_at: datetime = document.get("finished_at") or document["created_at"]
    return Due(id=document["_id"], ended_at=ended_at, since=ended_at + kept, size=document["size"])


def _marked(document: Document, *, content: bool) -> Marked:
    tenant, event = document["tenant"], events_pb2.JobEvent.FromString(document["event"])
    attempts = range(1, event.attempt + 1) if event.result.url else ()
    return Marked(
        id=document["_id"],
        tenant=tenant,
        day=(document.get("finished_at") or document["created_at"]).date(),
        created_at=document.get("created_at"),
        connection_id=document.get("connection_id", ""),
        record=record_of(document) if content and "job" in document else None,
        results=[result_key(tenant, document["_id"], attempt) for attempt in attempts],
    )
