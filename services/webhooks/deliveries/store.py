"""Where deliveries are kept: the database `webhooks`, with the collection `deliveries`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError

from services.webhooks.deliveries import indexes, updates
from services.webhooks.deliveries.documents import COLLECTION, DATABASE, WITHOUT_CONTENT, delivery_of, document_of
from shared import mongo
from shared.errors import Unavailable
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.deliveries.filters import DeliveryFilter
    from shared.mongo import Client, Document
    from shared.paging import Position

_DUPLICATE_KEY = 11000


class DeliveryStore(Protocol):
    """Keeps deliveries. Every method raises `Unavailable` when it cannot answer; what it was to do may be done then."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """Adds deliveries in one write, and answers how many were new; what is there already stays as it is."""
        ...

    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None:
        """A tenant's delivery by its id, with its content and its log."""
        ...

    async def deliveries(
        self,
        tenant: str,
        wanted: DeliveryFilter,
        *,
        limit: int,
        after: Position | None = None,
        oldest_first: bool = False,
    ) -> Sequence[Delivery]:
        """A tenant's deliveries that are meant, newest first, those that come after the position, without content."""
        ...

    async def count(self, tenant: str, wanted: DeliveryFilter, *, limit: int) -> int:
        """How many of a tenant's deliveries are meant; it counts no further than the limit."""
        ...

    async def put_back(self, tenant: str, delivery_id: str, *, now: datetime) -> Delivery | None:
        """Has a delivery be made again from its first attempt on, due now, and answers with it as it is then.

        None where there is no such delivery, or it is at work: an attempt is being made, or it goes with others that
        are not delivered yet.
        """
        ...

    async def put_back_for(
        self, replay_id: str, tenant: str, delivery_ids: Collection[str], wanted: DeliveryFilter, *, now: datetime
    ) -> int:
        """The same with many in one write, each once for one replay, those that are still meant.

        Answers how many of them this replay has put back by now: where it is repeated, that is the same number.
        """
        ...


class MongoDeliveryStore:
    """The store in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._deliveries = mongo.database(client, DATABASE).get_collection(COLLECTION)

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await indexes.prepare(self._deliveries)

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """See `DeliveryStore`."""
        try:
            async with translated():
                await self._deliveries.insert_many([document_of(each) for each in deliveries], ordered=False)
        except BulkWriteError as error:
            refused = error.details["writeErrors"]
            if any(each["code"] != _DUPLICATE_KEY for each in refused):
                raise
            if error.details["writeConcernErrors"]:  # a failover may still undo it
                raise Unavailable("MongoDB did not confirm a write; the batch may be repeated") from error
            return len(deliveries) - len(refused)
        return len(deliveries)

    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None:
        """See `DeliveryStore`."""
        async with translated():
            document = await self._deliveries.find_one({"_id": delivery_id, "tenant": tenant})
        return delivery_of(document) if document is not None else None

    async def deliveries(
        self,
        tenant: str,
        wanted: DeliveryFilter,
        *,
        limit: int,
        after: Position | None = None,
        oldest_first: bool = False,
    ) -> Sequence[Delivery]:
        """See `DeliveryStore`; every filter has an index that is read in the list's order."""
        query = indexes.query(tenant, wanted, after=after, oldest_first=oldest_first)
        order = indexes.OLDEST_FIRST if oldest_first else indexes.NEWEST_FIRST
        async with translated():
            found = self._deliveries.find(query, projection=WITHOUT_CONTENT, hint=indexes.name_for(wanted))
            documents = await found.sort(order).limit(limit).to_list()
        return [delivery_of(each) for each in documents]

    async def count(self, tenant: str, wanted: DeliveryFilter, *, limit: int) -> int:
        """See `DeliveryStore`; unless it asks for what is told of, the index alone is read."""
        query = indexes.query(tenant, wanted)
        async with translated():
            return await self._deliveries.count_documents(query, limit=limit, hint=indexes.name_for(wanted))

    async def put_back(self, tenant: str, delivery_id: str, *, now: datetime) -> Delivery | None:
        """See `DeliveryStore`."""
        query: Document = {"_id": delivery_id, "tenant": tenant, **updates.not_at_work(now)}
        async with translated():
            document = await self._deliveries.find_one_and_update(
                query, updates.put_back(now), projection=WITHOUT_CONTENT, return_document=ReturnDocument.AFTER
            )
        return delivery_of(document) if document is not None else None

    async def put_back_for(
        self, replay_id: str, tenant: str, delivery_ids: Collection[str], wanted: DeliveryFilter, *, now: datetime
    ) -> int:
        """See `DeliveryStore`; who has put a delivery back stands in it."""
        named: Document = {"_id": {"$in": list(delivery_ids)}, "tenant": tenant}
        still: Document = {"replayed_by": {"$ne": replay_id}, **updates.not_at_work(now)}
        if wanted.states:
            still["state"] = {"$in": list(wanted.states)}
        async with translated():
            await self._deliveries.update_many({**named, **still}, updates.put_back(now, by=replay_id))
            return await self._deliveries.count_documents({**named, "replayed_by": replay_id}, hint="_id_")
