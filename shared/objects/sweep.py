"""The sweep: removes what has had its time, for a store that does not go by its bucket's rules by itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from prometheus_client import Counter

from shared import observability
from shared.errors import Unavailable
from shared.objects.keys import LIFETIME_DAYS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from shared.clock import Clock

log = observability.logger()

SWEPT = Counter("penstock_objects_swept", "Objects that were removed because they had had their time.", ("prefix",))


class AgeingObjects(Protocol):
    """The object store, as far as this needs it: `shared.objects.Objects`."""

    def older(self, prefix: str, before: datetime) -> AsyncGenerator[list[str]]:
        """The keys under a prefix whose objects were put before a time, many at a time."""
        ...

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Deletes objects."""
        ...


class Sweep:
    """Sweeps some prefixes. Several replicas that do so at the same time do each other no harm.

    Args:
        objects: The store.
        prefixes: Of which lifetimes are known.
        clock: The time.
        interval: Between two sweeps; zero for none at all.
    """

    def __init__(self, objects: AgeingObjects, *, prefixes: Sequence[str], clock: Clock, interval: timedelta) -> None:
        self._objects = objects
        self._prefixes = prefixes
        self._clock = clock
        self._interval_s = interval.total_seconds()

    async def run(self) -> None:
        """Sweeps now and again, until canceled."""
        while self._interval_s:
            try:
                await self.sweep()
            except Unavailable as error:  # what stays is found the next time
                log.warning("sweep_broken_off", error=error.message)
            await asyncio.sleep(self._interval_s)
        await asyncio.Event().wait()  # a loop ends by being canceled

    async def sweep(self) -> int:
        """Removes all that has had its time; answers with how many objects that were.

        Raises:
            Unavailable: The store is away.
        """
        swept = 0
        for prefix in self._prefixes:
            before = self._clock.now() - timedelta(days=LIFETIME_DAYS[prefix])
            async for keys in self._objects.older(prefix, before):
                await self._objects.delete_many(keys)
                SWEPT.labels(prefix.rstrip("/")).inc(len(keys))
                swept += len(keys)
        if swept:
            log.info("objects_swept", objects=swept)
        return swept
