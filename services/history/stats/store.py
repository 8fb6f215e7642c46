"""Where figures are kept: the collection `stats`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pymongo import IndexModel, ReadPreference

from services.history.stats.documents import COLLECTION, DATABASE, all_of, bucket_of, ids_in, narrower
from services.history.stats.domain import Group, Rollup
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.history.stats.domain import Bucket, Figures, Stretch
    from shared.mongo import Client, Document, ReadMode

#: Of a span, so many groups may be among the heaviest of a range.
_HEAVIEST_OF_SPAN = 100
#: What one call of `erase` removes.
_ERASED_AT_ONCE = 5000
_INDEXES = [
    IndexModel(
        [
            *(("tenant", 1), ("rollup", 1), ("span", 1), ("jobs", -1)),
            *(("upstream", 1), ("method", 1), ("connection_id", 1)),
        ],
        name="heaviest",
        partialFilterExpression={"jobs": {"$gt": 0}},
    ),
    IndexModel("expires_at", name="retention", expireAfterSeconds=0),
]
_SHARE = {"_id": False, "wait": False, "run": False, "errors": False}
_NAMES = {Rollup.UPSTREAM: "upstream", Rollup.METHOD: "method", Rollup.CONNECTION: "connection_id"}


class StatsStore(Protocol):
    """Keeps figures. Every method raises `Unavailable` when it cannot answer."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def buckets(self, group: Group, stretches: Sequence[Stretch]) -> Sequence[tuple[Bucket, Figures]]:
        """What was counted of a group in these stretches, in no order.

        The figures of a connection are those of its calls, those of a method those of its upstreams.
        """
        ...

    async def shares(
        self, group: Group, by: Rollup, stretches: Sequence[Stretch], *, limit: int
    ) -> Sequence[tuple[Bucket, Figures]]:
        """The ended jobs, and how long they took, of those parts of a group that have the most of them.

        Where one has more than a hundred parts in a span of a stretch, which of them are told is judged by the hundred
        heaviest of each span; what is told of them is exact.

        Args:
            group: Whose parts.
            by: What they are: upstreams, methods or connections.
            stretches: When.
            limit: How many parts.
        """
        ...

    async def erase(self, tenant: str, connection_id: str = "") -> int:
        """Removes figures of a tenant, or those of one connection, a part at a time; answers how many, 0 at the end.

        What was counted of a connection stays in the sums of its method, its upstream and its tenant, which tell no
        connection.
        """
        ...


class MongoStatsStore:
    """The store in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
        reads: Where figures are read.
    """

    def __init__(self, client: Client, *, reads: ReadMode = ReadPreference.PRIMARY) -> None:
        self._stats = mongo.database(client, DATABASE).get_collection(COLLECTION)
        self._read = self._stats.with_options(read_preference=reads)

    async def prepare(self) -> None:
        """See `StatsStore`; a collection is there before a transaction writes to it."""
        async with translated():
            await self._stats.create_indexes(_INDEXES)

    async def buckets(self, group: Group, stretches: Sequence[Stretch]) -> Sequence[tuple[Bucket, Figures]]:
        """See `StatsStore`; a range of ids for each stretch."""
        return await self._found([group], stretches, narrower(group), {"_id": False})

    async def shares(
        self, group: Group, by: Rollup, stretches: Sequence[Stretch], *, limit: int
    ) -> Sequence[tuple[Bucket, Figures]]:
        """See `StatsStore`; the heaviest of each span are read off an index alone."""
        pipeline = _heaviest(group, by, stretches, limit=limit)
        async with translated():
            heaviest = await (await self._read.aggregate(pipeline, hint="_id_")).to_list()
        parts = [_part(group, by, each["_id"]) for each in heaviest]
        return await self._found(parts, stretches, narrower(group), _SHARE) if parts else []

    async def erase(self, tenant: str, connection_id: str = "") -> int:
        """See `StatsStore`."""
        wanted = all_of(tenant, connection_id)
        async with translated():
            found = await self._stats.find(wanted, projection=["_id"], hint="_id_").limit(_ERASED_AT_ONCE).to_list()
            if not found:
                return 0
            return (await self._stats.delete_many({"_id": {"$in": [each["_id"] for each in found]}})).deleted_count

    async def _found(
        self, groups: Sequence[Group], stretches: Sequence[Stretch], also: Document, projection: Document
    ) -> list[tuple[Bucket, Figures]]:
        ranges = [{"_id": ids_in(group, stretch)} for group in groups for stretch in stretches]
        async with translated():
            cursor = self._read.find({"$or": ranges, **also}, projection=projection, hint="_id_", batch_size=_BATCH)
            return [bucket_of(document) async for document in cursor]


#: Documents that are read at a time: a few milliseconds' work.
_BATCH = 500


def _heaviest(group: Group, by: Rollup, stretches: Sequence[Stretch], *, limit: int) -> list[Document]:
    """The names of the parts with the most jobs; a span in which nothing happened has no document of the tenant's."""
    spans = [{"_id": ids_in(Group(tenant=group.tenant), stretch)} for stretch in stretches]
    name = _NAMES[by]
    rollup = _part(group, by, name).rollup
    of_span: list[Document] = [
        {"$match": {"tenant": group.tenant, "rollup": rollup, "jobs": {"$gt": 0}, **narrower(group)}},
        {"$sort": {"jobs": -1}},
        {"$limit": _HEAVIEST_OF_SPAN},
        {"$project": {"_id": False, "jobs": True, name: True}},
    ]
    return [
        {"$match": {"$or": spans}},
        {"$project": {"span": True}},
        {
            "$lookup": {
                "from": COLLECTION,
                "localField": "span",
                "foreignField": "span",
                "pipeline": of_span,
                "as": "part",
            }
        },
        {"$unwind": "$part"},
        {"$group": {"_id": f"$part.{name}", "jobs": {"$sum": "$part.jobs"}}},
        {"$sort": {"jobs": -1, "_id": 1}},
        {"$limit": limit},
    ]


def _part(group: Group, by: Rollup, name: str) -> Group:
    return Group(tenant=group.tenant, **(narrower(group) | {_NAMES[by]: name}))
