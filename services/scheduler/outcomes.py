"""Applies the outcomes of attempts, and publishes what they come to."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2

from services.scheduler import metrics
from services.scheduler.domain import Fence, Health, Late, LeaseKey, Outcome, State
from services.scheduler.joblog import Entry
from services.scheduler.limits import Quota, QuotaScope
from shared import crash_points, ids, observability
from shared.crash_points import CrashPoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scheduler.domain import Opened
    from services.scheduler.joblog import JobLog
    from services.scheduler.queue import Queue
    from services.scheduler.work import Work
    from shared.bus import Incoming

log = observability.logger()

_QUOTA_SCOPES = {
    events_pb2.Quota.LANE: QuotaScope.LANE,
    events_pb2.Quota.UPSTREAM: QuotaScope.UPSTREAM,
    events_pb2.Quota.LANE_CLASS: QuotaScope.LANE_CLASS,
}
#: Of one attempt; an upstream that tells of more has its first ones heeded.
_MAX_QUOTAS = 8


class Outcomes:
    """Takes attempts' outcomes.

    Args:
        queue: Applies them.
        log: Where the events go.
        signals: Tell that a job waits to be tried again.
    """

    def __init__(self, *, queue: Queue, log: JobLog, signals: Work) -> None:
        self._queue = queue
        self._log = log
        self._signals = signals

    async def take(self, upstream: str, messages: Sequence[Incoming]) -> None:
        """Applies a batch of outcomes and publishes their events. What was applied before is published again the same.

        Raises:
            Unavailable: Redis or NATS is away; the batch comes again.
        """
        read = [(message, attempt) for message in messages if (attempt := _read(message, upstream)) is not None]
        if not read:
            return
        finished = await self._queue.finish(upstream, [_outcome(attempt) for _, attempt in read])
        crash_points.reach(CrashPoint.SCHEDULER_APPLIED)
        for opened in finished.opened:
            _tell_opened(upstream, opened)
        entries: list[Entry] = []
        for (message, attempt), answer in zip(read, finished.answers, strict=True):
            if isinstance(answer, Late):
                _tell_late(attempt, answer)
                continue
            metrics.OUTCOMES.labels(upstream, answer.state.name.lower()).inc()
            entries.append(Entry(fact=answer, attempt=attempt, traceparent=message.traceparent))
        await self._log.write(upstream, entries)
        if finished.room or any(entry.fact.state is State.RETRYING for entry in entries):
            await self._signals.announce(upstream)  # who waits may have to wake up earlier than it meant to


def _read(message: Incoming, upstream: str) -> events_pb2.Attempt | None:
    """The outcome; None, and the message never again, where it cannot be understood."""
    try:
        attempt = events_pb2.Attempt.FromString(message.payload)
    except DecodeError as error:
        return _dropped(message, str(error))
    if ids.upstream_of(attempt.job_id) != upstream:
        return _dropped(message, "its job is not of this upstream")
    if attempt.WhichOneof("outcome") is None:
        return _dropped(message, "it has neither a result nor an error")
    return attempt


def _dropped(message: Incoming, why: str) -> None:
    log.error("attempt_malformed", subject=message.subject, sequence=message.sequence, error=why)
    message.term()


def _outcome(attempt: events_pb2.Attempt) -> Outcome:
    return Outcome(
        key=LeaseKey(attempt.job_id, Fence(attempt.fence.epoch, attempt.fence.count)),
        succeeded=attempt.WhichOneof("outcome") == "result",
        unknown=attempt.outcome_unknown,
        retryable=attempt.error.retryable,
        uncounted=attempt.uncounted,
        unspent=_is_unspent(attempt),
        retry_after_ms=max(0, attempt.retry_after.ToMilliseconds()),
        jitter=random.random(),  # noqa: S311  jitter needs no secrecy
        health=Health(attempt.health) if attempt.health in events_pb2.Attempt.Health.values() else Health.NOTHING,
        quotas=tuple(
            Quota(
                scope=_QUOTA_SCOPES[quota.scope],
                remaining=max(0, quota.remaining),
                reset_after_ms=max(0, quota.reset_after.ToMilliseconds()),
            )
            for quota in attempt.quotas[:_MAX_QUOTAS]
            if quota.scope in _QUOTA_SCOPES
        ),
    )


def _is_unspent(attempt: events_pb2.Attempt) -> bool:
    """Whether the upstream was asked nothing. One that has refused a credential was, though that may not count."""
    return attempt.result.from_cache or (attempt.uncounted and not attempt.error.upstream_status)


def _tell_opened(upstream: str, opened: Opened) -> None:
    metrics.BREAKERS_OPENED.labels(upstream, opened.cause).inc()
    log.warning(
        "breaker_opened",
        upstream=upstream,
        tenant=opened.tenant or None,
        lane=opened.lane or None,
        cause=opened.cause,
        until=datetime.fromtimestamp(opened.until_ms / 1000, UTC).isoformat(),
    )


def _tell_late(attempt: events_pb2.Attempt, late: Late) -> None:
    metrics.OUTCOMES.labels(attempt.upstream, "late").inc()
    log.warning(
        "outcome_late",
        job=attempt.job_id,
        tenant=attempt.tenant,
        attempt=attempt.number,
        fence=f"{attempt.fence.epoch}.{attempt.fence.count}",
        worker=attempt.worker,
        state=late.state.name if late.state is not None else None,
    )
