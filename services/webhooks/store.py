"""Where deliveries are kept: the database `webhooks`, with the collection `deliveries`."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from pymongo import IndexModel
from pymongo.errors import BulkWriteError

from services.webhooks.domain import Delivery, Due, Reason, State
from shared import mongo
from shared.errors import Unavailable
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from shared.mongo import Client, Document

DATABASE = "webhooks"
#: How long a delivery that has ended is kept. Longer than the log keeps the event that it was made of, or an event that
#: comes again would make it anew.
RETENTION = timedelta(days=30)
_DUPLICATE_KEY = 11000
_INDEXES = [
    IndexModel(  # of what is pending alone: what has ended costs no search
        [("next_attempt_at", 1), ("host", 1)], name="due", partialFilterExpression={"state": State.PENDING}
    ),
    IndexModel("finished_at", name="retention", expireAfterSeconds=int(RETENTION.total_seconds())),
]


class DeliveryStore(Protocol):
    """Keeps deliveries. Every method raises `Unavailable` when it cannot answer; what it was to do may be done then."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """Adds deliveries in one write, and answers how many were new; what is there already stays as it is."""
        ...

    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None:
        """A tenant's delivery by its id."""
        ...

    async def due(self, now: datetime, *, limit: int, except_hosts: Collection[str] = ()) -> list[Due]:
        """Deliveries that are due, the longest first: the choice for `claim`."""
        ...

    async def next_due(self, *, except_hosts: Collection[str] = ()) -> datetime | None:
        """When the next delivery is due, or None where none is pending."""
        ...

    async def claim(self, delivery_ids: Collection[str], *, now: datetime, until: datetime) -> list[Delivery]:
        """Claims those of the deliveries that are due still, and answers with them; their next attempt is counted.

        A claim is nobody else's until its time is over; then the delivery is due again.
        """
        ...

    async def give_up(self, delivery_ids: Collection[str], *, now: datetime) -> int:
        """Ends those of the deliveries that are due still as FAILED, their last attempt lost; answers how many."""
        ...

    async def record(self, delivery: Delivery) -> bool:
        """Keeps how a claimed delivery's attempt came out; answers whether that still counted.

        It does not where the delivery has ended, or where a newer attempt was claimed; only that it was DELIVERED
        counts after a newer claim too.
        """
        ...


class MongoDeliveryStore:
    """The store in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._deliveries = mongo.database(client, DATABASE).get_collection("deliveries")

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._deliveries.create_indexes(_INDEXES)

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """See `DeliveryStore`."""
        try:
            async with translated():
                await self._deliveries.insert_many([_document(each) for each in deliveries], ordered=False)
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
        return _delivery(document) if document is not None else None

    async def due(self, now: datetime, *, limit: int, except_hosts: Collection[str] = ()) -> list[Due]:
        """See `DeliveryStore`."""
        query = _pending(next_attempt_at={"$lte": now}, host={"$nin": list(except_hosts)})
        async with translated():
            cursor = self._deliveries.find(query, projection=["host", "attempts"]).sort("next_attempt_at").limit(limit)
            documents = await cursor.to_list()
        return [Due(id=each["_id"], host=each["host"], attempts=each["attempts"]) for each in documents]

    async def next_due(self, *, except_hosts: Collection[str] = ()) -> datetime | None:
        """See `DeliveryStore`."""
        async with translated():
            document = await self._deliveries.find_one(
                _pending(host={"$nin": list(except_hosts)}),
                projection=["next_attempt_at"],
                sort=[("next_attempt_at", 1)],
            )
        return document["next_attempt_at"] if document is not None else None

    async def claim(self, delivery_ids: Collection[str], *, now: datetime, until: datetime) -> list[Delivery]:
        """See `DeliveryStore`."""
        claim = uuid.uuid4().hex  # by which this claim's are told from another replica's
        ids = {"$in": list(delivery_ids)}
        async with translated():
            await self._deliveries.update_many(
                _pending(_id=ids, next_attempt_at={"$lte": now}),
                {"$set": {"next_attempt_at": until, "claim": claim}, "$inc": {"attempts": 1}},
            )
            documents = await self._deliveries.find({"_id": ids, "claim": claim}).to_list()
        return [_delivery(each) for each in documents]

    async def give_up(self, delivery_ids: Collection[str], *, now: datetime) -> int:
        """See `DeliveryStore`."""
        query = _pending(_id={"$in": list(delivery_ids)}, next_attempt_at={"$lte": now})
        end = {"state": State.FAILED, "last_reason": Reason.ATTEMPT_LOST, "last_status": 0, "finished_at": now}
        async with translated():
            result = await self._deliveries.update_many(query, {"$set": end})
        return result.modified_count

    async def record(self, delivery: Delivery) -> bool:
        """See `DeliveryStore`."""
        query = _pending(_id=delivery.id)
        if delivery.state is not State.DELIVERED:
            query["attempts"] = delivery.attempts
        outcome = {
            "state": delivery.state,
            "next_attempt_at": delivery.next_attempt_at,
            "last_reason": delivery.last_reason,
            "last_status": delivery.last_status,
            "finished_at": delivery.finished_at,
        }
        async with translated():
            result = await self._deliveries.update_one(query, {"$set": outcome})
        return result.matched_count == 1


def _pending(**conditions: object) -> Document:
    return {"state": State.PENDING, **conditions}


def _document(delivery: Delivery) -> Document:
    return {
        "_id": delivery.id,
        "tenant": delivery.tenant,
        "about": delivery.about,
        "url": delivery.url,
        "host": delivery.host,
        "event_type": delivery.event_type,
        "event_time": delivery.event_time,
        "payload": delivery.payload,
        "sealed_secret": delivery.sealed_secret,
        "traceparent": delivery.traceparent,
        "created_at": delivery.created_at,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.next_attempt_at,
        "last_reason": delivery.last_reason,
        "last_status": delivery.last_status,
        "finished_at": delivery.finished_at,
    }


def _delivery(document: Document) -> Delivery:
    return Delivery(
        id=document["_id"],
        tenant=document["tenant"],
        about=document.get("about") or document["job_id"],  # as a version before this one has written it
        url=document["url"],
        host=document["host"],
        event_type=document["event_type"],
        event_time=document["event_time"],
        payload=document["payload"],
        sealed_secret=document["sealed_secret"],
        traceparent=document["traceparent"],
        created_at=document["created_at"],
        state=State(document["state"]),
        attempts=document["attempts"],
        next_attempt_at=document["next_attempt_at"],
        last_reason=document["last_reason"],
        last_status=document["last_status"],
        finished_at=document["finished_at"],
    )
