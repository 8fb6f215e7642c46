"""The bound on the hot view: what the records of ended jobs take of Redis, and which of them go when it is too much.

A record stays for a day after its job's end, results and all, in a Redis that evicts nothing by itself. The scripts
that write such a record count its bytes in the same step (`lua/kept.lua`); unfinished jobs are not counted here, for
their number has a limit of its own. As with the tally, a count of all tenants that each event changes would be one hot
key, so each replica notes, at most once a second and while jobs end, what those tenants take that it has seen change:

    {intake}:kept       hash     bytes by tenant
    {intake}:kept_sum   integer  their sum
    {intake}:evicting   string   there while a replica makes room

Where they take more together than they may, one replica makes room: the tenants that take most give first, each its
jobs that expire next, which are those that ended first. A job goes only when history's consumer has acknowledged the
event that ended it, by its sequence in the log; from then on history answers for it. So while history is away nothing
goes, and the view may grow beyond its bound. Of a record that went stays, for an hour and beside the bound, which event
was its newest: some 200 bytes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from services.intake import metrics
from services.intake.layout import MIN_LIFETIME, job_key, kept_keys
from shared import ids, kv, observability
from shared.errors import Unavailable
from shared.gathered import MAX_GROUP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

log = observability.logger()

#: Between two looks.
INTERVAL = timedelta(seconds=1)
#: Between two looks at every tenant: what expires is taken off also of those that do nothing any more.
RECOUNT_INTERVAL = timedelta(seconds=60)
#: The replica that makes room has died when it has taken so long for one step.
PATIENCE = timedelta(seconds=10)
#: Records that expired, in one script.
_MAX_EXPIRED = 256
#: Tenants of one round trip.
_MAX_TENANTS = 256
#: Jobs of a tenant that are passed over in one look because history does not have them yet.
_MAX_PASSED_OVER = 16 * MAX_GROUP
_KEPT, _SUM, _EVICTING = (f"{{intake}}:{name}" for name in ("kept", "kept_sum", "evicting"))
_LUA = Path(__file__).parent / "lua"
_KEPT_OF_ALL = kv.Script(_LUA / "counts.lua", _LUA / "kept_of_all.lua")
_EVICT = kv.Script(_LUA / "kept.lua", _LUA / "evict.lua")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evicted:
    """What one step of making room has come to.

    Args:
        bytes_left: That the tenant's records take.
        jobs: How many went.
        passed_over: How many stayed that were looked at.
    """

    bytes_left: int
    jobs: int
    passed_over: int


class KeptRecords(Protocol):
    """The records of ended jobs, by their bytes. Everything raises `Unavailable` where the store is away."""

    async def by_tenant(self) -> dict[str, int]:
        """Their bytes, as they were noted last."""
        ...

    async def note(self, tenants: Collection[str]) -> int:
        """Takes off what has expired of these tenants' records, and notes the rest; answers with the bytes of all."""
        ...

    async def claim(self) -> bool:
        """Whether this replica is to make room, from now on for a while; again while it does."""
        ...

    async def leave(self) -> None:
        """Says that it has made room."""
        ...

    async def evict(self, tenant: str, *, wanted: int, recorded: int, after: int) -> Evicted:
        """Evicts some of a tenant's records, those first that expire next.

        Args:
            tenant: Whose.
            wanted: Bytes; no more go than it takes.
            recorded: The sequence up to which history has the log; what ended later stays.
            after: How many of those that expire next are passed over.
        """
        ...


class RedisKeptRecords:
    """Keeps them in Redis.

    Args:
        client: Connected.
        clock: A Lua file that defines `read_clock()`.
        patience: How long a replica may take for one step of making room.
    """

    def __init__(self, client: kv.Client, *, clock: Path = kv.CLOCK, patience: timedelta = PATIENCE) -> None:
        self._client = client
        self._expire = kv.Script(clock, _LUA / "kept.lua", _LUA / "expire.lua")
        self._patience_ms = round(patience.total_seconds() * 1000)
        self._me = str(ids.uuid7()).encode()

    async def by_tenant(self) -> dict[str, int]:
        """See `KeptRecords`."""
        async with kv.translated():
            found: Mapping[bytes, bytes] = await cast("Any", self._client.hgetall(_KEPT))
        return {tenant.decode(): int(size) for tenant, size in found.items()}

    async def note(self, tenants: Collection[str]) -> int:
        """See `KeptRecords`."""
        names = sorted(tenants)
        while len(names) > _MAX_TENANTS:
            await self._note(names[:_MAX_TENANTS])
            names = names[_MAX_TENANTS:]
        return await self._note(names)

    async def claim(self) -> bool:
        """See `KeptRecords`."""
        async with kv.translated():
            if await self._client.set(_EVICTING, self._me, nx=True, px=self._patience_ms):
                return True
            if await cast("Any", self._client.get(_EVICTING)) != self._me:
                return False
            return bool(await self._client.pexpire(_EVICTING, self._patience_ms))

    async def leave(self) -> None:
        """See `KeptRecords`."""
        async with kv.translated():
            await self._client.delete(_EVICTING)

    async def evict(self, tenant: str, *, wanted: int, recorded: int, after: int) -> Evicted:
        """See `KeptRecords`."""
        ended, sizes = kept_keys(tenant)
        async with kv.translated():
            found: list[bytes] = await cast("Any", self._client.zrange(ended, after, after + MAX_GROUP - 1))
        job_ids = [each.decode() for each in found]
        keys = [ended, sizes, *(job_key(tenant, job_id) for job_id in job_ids)]
        rest_ms = round(MIN_LIFETIME.total_seconds() * 1000)
        left, jobs = await _EVICT.run(self._client, keys, [recorded, wanted, rest_ms, *job_ids])
        return Evicted(bytes_left=left, jobs=jobs, passed_over=len(job_ids) - jobs)

    async def _note(self, tenants: Sequence[str]) -> int:
        kept = dict.fromkeys(tenants, 0)
        left = list(tenants)
        while left:
            answers = await self._expire.run_many(self._client, [(kept_keys(name), [_MAX_EXPIRED]) for name in left])
            kept |= {name: size for name, (size, _) in zip(left, answers, strict=True)}
            left = [name for name, (_, expired) in zip(left, answers, strict=True) if expired == _MAX_EXPIRED]
        noted: list[kv.Argument] = [item for pair in kept.items() for item in pair]
        return await _KEPT_OF_ALL.run(self._client, [_KEPT, _SUM], noted)


