"""Receivers, and which replica holds which: the collection `receivers` of the database `webhooks`.

A receiver has work when a delivery of it is due. It is worked by whoever holds it, for as long as the hold lasts; then,
or when it was let go, anybody may take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from pymongo import IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError

from services.webhooks.deliveries.documents import DATABASE
from shared import mongo
from shared.errors import Unavailable
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from shared.mongo import Client, Document

COLLECTION = "receivers"
#: How long it is remembered what a receiver bears that has nothing to be delivered.
IDLE_RETENTION = timedelta(days=1)
_DUPLICATE_KEY = 11000
#: Of one write: what MongoDB does between two others' stays short.
_AT_ONCE = 500
_INDEXES = [
    # an idle one has no `take_at`, and costs no search
    IndexModel([("slow", 1), ("take_at", 1)], name="due", partialFilterExpression={"take_at": {"$exists": True}}),
    IndexModel("idle_since", name="retention", expireAfterSeconds=int(IDLE_RETENTION.total_seconds())),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A receiver that this replica holds.

    Args:
        id: The endpoint's id, or `<tenant>/<host>` of callbacks.
        news: How often it was told of deliveries; by which a release sees whether there were more meanwhile.
        window: How many attempts at a time it has shown to bear.
        slow: Whether its newest attempt was not answered in time.
        not_before: Its rate lets nothing out before; None for at once.
    """

    id: str
    news: int
    window: int = 1
    slow: bool = False
    not_before: datetime | None = None

    @property
    def endpoint_id(self) -> str:
        """The endpoint's id; empty for callbacks."""
        return self.id if "/" not in self.id else ""


class ReceiverStore(Protocol):
    """Knows receivers. Every method raises `Unavailable` when it cannot answer; what it was to do may be done then."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def note_due(self, due: Mapping[str, datetime]) -> None:
        """Notes that receivers have deliveries that are due at these times, in one write.

        To be called after the deliveries were stored, and before their events are acknowledged.
        """
        ...

    async def take(self, holder: str, *, now: datetime, until: datetime, slow: bool, limit: int) -> Sequence[Receiver]:
        """Takes receivers that are due and held by nobody, those first that have been due longest.

        Args:
            holder: Who takes them.
            now: What was due by then.
            until: When the hold runs out, unless it is kept.
            slow: Whether those whose newest attempt was not answered in time, or the others.
            limit: So many at most.
        """
        ...

    async def keep(self, holder: str, receiver_ids: Collection[str], *, until: datetime) -> Collection[str]:
        """Keeps holding receivers; answers with those that are held still. The others were taken by somebody else."""
        ...

    async def pace(self, holder: str, receiver: Receiver) -> None:
        """Keeps before when a held receiver's rate lets nothing out."""
        ...

    async def release(self, holder: str, receiver: Receiver, *, next_due: datetime | None) -> Receiver | None:
        """Lets a receiver go, which has nothing due before that time, or at all; keeps what it bears.

        Answers with None when it is gone, be it to somebody else. Where there was news meanwhile, it is held still: it
        answers with the receiver and the newer news; look again.
        """
        ...

    async def next_due(self, *, slow: bool) -> datetime | None:
        """When the next of the receivers is due that nobody holds then, or None where none is."""
        ...

    async def oldest_due(self) -> datetime | None:
        """When the first of all is due, or has been, that nobody holds then; None where none is."""
        ...


