"""The sweep: takes back lost leases, ends expired jobs, and publishes what others left unpublished."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

from services.scheduler import metrics
from services.scheduler.domain import State
from services.scheduler.scripts import RecoveryNeeded
from shared import observability
from shared.errors import PenstockError

if TYPE_CHECKING:
    from datetime import timedelta

    from services.scheduler.domain import Fact
    from services.scheduler.outbox import Outbox
    from services.scheduler.queue import Queue
    from services.scheduler.work import Work

log = observability.logger()


class Sweeper:
    """Sweeps queues; several replicas may sweep the same one.

    Args:
        queue: Knows what is due.
        outbox: Publishes it.
        signals: Tell that jobs may be leased again.
        interval: Between two sweeps of a queue.
    """

    def __init__(self, *, queue: Queue, outbox: Outbox, signals: Work, interval: timedelta) -> None:
        self._queue = queue
        self._outbox = outbox
        self._signals = signals
        self._interval = interval

    async def run(self, upstream: str) -> None:
        """Sweeps one upstream's queue again and again, until canceled."""
        while True:
            try:
                while await self.sweep(upstream):
                    pass
            except RecoveryNeeded:  # told by whoever rebuilds the queue; a sweep is of no use before that
                log.debug("sweep_awaits_recovery", upstream=upstream)
            except PenstockError as error:  # the next sweep finds what this one has left
                log.warning("sweep_interrupted", upstream=upstream, error=error.message)
            await asyncio.sleep(self._interval.total_seconds())

    async def sweep(self, upstream: str) -> bool:
        """Sweeps once, a bounded number of jobs; answers whether there is more to do.

        Raises:
            Unavailable: Redis or NATS is away; nothing is lost.
        """
        swept = await self._queue.sweep(upstream)
        for state, jobs in asdict(swept.depth).items():
            metrics.QUEUE_JOBS.labels(upstream, state).set(jobs)
        if swept.lost:
            metrics.LOST_LEASES.labels(upstream).inc(swept.lost)
            log.warning("leases_ran_out", upstream=upstream, leases=swept.lost)
        if swept.lost or swept.room:
            await self._signals.announce(upstream)
        await self._signals.break_off(swept.canceling)  # again and again: a signal may be lost
        for fact in swept.facts:
            if fact.state is not State.EXPIRED:
                _tell_lost(fact)
        await self._outbox.publish(upstream, [*swept.unpublished, *swept.facts])
        return swept.again


def _tell_lost(fact: Fact) -> None:
    log.warning(
        "attempt_lost",
        job=fact.job_id,
        tenant=fact.tenant,
        attempt=fact.attempt,
        worker=fact.worker,
        state=fact.state.name,
    )
