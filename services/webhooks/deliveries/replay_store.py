"""Where replays are kept: the collection `replays` of the database `webhooks`. Every step is one round trip."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from pymongo import IndexModel, ReturnDocument

from services.webhooks.deliveries.documents import DATABASE
from services.webhooks.deliveries.indexes import NEWEST_FIRST
from services.webhooks.deliveries.replay import ReplayState
from services.webhooks.deliveries.replay_documents import document_of, hand_document, position_document, replay_of
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.webhooks.deliveries.replay import Hand, Replay
    from shared.mongo import Client, Document
    from shared.paging import Position

#: How long a replay that has ended is kept.
RETENTION = timedelta(days=30)
_RUNNING: Document = {"state": ReplayState.RUNNING}
_INDEXES = [
    IndexModel([("tenant", 1), *NEWEST_FIRST], name="tenant_newest_first"),
    # of those that run alone; looking for them costs nothing
    IndexModel("due_at", name="due", partialFilterExpression=_RUNNING),
    IndexModel("tenant", name="tenant_running", partialFilterExpression=_RUNNING),
    IndexModel("finished_at", name="retention", expireAfterSeconds=int(RETENTION.total_seconds())),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The right to go on with a replay, which one at a time has.

    Args:
        replay: As it was left.
        token: By which it is known that nobody has taken it since.
    """

    replay: Replay
    token: str


class ReplayStore(Protocol):
    """Keeps replays. Every method raises `Unavailable` when it cannot answer."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def add(self, replay: Replay) -> None:
        """Adds a replay, whose id is new; its turn is at once."""
        ...

    async def replay(self, tenant: str, replay_id: str) -> Replay | None:
        """A tenant's replay by its id."""
        ...

    async def replays(self, tenant: str, *, limit: int, after: Position | None = None) -> Sequence[Replay]:
        """A tenant's replays, newest first, those that come after the position."""
        ...

    async def running(self, tenant: str, *, limit: int) -> int:
        """How many of a tenant's replays run; it counts no further than the limit."""
        ...

    async def cancel(self, tenant: str, replay_id: str, *, now: datetime) -> Replay | None:
        """Ends a replay that runs; answers with it as it is then, also where it had ended. None where there is none."""
        ...

    async def take(self, *, now: datetime, until: datetime) -> Turn | None:
        """Takes the turn that has been due longest, for as long; None where none is."""
        ...

    async def take_in_hand(self, turn: Turn, hand: Hand, *, position: Position) -> bool:
        """Notes what is about to be put back, up to a position; answers whether the turn is still had and it runs."""
        ...

    async def go_on(self, turn: Turn, *, replayed: int, passed_over: int, due: datetime) -> None:
        """Notes what has become of what was in hand, where the turn is still had; the next one is due then."""
        ...

    async def finish(self, turn: Turn, *, now: datetime) -> bool:
        """Ends a replay as DONE; answers whether the turn was still had and it ran."""
        ...

    async def next_due(self) -> datetime | None:
        """When the next turn is due, or None where no replay runs."""
        ...


class MongoReplayStore:
    """The store in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._replays = mongo.database(client, DATABASE).get_collection("replays")

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._replays.create_indexes(_INDEXES)

    async def add(self, replay: Replay) -> None:
        """See `ReplayStore`."""
        async with translated():
            await self._replays.insert_one({**document_of(replay), "due_at": replay.created_at})

    async def replay(self, tenant: str, replay_id: str) -> Replay | None:
        """See `ReplayStore`."""
        async with translated():
            document = await self._replays.find_one({"_id": replay_id, "tenant": tenant})
        return replay_of(document) if document is not None else None

    async def replays(self, tenant: str, *, limit: int, after: Position | None = None) -> Sequence[Replay]:
        """See `ReplayStore`."""
        query: Document = {"tenant": tenant}
        if after is not None:
            query["created_at"] = {"$lte": after.created_at}
            query["$or"] = [{"created_at": {"$lt": after.created_at}}, {"_id": {"$lt": after.id}}]
        async with translated():
            found = (
                await self._replays.find(query, hint="tenant_newest_first").sort(NEWEST_FIRST).limit(limit).to_list()
            )
        return [replay_of(each) for each in found]

    async def running(self, tenant: str, *, limit: int) -> int:
        """See `ReplayStore`."""
        query = {"tenant": tenant, **_RUNNING}
        async with translated():
            return await self._replays.count_documents(query, limit=limit, hint="tenant_running")

    async def cancel(self, tenant: str, replay_id: str, *, now: datetime) -> Replay | None:
        """See `ReplayStore`."""
        async with translated():
            document = await self._replays.find_one_and_update(
                {"_id": replay_id, "tenant": tenant, **_RUNNING},
                {"$set": {"state": ReplayState.CANCELED, "finished_at": now}},
                return_document=ReturnDocument.AFTER,
            )
        return replay_of(document) if document is not None else await self.replay(tenant, replay_id)

    async def take(self, *, now: datetime, until: datetime) -> Turn | None:
        """See `ReplayStore`; a turn that is had is due again when it runs out."""
        token = uuid.uuid4().hex
        async with translated():
            document = await self._replays.find_one_and_update(
                {**_RUNNING, "due_at": {"$lte": now}},
                {"$set": {"due_at": until, "turn": token}},
                sort=[("due_at", 1)],
                return_document=ReturnDocument.AFTER,
            )
        return Turn(replay=replay_of(document), token=token) if document is not None else None

    async def take_in_hand(self, turn: Turn, hand: Hand, *, position: Position) -> bool:
        """See `ReplayStore`."""
        changes = {"hand": hand_document(hand), "position": position_document(position)}
        async with translated():
            result = await self._replays.update_one({**_had(turn), **_RUNNING}, {"$set": changes})
        return result.matched_count == 1

    async def go_on(self, turn: Turn, *, replayed: int, passed_over: int, due: datetime) -> None:
        """See `ReplayStore`; what was put back counts also where it was canceled meanwhile."""
        done = {"$inc": {"replayed": replayed, "passed_over": passed_over}, "$set": {"hand": None, "due_at": due}}
        async with translated():
            await self._replays.update_one(_had(turn), {**done, "$unset": {"turn": ""}})

    async def finish(self, turn: Turn, *, now: datetime) -> bool:
        """See `ReplayStore`."""
        async with translated():
            result = await self._replays.update_one(
                {**_had(turn), **_RUNNING}, {"$set": {"state": ReplayState.DONE, "finished_at": now}}
            )
        return result.matched_count == 1

    async def next_due(self) -> datetime | None:
        """See `ReplayStore`."""
        async with translated():
            document = await self._replays.find_one(_RUNNING, projection=["due_at"], sort=[("due_at", 1)])
        return document["due_at"] if document is not None else None


def _had(turn: Turn) -> Document:
    return {"_id": turn.replay.id, "turn": turn.token}
