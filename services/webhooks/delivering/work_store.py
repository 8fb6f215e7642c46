"""What attempts change, in MongoDB: the collection `deliveries` of the database `webhooks`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymongo import IndexModel, UpdateOne

from services.webhooks.deliveries.documents import (
    ATTEMPTS_KEPT,
    COLLECTION,
    DATABASE,
    WITHOUT_LOG,
    delivery_of,
    outcome_document,
)
from services.webhooks.deliveries.domain import AttemptRecord, Reason, State
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.delivering.posts import Claim, Post
    from shared.mongo import Client, Document

#: Ended in one write: many may wait for a receiver that is gone, and no write may take as long as MongoDB is given.
_AT_ONCE = 1000
#: Of what is pending alone: what has ended costs no search, and what stands in a line only at its head.
_INDEXES = [
    IndexModel(
        [("receiver", 1), ("next_attempt_at", 1)],
        name="receiver_due",
        partialFilterExpression={"state": State.PENDING, "line": ""},
    ),
    IndexModel(  # from line to line, without a look at what stands behind its head (DISTINCT_SCAN)
        [("receiver", 1), ("state", 1), ("line", 1), ("place", 1), ("_id", 1), ("next_attempt_at", 1)],
        name="receiver_lines",
        partialFilterExpression={"state": State.PENDING, "line": {"$gt": ""}},
    ),
    IndexModel("batch_id", name="batch", partialFilterExpression={"state": State.PENDING, "batch_id": {"$gt": ""}}),
]


class MongoWorkStore:
    """The store in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._deliveries = mongo.database(client, DATABASE).get_collection(COLLECTION)

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._deliveries.create_indexes(_INDEXES)

    async def due(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Delivery]:
        """See `WorkStore`."""
        query = _pending(receiver=receiver, line="", next_attempt_at={"$lte": now})
        async with translated():
            cursor = self._deliveries.find(query, projection=WITHOUT_LOG).sort("next_attempt_at").limit(limit)
            return [delivery_of(each) for each in await cursor.to_list()]

    async def heads(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Delivery]:
        """See `WorkStore`."""
        pipeline = [
            *_heads(receiver),
            {"$match": {"at": {"$lte": now}}},
            {"$sort": {"at": 1}},
            {"$limit": limit},
            {"$lookup": {"from": COLLECTION, "localField": "head", "foreignField": "_id", "as": "delivery"}},
            {"$unwind": "$delivery"},
            {"$replaceWith": "$delivery"},
            {"$project": WITHOUT_LOG},
        ]
        async with translated():
            cursor = await self._deliveries.aggregate(pipeline)
            return [delivery_of(each) for each in await cursor.to_list()]

    async def line(self, receiver: str, line: str, *, limit: int) -> Sequence[Delivery]:
        """See `WorkStore`."""
        query = _pending(receiver=receiver, line=line)
        async with translated():
            cursor = self._deliveries.find(query, projection=WITHOUT_LOG).sort([("place", 1), ("_id", 1)]).limit(limit)
            return [delivery_of(each) for each in await cursor.to_list()]

    async def batches(self, batch_ids: Sequence[str]) -> Sequence[Delivery]:
        """See `WorkStore`."""
        query = _pending(batch_id={"$in": list(batch_ids)})
        async with translated():
            return [delivery_of(each) for each in await self._deliveries.find(query, projection=WITHOUT_LOG).to_list()]

    async def next_due(self, receiver: str, *, lines: bool, after: datetime | None = None) -> datetime | None:
        """See `WorkStore`."""
        counted: Document = {"$gt": after} if after is not None else {"$exists": True}
        query = _pending(receiver=receiver, line="", next_attempt_at=counted)
        first = [*_heads(receiver), {"$match": {"at": counted}}, {"$sort": {"at": 1}}, {"$limit": 1}]
        async with translated():
            document = await self._deliveries.find_one(
                query, projection=["next_attempt_at"], sort=[("next_attempt_at", 1)]
            )
            found = [document["next_attempt_at"]] if document is not None else []
            if lines:
                found += [each["at"] for each in await (await self._deliveries.aggregate(first)).to_list()]
        return min(found, default=None)

    async def begin(self, posts: Sequence[Post], claim: Claim) -> Sequence[Post]:
        """See `WorkStore`."""
        single = [each for each in posts if not each.is_batch]
        begun = await self._begin_singly(single, claim) if single else []
        for batch in posts:
            if batch.is_batch and await self._begin_batch(batch, claim):
                begun.append(_claimed(batch, claim))
        return begun

    async def _begin_batch(self, post: Post, claim: Claim) -> bool:
        first = post.first
        query = _pending(
            _id={"$in": post.ids},
            attempts=first.attempts,
            replays=first.replays,
            batch_id=first.batch_id,
            next_attempt_at={"$lte": claim.at},
        )
        update = _begun(first, claim)
        update["$set"]["batch_id"] = post.webhook_id
        async with translated(), self._client.start_session() as session, await session.start_transaction():
            result = await self._deliveries.update_many(query, update, session=session)
            if result.modified_count == len(post.members):
                return True
            await session.abort_transaction()  # one of them has gone another way; what is left is chosen anew
        return False

    async def _begin_singly(self, posts: Sequence[Post], claim: Claim) -> list[Post]:
        writes = [UpdateOne(_unchanged(each.first), _begun(each.first, claim)) for each in posts]
        async with translated():
            result = await self._deliveries.bulk_write(writes, ordered=False)
            if result.modified_count == len(posts):
                return [_claimed(each, claim) for each in posts]
            ids = [each.first.id for each in posts]
            found = await self._deliveries.find({"_id": {"$in": ids}, "claim": claim.id}, projection=["_id"]).to_list()
        ours = {each["_id"] for each in found}
        return [_claimed(each, claim) for each in posts if each.first.id in ours]

    async def record(self, post: Post, claim: Claim, attempt: AttemptRecord) -> bool:
        """See `WorkStore`."""
        delivery = post.first
        these: Document = {"_id": {"$in": post.ids}} if post.is_batch else {"_id": delivery.id}
        query = _pending(**these, replays=delivery.replays, batch_id=delivery.batch_id)
        if delivery.state is not State.DELIVERED:
            query |= {"attempts": delivery.attempts, "claim": claim.id}
        row = {"log.$[row]": outcome_document(attempt)}
        rows = [{"row.number": attempt.number, "row.started_at": attempt.started_at}]
        outcome = {"$set": _outcome(delivery) | row}
        async with translated():
            if post.is_batch:
                counted = await self._record_batch(query, outcome, rows)
            else:
                counted = (await self._deliveries.update_one(query, outcome, array_filters=rows)).matched_count == 1
            if not counted:
                await self._deliveries.update_many(these, {"$set": row}, array_filters=rows)
        return counted

    async def _record_batch(self, query: Document, outcome: Document, rows: Sequence[Document]) -> bool:
        """All or none: what goes together comes out together, whatever may fail in between."""
        async with self._client.start_session() as session, await session.start_transaction():
            result = await self._deliveries.update_many(query, outcome, array_filters=rows, session=session)
        return result.matched_count > 0

    async def give_up(self, deliveries: Sequence[Delivery], *, now: datetime) -> int:
        """See `WorkStore`."""
        lost = {"last_reason": Reason.ATTEMPT_LOST, "last_status": 0}
        writes = [
            UpdateOne(_unchanged(each), {"$set": _ended(State.FAILED, now) | (lost if each.claim else {})})
            for each in deliveries
        ]
        async with translated():
            result = await self._deliveries.bulk_write(writes, ordered=False)
        return result.modified_count

    async def skip(self, receiver: str, *, now: datetime) -> int:
        """See `WorkStore`."""
        return await self._end_all(receiver, State.SKIPPED, Reason.ENDPOINT_DISABLED, now)

    async def end(self, receiver: str, *, now: datetime) -> int:
        """See `WorkStore`."""
        return await self._end_all(receiver, State.FAILED, Reason.ENDPOINT_DELETED, now)

    async def _end_all(self, receiver: str, state: State, reason: Reason, now: datetime) -> int:
        free = {"$or": [{"claim": ""}, {"next_attempt_at": {"$lte": now}}]}
        query = _pending(receiver=receiver, created_at={"$lte": now}, **free)
        end = {"$set": _ended(state, now) | {"last_reason": reason, "last_status": 0}}
        ended = 0
        while True:
            async with translated():
                found = await self._deliveries.find(query, projection=["_id"]).limit(_AT_ONCE).to_list()
                if not found:
                    return ended
                ids = [each["_id"] for each in found]
                ended += (await self._deliveries.update_many({"_id": {"$in": ids}, **query}, end)).modified_count


