"""A job as a view of its events, the submission and the newest of those after it; and a batch as a view of its jobs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from penstock.jobs.v1 import batches_pb2, jobs_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.events.v1 import events_pb2

_UNFINISHED = ("QUEUED", "RUNNING", "RETRYING")


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


def batch_of(batch_id: str, jobs: Sequence[jobs_pb2.Job]) -> batches_pb2.Batch:
    """The batch that the jobs make, in their order, without the content of their results.

    Args:
        batch_id: Its id.
        jobs: All of its jobs that are known, one at least; theirs are the batch's times.
    """
    batch = batch_of_states(batch_id, (jobs_pb2.Job.State.Name(job.state) for job in jobs))
    batch.created_at.CopyFrom(jobs[0].created_at)
    if not any(getattr(batch.counts, state.lower()) for state in _UNFINISHED):
        batch.finished_at.CopyFrom(max((job.finished_at for job in jobs), key=lambda time: time.ToNanoseconds()))
    batch.jobs.extend(jobs)
    for job in batch.jobs:
        without_content(job.result)
        if not job.result.ByteSize():
            job.ClearField("result")
    return batch


def batch_of_states(batch_id: str, states: Iterable[str]) -> batches_pb2.Batch:
    """The batch with its counts alone.

    Args:
        batch_id: Its id.
        states: The name of each job's state.
    """
    counted = Counter(states)
    counts = batches_pb2.BatchCounts(**{state.lower(): count for state, count in counted.items()})
    return batches_pb2.Batch(id=batch_id, size=counted.total(), counts=counts)
