"""A job that ends while it is being explained."""

from __future__ import annotations

from typing import Any, cast

from penstock.jobs.v1 import jobs_pb2

from services.intake.explainer import Explainer
from shared import ids
from shared.errors import JobNotFound


class Reader:
    """Shows a job in one state after the other."""

    def __init__(self, *states: jobs_pb2.Job.State.ValueType) -> None:
        self._states = list(states)

    async def get(self, tenant: str, job_id: str) -> jobs_pb2.Job:
        return jobs_pb2.Job(id=job_id, state=self._states.pop(0))


class Scheduler:
    """Has no job."""

    async def Explain(self, request: Any) -> jobs_pb2.JobExplanation:
        raise JobNotFound(f"there is no job {request.job_id}")


async def test_a_job_that_has_ended_in_between_is_said_to_have() -> None:
    reader = Reader(jobs_pb2.Job.RUNNING, jobs_pb2.Job.SUCCEEDED)
    explainer = Explainer(reader=cast("Any", reader), scheduler=cast("Any", Scheduler()))
    explained = await explainer.explain("acme", ids.new_job_id("http"))
    assert (explained.state, explained.summary) == (jobs_pb2.Job.SUCCEEDED, "it has ended as SUCCEEDED")
