"""Takes submitted jobs into the queue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.scheduler import metrics
from services.scheduler.domain import DEFAULT_LANE, METHOD_CLASSES, NewJob, Priority
from shared import crash_points, ids, observability
from shared.crash_points import CrashPoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.duration_pb2 import Duration

    from services.scheduler.joblog import JobLog
    from services.scheduler.outbox import Outbox
    from services.scheduler.queue import Queue
    from services.scheduler.work import Work
    from shared.bus import Incoming

log = observability.logger()

#: Where a submission leaves them open.
_MAX_ATTEMPTS = 3
_INITIAL_BACKOFF = timedelta(seconds=1)
_MAX_BACKOFF = timedelta(minutes=5)
_ATTEMPT_TIMEOUT = timedelta(seconds=30)
#: A class that is not known counts as the one whose budgets are the most careful.
_OTHER_CLASS = "write"


class Submissions:
    """Takes jobs that intake has accepted.

    Args:
        queue: Lines them up.
        log: Holds them for their first lease.
        outbox: Publishes the cancels that overtook their jobs.
        signals: Tell that there is work.
    """

    def __init__(self, *, queue: Queue, log: JobLog, outbox: Outbox, signals: Work) -> None:
        self._queue = queue
        self._log = log
        self._outbox = outbox
        self._signals = signals

    async def take(self, upstream: str, messages: Sequence[Incoming]) -> None:
        """Enqueues a batch of jobs; those that are known already are left alone.

        Raises:
            Unavailable: Redis or NATS is away; the batch comes again.
        """
        jobs: list[NewJob] = []
        for message in messages:
            read = _read(message, upstream)
            if read is not None:
                job, event = read
                jobs.append(job)
                self._log.hold(job.sequence, event, message.traceparent)
        if not jobs:
            return
        enqueued = await self._queue.enqueue(upstream, jobs)
        crash_points.reach(CrashPoint.SCHEDULER_ENQUEUED)
        metrics.ENQUEUED.labels(upstream).inc(enqueued.fresh)
        await self._signals.announce(upstream)  # also when none was new: who enqueued them may have died before it
        await self._outbox.publish(upstream, enqueued.canceled)


def _read(message: Incoming, upstream: str) -> tuple[NewJob, events_pb2.JobEvent] | None:
    """The job and its event; None, and the message never again, where it cannot be understood."""
    try:
        event = events_pb2.JobEvent.FromString(message.payload)
        return new_job(event, upstream, sequence=message.sequence), event
    except (DecodeError, ValueError) as error:
        log.error("submission_malformed", subject=message.subject, sequence=message.sequence, error=str(error))  # noqa: TRY400  what was wrong is told
        message.term()
        return None


def new_job(event: events_pb2.JobEvent, upstream: str, *, sequence: int) -> NewJob:
    """The job of a `submitted` event.

    Args:
        event: As intake wrote it.
        upstream: Whose subject it came on.
        sequence: Under which the log has it.

    Raises:
        ValueError: The event contradicts itself, or lacks what a job must have.
    """
    submission = event.submission
    job = submission.job
    if event.type != events_pb2.JobEvent.SUBMITTED or not event.HasField("submission"):
        raise ValueError("it is no submission")
    if job.id != event.job_id or ids.upstream_of(job.id) != upstream:
        raise ValueError(f"its job {event.job_id!r} is not the submission's, or not of the upstream {upstream}")
    if not ids.is_slug(event.tenant):
        raise ValueError(f"its tenant {event.tenant!r} is no slug")
    if not job.HasField("expires_at"):
        raise ValueError("its job never expires")
    retry = submission.retry
    return NewJob(
        id=job.id,
        tenant=event.tenant,
        lane=submission.lane or job.connection_id or DEFAULT_LANE,
        priority=Priority(job.priority) if job.priority in jobs_pb2.Job.Priority.values()[1:] else Priority.NORMAL,
        method_class=submission.method_class if submission.method_class in METHOD_CLASSES else _OTHER_CLASS,
        idempotent=submission.idempotent,
        sequence=sequence,
        not_before_ms=job.not_before.ToMilliseconds() if job.HasField("not_before") else 0,
        expires_at_ms=job.expires_at.ToMilliseconds(),
        max_attempts=retry.max_attempts or _MAX_ATTEMPTS,
        initial_backoff_ms=_milliseconds(retry.initial_backoff, _INITIAL_BACKOFF),
        max_backoff_ms=_milliseconds(retry.max_backoff, _MAX_BACKOFF),
        timeout_ms=_milliseconds(submission.attempt_timeout, _ATTEMPT_TIMEOUT),
        has_callback=bool(submission.callback_url),
    )


def _milliseconds(duration: Duration, default: timedelta) -> int:
    return duration.ToMilliseconds() or default // timedelta(milliseconds=1)
