"""The worker: leases as many calls of one upstream as it has free places, and makes them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf import duration_pb2
from penstock.scheduler.v1 import scheduler_pb2
from prometheus_client import Gauge

from shared import observability
from shared.errors import PenstockError
from shared.retry import Backoff

if TYPE_CHECKING:
    from penstock.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceAsyncStub

    from services.upstream.attempts import Attempts
    from services.upstream.leases import Leases
    from shared.clock import Clock

log = observability.logger()

CALLS_AT_WORK = Gauge("penstock_upstream_calls_at_work", "Calls that are leased and not done.", ("upstream",))
#: The most that one `Lease` gives.
_MAX_LEASED = 64
#: How long the scheduler keeps an empty-handed worker waiting.
_WAIT = timedelta(seconds=20)
_WAIT_MARGIN = timedelta(seconds=5)
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))


class Worker:
    """Makes one upstream's calls.

    Args:
        upstream: Its name.
        scheduler: Gives the leases.
        attempts: Makes a leased call.
        leases: Keeps what is at work.
        clock: Against which deadlines are read.
        concurrency: Calls at a time.
        name: Shown as the owner of the leases.
    """

    def __init__(
        self,
        upstream: str,
        *,
        scheduler: SchedulerServiceAsyncStub,
        attempts: Attempts,
        leases: Leases,
        clock: Clock,
        concurrency: int,
        name: str,
    ) -> None:
        self._upstream = upstream
        self._scheduler = scheduler
        self._attempts = attempts
        self._leases = leases
        self._clock = clock
        self._concurrency = concurrency
        self._name = name
        self._leasing: asyncio.Task[None] | None = None
        CALLS_AT_WORK.labels(upstream).set_function(lambda: len(leases))

    async def run(self) -> None:
        """Leases and calls, until canceled; after `drain` it only finishes."""
        async with asyncio.TaskGroup() as group:
            self._leasing = group.create_task(self._lease(group))
            group.create_task(self._leases.keep())

    async def drain(self) -> None:
        """Leases no more, and returns when every call that was begun has come out and its outcome is on disk."""
        if self._leasing is not None:
            self._leasing.cancel()  # a lease that is answered meanwhile runs out, and costs nothing
        await self._leases.wait_below(1)

    async def _lease(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        while True:
            await self._leases.wait_below(self._concurrency)
            try:
                calls = await self._ask()
            except PenstockError as error:
                failures += 1
                pause = _BACKOFF.pause(failures)
                log.warning("lease_refused", upstream=self._upstream, reason=error.reason, error=error.message)
                await asyncio.sleep(pause.total_seconds())
                continue
            failures = 0 if calls else failures + 1
            if failures > 1:  # twice empty-handed: the scheduler may not keep us waiting, as one that stops does not
                await asyncio.sleep(_BACKOFF.ceiling(1).total_seconds())
            now = self._clock.now()
            for call in calls:
                self._leases.add(call, group.create_task(self._attempts.make(call), name=call.job_id), now)

    async def _ask(self) -> list[scheduler_pb2.Call]:
        free = self._concurrency - len(self._leases)
        wait = duration_pb2.Duration()
        wait.FromTimedelta(_WAIT)
        answer = await self._scheduler.Lease(
            scheduler_pb2.LeaseRequest(
                upstream=self._upstream, max_jobs=min(free, _MAX_LEASED), wait=wait, worker=self._name
            ),
            timeout=(_WAIT + _WAIT_MARGIN).total_seconds(),
        )
        return list(answer.calls)