class MongoReceiverStore:
    """The store in MongoDB.

    `take_at` is when a receiver may be taken: while nobody holds it, when its first delivery is due; while somebody
    does, when that hold runs out.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._receivers = mongo.database(client, DATABASE).get_collection(COLLECTION)

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._receivers.create_indexes(_INDEXES)

    async def note_due(self, due: Mapping[str, datetime]) -> None:
        """See `ReceiverStore`."""
        writes = [UpdateOne({"_id": each}, _noted(at), upsert=True) for each, at in due.items()]
        for start in range(0, len(writes), _AT_ONCE):
            await self._write(writes[start : start + _AT_ONCE])

    async def _write(self, writes: Sequence[UpdateOne]) -> None:
        async with translated():
            try:
                await self._receivers.bulk_write(writes, ordered=False)
            except BulkWriteError as error:
                if any(each["code"] != _DUPLICATE_KEY for each in error.details["writeErrors"]):
                    raise
                raise Unavailable("another replica noted the same receiver; the call may be repeated") from error

    async def take(self, holder: str, *, now: datetime, until: datetime, slow: bool, limit: int) -> Sequence[Receiver]:
        """See `ReceiverStore`."""
        due: Document = {"slow": slow, "take_at": {"$lte": now}}
        async with translated():
            found = await self._receivers.find(due, projection=["_id"]).sort("take_at").limit(limit).to_list()
            if not found:
                return []
            ids = {"$in": [each["_id"] for each in found]}
            # `taken_at` tells those taken now from those of this holder that nobody else took when its hold ran out
            held = {"holder": holder, "taken_at": until, "take_at": until}
            await self._receivers.update_many({"_id": ids, **due}, {"$set": held, "$unset": {"idle_since": ""}})
            documents = await self._receivers.find({"_id": ids, "holder": holder, "taken_at": until}).to_list()
        order = {each["_id"]: index for index, each in enumerate(found)}
        return [_receiver_of(each) for each in sorted(documents, key=lambda each: order[each["_id"]])]

    async def keep(self, holder: str, receiver_ids: Collection[str], *, until: datetime) -> Collection[str]:
        """See `ReceiverStore`."""
        held: Document = {"_id": {"$in": list(receiver_ids)}, "holder": holder}
        async with translated():
            result = await self._receivers.update_many(held, {"$set": {"take_at": until}})
            if result.matched_count == len(receiver_ids):
                return frozenset(receiver_ids)
            documents = await self._receivers.find(held, projection=["_id"]).to_list()
        return frozenset(each["_id"] for each in documents)

    async def pace(self, holder: str, receiver: Receiver) -> None:
        """See `ReceiverStore`."""
        async with translated():
            await self._receivers.update_one(
                {"_id": receiver.id, "holder": holder}, {"$set": {"not_before": receiver.not_before}}
            )

    async def release(self, holder: str, receiver: Receiver, *, next_due: datetime | None) -> Receiver | None:
        """See `ReceiverStore`."""
        async with translated():
            document = await self._receivers.find_one_and_update(
                {"_id": receiver.id, "holder": holder},
                [{"$set": _released(receiver, next_due)}],
                return_document=ReturnDocument.AFTER,
            )
        return _receiver_of(document) if document is not None and document["holder"] == holder else None

    async def next_due(self, *, slow: bool) -> datetime | None:
        """See `ReceiverStore`."""
        return await self._first({"slow": slow, "take_at": {"$exists": True}})

    async def oldest_due(self) -> datetime | None:
        """See `ReceiverStore`."""
        first = [at for slow in (False, True) if (at := await self.next_due(slow=slow)) is not None]
        return min(first, default=None)

    async def _first(self, query: Document) -> datetime | None:
        async with translated():
            document = await self._receivers.find_one(query, projection=["take_at"], sort=[("take_at", 1)])
        return document["take_at"] if document is not None else None


def _noted(due: datetime) -> list[Document]:
    """What telling of a delivery changes; `$min` passes over what is missing."""
    held = {"$ne": [{"$ifNull": ["$holder", ""]}, ""]}
    return [
        {
            "$set": {
                "news": {"$add": [{"$ifNull": ["$news", 0]}, 1]},
                "holder": {"$ifNull": ["$holder", ""]},
                "window": {"$ifNull": ["$window", 1]},
                "slow": {"$ifNull": ["$slow", False]},
                "not_before": {"$ifNull": ["$not_before", None]},
                "take_at": {"$cond": [held, "$take_at", {"$min": ["$take_at", due]}]},
                "idle_since": "$$REMOVE",
            }
        }
    ]


def _released(receiver: Receiver, next_due: datetime | None) -> Document:
    """What letting go changes, which is nothing where there is news."""
    same: dict[str, Any] = {"$eq": ["$news", receiver.news]}
    # the rate keeps it waiting; a time in the past does not, and is not kept
    first = next_due if receiver.not_before is None or next_due is None else max(next_due, receiver.not_before)
    changes = {
        "holder": "",
        "window": receiver.window,
        "slow": receiver.slow,
        "not_before": receiver.not_before,
        "take_at": first if first is not None else "$$REMOVE",
        "idle_since": "$$REMOVE" if first is not None else "$$NOW",
    }
    return {name: {"$cond": [same, value, f"${name}"]} for name, value in changes.items()}


def _receiver_of(document: Document) -> Receiver:
    return Receiver(
        id=document["_id"],
        news=document["news"],
        window=document["window"],
        slow=document["slow"],
        not_before=document["not_before"],
    )
