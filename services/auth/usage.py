"""How often keys are used, and when last: counted as requests pass, and written in batches beside them.

What became of the requests that auth lets pass, services report, each some seconds of it at a time. What a process has
counted and not written or reported is lost when it is killed. Where Redis does not say whether it has written a batch,
that is written again, and may count twice: it is no bill.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.events.v1 import usage_pb2

from services.auth.usage_store import Counted, KeyDay
from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from services.auth.domain import Key
    from services.auth.store import Store
    from services.auth.usage_store import UsageStore

log = observability.logger()

#: Between two writes.
FLUSH_INTERVAL = timedelta(seconds=5)
#: What one round trip writes.
_MAX_WRITTEN = 64
#: What would be counted beyond this is not, as after hours without Redis.
MAX_PENDING = 100_000


class Usage:
    """Counts, and writes what it has counted.

    Args:
        store: Keeps how often.
        keys: Keeps when last.
    """

    def __init__(self, *, store: UsageStore, keys: Store) -> None:
        self._store = store
        self._keys = keys
        self._counted: dict[KeyDay, Counter[Counted]] = {}
        #: The minute of each key's last use that is not written yet, and the last one that is.
        self._used: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}
        self._something = asyncio.Event()

    def count(self, key: Key, outcome: Counted, now: datetime) -> None:
        """Counts a request with this key, by what became of it at the gateway."""
        self._add(KeyDay(key.tenant, key.id, now.date()), {outcome: 1})
        if outcome is Counted.ALLOWED:
            self._used[key.id] = now

    async def reported(self, payload: bytes) -> None:
        """Counts what a service reports: what `signal.auth.uses` is handled by."""
        try:
            uses = usage_pb2.UsageReport.FromString(payload).uses
            days = [KeyDay(use.tenant, use.key_id, date.fromisoformat(use.date)) for use in uses]
        except (DecodeError, ValueError) as error:  # of a version that says it in another way; the next one is heard
            log.warning("usage_report_malformed", error=str(error))
            return
        for day, use in zip(days, uses, strict=True):
            self._add(day, {Counted.JOBS: use.jobs, Counted.ERRORS: use.errors})

    def _add(self, day: KeyDay, counts: dict[Counted, int]) -> None:
        known = self._counted.get(day)
        if known is None:
            if len(self._counted) >= MAX_PENDING:
                return
            known = self._counted[day] = Counter()
        known.update({each: count for each, count in counts.items() if count})
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
