"""The log of jobs as a rebuild reads it: which jobs were submitted, and what has happened to them since."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.errors.v1 import errors_pb2
from penstock.events.v1 import events_pb2

from services.scheduler.domain import MAX_BATCH, State
from services.scheduler.submissions import new_job
from shared import ids, observability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.timestamp_pb2 import Timestamp

    from services.scheduler.domain import NewJob
    from shared.bus import Stored

log = observability.logger()

#: What events bring a job to.
_STATES = frozenset(State) - {State.QUEUED}
#: Reasons that the scheduler itself gave: no attempt's outcome brought the event about.
_OWN_REASONS = frozenset(
    errors_pb2.ErrorReason.Name(reason)
    for reason in (errors_pb2.ATTEMPT_LOST, errors_pb2.OUTCOME_UNKNOWN, errors_pb2.INTERNAL)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An event.

    Args:
        at: Its sequence in JOBS.
        event: As it stands there.
        job: For a submission: which of the chapter's jobs it is, from 1; else 0.
    """

    at: int
    event: events_pb2.JobEvent
    job: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A part of the log: all events of one upstream between two sequences.

    Args:
        after: The first of these; no part.
        upto: The last of them; a part.
        jobs: The jobs submitted in it.
    """

    after: int
    upto: int
    jobs: Sequence[NewJob]
    events: Sequence[Happened]

    @property
    def only_submissions(self) -> bool:
        """Whether nothing else has happened."""
        return all(happened.job for happened in self.events)


def chapters_of(upstream: str, after: int, messages: Sequence[Stored]) -> list[Chapter]:
    """Messages of the log, as many together as one call of a script works on.

    Args:
        upstream: Whose subject they are on.
        after: The sequence after which they are all.
        messages: In the order of the log.
    """
    chapters: list[Chapter] = []
    for start in range(0, len(messages), MAX_BATCH):
        part = messages[start : start + MAX_BATCH]
        chapters.append(_chapter(upstream, after, part))
        after = part[-1].sequence
    return chapters


def read_event(upstream: str, message: Stored) -> events_pb2.JobEvent | None:
    """The event; None, which is told in the log, where it cannot be understood."""
    try:
        event = events_pb2.JobEvent.FromString(message.payload)
    except DecodeError as error:
        return _dropped(message, str(error))
    if ids.upstream_of(event.job_id) != upstream:
        return _dropped(message, "its job is not of this upstream")
    if event.type != events_pb2.JobEvent.SUBMITTED and event.state not in _STATES:
        return _dropped(message, "it has no state that a job could have come to")
    return event


def dump_events(events: Sequence[Happened]) -> str:
    """Events as scripts take them."""
    return json.dumps([_values(happened) for happened in events], separators=(",", ":"))


def _chapter(upstream: str, after: int, messages: Sequence[Stored]) -> Chapter:
    jobs: list[NewJob] = []
    events: list[Happened] = []
    for message in messages:
        event = read_event(upstream, message)
        if event is None:
            continue
        if event.type != events_pb2.JobEvent.SUBMITTED:
            events.append(Happened(at=message.sequence, event=event))
            continue
        try:
            jobs.append(new_job(event, upstream, sequence=message.sequence))
        except ValueError as error:
            _dropped(message, str(error))
            continue
        events.append(Happened(at=message.sequence, event=event, job=len(jobs)))
    return Chapter(after=after, upto=messages[-1].sequence, jobs=jobs, events=events)


def _values(happened: Happened) -> dict[str, object]:
    event = happened.event
    if happened.job:
        return {"at": happened.at, "job": happened.job, "time": _milliseconds(event.time)}
    state = State(event.state)
    settles = state in {State.RETRYING, State.SUCCEEDED, State.FAILED} and event.error.reason not in _OWN_REASONS
    return {
        "at": happened.at,
        "id": event.job_id,
        "state": state,
        "revision": event.revision,
        "time": _milliseconds(event.time),
        "attempt": event.attempt,
        "uncounted": event.uncounted_attempts,
        "from_cache": event.result.from_cache,
        "answered": event.error.upstream_status > 0,
        "started": _milliseconds(event.started_at),
        "not_before": _milliseconds(event.not_before),
        "epoch": event.fence.epoch,
        "count": event.fence.count,
        "settles": settles,
    }


def _milliseconds(time: Timestamp) -> int:
    return time.seconds * 1000 + time.nanos // 1_000_000


def _dropped(message: Stored, why: str) -> None:
    log.error("event_malformed", subject=message.subject, sequence=message.sequence, error=why)
