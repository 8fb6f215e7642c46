"""Deletes deliveries that have had their tenant's time. Replicas that do so at the same time do each other no harm.

Until history has told for how long they are kept, none are deleted; MongoDB itself deletes what has outlived every
tenant's time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.webhooks import metrics
from services.webhooks.deliveries.documents import COLLECTION, DATABASE
from shared import mongo, observability
from shared.errors import Unavailable
from shared.mongo import translated

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from shared.clock import Clock
    from shared.mongo import Client, Document
    from shared.retentions import ToldRetentions

log = observability.logger()

#: Deleted in one write, and a pause after each: what is served meanwhile goes before.
AT_ONCE = 500
_PAUSE_S = 0.02


class DeliveryRetention:
    """Looks now and again for what has had its time.

    Args:
        client: Connected; its writes are acknowledged by a majority.
        retentions: For how long deliveries are kept.
        clock: The time.
        interval: Between two looks.
    """

    def __init__(self, client: Client, *, retentions: ToldRetentions, clock: Clock, interval: timedelta) -> None:
        self._deliveries = mongo.database(client, DATABASE).get_collection(COLLECTION)
        self._retentions = retentions
        self._clock = clock
        self._interval_s = interval.total_seconds()

    async def run(self) -> None:
        """Looks again and again, until canceled; for the first time when history has told."""
        await self._retentions.first_answer()
        while True:
            try:
                await self.sweep()
            except Unavailable as error:  # what stays is found the next time
                log.warning("deliveries_not_swept", error=error.message)
            await asyncio.sleep(self._interval_s)

    async def sweep(self) -> int:
        """Deletes all that has had its time; answers how many that were.

        Raises:
            Unavailable: MongoDB is away; what was deleted stays so.
        """
        now, deleted = self._clock.now(), 0
        async with translated():
            tenants = await self._deliveries.distinct("tenant")
        for tenant in tenants:
            retention = self._retentions.of(tenant)
            if retention is not None:
                deleted += await self._sweep(tenant, now - retention.deliveries.ToTimedelta())
        if deleted:
            log.info("deliveries_deleted", deliveries=deleted)
        return deleted

    async def _sweep(self, tenant: str, before: datetime) -> int:
        over: Document = {"tenant": tenant, "finished_at": {"$lt": before}}
        deleted = 0
        while True:
            async with translated():
                found = await self._deliveries.find(over, projection=["_id"], hint="ended").limit(AT_ONCE).to_list()
                if not found:
                    return deleted
                # one that was put back meanwhile has not ended
                these = {"_id": {"$in": [each["_id"] for each in found]}, **over}
                count = (await self._deliveries.delete_many(these)).deleted_count
            metrics.DELETED.inc(count)
            deleted += count
            await asyncio.sleep(_PAUSE_S)
