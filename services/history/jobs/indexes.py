"""How jobs are found: an index for every filter, each in the order of lists, and the query of a list.

All but one hold what never changes of a job, so that a job that moves on while a list is read keeps its place in it.
Of the jobs that ended without success, which are few and asked for the most, a second set has every filter together
with the state; any other two filters are looked up by the narrower one, and the other is looked at in the documents.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pymongo import ASCENDING, DESCENDING, IndexModel

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

    from services.history.jobs.domain import Filter
    from shared.mongo import Document
    from shared.paging import Position

NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]
OLDEST_FIRST = [("created_at", ASCENDING), ("_id", ASCENDING)]
#: A submission comes before what follows from it, and again within minutes where it could not be written at first. What
#: is left waits for one that was dropped: the job was erased, or its submission could not be read.
INCOMPLETE_KEPT = timedelta(days=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
#: An index of what is given alone is thought of by MongoDB for those lists alone that ask for it, and most jobs have no
#: batch, no connection and no label.
_GIVEN: Document = {"$gt": ""}
#: The states in which a job has ended without success are those whose names come before the others'. MongoDB does not
#: see that some of them are among those of an `$in`.
_FAILURES: Document = {"$lt": "QUEUED"}


def _of(name: str) -> IndexModel:
    return IndexModel([("tenant", 1), (name, 1), *NEWEST_FIRST], partialFilterExpression={name: _GIVEN})


def _of_failures(name: str) -> IndexModel:
    return IndexModel(
        [("tenant", 1), (name, 1), ("state", 1), *NEWEST_FIRST],
        partialFilterExpression={name: _GIVEN, "state": _FAILURES},
    )


_LISTS = [
    IndexModel([("tenant", 1), *NEWEST_FIRST]),
    IndexModel([("tenant", 1), ("state", 1), *NEWEST_FIRST]),
    *map(_of, ("upstream", "method", "priority", "connection_id", "batch_id", "labels")),
    *map(_of_failures, ("upstream", "method", "priority", "connection_id")),
    # a connection may have many jobs, and none of the method that is asked for
    IndexModel(
        [("tenant", 1), ("connection_id", 1), ("method", 1), *NEWEST_FIRST],
        partialFilterExpression={"connection_id": _GIVEN, "method": _GIVEN},
    ),
]
_UNCOUNTED = IndexModel(
    [("uncounted", 1), ("created_at", 1)],
    name="uncounted",
    partialFilterExpression={"uncounted": {"$exists": True}},  # for the moment until it is counted
)
_INCOMPLETE = IndexModel(
    "incomplete_since", name="incomplete", expireAfterSeconds=int(INCOMPLETE_KEPT.total_seconds()), sparse=True
)
#: Which versions before had, and no query asks any more.
_OUT_OF_USE = ("tenant_1_upstream_1_method_1_created_at_-1__id_-1",)


async def prepare(jobs: AsyncCollection[Document]) -> None:
    """Makes the indexes, where they are not there yet, and then drops those that are out of use.

    They are built while the collection is read and written; a replica of the version before goes on by its own until
    the new ones are there, and by those from then on.
    """
    await jobs.create_indexes([*_LISTS, _UNCOUNTED, _INCOMPLETE])
    present = await jobs.index_information()
    for name in _OUT_OF_USE:
        if name in present:
            await jobs.drop_index(name)


def query(tenant: str, wanted: Filter, *, after: Position | None = None, oldest_first: bool = False) -> Document:
    """Asks for what is wanted, as far as it comes after the position.

    The position bounds the time, by which every index is entered; of the jobs of its very millisecond, those that do
    not come after it are passed over. That is no `$or`, for which MongoDB would think of indexes by themselves.
    """
    exact = {
        "upstream": wanted.upstream,
        "method": wanted.method,
        "connection_id": wanted.connection_id,
        "batch_id": wanted.batch_id,
        "priority": wanted.priority,
    }
    asked: Document = {"tenant": tenant} | {name: value for name, value in exact.items() if value}
    if wanted.states:
        asked["state"] = {"$in": list(wanted.states)}
    if wanted.labels:
        asked["labels"] = {"$all": list(wanted.labels)}
    earliest, before = wanted.created_after or _BEGINNING, wanted.created_before  # without a submission it has no time
    created: Document = {"$gte": earliest}
    if before is not None:
        created["$lt"] = before
    if after is not None:
        beyond = "$lte" if oldest_first else "$gte"
        asked["$nor"] = [{"created_at": after.created_at, "_id": {beyond: after.id}}]
        if oldest_first:
            created["$gte"] = max(earliest, after.created_at)
        else:
            created["$lte"] = after.created_at
    return asked | {"created_at": created}
