"""Facts as events: what goes to the log of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from penstock.errors.v1 import errors_pb2
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.scheduler.domain import State
from shared import streams
from shared.bus import Outgoing

if TYPE_CHECKING:
    from services.scheduler.domain import Fact, Fence

_TYPES = {
    State.RUNNING: events_pb2.JobEvent.STARTED,
    State.RETRYING: events_pb2.JobEvent.RETRYING,
    State.SUCCEEDED: events_pb2.JobEvent.SUCCEEDED,
    State.FAILED: events_pb2.JobEvent.FAILED,
    State.OUTCOME_UNKNOWN: events_pb2.JobEvent.OUTCOME_UNKNOWN,
    State.CANCELED: events_pb2.JobEvent.CANCELED,
    State.EXPIRED: events_pb2.JobEvent.EXPIRED,
}
#: What the scheduler itself says of an attempt or a job that it has ended.
_OUTCOME_UNKNOWN = (
    "the call was begun and its outcome is lost; it is not repeated, for its method is not idempotent: "
    "look at the upstream whether it took effect"
)
_MESSAGES = {
    errors_pb2.OUTCOME_UNKNOWN: _OUTCOME_UNKNOWN,
    errors_pb2.ATTEMPT_LOST: "the attempt was begun, and the worker that made it was lost before it told the outcome",
    errors_pb2.JOB_EXPIRED: "the job was still queued at its expiresAt; submit it again with a later one",
    errors_pb2.JOB_CANCELED: "the job was canceled; a call that was under way then may have taken effect",
    errors_pb2.INTERNAL: "what the job asks for is no longer in the log of jobs, so it cannot be made; submit it again",
}
_REASON_OF_STATE = {State.CANCELED: errors_pb2.JOB_CANCELED, State.EXPIRED: errors_pb2.JOB_EXPIRED}


def event_of(upstream: str, fact: Fact, attempt: events_pb2.Attempt | None = None) -> events_pb2.JobEvent:
    """The event that tells a fact.

    Args:
        upstream: Whose job it is.
        fact: What has happened.
        attempt: The outcome that brought it about, where one did.
    """
    event = events_pb2.JobEvent(
        type=_TYPES[fact.state],
        job_id=fact.job_id,
        tenant=fact.tenant,
        upstream=upstream,
        revision=fact.revision,
        time=timestamp(fact.time_ms),
        state=jobs_pb2.Job.State.ValueType(fact.state),
        attempt=fact.attempt,
        uncounted_attempts=fact.uncounted,
        started_at=timestamp(fact.started_at_ms),
        finished_at=timestamp(fact.finished_at_ms),
        not_before=timestamp(fact.not_before_ms),
        submitted_sequence=fact.sequence,
        has_callback=fact.has_callback,
    )
    if fact.fence.count:
        event.fence.CopyFrom(events_pb2.Fence(epoch=fact.fence.epoch, count=fact.fence.count))
    if fact.state is State.SUCCEEDED and attempt is not None:
        event.result.CopyFrom(attempt.result)
        return event
    error = _error(fact, attempt)
    if error is not None:
        event.error.CopyFrom(error)
    return event


def message_of(event: events_pb2.JobEvent, fence: Fence, *, traceparent: str) -> Outgoing:
    """The event as a message; the same fact has the same message id, so that the log takes it once."""
    started = event.type == events_pb2.JobEvent.STARTED
    return Outgoing(
        subject=streams.job_subject(name_of(event), event.upstream),
        payload=event.SerializeToString(),
        message_id=f"{event.job_id}:{fence}" if started else f"{event.job_id}:{event.revision}",
        traceparent=traceparent,
    )


def name_of(event: events_pb2.JobEvent) -> str:
    """The event's name in subjects."""
    return events_pb2.JobEvent.Type.Name(event.type).lower()


def timestamp(milliseconds: int) -> Timestamp | None:
    """A time; None for 0."""
    if not milliseconds:
        return None
    return Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def _error(fact: Fact, attempt: events_pb2.Attempt | None) -> jobs_pb2.JobError | None:
    if attempt is not None:
        if fact.state is State.OUTCOME_UNKNOWN:
            return jobs_pb2.JobError(
                reason=errors_pb2.ErrorReason.Name(errors_pb2.OUTCOME_UNKNOWN),
                message=f"{_OUTCOME_UNKNOWN} (last seen: {attempt.error.message})",
                upstream_status=attempt.error.upstream_status,
            )
        return attempt.error
    reason = errors_pb2.ErrorReason.Value(fact.reason) if fact.reason else _REASON_OF_STATE.get(fact.state)
    if reason is None:
        return None
    return jobs_pb2.JobError(
        reason=errors_pb2.ErrorReason.Name(reason),
        message=_MESSAGES[reason],
        retryable=fact.state is State.RETRYING,
    )
