"""A job that runs is canceled only by force: its worker is told, and whatever its call comes to changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from penstock.scheduler.v1 import scheduler_pb2

from shared import streams
from shared.errors import JobFinished, JobNotFound, JobRunning
from tests.waiting import eventually

if TYPE_CHECKING:
    from penstock.events.v1.events_pb2 import JobEvent

    from shared import kv
    from shared.bus import Bus
    from tests.integration.scheduler.conftest import Mesh


async def cancel(mesh: Mesh, job_id: str, *, tenant: str = "acme", force: bool = True) -> JobEvent:
    """As intake asks."""
    request = scheduler_pb2.CancelRequest(job_id=job_id, tenant=tenant, force=force)
    return await mesh.intake.Cancel(request, timeout=30)


async def heard(bus: Bus) -> list[bytes]:
    """What workers are told to break off, from now on."""
    told: list[bytes] = []

    async def note(payload: bytes) -> None:
        told.append(payload)

    await bus.on_signal(streams.cancel_signal("*"), note)
    await bus.check()
    return told


async def test_a_job_that_runs_is_not_canceled_without_force(mesh: Mesh) -> None:
    job_id = await mesh.submitted()
    call = await mesh.call()
    await mesh.log.until(job_id, "RUNNING")
    with pytest.raises(JobRunning, match="with force"):
        await cancel(mesh, job_id, force=False)
    await mesh.report(call)
    await mesh.log.until(job_id, "RUNNING", "SUCCEEDED")


async def test_with_force_it_is_canceled_at_once_and_its_worker_told(mesh: Mesh, bus: Bus) -> None:
    told = await heard(bus)
    job_id = await mesh.submitted()
    await mesh.call()
    event = await cancel(mesh, job_id)
    assert event.error.reason == "JOB_CANCELED"
    await mesh.log.until(job_id, "RUNNING", "CANCELED")
    await eventually(lambda: told)
    assert set(told) == {job_id.encode()}


async def test_its_worker_is_told_again_and_again_until_it_reports(mesh: Mesh, bus: Bus, redis: kv.Client) -> None:
    told = await heard(bus)
    job_id = await mesh.submitted()
    call = await mesh.call()
    await cancel(mesh, job_id)
    await eventually(lambda: len(told) > 2)
    await mesh.report(call)

    async def nobody_is_told_any_more() -> bool:
        return await redis.zcard("{sched:http}:canceling") == 0

    await eventually(nobody_is_told_any_more)


async def test_whatever_its_call_comes_to_the_job_stays_canceled(mesh: Mesh) -> None:
    job_id = await mesh.submitted()
    call = await mesh.call()
    await cancel(mesh, job_id)
    await mesh.report(call)
    after = await mesh.submitted()
    await mesh.report(await mesh.call())
    await mesh.log.until(after, "RUNNING", "SUCCEEDED")
    assert mesh.log.states(job_id) == ["RUNNING", "CANCELED"]
    assert (await cancel(mesh, job_id)).job_id == job_id  # once more answers the same
    with pytest.raises(JobFinished):
        await cancel(mesh, after)


async def test_force_does_not_reach_another_tenants_job(mesh: Mesh, bus: Bus) -> None:
    told = await heard(bus)
    job_id = await mesh.submitted()
    await mesh.call()
    await mesh.log.until(job_id, "RUNNING")
    with pytest.raises(JobNotFound):
        await cancel(mesh, job_id, tenant="other")
    assert told == []
    assert mesh.log.states(job_id) == ["RUNNING"]
