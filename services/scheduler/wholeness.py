"""Looks after queues: has one rebuilt that Redis has lost, and notes from where on that would have to be done."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from services.scheduler import metrics
from services.scheduler.recovery import submitted_consumer
from services.scheduler.scripts import RecoveryNeeded
from shared import observability, streams
from shared.errors import PenstockError

if TYPE_CHECKING:
    from services.scheduler.checkpoints import Checkpoints
    from services.scheduler.rebuild import Rebuild
    from services.scheduler.recovery import Recovery
    from shared.bus import Bus

log = observability.logger()

#: Between two looks at a queue; a loss is noticed so much later at the most.
INTERVAL = timedelta(seconds=1)
#: Looks from one to the next at which NATS is asked and told as well.
_LOOKS_A_CHECKPOINT = 5


class Wholeness:
    """Looks after queues; several replicas may look after the same one.

    Args:
        bus: Knows what was acknowledged.
        rebuild: The queues in Redis.
        checkpoints: Where is noted from where on JOBS must be replayed.
        recovery: Rebuilds.
    """

    def __init__(self, *, bus: Bus, rebuild: Rebuild, checkpoints: Checkpoints, recovery: Recovery) -> None:
        self._bus = bus
        self._rebuild = rebuild
        self._checkpoints = checkpoints
        self._recovery = recovery
        self._floors: dict[str, int] = {}
        self._seen: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def run(self, upstream: str) -> None:
        """Looks after one upstream's queue, until canceled."""
        looks = 0
        while True:
            try:
                await self.look(upstream, checkpoint=looks % _LOOKS_A_CHECKPOINT == 0)
                looks += 1
                self._seen[upstream].set()
            except PenstockError as error:  # the next look goes on
                log.warning("queue_not_looked_after", upstream=upstream, error=error.message)
            await asyncio.sleep(INTERVAL.total_seconds())

    async def seen(self, upstream: str) -> None:
        """Returns when the queue was seen to be whole, or was made so, since the process started."""
        await self._seen[upstream].wait()

    async def look(self, upstream: str, *, checkpoint: bool) -> None:
        """Looks once, and has the queue rebuilt where that is needed.

        Args:
            upstream: Whose queue.
            checkpoint: Whether NATS is told too.

        Raises:
            Unavailable: Redis or NATS is away.
        """
        # Asked for before the mark: all that was acknowledged is in the queue that the mark finds whole.
        acked = await self._bus.acknowledged(streams.JOBS, submitted_consumer(upstream)) if checkpoint else None
        try:
            epoch, ended_below = await self._rebuild.mark(upstream, acked)
        except RecoveryNeeded:
            await self._recovery.mend(upstream)
            return
        metrics.EPOCH.labels(upstream).set(epoch)
        if acked is None:
            return
        floor = min(ended_below or acked + 1, acked + 1)
        if self._floors.get(upstream) != floor:
            await self._checkpoints.put_floor(upstream, floor)
            self._floors[upstream] = floor
