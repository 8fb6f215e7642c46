"""Where lists are read: the collection `jobs`, which the projection fills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pymongo import ReadPreference

from services.history.jobs import indexes
from services.history.jobs.documents import COLLECTION, DATABASE, WITHOUT_CONTENT, WITHOUT_RESULT, record_of
from shared import mongo
from shared.mongo import steadily
from shared.paging import Position

if TYPE_CHECKING:
    from services.history.jobs.domain import Filter, Record
    from shared.mongo import Client, ReadMode

#: A job and where it stands in the list.
Listed = tuple[Position, "Record"]


class JobLists(Protocol):
    """Finds jobs. Every method raises `Unavailable` when the store is away."""

    async def page(
        self,
        tenant: str,
        wanted: Filter,
        *,
        after: Position | None,
        limit: int,
        oldest_first: bool = False,
        whole: bool = False,
    ) -> list[Listed]:
        """The tenant's jobs that match, without their results' content.

        Args:
            tenant: Whose.
            wanted: Which of them.
            after: The last one that is known already, in the list's order.
            limit: How many at most.
            oldest_first: Their order; the newest first unless told.
            whole: With what their attempts are made from.
        """
        ...

    async def count(self, tenant: str, wanted: Filter, *, limit: int) -> int:
        """How many of the tenant's jobs match; it counts no further than the limit."""
        ...

    async def position(self, tenant: str, job_id: str) -> Position | None:
        """Where a job of the tenant stands in every list that has it."""
        ...


class MongoJobLists:
    """Reads lists from MongoDB, each page by one round trip.

    Args:
        client: Connected.
        reads: Where they are read.
    """

    def __init__(self, client: Client, *, reads: ReadMode = ReadPreference.PRIMARY) -> None:
        database = mongo.database(client, DATABASE)
        self._jobs = database.get_collection(COLLECTION).with_options(read_preference=reads)

    async def page(
        self,
        tenant: str,
        wanted: Filter,
        *,
        after: Position | None,
        limit: int,
        oldest_first: bool = False,
        whole: bool = False,
    ) -> list[Listed]:
        """See `JobLists`."""
        query = indexes.query(tenant, wanted, after=after, oldest_first=oldest_first)
        documents = await steadily(
            lambda: self._jobs.find(
                query,
                projection=WITHOUT_RESULT if whole else WITHOUT_CONTENT,
                sort=indexes.OLDEST_FIRST if oldest_first else indexes.NEWEST_FIRST,
                limit=limit,
                batch_size=limit,  # or a large page took two round trips, and left a cursor where its reader goes away
            ).to_list()
        )
        return [
            (Position(created_at=document["created_at"], id=document["_id"]), record_of(document))
            for document in documents
        ]

    async def count(self, tenant: str, wanted: Filter, *, limit: int) -> int:
        """See `JobLists`."""
        query = indexes.query(tenant, wanted)
        return await steadily(lambda: self._jobs.count_documents(query, limit=limit))

    async def position(self, tenant: str, job_id: str) -> Position | None:
        """See `JobLists`."""
        mine = {"_id": job_id, "tenant": tenant, "created_at": {"$exists": True}}
        found = await steadily(lambda: self._jobs.find_one(mine, projection={"created_at": True}))
        return Position(created_at=found["created_at"], id=job_id) if found is not None else None
