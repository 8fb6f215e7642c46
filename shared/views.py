"""A job as a view of its events: the submission, and the newest of the events after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.events.v1 import events_pb2
    from penstock.jobs.v1 import jobs_pb2


def result_path(job_id: str) -> str:
    """The path of the API that leads to a job's result."""
    return f"/api/v1/jobs/{job_id}/result"


def without_content(result: jobs_pb2.JobResult) -> None:
    """Leaves out of a result what is large: an answer that is inline, and the headers of one that is not."""
    result.ClearField("inline")
    result.ClearField("headers")


def apply(event: events_pb2.JobEvent, job: jobs_pb2.Job) -> None:
    """Brings the job to where the event leaves it, unless the job is there already or beyond."""
    if event.revision <= job.revision:
        return
    job.state = event.state
    job.attempt = event.attempt
    job.revision = event.revision
    job.updated_at.CopyFrom(event.time)
    for field in ("started_at", "finished_at", "not_before", "result", "error"):
        if event.HasField(field):
            getattr(job, field).CopyFrom(getattr(event, field))
