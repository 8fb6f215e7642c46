"""Canceling jobs that wait, and those that the queue does not know yet; by force see `test_forced_cancel.py`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from shared.errors import JobFinished, JobNotFound, JobRunning
from tests.integration.scheduler.conftest import enqueued

if TYPE_CHECKING:
    from shared import kv
    from tests.integration.scheduler.conftest import Mesh

pytestmark = pytest.mark.usefixtures("no_stalls")

Event = events_pb2.JobEvent


async def test_a_queued_job_is_canceled(patient_mesh: Mesh, redis: kv.Client) -> None:
    job_id = await patient_mesh.submitted()
    await enqueued(patient_mesh, redis, job_id)
    event = await patient_mesh.cancel(job_id)
    assert (event.type, event.state, event.error.reason) == (Event.CANCELED, jobs_pb2.Job.CANCELED, "JOB_CANCELED")
    assert await patient_mesh.log.until(job_id, "CANCELED") == [event]
    assert await patient_mesh.cancel(job_id) == event
    assert await patient_mesh.lease(wait_s=0) == []


async def test_a_cancel_that_overtakes_its_submission_is_obeyed(patient_mesh: Mesh) -> None:
    event = patient_mesh.submission()
    answer = await patient_mesh.cancel(event.job_id)
    assert (answer.type, answer.revision, answer.tenant) == (Event.CANCELED, 2, "acme")
    await patient_mesh.submit(event)
    (canceled,) = await patient_mesh.log.until(event.job_id, "CANCELED")
    assert canceled.revision == answer.revision
    assert await patient_mesh.lease(wait_s=0) == []


async def test_a_job_that_runs_or_has_ended_is_not_canceled(patient_mesh: Mesh) -> None:
    await patient_mesh.submitted()
    call = await patient_mesh.call()
    with pytest.raises(JobRunning):
        await patient_mesh.cancel(call.job_id)
    await patient_mesh.report(call)
    await patient_mesh.log.until(call.job_id, "RUNNING", "SUCCEEDED")
    with pytest.raises(JobFinished) as refused:
        await patient_mesh.cancel(call.job_id)
    assert refused.value.metadata["state"] == "SUCCEEDED"


async def test_another_tenants_job_is_not_found(patient_mesh: Mesh, redis: kv.Client) -> None:
    job_id = await patient_mesh.submitted("acme")
    await enqueued(patient_mesh, redis, job_id)
    with pytest.raises(JobNotFound):
        await patient_mesh.cancel(job_id, tenant="other")
    assert (await patient_mesh.call()).job_id == job_id


async def test_a_job_that_is_canceled_while_workers_ask_is_either_canceled_or_called(patient_mesh: Mesh) -> None:
    for _ in range(20):
        job_id = await patient_mesh.submitted()
        called, canceled = await asyncio.gather(
            patient_mesh.lease(wait_s=0.2), patient_mesh.cancel(job_id), return_exceptions=True
        )
        if isinstance(canceled, JobRunning):
            assert isinstance(called, list)
            assert [call.job_id for call in called] == [job_id]
            await patient_mesh.report(called[0])
            await patient_mesh.log.until(job_id, "RUNNING", "SUCCEEDED")
        else:
            assert called == []
            await patient_mesh.log.until(job_id, "CANCELED")
