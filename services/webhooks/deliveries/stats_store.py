"""Where is kept how endpoints fare: the collection `endpoint_stats`, one document for an endpoint and hour."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from pymongo import IndexModel, UpdateOne

from services.webhooks.deliveries.documents import DATABASE
from services.webhooks.deliveries.stats import Counts, EndpointHour
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.mongo import Client, Document

#: A day longer than anybody may look back.
KEPT = timedelta(days=31)
_HOUR = "%Y-%m-%dT%H"
#: After the last of an endpoint's hours.
_END = "~"


class MongoStatsStore:
    """The store in MongoDB; the id of a document is the endpoint's and the hour, so that it needs no other index.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._stats = mongo.database(client, DATABASE).get_collection("endpoint_stats")

    async def prepare(self) -> None:
        """Makes the index that ends what is old, where it is not there yet."""
        retention = IndexModel("hour", name="retention", expireAfterSeconds=int(KEPT.total_seconds()))
        async with translated():
            await self._stats.create_indexes([retention])

    async def add(self, counted: Mapping[EndpointHour, Counts]) -> None:
        """See `StatsStore`; one round trip."""
        async with translated():
            await self._stats.bulk_write([_addition(each, counts) for each, counts in counted.items()], ordered=False)

    async def since(self, endpoint_id: str, hour: datetime) -> Counts:
        """See `StatsStore`."""
        ids = {"$gte": _id(EndpointHour(endpoint_id, hour)), "$lt": f"{endpoint_id}/{_END}"}
        found = Counts()
        async with translated():
            documents = await self._stats.find({"_id": ids}).to_list()
        for each in documents:
            latency = Counter({int(bucket): count for bucket, count in each["latency"].items()})
            found.merge(Counts(attempts=each["attempts"], successes=each["successes"], latency=latency))
        return found


def _addition(each: EndpointHour, counts: Counts) -> UpdateOne:
    increments: Document = {f"latency.{bucket}": count for bucket, count in counts.latency.items()}
    increments |= {"attempts": counts.attempts, "successes": counts.successes}
    set_once = {"endpoint_id": each.endpoint_id, "hour": each.hour}
    return UpdateOne({"_id": _id(each)}, {"$inc": increments, "$setOnInsert": set_once}, upsert=True)


def _id(each: EndpointHour) -> str:
    return f"{each.endpoint_id}/{each.hour.strftime(_HOUR)}"
