"""The bound on what answers may take: noted with each that is kept, and kept by the tenants that take most.

Each tenant's answers are counted to the byte in the step that adds or removes them, and go by least recent use. What
all take together is the sum of what was noted of each, a step later and in one place for all: so the bound is overshot
by the answers that are being kept at that moment, and by what a replica had kept and not noted when it was killed,
until that tenant's next answer or the next sweep. Where it is overshot, one replica makes room: the tenant that takes
most gives first, down to the one that takes most after it; so nobody's answers go for those of a tenant that has more.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from services.upstream.cache.metrics import BYTES, EVICTIONS
from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from services.upstream.cache.bodies import Bodies
    from services.upstream.cache.metrics import Labels
    from services.upstream.cache.store import AnswerStore, Bounds, Evicted, Takes

log = observability.logger()

#: Between two looks at what is over, of tenants that do nothing any more too; none while nothing is kept.
SWEEP_INTERVAL = timedelta(seconds=60)
#: An answer that would take more than this part of the bound is not kept: it would put out a thousand others.
_LARGEST_PART = 8


class Bound:
    """Holds the cache to its bound.

    Args:
        store: Has the answers.
        bodies: Has what of them is large.
        bounds: What they may take.
        labels: Names methods in metrics.
        interval: Between two looks at what is over.
    """

    def __init__(
        self,
        store: AnswerStore,
        *,
        bodies: Bodies,
        bounds: Bounds,
        labels: Labels,
        interval: timedelta = SWEEP_INTERVAL,
    ) -> None:
        self._store = store
        self._bodies = bodies
        self._bounds = bounds
        self._labels = labels
        self._interval_s = interval.total_seconds()
        self._making_room = asyncio.Lock()
        self._something = asyncio.Event()
        self._something.set()  # others may have kept what this replica has yet to learn of

    def admits(self, *, in_redis: int, in_all: int) -> bool:
        """Whether an answer of so many bytes may be kept at all."""
        return in_redis * _LARGEST_PART <= self._bounds.in_redis and in_all * _LARGEST_PART <= self._bounds.in_all

    async def note(self, takes: Takes | None) -> None:
        """Notes what a tenant's answers take now, and makes room where all take too much and no other replica does.

        Raises:
            Unavailable: The store is away. What was not noted is noted with the tenant's next answer.
        """
        self._something.set()
        sums = await self._store.note(takes, self._bounds)
        if sums.room is not None:
            async with self._making_room:  # who waited here asks anew: it may have been made
                sums = await self._store.note(None, self._bounds)
                while sums.room is not None:
                    room = sums.room
                    evicted = await self._store.evict(room.tenant, in_redis=room.in_redis, in_all=room.in_all)
                    sums = await self._store.note(evicted.takes, self._bounds)
                    await self._went(evicted)
        BYTES.labels("redis").set(sums.in_redis)
        BYTES.labels("objects").set(sums.in_all - sums.in_redis)

    async def run(self) -> None:
        """Takes out what is over, now and again while there is anything, until canceled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(self._interval_s * random.uniform(0.5, 1.0))  # noqa: S311  so that replicas part
            try:
                await self.sweep()
            except Unavailable as error:  # what is over serves nobody, and is found the next time
                log.warning("cache_sweep_delayed", error=error.message)

    async def sweep(self) -> None:
        """Takes out what is over, of all tenants.

        Raises:
            Unavailable: The store is away.
        """
        tenants = await self._store.tenants()
        if not tenants:
            self._something.clear()
        for tenant in tenants:
            while True:
                evicted = await self._store.evict(tenant, in_redis=0, in_all=0)
                await self._went(evicted)
                if not evicted.more:
                    break
            await self.note(evicted.takes)

    async def _went(self, evicted: Evicted) -> None:
        for scope in evicted.scopes:
            EVICTIONS.labels(*self._labels.of(scope)).inc()
        await self._bodies.delete(evicted.stale)
