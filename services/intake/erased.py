"""What was erased, as far as the log could bring it back: noted in intake's bucket at NATS, at hand in every replica.

    erased.<tenant>, erased.<tenant>.<connection>   before when, in ms since the epoch

A note outlives what the log still tells of before it, and goes by itself then.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from penstock.jobs.v1 import jobs_pb2

from shared import ids
from shared.bus import Conflict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from services.intake.changes import Change
    from shared.bus import Entry

_PREFIX = "erased."
#: The log goes back 7 days, and the first event of a job that it tells of may have been 8 days before that.
REMEMBERED = timedelta(days=16)
#: Jobs of erased connections that are remembered by their ids: their later events name no connection.
_MOST_JOBS = 100_000


class Bucket(Protocol):
    """What is used of a bucket; `shared.bus.Bucket` is one, and says what each of these raises."""

    async def get(self, key: str) -> Entry | None:
        """The newest value."""
        ...

    async def create(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> int:
        """Puts a key's first value, which goes by itself after that time."""
        ...

    async def update(self, key: str, value: bytes, revision: int, *, ttl: timedelta | None = None) -> int:
        """Puts another value in the place of the one of this revision, which goes by itself after that time."""
        ...

    async def entries(self) -> dict[str, Entry]:
        """Every key and its value."""
        ...

    async def watch(self, handle: Callable[[str, bytes | None], Awaitable[None]]) -> None:
        """Calls `handle` with each key and each change."""
        ...


class ErasedThings:
    """Tenants and connections that were erased.

    Args:
        bucket: Where they are noted.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        #: By tenant and connection, which is empty for all of the tenant's.
        self._before: dict[tuple[str, str], datetime] = {}
        self._jobs: OrderedDict[str, None] = OrderedDict()

    async def load(self) -> None:
        """Learns what is noted; before anything of the log is applied.

        Raises:
            Unavailable: NATS is away.
        """
        for key, entry in (await self._bucket.entries()).items():
            self._learn(key, entry.value)

    async def follow(self) -> None:
        """Learns what other replicas note, until canceled."""

        async def changed(key: str, value: bytes | None) -> None:
            if value is not None:
                self._learn(key, value)

        await self._bucket.watch(changed)

    async def note(self, tenant: str, connection_id: str, *, before: datetime) -> None:
        """Notes that all of a tenant, or of one of its connections, was erased that is of before that time.

        Raises:
            Unavailable: NATS is away; it may be noted.
        """
        key = f"{_PREFIX}{tenant}.{connection_id}" if connection_id else f"{_PREFIX}{tenant}"
        value = b"%d" % round(before.timestamp() * 1000)
        while True:
            entry = await self._bucket.get(key)
            try:
                if entry is None:
                    await self._bucket.create(key, value, ttl=REMEMBERED)
                elif int(entry.value) < int(value):
                    await self._bucket.update(key, value, entry.revision, ttl=REMEMBERED)
            except Conflict:  # another replica notes the same
                continue
            self._learn(key, value)
            return

    def left(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The changes without those of jobs that were erased."""
        return [change for change in changes if not self._covers(change)] if self._before else changes

    def _covers(self, change: Change) -> bool:
        made_at = ids.made_at(change.job_id)
        before = self._before.get((change.tenant, ""))
        if before is not None and made_at < before:
            return True
        if change.job is None:
            return change.job_id in self._jobs
        connection_id = jobs_pb2.Job.FromString(change.job).connection_id
        before = self._before.get((change.tenant, connection_id)) if connection_id else None
        if before is None or made_at >= before:
            return False
        self._jobs[change.job_id] = None
        if len(self._jobs) > _MOST_JOBS:
            self._jobs.popitem(last=False)
        return True

    def _learn(self, key: str, value: bytes) -> None:
        if is_note(key):
            tenant, _, connection_id = key.removeprefix(_PREFIX).partition(".")
            before = datetime.fromtimestamp(int(value) / 1000, UTC)
            known = self._before.get((tenant, connection_id), before)
            self._before[tenant, connection_id] = max(before, known)


def is_note(key: str) -> bool:
    """Whether a key of the bucket is of what was erased."""
    return key.startswith(_PREFIX)
