"""The leases of calls that are at work: how many there are, and their deadlines moved in time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.scheduler.v1 import scheduler_pb2

from shared import observability
from shared.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penstock.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceAsyncStub

log = observability.logger()

#: A lease is taken to last at least so long, whatever the machines' clocks say of each other.
_LEAST_LENGTH_S = 1.0
#: After a failed call to extend.
_RETRY_S = 1.0
_EXTEND_TIMEOUT_S = 5.0
#: Leases of one call to extend.
_MAX_EXTENDED = 64


@dataclass(slots=True, kw_only=True, eq=False)
class AtWork:
    """A call at work under its lease."""

    call: scheduler_pb2.Call
    task: asyncio.Task[None]
    #: How long the lease was given for.
    length_s: float
    #: When to extend it, by `time.monotonic()`.
    due: float


class Leases:
    """Knows which calls are at work, and keeps their leases.

    Args:
        upstream: Whose jobs they are.
        scheduler: Gives the leases.
    """

    def __init__(self, upstream: str, scheduler: SchedulerServiceAsyncStub) -> None:
        self._upstream = upstream
        self._scheduler = scheduler
        self._at_work: dict[asyncio.Task[None], AtWork] = {}
        self._fewer = asyncio.Event()
        self._sooner = asyncio.Event()
        self._wakes_at = float("inf")

    def __len__(self) -> int:
        """How many calls are at work."""
        return len(self._at_work)

    def add(self, call: scheduler_pb2.Call, task: asyncio.Task[None], now: datetime) -> None:
        """Keeps a call's lease until its task is done.

        Args:
            call: The lease.
            task: Makes the call; canceled when the lease is lost.
            now: The time, against which the lease's deadline is read, in UTC.
        """
        left = call.deadline.ToDatetime(tzinfo=now.tzinfo) - now
        length_s = max(left.total_seconds(), _LEAST_LENGTH_S)
        lease = AtWork(call=call, task=task, length_s=length_s, due=time.monotonic() + length_s / 2)
        self._at_work[task] = lease
        task.add_done_callback(self._remove)
        if lease.due < self._wakes_at:
            self._sooner.set()

    def _remove(self, task: asyncio.Task[None]) -> None:
        del self._at_work[task]
        self._fewer.set()

    async def wait_below(self, count: int) -> None:
        """Waits until fewer than `count` calls are at work."""
        while len(self._at_work) >= count:
            self._fewer.clear()
            await self._fewer.wait()

    async def keep(self) -> None:
        """Extends each lease when half of its time is over, many at once, until canceled."""
        while True:
            self._sooner.clear()
            self._wakes_at = min((lease.due for lease in self._at_work.values()), default=float("inf"))
            wait_s = self._wakes_at - time.monotonic()
            try:
                async with asyncio.timeout(wait_s if self._at_work else None):
                    await self._sooner.wait()
            except TimeoutError:  # the first is due
                await self._extend_due()

    async def _extend_due(self) -> None:
        """Extends what is due now, and what is nearly: half a lease's half earlier costs nothing."""
        now = time.monotonic()
        due = [lease for lease in self._at_work.values() if lease.due - lease.length_s / 4 <= now]
        for start in range(0, len(due), _MAX_EXTENDED):
            await self._extend(due[start : start + _MAX_EXTENDED])

    async def _extend(self, leases: Sequence[AtWork]) -> None:
        names = [scheduler_pb2.Lease(job_id=lease.call.job_id, fence=lease.call.fence) for lease in leases]
        request = scheduler_pb2.ExtendRequest(upstream=self._upstream, leases=names)
        try:
            answer = await self._scheduler.Extend(request, timeout=_EXTEND_TIMEOUT_S)
        except PenstockError as error:  # the calls go on: while the scheduler is away it takes back no lease
            log.warning("leases_not_extended", upstream=self._upstream, leases=len(leases), error=error.message)
            for lease in leases:
                lease.due = time.monotonic() + _RETRY_S
            return
        lost = set(answer.lost_job_ids)
        for lease in leases:
            lease.due = time.monotonic() + lease.length_s / 2
            if lease.call.job_id in lost:
                log.warning("lease_lost", job=lease.call.job_id, tenant=lease.call.tenant, attempt=lease.call.attempt)
                lease.task.cancel()
