"""The tally: how many unfinished jobs all tenants have together, about.

A count that each admission changes would be one hot key, in another slot than the tenant's own. So each replica counts
what it admits, and at most once a second, while anything happens, notes afresh how many jobs those tenants have that it
has seen change, and learns what all of them have by what all replicas have noted:

    {intake}:counts      hash      unfinished jobs by tenant
    {intake}:unfinished  integer   their sum
    {intake}:drained     hash      how many jobs have ended of late (`lua/drained.lua`)

So the cap may be overshot by what the other replicas admit within two of these intervals, 2 s, and by what a replica
that has rested admits in one round trip. Where two replicas count the same tenant at the same moment, the older count
may stay behind; within a minute of activity everything is counted again.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from services.intake import metrics
from services.intake.domain import Drain
from services.intake.layout import pending_key
from services.intake.store import drain_of
from shared import kv, observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

log = observability.logger()

#: Between two looks.
INTERVAL = timedelta(seconds=1)
#: Between two counts of everything.
RECOUNT_INTERVAL = timedelta(seconds=60)
#: Tenants of one round trip.
_MAX_TENANTS = 256
_COUNTS, _SUM, _DRAINED = (f"{{intake}}:{name}" for name in ("counts", "unfinished", "drained"))
_LUA = Path(__file__).parent / "lua"


class Counts(Protocol):
    """Keeps how many unfinished jobs tenants have."""

    async def tenants(self) -> set[str]:
        """Those who have any, by what was noted last.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def note(self, tenants: Collection[str], *, ended: int) -> tuple[int, Drain]:
        """Counts the unfinished jobs of these tenants afresh; answers with those of all, and how fast they end.

        Args:
            tenants: Whose.
            ended: Jobs that have ended since the last time.

        Raises:
            Unavailable: The store is away.
        """
        ...


class RedisCounts:
    """Keeps them in Redis.

    Args:
        client: Connected.
        clock: A Lua file that defines `read_clock()`.
    """

    def __init__(self, client: kv.Client, *, clock: Path = kv.CLOCK) -> None:
        self._client = client
        self._script = kv.Script(clock, *(_LUA / f"{part}.lua" for part in ("drained", "counts", "tally")))

    async def tenants(self) -> set[str]:
        """See `Counts`."""
        async with kv.translated():
            found: list[bytes] = await cast("Any", self._client.hkeys(_COUNTS))
        return {tenant.decode() for tenant in found}

    async def note(self, tenants: Collection[str], *, ended: int) -> tuple[int, Drain]:
        """See `Counts`."""
        names = sorted(tenants)
        while len(names) > _MAX_TENANTS:
            await self._note(names[:_MAX_TENANTS], ended=0)
            names = names[_MAX_TENANTS:]
        return await self._note(names, ended=ended)

    async def _note(self, tenants: Sequence[str], *, ended: int) -> tuple[int, Drain]:
        counts = await self._count(tenants)
        noted: list[kv.Argument] = [item for pair in zip(tenants, counts, strict=True) for item in pair]
        unfinished, drain = await self._script.run(self._client, [_COUNTS, _SUM, _DRAINED], [ended, *noted])
        return unfinished, drain_of(drain)

    async def _count(self, tenants: Iterable[str]) -> list[int]:
        now_ms = int(time.time() * 1000)  # what lapsed a moment ago or lapses in one makes no difference here
        pipeline = cast("Any", self._client.pipeline(transaction=False))
        for tenant in tenants:
            pipeline.zcount(pending_key(tenant), now_ms, "+inf")
        async with kv.translated():
            return await pipeline.execute()


class Tally:
    """What this replica knows of it.

    Args:
        counts: What all replicas know.
        cap: Unfinished jobs that all tenants together may have.
        interval: Between two looks.
    """

    def __init__(self, counts: Counts, *, cap: int, interval: timedelta = INTERVAL) -> None:
        self._counts = counts
        self._cap = cap
        self._interval_s = interval.total_seconds()
        self._touched: set[str] = set()
        self._ended = 0
        self._admitted = 0
        self._known = 0
        self._recounted = 0.0
        self._changed = asyncio.Event()
        self._changed.set()  # others have noted what this replica has yet to learn
        #: How fast the jobs of all tenants end.
        self.drain = Drain()

    def is_full(self) -> bool:
        """Whether nothing new may be admitted now."""
        full = self._known + self._admitted >= self._cap
        if full:  # whoever is refused wants to know when that ends
            self._changed.set()
        return full

    def admitted(self, tenant: str, *, jobs: int = 1) -> None:
        """Counts jobs that were admitted here."""
        self._admitted += jobs
        self._touched.add(tenant)
        self._changed.set()

    def applied(self, tenants: Iterable[str], *, ended: int) -> None:
        """Notes whose jobs have changed by what was applied here, and how many have ended by it."""
        self._touched.update(tenants)
        self._ended += ended
        self._changed.set()

    async def run(self) -> None:
        """Looks again whenever something has changed, and not too often, until canceled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.look()
            except Unavailable as error:  # nothing is lost; what is known stands, and nothing is admitted without Redis
                log.warning("tally_delayed", error=error.message)
                self._changed.set()
            await asyncio.sleep(self._interval_s)

    async def look(self) -> None:
        """Notes what has changed here, and learns what all tenants have.

        Raises:
            Unavailable: The store is away.
        """
        now = asyncio.get_running_loop().time()
        everything = not self._recounted or now - self._recounted > RECOUNT_INTERVAL.total_seconds()
        touched, ended, admitted = self._touched, self._ended, self._admitted
        self._touched, self._ended = set(), 0
        try:
            tenants = touched | await self._counts.tenants() if everything else touched
            self._known, self.drain = await self._counts.note(tenants, ended=ended)
        except BaseException:  # a cancel too: what was not noted is noted next time
            self._touched |= touched
            self._ended += ended
            raise
        self._admitted -= admitted
        if everything:
            self._recounted = now
        metrics.UNFINISHED_JOBS.set(self._known)