class HotView:
    """Holds the view to its bound.

    Args:
        records: Of ended jobs.
        max_bytes: That they may take.
        recorded: The sequence up to which history has the log.
        interval: Between two looks.
    """

    def __init__(
        self,
        records: KeptRecords,
        *,
        max_bytes: int,
        recorded: Callable[[], Awaitable[int]],
        interval: timedelta = INTERVAL,
    ) -> None:
        self._records = records
        self._max_bytes = max_bytes
        self._recorded = recorded
        self._interval_s = interval.total_seconds()
        self._touched: set[str] = set()
        self._recounted = 0.0
        #: Up to where history had the log when it had nothing more of what it would have taken.
        self._exhausted = -1
        self._changed = asyncio.Event()

    def ended(self, tenants: Collection[str]) -> None:
        """Notes whose jobs have ended."""
        if tenants:
            self._touched.update(tenants)
            self._changed.set()

    async def run(self) -> None:
        """Looks whenever jobs have ended, and not too often, until canceled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                if not await self.look():
                    self._changed.set()
            except Unavailable as error:  # nothing is lost; what was not counted is counted next time
                log.warning("hot_view_delayed", error=error.message)
                self._changed.set()
            await asyncio.sleep(self._interval_s)

    async def look(self) -> bool:
        """Counts what has changed, and makes room where it is too much; whether it is within its bound.

        Raises:
            Unavailable: The store, or the log, is away.
        """
        now = asyncio.get_running_loop().time()
        everything = not self._recounted or now - self._recounted > RECOUNT_INTERVAL.total_seconds()
        touched, self._touched = self._touched, set()
        try:
            tenants = touched | set(await self._records.by_tenant()) if everything else touched
            total = await self._records.note(tenants)
            if everything:
                self._recounted = now
            if total > self._max_bytes:
                total = await self._make_room(total)
        except BaseException:  # a cancel too
            self._touched |= touched
            raise
        metrics.HOT_VIEW_BYTES.set(total)
        return total <= self._max_bytes

    async def _make_room(self, total: int) -> int:
        """Makes room, unless another replica does or there is nothing new that could go; the bytes of all then."""
        recorded = await self._recorded()
        if recorded == self._exhausted or not await self._records.claim():
            return total
        await self._records.note(await self._records.by_tenant())  # so that nobody gives for what has expired
        kept = await self._records.by_tenant()
        jobs = await self._evict(kept, recorded)
        total = await self._records.note(kept)
        await self._records.leave()
        if total > self._max_bytes:
            self._exhausted = recorded
            log.warning("hot_view_full", bytes=total, max_bytes=self._max_bytes, jobs=jobs, recorded=recorded)
        else:
            log.info("hot_view_trimmed", bytes=total, jobs=jobs)
        return total

    async def _evict(self, kept: dict[str, int], recorded: int) -> int:
        """Evicts until `kept` is no more than it may be, or nothing more can go; how many jobs have."""
        giving = dict.fromkeys(kept, 0)
        jobs = 0
        while giving and (excess := sum(kept.values()) - self._max_bytes) > 0 and await self._records.claim():
            tenant, wanted = share(kept, giving, excess)
            done = await self._records.evict(tenant, wanted=wanted, recorded=recorded, after=giving[tenant])
            kept[tenant] = done.bytes_left
            jobs += done.jobs
            metrics.EVICTED_JOBS.inc(done.jobs)
            if not done.jobs:
                giving[tenant] += done.passed_over
                if not done.passed_over or giving[tenant] >= _MAX_PASSED_OVER:
                    del giving[tenant]
        return jobs


def share(kept: Mapping[str, int], giving: Collection[str], excess: int) -> tuple[str, int]:
    """Who gives next, and how many bytes: who takes most, down to who takes most after that; equals give alike.

    Args:
        kept: Bytes by tenant.
        giving: Who has something to give.
        excess: How much is too much.
    """
    most, *others = sorted(giving, key=lambda tenant: (-kept[tenant], tenant))
    above = kept[most] - kept[others[0]] if others else excess
    return most, max(1, min(excess, max(above, excess // len(giving))))
