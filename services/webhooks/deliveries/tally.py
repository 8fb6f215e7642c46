"""Counts attempts as they come out, and writes what it has counted beside them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import Reason
from services.webhooks.deliveries.stats import Counts, EndpointHour, hour_of
from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from services.webhooks.deliveries.stats import StatsStore
    from shared.clock import Clock

log = observability.logger()

#: From the first that is counted to the write.
FLUSH_INTERVAL = timedelta(seconds=2)
#: Endpoints and hours; what would be counted beyond this is not, as after hours without MongoDB.
MAX_PENDING = 100_000
#: What one round trip writes.
_MAX_WRITTEN = 500


class Tally:
    """Counts the attempts of endpoints.

    Args:
        store: Keeps them.
        clock: Says in which hour they came out.
    """

    def __init__(self, store: StatsStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counted: dict[EndpointHour, Counts] = {}
        self._something = asyncio.Event()

    def note(self, endpoint_id: str, reason: Reason, duration: timedelta) -> None:
        """Counts an attempt that came out; those of callbacks, which have no endpoint, are nobody's."""
        if endpoint_id:
            counts = self._counts_of(EndpointHour(endpoint_id, hour_of(self._clock.now())))
            counts.add(duration, success=reason is Reason.OK)
            self._something.set()

    async def run(self) -> None:
        """Writes again and again, a while after something was counted, until canceled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(FLUSH_INTERVAL.total_seconds())
            await self.flush()

    async def flush(self) -> None:
        """Writes what was counted; what cannot be written is kept for the next time. To be called at the end too."""
        self._something.clear()
        counted, self._counted = self._counted, {}
        try:
            while counted:
                batch = {each: counted[each] for each in islice(counted, _MAX_WRITTEN)}
                await self._store.add(batch)
                for each in batch:
                    del counted[each]
        except Unavailable as error:
            log.warning("stats_delayed", error=error.message)
        finally:  # after a cancel too
            for each, counts in counted.items():
                self._counts_of(each).merge(counts)
                self._something.set()

    def _counts_of(self, each: EndpointHour) -> Counts:
        known = self._counted.get(each)
        if known is None:
            known = Counts()
            if len(self._counted) < MAX_PENDING:
                self._counted[each] = known
        return known
