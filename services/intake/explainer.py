"""Explains why jobs wait: the scheduler knows; what it does not have is explained here."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import scheduler_pb2

from services.intake.contract import state_of
from shared.errors import JobNotFound, Unavailable

if TYPE_CHECKING:
    from penstock.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceAsyncStub

    from services.intake.reader import JobReader

_RETRY_AFTER = timedelta(seconds=1)


class Explainer:
    """Explains jobs.

    Args:
        reader: Knows whose job it is, and whether it has ended.
        scheduler: Knows what the job waits for.
    """

    def __init__(self, *, reader: JobReader, scheduler: SchedulerServiceAsyncStub) -> None:
        self._reader = reader
        self._scheduler = scheduler

    async def explain(self, tenant: str, job_id: str) -> jobs_pb2.JobExplanation:
        """Why the job waits, or why it does not.

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job.
            Unavailable: A dependency is away.
        """
        job = await self._reader.get(tenant, job_id)
        if state_of(job.state).terminal:
            return _ended(job)
        try:
            explanation = await self._scheduler.Explain(scheduler_pb2.ExplainRequest(job_id=job_id, tenant=tenant))
        except JobNotFound:  # not there yet, or not any more
            return _elsewhere(await self._reader.get(tenant, job_id))
        except Unavailable as error:
            raise Unavailable(
                "the scheduler does not answer, which alone knows what a job waits for; the call may be repeated",
                metadata={"dependency": "scheduler"},
                retry_after=_RETRY_AFTER,
            ) from error
        if not explanation.state:  # while its queue is being rebuilt the scheduler does not know it
            explanation.state = job.state
        return explanation


def _ended(job: jobs_pb2.Job) -> jobs_pb2.JobExplanation:
    at = f" at {job.finished_at.ToJsonString()}" if job.HasField("finished_at") else ""
    return _explained(job, f"it has ended as {state_of(job.state)}{at}")


def _elsewhere(job: jobs_pb2.Job) -> jobs_pb2.JobExplanation:
    """A job that the queue does not have, though it has not ended when last seen."""
    if state_of(job.state).terminal:
        return _ended(job)
    if job.state == jobs_pb2.Job.QUEUED:
        return _explained(job, "it was accepted and is on its way to the queue")
    return _explained(job, "the queue has it no more; how it ended is about to be shown")


def _explained(job: jobs_pb2.Job, summary: str) -> jobs_pb2.JobExplanation:
    return jobs_pb2.JobExplanation(job_id=job.id, state=job.state, summary=summary)
