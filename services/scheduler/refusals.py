"""The errors by which a queue refuses what is asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import errors

if TYPE_CHECKING:
    from services.scheduler.domain import State


def job_not_found(job_id: str) -> errors.JobNotFound:
    """The error for a job that the tenant does not have."""
    return errors.JobNotFound(f"there is no job {job_id}; check its id", metadata={"job": job_id})


def job_running(job_id: str) -> errors.JobRunning:
    """The error for a job that cannot be canceled any more."""
    return errors.JobRunning(
        f"the job {job_id} runs; cancel it with force to break its call off", metadata={"job": job_id}
    )


def job_finished(job_id: str, state: State) -> errors.JobFinished:
    """The error for a job that has ended."""
    return errors.JobFinished(
        f"the job {job_id} has ended as {state.name}, so it cannot be canceled",
        metadata={"job": job_id, "state": state.name},
    )
