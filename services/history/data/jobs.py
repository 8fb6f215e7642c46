"""A tenant's jobs, or a connection's, as they are exported and erased."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToDict

from services.history.jobs import messages
from services.history.jobs.documents import COLLECTION, DATABASE, record_of
from shared import mongo
from shared.holdings import Erased
from shared.holdings.mongo import MongoShelf
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Any

    from shared.holdings import Subject
    from shared.mongo import Client, Document


class JobShelf(MongoShelf):
    """The documents of jobs.

    Those of a connection go when they have ended, and those alone that are named: whoever names them has had all
    others let go of what they keep under these ids, which nobody knows any more afterwards.

    Args:
        client: Of the database.
    """

    def __init__(self, client: Client) -> None:
        jobs = mongo.database(client, DATABASE).get_collection(COLLECTION)
        super().__init__("history.jobs", jobs, _jobs_of, show=_shown)
        self._jobs = jobs

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        if not subject.connection_id:
            return await super().erase(subject, before=before)
        of_connection = _of_connection(subject.tenant, subject.connection_id, before)
        named = {**of_connection, "_id": {"$in": list(subject.job_ids)}, "finished_at": {"$ne": None}}
        async with translated():
            gone = await self._jobs.delete_many(named) if subject.job_ids else None
            left = await self._jobs.find_one(of_connection, {"_id": True})
        return Erased(removed=gone.deleted_count if gone is not None else 0, pending=left is not None)


class ConnectionJobs:
    """Which jobs were called with a connection.

    Args:
        client: Of the database.
    """

    def __init__(self, client: Client) -> None:
        self._jobs = mongo.database(client, DATABASE).get_collection(COLLECTION)

    async def ended_of(self, tenant: str, connection_id: str, *, before: datetime, limit: int) -> Sequence[str]:
        """Some of those that have ended.

        Raises:
            Unavailable: MongoDB is away.
        """
        wanted = {**_of_connection(tenant, connection_id, before), "finished_at": {"$ne": None}}
        async with translated():
            found = await self._jobs.find(wanted, {"_id": True}).limit(limit).to_list()
        return [each["_id"] for each in found]

    async def has_any_of(self, tenant: str, connection_id: str) -> bool:
        """Whether any job was called with it.

        Raises:
            Unavailable: MongoDB is away.
        """
        async with translated():
            found = await self._jobs.find_one({"tenant": tenant, "connection_id": connection_id}, {"_id": True})
        return found is not None


def _jobs_of(subject: Subject) -> Document:
    of_connection = {"connection_id": subject.connection_id} if subject.connection_id else {}
    return {"tenant": subject.tenant, **of_connection}


def _of_connection(tenant: str, connection_id: str, before: datetime) -> Document:
    return {"tenant": tenant, "connection_id": connection_id, "created_at": {"$lt": before}}


def _shown(document: Document) -> Any:
    """A job with its attempts and its result; of one whose submission has not come, that there is one."""
    if "job" not in document:
        return {"id": document["_id"]}
    return MessageToDict(messages.full(record_of(document)))
