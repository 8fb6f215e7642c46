"""Cancels of jobs whose calls are under way, told by signals over real NATS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import events_pb2

from shared.streams import cancel_signal
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.upstream.mesh import Mesh

pytestmark = pytest.mark.usefixtures("no_stalls")


async def cancel(mesh: Mesh, job_id: str) -> None:
    await mesh.bus.signal(cancel_signal(job_id), job_id.encode())


@pytest.mark.parametrize(("method", "unknown"), [("get", False), ("post", True)])
async def test_the_call_of_a_canceled_job_is_hung_up_and_told(mesh: Mesh, method: str, *, unknown: bool) -> None:
    async with mesh.running():
        canceled = await mesh.scheduler.put(method, f"{mesh.far.url}/hanging")
        other = await mesh.scheduler.put(method, f"{mesh.far.url}/hanging?other")
        await eventually(lambda: mesh.far.calls["/hanging"] == 2)
        await cancel(mesh, canceled)
        outcome = await mesh.outcome(canceled)
        await eventually(lambda: mesh.far.hung_up == 1, what="the end of the connection")
        assert set(await mesh.outcomes()) == {canceled}
        mesh.far.release.set()
        assert (await mesh.outcome(other)).result.inline.text == "released"
    assert outcome.error.reason == "JOB_CANCELED"
    assert "may have taken effect" in outcome.error.message
    assert not outcome.error.retryable
    assert outcome.outcome_unknown is unknown
    assert outcome.health == events_pb2.Attempt.HEALTH_UNSPECIFIED
    assert mesh.far.hung_up == 1


async def test_an_answer_that_is_being_read_is_hung_up_too(mesh: Mesh) -> None:
    async with mesh.running():
        job = await mesh.scheduler.put("post", f"{mesh.far.url}/drip")
        await eventually(lambda: mesh.far.calls["/drip"] == 1)
        await cancel(mesh, job)
        assert (await mesh.outcome(job)).outcome_unknown
        await eventually(lambda: mesh.far.hung_up == 1, what="the end of the connection")


async def test_repeated_signals_and_signals_about_others_jobs_do_nothing_more(mesh: Mesh) -> None:
    async with mesh.running():
        job = await mesh.scheduler.put("get", f"{mesh.far.url}/hanging")
        other = await mesh.scheduler.put("get", f"{mesh.far.url}/hanging?other")
        await eventually(lambda: mesh.far.calls["/hanging"] == 2)
        for _ in range(5):
            await cancel(mesh, "http-0198c6f2-0000-7000-8000-000000000000")
            await cancel(mesh, job)
        await mesh.outcome(job)
        await cancel(mesh, job)
        await mesh.outcome(await mesh.scheduler.put("get", f"{mesh.far.url}/echo"))
        mesh.far.release.set()
        assert (await mesh.outcome(other)).result.inline.status == 200
    assert len(await mesh.outcomes()) == 3  # which sees to it that there is one of each


async def test_a_job_that_is_canceled_while_its_call_waits_to_begin_is_not_called(mesh: Mesh) -> None:
    mesh.scheduler.begin_failures = 1_000_000
    async with mesh.running():
        job = await mesh.scheduler.put("post", f"{mesh.far.url}/echo")
        await eventually(lambda: mesh.scheduler.begin_failures < 1_000_000)
        await cancel(mesh, job)
        outcome = await mesh.outcome(job)
        mesh.scheduler.begin_failures = 0
        await mesh.outcome(await mesh.scheduler.put("post", f"{mesh.far.url}/echo?other"))
    assert outcome.error.reason == "JOB_CANCELED"
    assert "had not gone out" in outcome.error.message
    assert not outcome.outcome_unknown
    assert [asked.url.query_string for asked in mesh.far.asked] == ["other"]


async def test_a_canceled_call_gives_its_place_to_the_next(mesh: Mesh) -> None:
    async with mesh.running(concurrency=1):
        job = await mesh.scheduler.put("get", f"{mesh.far.url}/hanging")
        await eventually(lambda: mesh.far.calls["/hanging"] == 1)
        next_ = await mesh.scheduler.put("get", f"{mesh.far.url}/echo")
        await cancel(mesh, job)
        assert (await mesh.outcome(next_)).result.inline.status == 200


async def test_a_stopping_worker_still_obeys(mesh: Mesh) -> None:
    async with mesh.running() as process:
        job = await mesh.scheduler.put("get", f"{mesh.far.url}/hanging")
        await eventually(lambda: mesh.far.calls["/hanging"] == 1)
        await eventually(lambda: mesh.scheduler.waiting == 1)
        process.stopping.set()
        await eventually(lambda: mesh.scheduler.canceled_waits == 1)
        await cancel(mesh, job)
        assert (await mesh.outcome(job)).error.reason == "JOB_CANCELED"
