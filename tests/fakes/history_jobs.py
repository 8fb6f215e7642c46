"""Jobs as the log tells of them, and their events as history takes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.reading import entry_of

if TYPE_CHECKING:
    from services.history.jobs.domain import Entry

NOW = datetime(2026, 5, 4, 10, 30, 15, tzinfo=UTC)


def submission(
    job_id: str,
    *,
    tenant: str = "acme",
    method: str = "http.get",
    connection_id: str = "",
    at: datetime = NOW,
) -> events_pb2.JobEvent:
    """The event that a job was accepted."""
    upstream = job_id.partition("-")[0]
    event = events_pb2.JobEvent(
        type=events_pb2.JobEvent.SUBMITTED, job_id=job_id, tenant=tenant, upstream=upstream, revision=1
    )
    event.state = jobs_pb2.Job.QUEUED
    event.time.FromDatetime(at)
    job = event.submission.job
    job.MergeFrom(jobs_pb2.Job(id=job_id, upstream=upstream, method=method, connection_id=connection_id, revision=1))
    job.state = jobs_pb2.Job.QUEUED
    job.created_at.FromDatetime(at)
    return event


def start(submitted: events_pb2.JobEvent, *, wait: timedelta = timedelta(seconds=1)) -> events_pb2.JobEvent:
    """The event that its first attempt was begun."""
    event = _later(submitted, 2, "RUNNING", wait)
    event.started_at.CopyFrom(event.time)
    return event


def end(
    submitted: events_pb2.JobEvent,
    state: str = "SUCCEEDED",
    *,
    wait: timedelta | None = timedelta(seconds=1),
    total: timedelta = timedelta(seconds=3),
    reason: str = "",
    from_cache: bool = False,
) -> events_pb2.JobEvent:
    """The event that it ended; one that was never begun has no wait."""
    event = _later(submitted, 3, state, total)
    event.finished_at.CopyFrom(event.time)
    if wait is None:
        event.ClearField("attempt")
    else:
        event.started_at.FromDatetime(submitted.time.ToDatetime(tzinfo=UTC) + wait)
    if reason:
        event.error.reason = reason
    if state == "SUCCEEDED":
        event.result.MergeFrom(jobs_pb2.JobResult(size=4, from_cache=from_cache))
    return event


def entries(*events: events_pb2.JobEvent) -> list[Entry]:
    """What they say, one for each."""
    return [entry_of(event) for event in events]


def _later(submitted: events_pb2.JobEvent, revision: int, state: str, after: timedelta) -> events_pb2.JobEvent:
    event = events_pb2.JobEvent(
        job_id=submitted.job_id,
        tenant=submitted.tenant,
        upstream=submitted.upstream,
        revision=revision,
        state=jobs_pb2.Job.State.Value(state),
        attempt=1,
    )
    event.time.FromDatetime(submitted.time.ToDatetime(tzinfo=UTC) + after)
    return event
