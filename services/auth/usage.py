"""How often keys are used, and when last: counted here as requests pass, and written in batches beside them.

    {auth:tenant:<tenant>}:usage:<key>:<day>    hash    how many requests came out in each way; kept 90 days

What a replica has counted and not written is lost when it is killed: some seconds of it. Where Redis does not say
whether it has written a batch, that is written again, and may count twice: it is no bill.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from shared import kv, observability
from shared.errors import Unavailable
from shared.kv import translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from services.auth.domain import Key
    from services.auth.store import Store

log = observability.logger()

#: Days that are kept, today included.
KEPT_DAYS = 90
DEFAULT_DAYS = 30
#: Between two writes.
FLUSH_INTERVAL = timedelta(seconds=5)
#: What one round trip writes.
_MAX_WRITTEN = 64
#: What would be counted beyond this is not, as after hours without Redis.
MAX_PENDING = 100_000

_ADD = kv.Script(Path(__file__).parent / "lua" / "usage.lua")


class Outcome(StrEnum):
    """What became of a request at the gateway."""

    ALLOWED = "allowed"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class KeyDay:
    """A key on a day."""

    tenant: str
    key_id: str
    day: date


class UsageStore(Protocol):
    """Keeps how often keys were used."""

    async def add(self, counted: Mapping[KeyDay, Mapping[Outcome, int]]) -> None:
        """Adds what was counted.

        Raises:
            Unavailable: The store is away; any of it may be added.
        """
        ...

    async def of_days(self, days: Sequence[KeyDay]) -> list[Mapping[Outcome, int]]:
        """What is known of each of these days.

        Raises:
            Unavailable: The store is away.
        """
        ...


class RedisUsage:
    """The store in Redis.

    Args:
        client: Connected.
    """

    def __init__(self, client: kv.Client) -> None:
        self._client = client

    async def add(self, counted: Mapping[KeyDay, Mapping[Outcome, int]]) -> None:
        """Adds what was counted."""
        seconds = int(timedelta(days=KEPT_DAYS + 1).total_seconds())
        calls = [
            ([_place(day)], [seconds, *(part for outcome in counts.items() for part in outcome)])
            for day, counts in counted.items()
        ]
        await _ADD.run_many(self._client, calls)

    async def of_days(self, days: Sequence[KeyDay]) -> list[Mapping[Outcome, int]]:
        """What is known of each of these days."""
        async with translated(), self._client.pipeline(transaction=False) as pipeline:
            for day in days:
                pipeline.hgetall(_place(day))
            found = cast("list[dict[bytes, bytes]]", await cast("Any", pipeline.execute()))
        return [
            {outcome: int(counts[outcome.encode()]) for outcome in Outcome if outcome.encode() in counts}
            for counts in found
        ]


class Usage:
    """Counts, and writes what it has counted.

    Args:
        store: Keeps how often.
        keys: Keeps when last.
    """

    def __init__(self, *, store: UsageStore, keys: Store) -> None:
        self._store = store
        self._keys = keys
        self._counted: dict[KeyDay, Counter[Outcome]] = {}
        #: The minute of each key's last use that is not written yet, and the last one that is.
        self._used: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}
        self._something = asyncio.Event()

    def count(self, key: Key, outcome: Outcome, now: datetime) -> None:
        """Counts a request with this key."""
        day = KeyDay(key.tenant, key.id, now.date())
        counts = self._counted.get(day)
        if counts is None:
            if len(self._counted) >= MAX_PENDING:
                return
            counts = self._counted[day] = Counter()
        counts[outcome] += 1
        if outcome is Outcome.ALLOWED:
            self._used[key.id] = now
        self._something.set()

    async def run(self) -> None:
        """Writes again and again, a while after something was counted."""
        while True:
            await self._something.wait()
            await asyncio.sleep(FLUSH_INTERVAL.total_seconds())
            await self.flush()

    async def flush(self) -> None:
        """Writes what was counted; what cannot be written is kept for the next time."""
        self._something.clear()
        try:
            await self._write_counts()
            await self._write_uses()
        except Unavailable as error:
            log.warning("usage_delayed", error=error.message)
            self._something.set()

    async def _write_counts(self) -> None:
        counted, self._counted = self._counted, {}
        try:
            while counted:
                batch = {day: counted[day] for day in islice(counted, _MAX_WRITTEN)}
                await self._store.add(batch)
                for day in batch:
                    del counted[day]
        finally:
            for day, counts in counted.items():
                self._counted.setdefault(day, Counter()).update(counts)

    async def _write_uses(self) -> None:
        """Writes to MongoDB what is new of the last uses: at most one write a key and minute."""
        used, self._used = self._used, {}
        minutes = {key_id: at.replace(second=0, microsecond=0) for key_id, at in used.items()}
        new = {key_id: at for key_id, at in minutes.items() if self._noted.get(key_id) != at}
        try:
            if new:
                await self._keys.note_used(new)
        except BaseException:  # a cancel too: what was not written is kept
            self._used = {**used, **self._used}
            raise
        known = self._noted | minutes
        latest = max(known.values(), default=None)
        self._noted = {key_id: at for key_id, at in known.items() if at == latest}  # others will be of a later minute


async def usage_of(store: UsageStore, key: Key, *, today: date, days: int) -> list[tuple[date, Mapping[Outcome, int]]]:
    """How often a key was used on each of the last days, the newest first.

    Raises:
        Unavailable: The store is away.
    """
    asked = [KeyDay(key.tenant, key.id, today - timedelta(days=back)) for back in range(days)]
    return list(zip((each.day for each in asked), await store.of_days(asked), strict=True))


def _place(day: KeyDay) -> str:
    return f"{{auth:tenant:{day.tenant}}}:usage:{day.key_id}:{day.day.isoformat()}"