def _pending(**conditions: object) -> Document:
    return {"state": State.PENDING, **conditions}


def _heads(receiver: str) -> list[Document]:
    """The heads of a receiver's lines: their ids, and when they are due."""
    first = {"head": {"$first": "$_id"}, "at": {"$first": "$next_attempt_at"}}
    return [
        {"$match": _pending(receiver=receiver, line={"$gt": ""})},
        {"$sort": {"line": 1, "place": 1, "_id": 1}},
        {"$group": {"_id": "$line", **first}},
    ]


def _unchanged(delivery: Delivery) -> Document:
    """The delivery as it was read: each attempt and each replay moves its due time."""
    return _pending(
        _id=delivery.id,
        attempts=delivery.attempts,
        replays=delivery.replays,
        next_attempt_at=delivery.next_attempt_at,
        batch_id=delivery.batch_id,
    )


def _begun(delivery: Delivery, claim: Claim) -> Document:
    row = outcome_document(AttemptRecord(number=delivery.attempts + 1, started_at=claim.at))
    return {
        "$set": {"claim": claim.id, "next_attempt_at": claim.until},
        "$inc": {"attempts": 1},
        "$push": {"log": {"$each": [row], "$slice": -ATTEMPTS_KEPT}},
    }


def _claimed(post: Post, claim: Claim) -> Post:
    batch_id = post.webhook_id if post.is_batch else ""
    begun = {"attempts": post.first.attempts + 1, "claim": claim.id, "next_attempt_at": claim.until}
    return replace(post, members=tuple(replace(each, batch_id=batch_id, **begun) for each in post.members))


def _outcome(delivery: Delivery) -> Document:
    return {
        "state": delivery.state,
        "claim": "",
        "next_attempt_at": delivery.next_attempt_at,
        "last_reason": delivery.last_reason,
        "last_status": delivery.last_status,
        "finished_at": delivery.finished_at,
    }


def _ended(state: State, now: datetime) -> dict[str, Any]:
    return {"state": state, "claim": "", "finished_at": now}
