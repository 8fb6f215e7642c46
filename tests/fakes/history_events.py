"""Events of jobs as the scheduler and intake publish them, for whoever projects them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from shared import streams
from shared.bus import Outgoing
from shared.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.bus import Bus

Event = events_pb2.JobEvent


def now() -> datetime:
    """As MongoDB keeps it."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def life(
    job_id: str,
    *types: Event.Type.ValueType,
    tenant: str = "acme",
    at: datetime | None = None,
    connection_id: str = "",
    metadata: Mapping[str, str] | None = None,
) -> list[Event]:
    """A job's submission, and an event of each type after it, a second after the one before.

    A job is STARTED anew after each RETRYING. What ends it has an error, or a result with the body `body`.
    """
    began = at or now()
    events = [_submitted(job_id, tenant, began, connection_id, metadata or {})]
    attempt, started_at = 0, began
    for revision, kind in enumerate(types, start=2):
        time = began + timedelta(seconds=revision)
        if kind == Event.STARTED:
            attempt, started_at = attempt + 1, time
        name = {"STARTED": "RUNNING"}.get(Event.Type.Name(kind), Event.Type.Name(kind))
        event = Event(type=kind, job_id=job_id, tenant=tenant, upstream="http", revision=revision, attempt=attempt)
        event.state = jobs_pb2.Job.State.Value(name)
        event.time.CopyFrom(timestamp(time))
        event.submitted_sequence = 7
        if attempt:
            event.started_at.CopyFrom(timestamp(started_at))
        if kind == Event.RETRYING:
            event.not_before.CopyFrom(timestamp(time + timedelta(seconds=5)))
        elif kind != Event.STARTED:
            event.finished_at.CopyFrom(timestamp(time))
        if kind == Event.SUCCEEDED:
            event.result.inline.text = "body"
            event.result.size = 4
        elif kind != Event.STARTED:
            event.error.reason = "UPSTREAM_ERROR"
            event.error.message = f"revision {revision}"
        events.append(event)
    return events


def _submitted(job_id: str, tenant: str, at: datetime, connection_id: str, metadata: Mapping[str, str]) -> Event:
    job = jobs_pb2.Job(
        id=job_id,
        upstream="http",
        method="http.get",
        connection_id=connection_id,
        state=jobs_pb2.Job.QUEUED,
        priority=jobs_pb2.Job.NORMAL,
        metadata=metadata,
        revision=1,
        created_at=timestamp(at),
    )
    return Event(
        type=Event.SUBMITTED,
        job_id=job_id,
        tenant=tenant,
        upstream="http",
        revision=1,
        time=timestamp(at),
        state=jobs_pb2.Job.QUEUED,
        submission=events_pb2.Submission(job=job),
    )


async def publish(bus: Bus, events: Iterable[Event]) -> None:
    """Puts events into the log."""
    await bus.publish(
        [
            Outgoing(
                subject=streams.job_subject(Event.Type.Name(event.type).lower(), event.upstream),
                payload=event.SerializeToString(),
                message_id=f"{event.job_id}:{event.revision}",
            )
            for event in events
        ]
    )
