"""What the tally counts and where it adds it up: marked documents of `jobs`, and the buckets of `stats`."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from services.history.jobs import documents as jobs
from services.history.jobs.domain import Mark
from services.history.stats import documents
from services.history.stats.domain import MarkedJob
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymongo.asynchronous.client_session import AsyncClientSession

    from services.history.leases import Lease, Leases
    from services.history.stats.domain import Bucket, Figures
    from shared.mongo import Client, Document

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_READ = ("tenant", "upstream", "method", "connection_id", "job", "event", "uncounted", "counted")
#: The server's error where a transaction would write to a document that was written to since it began.
_WRITE_CONFLICT = 112


class TallyStore(Protocol):
    """Knows what is uncounted. Every method raises `Unavailable` when it cannot answer."""

    async def marked(self, mark: Mark, *, created_before: datetime, limit: int) -> Sequence[MarkedJob]:
        """Jobs with this mark, those that were accepted first before others.

        One of which only later events have come has no method yet, and is left to wait for its submission.
        """
        ...

    async def count(self, lease: Lease, marked: Sequence[MarkedJob], figures: Mapping[Bucket, Figures]) -> bool:
        """Takes the marks off and adds the figures: all of it, or nothing, and never a second time.

        Answers whether it has: nothing was done where one of the jobs is no longer as it was read.

        Raises:
            LeaseLostError: Another replica counts by now; nothing was done.
            Unavailable: It may have been done; the marks say whether.
        """
        ...


class MongoTallyStore:
    """The store in MongoDB; it counts in one transaction.

    Args:
        client: Connected.
        leases: Fence the transactions of a replica that has lost its lease.
    """

    def __init__(self, client: Client, leases: Leases) -> None:
        self._client = client
        self._jobs = mongo.database(client, jobs.DATABASE).get_collection(jobs.COLLECTION)
        self._stats = mongo.database(client, documents.DATABASE).get_collection(documents.COLLECTION)
        self._leases = leases

    async def marked(self, mark: Mark, *, created_before: datetime, limit: int) -> Sequence[MarkedJob]:
        """See `TallyStore`; reads the index of what is marked, which is as good as empty nearly always."""
        wanted: Document = {"uncounted": mark, "created_at": {"$gte": _BEGINNING, "$lt": created_before}}
        async with translated():
            cursor = self._jobs.find(wanted, projection=_READ, hint="uncounted").sort("created_at").limit(limit)
            found = await cursor.to_list()
        return [_marked_job(document) for document in found]

    async def count(self, lease: Lease, marked: Sequence[MarkedJob], figures: Mapping[Bucket, Figures]) -> bool:
        """See `TallyStore`."""
        additions = [documents.addition(bucket, each) for bucket, each in figures.items()]
        async with translated(), self._client.start_session() as session:
            try:
                async with await session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority")):
                    if not await self._take_marks_off(marked, session):
                        await session.abort_transaction()
                        return False
                    await self._leases.fence(lease, session)
                    if additions:
                        await self._stats.bulk_write(additions, ordered=False, session=session)
            except OperationFailure as error:
                if error.code == _WRITE_CONFLICT:
                    return False
                raise
        return True

    async def _take_marks_off(self, marked: Sequence[MarkedJob], session: AsyncClientSession) -> bool:
        """From all of them, if they are as they were read; the most that can be written at a time is alike."""
        alike: dict[tuple[tuple[Mark, ...], tuple[Mark, ...]], list[str]] = defaultdict(list)
        for each in marked:
            alike[each.uncounted, each.counted].append(each.job_id)
        for (uncounted, counted), job_ids in alike.items():
            as_read: Document = {
                "_id": {"$in": job_ids},
                "uncounted": list(uncounted),
                "counted": list(counted) or None,  # or it is not there
            }
            update = {"$unset": {"uncounted": ""}, "$addToSet": {"counted": {"$each": list(uncounted)}}}
            taken = await self._jobs.update_many(as_read, update, session=session)
            if taken.matched_count < len(job_ids):
                return False
        return True


def _marked_job(document: Document) -> MarkedJob:
    return MarkedJob(
        job_id=document["_id"],
        tenant=document["tenant"],
        upstream=document["upstream"],
        method=document["method"],
        connection_id=document["connection_id"],
        job=document["job"],
        event=document["event"],
        uncounted=tuple(Mark(each) for each in document["uncounted"]),
        counted=tuple(Mark(each) for each in document.get("counted", ())),
    )
