"""Leases: what one replica alone does at a time, such as counting, sweeping and rebuilding.

They are told by MongoDB's clock alone, so that those of replicas may differ. A replica that stood still may take itself
for the holder after another has taken over: what must not be done twice is fenced in its own transaction, or looks
again before each step.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from shared import ids, mongo, observability
from shared.errors import Unavailable
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pymongo.asynchronous.client_session import AsyncClientSession

    from shared.mongo import Client, Document

log = observability.logger()

DATABASE = "history"
COLLECTION = "leases"
#: Who counts jobs for the statistics.
TALLY = "tally"
#: Who archives and removes what is past its retention.
SWEEP = "sweep"
#: Who rebuilds history from the log.
REBUILD = "rebuild"
#: Of a lease that is not renewed.
LIFETIME = timedelta(seconds=30)
#: Between two tries to take one that another holds.
_PATIENCE_S = 0.5
#: How long after such a try it is for whoever waits, and for nobody who would take it in passing.
_AWAITED_FOR = timedelta(seconds=2)
#: Nobody waits for it. What is written is told by the same clock, MongoDB's.
_NOT_AWAITED: Document = {"$lte": [{"$ifNull": ["$awaited", "$$NOW"]}, "$$NOW"]}


class LeaseLostError(Exception):
    """Another replica holds it by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to be the only one, for as long as it is renewed in time."""

    name: str
    token: str


class Leases:
    """Takes leases, and gives them back. Everything raises `Unavailable` where MongoDB is away.

    Args:
        client: Connected.
        lifetime: Of a lease that is not renewed.
    """

    def __init__(self, client: Client, *, lifetime: timedelta = LIFETIME) -> None:
        self._leases = mongo.database(client, DATABASE).get_collection(COLLECTION)
        self._lifetime = lifetime

    async def take(self, name: str) -> Lease | None:
        """The lease of this name; None where another holds it, or waits for it."""
        return await self._take(name, waits=False)

    async def _take(self, name: str, *, waits: bool) -> Lease | None:
        lease = Lease(name=name, token=str(ids.uuid7()))
        is_free: object = {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}
        if not waits:
            is_free = {"$and": [is_free, _NOT_AWAITED]}
        awaited: object = {"$add": ["$$NOW", _ms(_AWAITED_FOR)]} if waits else "$awaited"
        taken: Document = {
            "token": {"$cond": [is_free, lease.token, "$token"]},
            "until": {"$cond": [is_free, self._until(), "$until"]},
            "awaited": {"$cond": [is_free, "$$REMOVE", awaited]},
        }
        async with translated():
            try:
                held = await self._leases.find_one_and_update(
                    {"_id": name}, [{"$set": taken}], upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # another one made it at the same moment
                return None
        return lease if held is not None and held["token"] == lease.token else None

    async def renew(self, lease: Lease) -> bool:
        """Holds it for another lifetime, and answers whether it was still held; else it may be another's."""
        held = {"_id": lease.name, "token": lease.token}
        async with translated():
            renewed = await self._leases.update_one(held, [{"$set": {"until": self._until()}}])
        return renewed.matched_count == 1

    async def renew_or_give_way(self, lease: Lease) -> bool:
        """Holds it for another lifetime, or gives it to who waits for it (`held`); answers whether it is still held.

        For those that would hold it as long as they live.
        """
        goes_on: Document = {"$cond": [_NOT_AWAITED, self._until(), "$$NOW"]}
        async with translated():
            held = await self._leases.find_one_and_update(
                {"_id": lease.name, "token": lease.token},
                [{"$set": {"until": goes_on}}],
                projection={"held": _NOT_AWAITED},
                return_document=ReturnDocument.AFTER,
            )
        return held is not None and held["held"]

    async def release(self, lease: Lease) -> None:
        """Gives it back before its time."""
        async with translated():
            await self._leases.delete_one({"_id": lease.name, "token": lease.token})

    async def fence(self, lease: Lease, session: AsyncClientSession) -> None:
        """Has the session's transaction commit only if the lease was not taken by another before that.

        Raises:
            LeaseLostError: It was already.
        """
        held = {"_id": lease.name, "token": lease.token}
        fenced = await self._leases.update_one(held, {"$inc": {"fenced": 1}}, session=session)
        if not fenced.matched_count:
            raise LeaseLostError(f"the lease {lease.name} is another's")

    @asynccontextmanager
    async def held(self, name: str) -> AsyncGenerator[Lease]:
        """Waits for the lease, and holds it to the end of the block: it is renewed meanwhile.

        Who holds it may give way (`renew_or_give_way`), and who would take it in passing does not come before.

        Whether it was is to be looked at where it matters (`renew`): nothing ends a block whose lease was lost.
        """
        lease = await self._awaited(name)
        renewing = asyncio.create_task(self._keep(lease), name=f"lease {name}")
        try:
            yield lease
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
            with contextlib.suppress(Unavailable):  # it runs out by itself
                await self.release(lease)

    async def _awaited(self, name: str) -> Lease:
        while True:
            try:
                lease = await self._take(name, waits=True)
            except Unavailable as error:
                log.warning("lease_not_taken", lease=name, error=error.message)
                lease = None
            if lease is not None:
                return lease
            await asyncio.sleep(_PATIENCE_S)

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._lifetime.total_seconds() / 5)
            try:
                if not await self.renew(lease):
                    log.warning("lease_lost", lease=lease.name)
                    return
            except Unavailable as error:  # tried again soon; it may last until then
                log.warning("lease_not_renewed", lease=lease.name, error=error.message)

    def _until(self) -> object:
        return {"$add": ["$$NOW", _ms(self._lifetime)]}


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
