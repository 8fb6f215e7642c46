"""Brings over what the version before endpoints has left to be done.

It kept callbacks alone, by `<job>:<revision>`, with their `host` and no receiver; so nobody looks for them any more.
What of it has ended is read as it is. A replica of that version may store more for as long as it runs beside this one.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.webhooks.deliveries.documents import AS_OF_NOW, COLLECTION, DATABASE
from services.webhooks.deliveries.domain import State, receiver_of
from shared import mongo, observability
from shared.errors import Unavailable
from shared.mongo import translated
from shared.retry import until_done

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.mongo import Client, Document

log = observability.logger()

#: Between two looks; each reads an index that is empty once the replicas of that version are gone.
LOOK_INTERVAL = timedelta(minutes=1)
_AT_ONCE = 1000


class Receivers(Protocol):
    """Is told of what is due; `services.webhooks.delivering.receivers.ReceiverStore` is one."""

    async def note_due(self, due: Mapping[str, datetime]) -> None:
        """Notes that receivers have deliveries that are due at these times."""
        ...


class Upgrade:
    """Has the pending deliveries of the version before be those of this one.

    Args:
        client: Connected; its writes are acknowledged by a majority.
        receivers: To be told of them.
    """

    def __init__(self, client: Client, receivers: Receivers) -> None:
        self._deliveries = mongo.database(client, DATABASE).get_collection(COLLECTION)
        self._receivers = receivers

    async def run(self) -> None:
        """Looks again and again, until canceled."""
        while True:
            await until_done(self.bring_over, retry_on=(Unavailable,))
            await asyncio.sleep(LOOK_INTERVAL.total_seconds())

    async def bring_over(self) -> None:
        """Brings over what there is.

        A delivery keeps its `host` until its receiver was told of it: whoever dies in between has it done again.

        Raises:
            Unavailable: MongoDB is away; what was brought over stays so.
        """
        pending: Document = {"state": State.PENDING, "host": {"$exists": True}}
        asked = ["tenant", "host", "next_attempt_at"]
        while True:
            async with translated():
                found = await self._deliveries.find(pending, projection=asked, hint="earlier").limit(_AT_ONCE).to_list()
            if not found:
                return
            due: dict[str, datetime] = {}
            for each in found:
                receiver, at = receiver_of(each["tenant"], host=each["host"]), each["next_attempt_at"]
                due[receiver] = min(at, due.get(receiver, at))
            these = {"_id": {"$in": [each["_id"] for each in found]}, **pending}
            async with translated():
                await self._deliveries.update_many(these, [{"$set": {**AS_OF_NOW, "claim": ""}}])
            await self._receivers.note_due(due)
            async with translated():
                await self._deliveries.update_many(these, {"$unset": {"host": ""}})
            log.info("deliveries_brought_over", deliveries=len(found), receivers=len(due))
