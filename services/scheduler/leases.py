"""Gives leases: waits for work, leases it, reads what it asks for, and has `started` on disk before a call goes out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from services.scheduler import metrics, work
from services.scheduler.domain import Late, Leased, LeaseKey, Outcome
from services.scheduler.joblog import Entry
from services.scheduler.scripts import RecoveryNeeded
from shared import crash_points, errors, observability
from shared.crash_points import CrashPoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scheduler.domain import Lease
    from services.scheduler.joblog import JobLog, Submitted
    from services.scheduler.outbox import Outbox
    from services.scheduler.queue import Queue

log = observability.logger()

#: Who waits asks again after it though nothing was signaled: for a signal that was lost.
_RECHECK = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A lease, and the call to make under it."""

    lease: Lease
    submitted: Submitted


class Leases:
    """Gives leases to workers.

    Args:
        queue: Decides what goes next.
        log: The log of jobs.
        outbox: Publishes what is found on the way.
        signals: Say when asking again is worth while.
    """

    def __init__(self, *, queue: Queue, log: JobLog, outbox: Outbox, signals: work.Work) -> None:
        self._queue = queue
        self._log = log
        self._outbox = outbox
        self._signals = signals

    async def give(self, upstream: str, limit: int, *, wait: timedelta, worker: str) -> list[Granted]:
        """Leases the next jobs, at most `limit`; waits for the first one, and gives none when the time is over.

        Raises:
            Unavailable: Redis or NATS is away; what was leased already is queued again when its lease runs out.
        """
        await self._signals.listen(upstream)
        clock = asyncio.get_running_loop().time
        until = clock() + wait.total_seconds()
        while not self._signals.released:
            change = self._signals.change(upstream)
            try:
                leased = await self._queue.lease(upstream, limit, worker=worker)
            except RecoveryNeeded:  # there is nothing to lease until the queue is rebuilt, and then it is announced
                leased = Leased(leases=(), expired=(), next_due=None, again=False)
            await self._outbox.publish(upstream, leased.expired)
            granted = await self._prepare(upstream, leased.leases)
            left = timedelta(seconds=until - clock())
            if granted or left <= timedelta():
                return granted
            if not leased.again and not leased.leases:
                due = leased.next_due if leased.next_due is not None else _RECHECK
                await work.until(change, min(left, due, _RECHECK))
        return []

    async def begin(self, upstream: str, key: LeaseKey) -> None:
        """Begins the attempt of a job whose method is not idempotent.

        Marked first, then published: when this process dies in between, the job ends OUTCOME_UNKNOWN though no call
        went out; the other way round, it might be called twice.

        Raises:
            LeaseLost: It may not be called.
            Unavailable: Redis or NATS is away; it may not be called before a repetition has succeeded.
        """
        (begun,) = await self._queue.begin(upstream, [key])
        if begun is None:
            raise _lost(key)
        crash_points.reach(CrashPoint.SCHEDULER_BEGUN)
        entry = Entry(fact=begun.started, traceparent=observability.current_traceparent())
        await self._log.append(upstream, entry)
        (still,) = await self._queue.begin(upstream, [key])
        if still is None:  # the queue was rebuilt before the log had it: another lease may be out
            raise _lost(key)

    async def extend(self, upstream: str, keys: Sequence[LeaseKey]) -> list[str]:
        """Moves the deadlines of leases; answers with the jobs whose leases are gone.

        Raises:
            Unavailable: Redis is away.
        """
        return await self._queue.extend(upstream, keys)

    async def _prepare(self, upstream: str, leases: Sequence[Lease]) -> list[Granted]:
        """Makes calls of leases. Those of idempotent jobs are begun here: published first, and then marked.

        When this process dies in between, the lease runs out without an attempt counted; the call did not go out.
        """
        if not leases:
            return []
        crash_points.reach(CrashPoint.SCHEDULER_LEASED)
        submitted = await self._log.read([lease.started for lease in leases])
        granted = [
            Granted(lease=lease, submitted=found)
            for lease, found in zip(leases, submitted, strict=True)
            if found is not None
        ]
        if len(granted) < len(leases):
            await self._give_up(
                upstream, [lease for lease, found in zip(leases, submitted, strict=True) if found is None]
            )
        granted = await self._begin_idempotent(upstream, granted)
        metrics.LEASES.labels(upstream).inc(len(granted))
        for each in granted:
            _trace_wait(each)
        return granted

    async def _begin_idempotent(self, upstream: str, granted: Sequence[Granted]) -> list[Granted]:
        idempotent = [each for each in granted if each.lease.idempotent]
        if not idempotent:
            return list(granted)
        await self._log.write(
            upstream,
            [Entry(fact=each.lease.started, traceparent=each.submitted.traceparent) for each in idempotent],
        )
        begun = await self._queue.begin(upstream, [each.lease.key for each in idempotent])
        deadlines = {
            each.lease.key: mark.deadline_ms for each, mark in zip(idempotent, begun, strict=True) if mark is not None
        }
        return [
            replace(each, lease=replace(each.lease, deadline_ms=deadlines[each.lease.key]))
            if each.lease.idempotent
            else each
            for each in granted
            if not each.lease.idempotent or each.lease.key in deadlines
        ]

    async def _give_up(self, upstream: str, leases: Sequence[Lease]) -> None:
        """Ends jobs whose submissions are no longer in the log: another lease would find no more than this one."""
        for lease in leases:
            log.error("submission_lost", job=lease.key.job_id, sequence=lease.started.sequence)
        ended = await self._queue.finish(upstream, [Outcome(key=lease.key, reason="INTERNAL") for lease in leases])
        await self._outbox.publish(upstream, [fact for fact in ended.answers if not isinstance(fact, Late)])
        if ended.room:
            await self._signals.announce(upstream)


def _lost(key: LeaseKey) -> errors.LeaseLost:
    return errors.LeaseLost(
        f"the lease of the job {key.job_id} under the fence {key.fence} is gone; do not call",
        metadata={"job": key.job_id},
    )


def _trace_wait(granted: Granted) -> None:
    """A span of the job's first wait in the queue; what it waits for later is the pause between two attempts."""
    if granted.lease.started.attempt == 1:
        job = granted.submitted.submission.job
        ready = job.not_before if job.HasField("not_before") else job.created_at
        observability.past_span(
            "queued",
            began=ready.ToDatetime(tzinfo=UTC),
            traceparent=granted.submitted.traceparent,
            attributes={"penstock.job": granted.lease.key.job_id},
        )
