"""Where jobs are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from pymongo import DESCENDING, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError

from services.history.domain import Record
from shared import mongo
from shared.errors import Unavailable
from shared.paging import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.asynchronous.database import AsyncDatabase
    from pymongo.results import BulkWriteResult

    from services.history.domain import Entry, Filter
    from shared.mongo import Document

#: Two replicas made the same job's document at the same moment; the loser's write is repeated and finds it.
_DUPLICATE_KEY = 11000
#: Of a job's submission.
_FIRST_REVISION = 1
_NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class HistoryStore(Protocol):
    """Keeps every job of every tenant."""

    async def apply(self, entries: Sequence[Entry]) -> None:
        """Adds what the entries say; what is older than what is known changes nothing.

        Raises:
            Unavailable: The store is away. Any of the entries may have been applied.
        """
        ...

    async def get(self, tenant: str, job_id: str) -> Record | None:
        """One job of the tenant, with its result.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def batch(self, tenant: str, batch_id: str) -> list[Record]:
        """The tenant's jobs of a batch, in no order, without their results' content.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def list(
        self, tenant: str, wanted: Filter, *, after: Position | None, limit: int
    ) -> list[tuple[Position, Record]]:
        """The tenant's jobs that match, newest first, without their results' content.

        Args:
            tenant: Whose.
            wanted: Which of them.
            after: The last one that is known already.
            limit: How many at most.

        Raises:
            Unavailable: The store is away.
        """
        ...


class MongoHistory:
    """Keeps jobs in MongoDB, one document each.

    Args:
        database: History's own.
    """

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._jobs = database.get_collection("jobs")

    async def create_indexes(self) -> None:
        """Makes the indexes that lists need, where they are not there yet."""
        async with mongo.translated():
            await self._jobs.create_indexes(
                [
                    IndexModel([("tenant", 1), *_NEWEST_FIRST]),
                    IndexModel([("tenant", 1), ("state", 1), *_NEWEST_FIRST]),
                    IndexModel([("tenant", 1), ("upstream", 1), ("method", 1), *_NEWEST_FIRST]),
                    IndexModel(
                        [("tenant", 1), ("batch_id", 1), *_NEWEST_FIRST],
                        partialFilterExpression={"batch_id": {"$gt": ""}},  # most jobs come by themselves
                    ),
                ]
            )

    async def apply(self, entries: Sequence[Entry]) -> None:
        """See `HistoryStore`."""
        first = [entry for entry in entries if entry.submitted is not None]
        later = [entry for entry in entries if entry.submitted is None]
        written = await self._write([*map(_insertion, first), *map(_advance, later)])
        # Nearly always that was all: events come in order, and once.
        made = written.upserted_ids or {}
        there = [entry for index, entry in enumerate(first) if index not in made]
        behind = [entry for entry in there if entry.standing.revision > _FIRST_REVISION]
        if written.matched_count - len(there) < len(later):  # of some there is no document yet, or a newer one
            await self._write([_insertion(entry) for entry in later])
            behind += later
        if behind:
            await self._write([_advance(entry) for entry in behind])

    async def _write(self, writes: Sequence[UpdateOne]) -> BulkWriteResult:
        async with mongo.translated():
            try:
                return await self._jobs.bulk_write(writes, ordered=False)
            except BulkWriteError as error:
                if any(each["code"] != _DUPLICATE_KEY for each in error.details["writeErrors"]):
                    raise
                raise Unavailable("another replica wrote the same job; the batch may be repeated") from error

    async def get(self, tenant: str, job_id: str) -> Record | None:
        """See `HistoryStore`."""
        async with mongo.translated():
            document = await self._jobs.find_one({"_id": job_id, "tenant": tenant, "job": {"$exists": True}})
        return None if document is None else _record(document)

    async def batch(self, tenant: str, batch_id: str) -> list[Record]:
        """See `HistoryStore`."""
        query = {"tenant": tenant, "batch_id": batch_id}
        async with mongo.translated():
            documents = await self._jobs.find(query, projection={"result": False}).to_list()
        return [_record(document) for document in documents]

    async def list(
        self, tenant: str, wanted: Filter, *, after: Position | None, limit: int
    ) -> list[tuple[Position, Record]]:
        """See `HistoryStore`."""
        query = _query(tenant, wanted, after)
        async with mongo.translated():
            cursor = self._jobs.find(query, projection={"result": False}).sort(_NEWEST_FIRST).limit(limit)
            documents = await cursor.to_list(limit)
        return [
            (Position(created_at=document["created_at"], id=document["_id"]), _record(document))
            for document in documents
        ]


def _insertion(entry: Entry) -> UpdateOne:
    """Makes the job's document; to one that is there it adds what never changes alone."""
    fixed: Document = {"tenant": entry.tenant}
    if entry.submitted is not None:
        fixed |= {
            "job": entry.submitted.job,
            "upstream": entry.submitted.upstream,
            "method": entry.submitted.method,
            "connection_id": entry.submitted.connection_id,
            "priority": entry.submitted.priority,
            "batch_id": entry.submitted.batch_id,
            "created_at": entry.submitted.created_at,
        }
    return UpdateOne({"_id": entry.job_id}, {"$set": fixed, "$setOnInsert": _standing(entry)}, upsert=True)


def _advance(entry: Entry) -> UpdateOne:
    """Moves a document that is older on to where the entry leaves the job."""
    older = {"_id": entry.job_id, "revision": {"$lt": entry.standing.revision}}
    return UpdateOne(older, {"$set": _standing(entry)})


def _standing(entry: Entry) -> Document:
    return {
        "revision": entry.standing.revision,
        "state": entry.standing.state,
        "event": entry.standing.event,
        "result": entry.standing.result,
        "finished_at": entry.standing.finished_at,
    }


def _query(tenant: str, wanted: Filter, after: Position | None) -> Document:
    exact = {
        "upstream": wanted.upstream,
        "method": wanted.method,
        "connection_id": wanted.connection_id,
        "batch_id": wanted.batch_id,
        "priority": wanted.priority,
    }
    created: Document = {"$gte": wanted.created_after or _BEGINNING}  # what was not submitted yet has no time
    if wanted.created_before is not None:
        created["$lt"] = wanted.created_before
    query: Document = {"tenant": tenant, "created_at": created}
    query |= {name: value for name, value in exact.items() if value}
    if wanted.states:
        query["state"] = {"$in": list(wanted.states)}
    if after is not None:
        query["$or"] = [
            {"created_at": {"$lt": after.created_at}},
            {"created_at": after.created_at, "_id": {"$lt": after.id}},
        ]
    return query


def _record(document: dict[str, Any]) -> Record:
    return Record(job=document["job"], event=document["event"], result=document.get("result"))
