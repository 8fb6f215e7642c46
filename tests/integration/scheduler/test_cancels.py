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


async def test_a_queued_job_is_canceled(mesh: Mesh, redis: kv.Client) -> None:
    job_id = await mesh.submitted()
    await enqueued(mesh, redis, job_id)
    event = await mesh.cancel(job_id)
    assert (event.type, event.state, event.error.reason) == (Event.CANCELED, jobs_pb2.Job.CANCELED, "JOB_CANCELED")
    assert await mesh.log.until(job_id, "CANCELED") == [event]
    assert await mesh.cancel(job_id) == event
    assert await mesh.lease(wait_s=0) == []


async def test_a_cancel_that_overtakes_its_submission_is_obeyed(mesh: Mesh) -> None:
    event = mesh.submission()
    answer = await mesh.cancel(event.job_id)
    assert (answer.type, answer.revision, answer.tenant) == (Event.CANCELED, 2, "acme")
    await mesh.submit(event)
    (canceled,) = await mesh.log.until(event.job_id, "CANCELED")
    assert canceled.revision == answer.revision
    assert await mesh.lease(wait_s=0) == []


async def test_a_job_that_runs_or_has_ended_is_not_canceled(mesh: Mesh) -> None:
    await mesh.submitted()
    call = await mesh.call()
    with pytest.raises(JobRunning):
        await mesh.cancel(call.job_id)
    await mesh.report(call)
    await mesh.log.until(call.job_id, "RUNNING", "SUCCEEDED")
    with pytest.raises(JobFinished) as refused:
        await mesh.cancel(call.job_id)
    assert refused.value.metadata["state"] == "SUCCEEDED"


async def test_another_tenants_job_is_not_found(mesh: Mesh, redis: kv.Client) -> None:
    job_id = await mesh.submitted("acme")
    await enqueued(mesh, redis, job_id)
    with pytest.raises(JobNotFound):
        await mesh.cancel(job_id, tenant="other")
    assert (await mesh.call()).job_id == job_id


async def test_a_job_that_is_canceled_while_workers_ask_is_either_canceled_or_called(mesh: Mesh) -> None:
    for _ in range(20):
        job_id = await mesh.submitted()
        called, canceled = await asyncio.gather(mesh.lease(wait_s=0.2), mesh.cancel(job_id), return_exceptions=True)
        if isinstance(canceled, JobRunning):
            assert isinstance(called, list)
            assert [call.job_id for call in called] == [job_id]
            await mesh.report(called[0])
            await mesh.log.until(job_id, "RUNNING", "SUCCEEDED")
        else:
            assert called == []
            await mesh.log.until(job_id, "CANCELED")
