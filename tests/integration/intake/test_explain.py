"""ExplainJob over gRPC: the scheduler knows why a job waits, and intake knows when it does not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from penstock.jobs.v1 import jobs_pb2

from shared import errors, ids
from shared.rpc.status import from_rpc_error
from tests.integration.intake.conftest import ended, event, publish, submit
from tests.waiting import eventually

if TYPE_CHECKING:
    from shared.bus import Bus
    from tests.integration.intake.conftest import HistoryStandIn, Intake, SchedulerStandIn

pytestmark = pytest.mark.usefixtures("no_stalls")


async def explain(
    intake: Intake, job_id: str, *, tenant: str = "acme", scopes: tuple[str, ...] | None = None
) -> jobs_pb2.JobExplanation:
    async with intake.jobs(tenant, scopes=scopes) as jobs:
        try:
            return await jobs.ExplainJob(jobs_pb2.ExplainJobRequest(job_id=job_id), timeout=120)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure


def not_in_the_queue(job_id: str) -> errors.JobNotFound:
    return errors.JobNotFound(f"there is no job {job_id}", metadata={"job": job_id})


async def in_state(intake: Intake, job_id: str, state: jobs_pb2.Job.State.ValueType) -> None:
    async def reached() -> bool:
        async with intake.jobs() as jobs:
            return (await jobs.GetJob(jobs_pb2.GetJobRequest(job_id=job_id), timeout=120)).state == state

    await eventually(reached)


async def test_a_job_that_waits_is_explained_by_the_scheduler(intake: Intake, scheduler: SchedulerStandIn) -> None:
    job = await submit(intake)
    explained = await explain(intake, job.id, scopes=("jobs:read",))
    assert explained.summary == "it waits for its turn"
    assert explained.place.ahead_in_lane == 3
    assert explained.holds[0].kind == jobs_pb2.Hold.RATE
    assert [(asked.job_id, asked.tenant) for asked in scheduler.asked_why] == [(job.id, "acme")]


async def test_a_job_that_has_ended_is_explained_without_asking(
    intake: Intake, bus: Bus, scheduler: SchedulerStandIn
) -> None:
    job = await submit(intake)
    end = ended(job.id, "acme", "FAILED", revision=3)
    await publish(bus, end)
    await in_state(intake, job.id, jobs_pb2.Job.FAILED)
    scheduler.error = errors.Unavailable("away")
    explained = await explain(intake, job.id)
    assert (explained.job_id, explained.state) == (job.id, jobs_pb2.Job.FAILED)
    assert explained.summary == f"it has ended as FAILED at {end.finished_at.ToJsonString()}"
    assert not explained.holds
    assert not explained.HasField("place")
    assert scheduler.asked_why == []


async def test_a_job_that_history_alone_has_is_explained_too(
    intake: Intake, history: HistoryStandIn, scheduler: SchedulerStandIn
) -> None:
    job = jobs_pb2.Job(id=ids.new_job_id("http"), state=jobs_pb2.Job.EXPIRED)
    history.jobs["acme", job.id] = job
    assert (await explain(intake, job.id)).summary == "it has ended as EXPIRED"
    assert scheduler.asked_why == []


async def test_a_job_that_the_queue_does_not_know_yet_is_on_its_way(
    intake: Intake, scheduler: SchedulerStandIn
) -> None:
    job = await submit(intake)
    scheduler.error = not_in_the_queue(job.id)
    explained = await explain(intake, job.id)
    assert explained.state == jobs_pb2.Job.QUEUED
    assert explained.summary == "it was accepted and is on its way to the queue"


async def test_a_job_that_the_queue_has_let_go_is_not_said_to_wait(
    intake: Intake, bus: Bus, scheduler: SchedulerStandIn
) -> None:
    job = await submit(intake)
    await publish(bus, event(job.id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1))
    await in_state(intake, job.id, jobs_pb2.Job.RUNNING)
    scheduler.error = not_in_the_queue(job.id)
    explained = await explain(intake, job.id)
    assert explained.state == jobs_pb2.Job.RUNNING
    assert explained.summary == "the queue has it no more; how it ended is about to be shown"


@pytest.mark.parametrize("own", [False, True])
async def test_another_tenants_job_and_one_that_is_not_are_unknown(
    intake: Intake, scheduler: SchedulerStandIn, *, own: bool
) -> None:
    job_id = ids.new_job_id("http") if own else (await submit(intake)).id
    with pytest.raises(errors.JobNotFound):
        await explain(intake, job_id, tenant="acme" if own else "globex")
    assert scheduler.asked_why == []


async def test_an_id_that_is_no_id_is_refused(intake: Intake) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        await explain(intake, "http-123")
    assert [violation.field for violation in refused.value.violations] == ["jobId"]


async def test_without_a_scheduler_it_is_unavailable(intake: Intake, scheduler: SchedulerStandIn) -> None:
    job = await submit(intake)
    scheduler.error = errors.Unavailable("failed to connect to 10.1.2.3:18103")
    with pytest.raises(errors.Unavailable) as refused:
        await explain(intake, job.id)
    assert refused.value.metadata == {"dependency": "scheduler"}
    assert refused.value.retry_after == timedelta(seconds=1)
    assert "10.1.2.3" not in refused.value.message


async def test_it_takes_the_scope(intake: Intake) -> None:
    job = await submit(intake)
    with pytest.raises(errors.PermissionDenied):
        await explain(intake, job.id, scopes=("jobs:write",))
