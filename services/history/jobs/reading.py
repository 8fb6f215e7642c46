"""What an event of the log says of its job, as history keeps it: nothing that was erased, and labelled for lists."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Protocol

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.attempts import left_by
from services.history.jobs.domain import Entry, Standing, Submitted
from shared import ids, views

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

_UNFINISHED = frozenset({jobs_pb2.Job.QUEUED, jobs_pb2.Job.RUNNING, jobs_pb2.Job.RETRYING})


class IndexedMetadata(Protocol):
    """Knows by which keys of its jobs' metadata a tenant lists."""

    async def indexed_keys(self, tenant: str) -> Collection[str]:
        """Those of a tenant, from memory nearly always.

        Raises:
            Unavailable: They are not known, and where they are kept is away.
        """
        ...


class Erasures(Protocol):
    """Knows what was erased."""

    def covers(self, tenant: str, connection_id: str, created_at: datetime) -> bool:
        """Whether a job of that time was erased, with its tenant or with its connection.

        Args:
            tenant: Whose.
            connection_id: What it was called with; empty where that is not known, or it was called with none.
            created_at: When it was made.
        """
        ...


class Reading:
    """Reads events.

    Args:
        indexed: By which keys of metadata tenants list.
        erasures: What was erased; events of it are left out.
    """

    def __init__(self, *, indexed: IndexedMetadata, erasures: Erasures) -> None:
        self._indexed = indexed
        self._erasures = erasures

    async def entry(self, payload: bytes, *, sequence: int) -> Entry | None:
        """What an event says of its job; None where the job was erased.

        Events after the submission name no connection. Those of a job that was erased with its connection become a
        document without a submission, which nobody is shown, and which goes with its time.

        Args:
            payload: The event, serialised.
            sequence: In the log.

        Raises:
            Unavailable: The keys of the tenant are not known.
            DecodeError: It is no event.
            ValueError: It lacks what every event has, or has a state that is none.
        """
        event = events_pb2.JobEvent.FromString(payload)
        job = event.submission.job
        if self._erasures.covers(event.tenant, job.connection_id, ids.made_at(event.job_id)):
            return None
        labels: tuple[str, ...] = ()
        if job.metadata:
            keys = await self._indexed.indexed_keys(event.tenant)
            labels = tuple(f"{key}={job.metadata[key]}" for key in sorted(keys) if key in job.metadata)
        return entry_of(event, sequence=sequence, labels=labels)


def entry_of(event: events_pb2.JobEvent, *, sequence: int = 0, labels: tuple[str, ...] = ()) -> Entry:
    """What one event says of its job.

    Args:
        event: As the log has it.
        sequence: In the log.
        labels: Of the job, where it is its submission.

    Raises:
        ValueError: It lacks what every event has, or has a state that is none.
    """
    if not event.job_id or not event.tenant or event.revision < 1:
        raise ValueError("it lacks the job, the tenant or the revision")
    submission = event.submission if event.HasField("submission") else None
    kept = events_pb2.JobEvent()
    kept.CopyFrom(event)
    kept.ClearField("submission")
    result: bytes | None = None
    if event.HasField("result"):
        result = event.result.SerializeToString()
        views.without_content(kept.result)
    return Entry(
        job_id=event.job_id,
        tenant=event.tenant,
        submitted=_submitted(submission.job, labels) if submission is not None else None,
        submitted_sequence=sequence if submission is not None else event.submitted_sequence,
        standing=Standing(
            revision=event.revision,
            state=jobs_pb2.Job.State.Name(event.state),
            event=kept.SerializeToString(),
            result=result,
            finished_at=_finished_at(event),
        ),
        timeline={event.revision: left_by(event)},
    )


def _finished_at(event: events_pb2.JobEvent) -> datetime | None:
    if event.state in _UNFINISHED:
        return None
    end = event.finished_at if event.HasField("finished_at") else event.time
    return end.ToDatetime(tzinfo=UTC)


def _submitted(job: jobs_pb2.Job, labels: tuple[str, ...]) -> Submitted:
    return Submitted(
        job=job.SerializeToString(),
        upstream=job.upstream,
        method=job.method,
        connection_id=job.connection_id,
        priority=jobs_pb2.Job.Priority.Name(job.priority),
        batch_id=job.batch_id,
        created_at=job.created_at.ToDatetime(tzinfo=UTC),
        labels=labels,
    )
