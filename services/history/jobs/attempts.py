"""A job's attempts, made from what its events have left in its timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What attempts are made from; the rest of an event is the job's own, and the newest one has it.
_KEPT = ("type", "revision", "time", "state", "attempt", "started_at", "finished_at", "not_before", "error")


def left_by(event: events_pb2.JobEvent) -> bytes:
    """What an event leaves in the timeline."""
    kept = events_pb2.JobEvent()
    for field, value in event.ListFields():
        if field.name not in _KEPT:
            continue
        if field.message_type is None:
            setattr(kept, field.name, value)
        else:
            getattr(kept, field.name).CopyFrom(value)
    return kept.SerializeToString()


def attempts_of(timeline: Iterable[bytes]) -> list[jobs_pb2.JobAttempt]:
    """The attempts, the oldest first.

    The first event of an attempt that is not its start is its end: a job that waits to be tried again may still be
    canceled, or expire, and its last attempt was over by then.

    Args:
        timeline: What the events have left, in their order; the attempts of those that lack are told as far as the
            others know of them.
    """
    attempts: dict[int, jobs_pb2.JobAttempt] = {}
    for left in timeline:
        event = events_pb2.JobEvent.FromString(left)
        if not event.attempt:
            continue
        attempt = attempts.setdefault(
            event.attempt, jobs_pb2.JobAttempt(number=event.attempt, state=jobs_pb2.Job.RUNNING)
        )
        if event.HasField("started_at") and not attempt.HasField("started_at"):
            attempt.started_at.CopyFrom(event.started_at)
        if event.state != jobs_pb2.Job.RUNNING and not attempt.HasField("finished_at"):
            _end(attempt, event)
    return [attempts[number] for number in sorted(attempts)]


def _end(attempt: jobs_pb2.JobAttempt, event: events_pb2.JobEvent) -> None:
    attempt.state = event.state
    attempt.finished_at.CopyFrom(event.finished_at if event.HasField("finished_at") else event.time)
    if event.HasField("error"):
        attempt.error.CopyFrom(event.error)
    if event.HasField("not_before"):
        attempt.retry_not_before.CopyFrom(event.not_before)
