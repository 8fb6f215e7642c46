"""Erasures, as they are remembered: so that no log, no rebuild and no backup brings back what was erased.

    erasures   {_id: the operation's id, tenant, connection_id, before, noted_at}

Beside that each is an object `erasures/<operation>.json` (`remembering`), which outlives the database.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from pymongo import IndexModel

from services.history.data.domain import BRINGS_BACK, REMEMBERED, Erasure
from services.history.jobs.documents import DATABASE
from shared import mongo, observability
from shared.errors import Unavailable
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.clock import Clock
    from shared.mongo import Client, Document

log = observability.logger()

#: Between two looks at what other replicas have noted. An erasure goes over everything once more later than that.
FRESH = timedelta(seconds=2)
_INDEX = IndexModel("noted_at", name="expiry", expireAfterSeconds=int(REMEMBERED.total_seconds()))


class ErasureStore(Protocol):
    """Keeps erasures. Every method raises `Unavailable` when it cannot answer."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def note(self, erasure: Erasure, *, at: datetime) -> None:
        """Notes an erasure, or notes it anew."""
        ...

    async def noted_since(self, time: datetime) -> Sequence[Erasure]:
        """Those that were noted since then."""
        ...


class MongoErasureStore:
    """Erasures in MongoDB, which itself forgets those that nothing can undo any more.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._erasures = mongo.database(client, DATABASE).get_collection("erasures")

    async def prepare(self) -> None:
        """See `ErasureStore`."""
        async with translated():
            await self._erasures.create_indexes([_INDEX])

    async def note(self, erasure: Erasure, *, at: datetime) -> None:
        """See `ErasureStore`."""
        document: Document = {
            "tenant": erasure.tenant,
            "connection_id": erasure.connection_id,
            "before": erasure.before,
            "noted_at": at,
        }
        async with translated():
            await self._erasures.update_one({"_id": erasure.operation_id}, {"$set": document}, upsert=True)

    async def noted_since(self, time: datetime) -> Sequence[Erasure]:
        """See `ErasureStore`."""
        async with translated():
            found = await self._erasures.find({"noted_at": {"$gte": time}}).to_list()
        return [
            Erasure(
                operation_id=document["_id"],
                tenant=document["tenant"],
                connection_id=document["connection_id"],
                before=document["before"],
            )
            for document in found
        ]


class Erasures:
    """What was erased of late, at hand for who applies the log: nothing is asked of anyone on that way.

    Args:
        store: Where they are noted.
        clock: The time.
        interval: Between two looks at what other replicas have noted.
    """

    def __init__(self, store: ErasureStore, *, clock: Clock, interval: timedelta = FRESH) -> None:
        self._store = store
        self._clock = clock
        self._interval_s = interval.total_seconds()
        self._tenants: dict[str, datetime] = {}
        self._connections: dict[tuple[str, str], datetime] = {}

    def covers(self, tenant: str, connection_id: str, created_at: datetime) -> bool:
        """Whether a job of that time was erased; see `services.history.jobs.reading.Erasures`."""
        before = self._tenants.get(tenant)
        if before is not None and created_at < before:
            return True
        before = self._connections.get((tenant, connection_id)) if connection_id else None
        return before is not None and created_at < before

    async def note(self, erasure: Erasure) -> None:
        """Notes an erasure: on return what this replica applies is held to it, and soon what others do.

        Raises:
            Unavailable: MongoDB is away.
        """
        await self._store.note(erasure, at=self._clock.now())
        self._learn([erasure])

    async def look(self) -> None:
        """Learns what other replicas have noted.

        Raises:
            Unavailable: MongoDB is away.
        """
        self._learn(await self._store.noted_since(self._clock.now() - BRINGS_BACK))

    async def run(self) -> None:
        """Looks again and again, until canceled."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.look()
            except Unavailable as error:  # what is known stands; nothing can be applied without MongoDB either
                log.warning("erasures_delayed", error=error.message)

    def _learn(self, erasures: Sequence[Erasure]) -> None:
        for each in erasures:
            if each.connection_id:
                key = (each.tenant, each.connection_id)
                self._connections[key] = max(each.before, self._connections.get(key, each.before))
            else:
                self._tenants[each.tenant] = max(each.before, self._tenants.get(each.tenant, each.before))
