"""Where jobs are kept: the database `history`, with the collection `jobs`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from pymongo.errors import BulkWriteError

from services.history.jobs import indexes, updates
from services.history.jobs.documents import COLLECTION, DATABASE, WITHOUT_CONTENT, record_of
from shared import mongo
from shared.errors import Unavailable
from shared.mongo import steadily, translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo import UpdateOne
    from pymongo.results import BulkWriteResult

    from services.history.jobs.domain import Entry, Record
    from shared.mongo import Client

#: Two replicas made the same job's document at the same moment, or a rebuilt collection has come in the place of the
#: other: the write is repeated, and finds what is there.
_REPEATABLE = frozenset({11000, 175})


class HistoryStore(Protocol):
    """Keeps every job of every tenant. Every method raises `Unavailable` when the store is away."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def apply(self, entries: Sequence[Entry]) -> None:
        """Adds what the entries say, one a job; what is older than what is known adds to the timeline alone.

        Raises:
            Unavailable: The store is away. Any of the entries may have been applied; all may be applied again.
        """
        ...

    async def get(self, tenant: str, job_id: str) -> Record | None:
        """One job of the tenant, with its result and its timeline."""
        ...

    async def batch(self, tenant: str, batch_id: str) -> list[Record]:
        """The tenant's jobs of a batch, in no order, without their results' content."""
        ...


class MongoHistory:
    """Keeps jobs in MongoDB, one document each.

    One job, or a batch, is read from the primary: intake asks for it when its own record has gone because history has
    it, which a secondary may not yet.

    Args:
        client: Connected.
        collection: Its name.
    """

    def __init__(self, client: Client, *, collection: str = COLLECTION) -> None:
        self._jobs = mongo.database(client, DATABASE).get_collection(collection)

    async def prepare(self) -> None:
        """See `HistoryStore`; makes the indexes."""
        async with translated():
            await indexes.prepare(self._jobs)

    async def apply(self, entries: Sequence[Entry]) -> None:
        """See `HistoryStore`; events come in order and once, nearly always, and that is one round trip then."""
        first = [entry for entry in entries if entry.submitted is not None]
        later = [entry for entry in entries if entry.submitted is None]
        written = await self._write([*map(updates.insertion, first), *map(updates.advance, later)])
        made = written.upserted_ids or {}
        unsettled = [entry for index, entry in enumerate(first) if index not in made]
        if written.matched_count - len(unsettled) < len(later):  # of some there is no document yet, or a newer one
            unsettled += later
        if unsettled:
            now = datetime.now(UTC)
            await self._write([updates.settlement(entry, now=now) for entry in unsettled])

    async def _write(self, writes: Sequence[UpdateOne]) -> BulkWriteResult:
        async with translated():
            try:
                return await self._jobs.bulk_write(writes, ordered=False)
            except BulkWriteError as error:
                if any(each["code"] not in _REPEATABLE for each in error.details["writeErrors"]):
                    raise
                raise Unavailable("another one wrote the same jobs; the batch may be repeated") from error

    async def get(self, tenant: str, job_id: str) -> Record | None:
        """See `HistoryStore`."""
        mine = {"_id": job_id, "tenant": tenant, "job": {"$exists": True}}
        document = await steadily(lambda: self._jobs.find_one(mine))
        return None if document is None else record_of(document)

    async def batch(self, tenant: str, batch_id: str) -> list[Record]:
        """See `HistoryStore`."""
        query = {"tenant": tenant, "batch_id": batch_id}
        documents = await steadily(lambda: self._jobs.find(query, projection=WITHOUT_CONTENT).to_list())
        return [record_of(document) for document in documents]
