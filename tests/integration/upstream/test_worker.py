"""The service's workers against a stand-in of the scheduler, real NATS, and a far end that counts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared import streams
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.upstream.mesh import Mesh

pytestmark = pytest.mark.usefixtures("no_stalls")

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_each_leased_call_is_made_once_and_its_outcome_published(mesh: Mesh) -> None:
    jobs = [await mesh.scheduler.put("get", f"{mesh.far.url}/echo", query={"n": n}) for n in range(150)]
    async with mesh.running():
        await mesh.count(len(jobs))
    outcomes = await mesh.outcomes()
    assert set(outcomes) == set(jobs)
    assert mesh.far.calls["/echo"] == len(jobs)
    assert {each.result.inline.status for each in outcomes.values()} == {200}
    assert not mesh.scheduler.begun  # idempotent calls are started with their lease


async def test_a_failed_call_is_an_outcome_too(mesh: Mesh) -> None:
    async with mesh.running():
        job = await mesh.scheduler.put("get", f"{mesh.far.url}/status/503?after=9")
        outcome = await mesh.outcome(job)
    assert (outcome.error.reason, outcome.error.upstream_status) == ("UPSTREAM_STATUS", 503)
    assert outcome.error.retryable
    assert outcome.retry_after.seconds == 9
    assert outcome.finished_at.ToNanoseconds() >= outcome.started_at.ToNanoseconds() > 0


async def test_a_call_that_may_not_be_repeated_is_begun_before_it_goes_out(mesh: Mesh) -> None:
    asked_before: list[int] = []
    mesh.scheduler.on_begin = lambda _: asked_before.append(len(mesh.far.asked))
    async with mesh.running():
        job = await mesh.scheduler.put("post", f"{mesh.far.url}/echo", json={})
        await mesh.outcome(job)
    assert mesh.scheduler.begun == [job]
    assert asked_before == [0]
    assert mesh.far.calls["/echo"] == 1


async def test_a_call_whose_begin_is_refused_is_not_made(mesh: Mesh) -> None:
    refused = await mesh.scheduler.put("post", f"{mesh.far.url}/echo?refused")
    mesh.scheduler.lost.add(refused)
    async with mesh.running():
        other = await mesh.scheduler.put("post", f"{mesh.far.url}/echo?other")
        await mesh.outcome(other)
    assert set(await mesh.outcomes()) == {other}
    assert [asked.url.query_string for asked in mesh.far.asked] == ["other"]


async def test_a_begin_that_got_no_answer_is_repeated_and_the_call_made_once(mesh: Mesh) -> None:
    mesh.scheduler.begin_failures = 3
    async with mesh.running():
        job = await mesh.scheduler.put("patch", f"{mesh.far.url}/echo")
        assert (await mesh.outcome(job)).result.inline.status == 200
    assert mesh.far.calls["/echo"] == 1


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("post", {"json": 1, "text": ""}),
        ("post", {"headers": {"Authorization": "x"}}),
        ("post", {"url": "http://10.0.0.1/"}),
        ("trace", {}),
    ],
)
async def test_what_intake_should_have_refused_fails_without_a_call(
    mesh: Mesh, method: str, params: dict[str, Any]
) -> None:
    async with mesh.running():
        job = await mesh.scheduler.put(method, **{"url": f"{mesh.far.url}/echo", **params})
        outcome = await mesh.outcome(job)
    assert outcome.error.reason == "INVALID_ARGUMENT"
    assert not outcome.error.retryable
    assert not mesh.far.asked
    assert not mesh.scheduler.begun


async def test_params_that_cannot_be_read_fail_without_a_call(mesh: Mesh) -> None:
    async with mesh.running():
        job = await mesh.scheduler.put("post", "", raw_params=b"{")
        assert (await mesh.outcome(job)).error.reason == "INVALID_ARGUMENT"
    assert not mesh.scheduler.begun


async def test_no_more_is_leased_than_there_are_free_places(mesh: Mesh) -> None:
    for _ in range(10):
        await mesh.scheduler.put("get", f"{mesh.far.url}/held")
    async with mesh.running(concurrency=4):
        await eventually(lambda: mesh.far.calls["/held"] == 4)
        assert [lease.max_jobs for lease in mesh.scheduler.leases] == [4]
        assert mesh.scheduler.waiting == 0  # it asks again when a place is free
        mesh.far.release.set()
        await mesh.count(10)
    assert max(lease.max_jobs for lease in mesh.scheduler.leases) == 4
    assert mesh.far.calls["/held"] == 10


async def test_an_idle_worker_waits_and_does_not_ask_again_and_again(mesh: Mesh) -> None:
    async with mesh.running():
        await eventually(lambda: mesh.scheduler.waiting == 1)
        await mesh.outcome(await mesh.scheduler.put("get", f"{mesh.far.url}/echo"))
        await eventually(lambda: mesh.scheduler.waiting == 1)
    assert len(mesh.scheduler.leases) <= 3
    assert {lease.max_jobs for lease in mesh.scheduler.leases} <= {63, 64}


async def test_a_scheduler_that_keeps_nobody_waiting_is_not_asked_without_pause(mesh: Mesh) -> None:
    mesh.scheduler.empty = True
    async with mesh.running():
        began = asyncio.get_running_loop().time()
        await eventually(lambda: len(mesh.scheduler.leases) >= 6)
        assert asyncio.get_running_loop().time() - began > 0.3
        mesh.scheduler.empty = False
        await mesh.outcome(await mesh.scheduler.put("get", f"{mesh.far.url}/echo"))


async def test_leases_of_calls_at_work_are_extended_together(mesh: Mesh) -> None:
    jobs = {await mesh.scheduler.put("get", f"{mesh.far.url}/held", lease_s=1.0) for _ in range(3)}
    async with mesh.running():
        await eventually(lambda: len(mesh.scheduler.extended) >= 3)
        mesh.far.release.set()
        await mesh.count(3)
    assert all(asked == jobs for asked in mesh.scheduler.extended[:3])


async def test_a_call_whose_lease_is_lost_is_stopped(mesh: Mesh) -> None:
    async with mesh.running(concurrency=1):
        lost = await mesh.scheduler.put("get", f"{mesh.far.url}/held", lease_s=1.0)
        await eventually(lambda: mesh.far.calls["/held"] == 1)
        mesh.scheduler.lost.add(lost)
        other = await mesh.scheduler.put("get", f"{mesh.far.url}/echo")  # has the place that became free
        await mesh.outcome(other)
    assert set(await mesh.outcomes()) == {other}


async def test_a_stopping_worker_finishes_what_is_begun_and_takes_nothing_new(mesh: Mesh) -> None:
    held = await mesh.scheduler.put("post", f"{mesh.far.url}/held")
    async with mesh.running() as process:
        await eventually(lambda: mesh.far.calls["/held"] == 1)
        await eventually(lambda: mesh.scheduler.waiting == 1)
        process.stopping.set()
        await eventually(lambda: mesh.scheduler.canceled_waits == 1)
        await mesh.scheduler.put("get", f"{mesh.far.url}/echo")
        mesh.far.release.set()
        assert (await mesh.outcome(held)).result.inline.text == "released"
    assert set(await mesh.outcomes()) == {held}
    assert mesh.far.calls["/echo"] == 0


async def test_a_call_that_outlasts_the_drain_is_left_to_its_lease(mesh: Mesh) -> None:
    await mesh.scheduler.put("get", f"{mesh.far.url}/held")
    async with mesh.running(drain_timeout=timedelta(seconds=0.3)):
        await eventually(lambda: mesh.far.calls["/held"] == 1)
    assert not await mesh.outcomes()


async def test_a_worker_waits_for_a_scheduler_that_is_away(mesh: Mesh) -> None:
    async with mesh.running():
        await mesh.outcome(await mesh.scheduler.put("get", f"{mesh.far.url}/echo?before"))
        await mesh.scheduler.stop()
        job = await mesh.scheduler.put("get", f"{mesh.far.url}/echo?after")
        await mesh.scheduler.start()
        assert (await mesh.outcome(job)).result.inline.status == 200


async def test_a_call_goes_on_while_the_scheduler_is_away(mesh: Mesh) -> None:
    job = await mesh.scheduler.put("get", f"{mesh.far.url}/held", lease_s=1.0)
    async with mesh.running():
        await eventually(lambda: mesh.far.calls["/held"] == 1)
        began = asyncio.get_running_loop().time()
        await mesh.scheduler.stop()
        await eventually(lambda: asyncio.get_running_loop().time() > began + 1.2, what="the lease's end")
        mesh.far.release.set()
        assert (await mesh.outcome(job)).result.inline.text == "released"


async def test_an_outcome_is_published_as_soon_as_the_log_takes_it_again(mesh: Mesh) -> None:
    async with mesh.running():
        await eventually(lambda: mesh.scheduler.waiting == 1)
        await mesh.bus._jetstream.delete_stream(streams.ATTEMPTS)
        job = await mesh.scheduler.put("get", f"{mesh.far.url}/echo")
        await eventually(lambda: mesh.far.calls["/echo"] == 1)
        await mesh.bus.apply_streams(streams.StreamLimits(replicas=1, max_bytes=256 * 1024**2))
        await mesh.outcome(job)
    assert mesh.far.calls["/echo"] == 1


async def test_one_trace_leads_from_the_submission_to_the_upstream_and_to_the_outcome(mesh: Mesh) -> None:
    async with mesh.running():
        traceparent = f"00-{TRACE}-b7ad6b7169203331-01"
        await mesh.outcome(await mesh.scheduler.put("get", f"{mesh.far.url}/echo", traceparent=traceparent))
    message = await mesh.bus.read_message(streams.ATTEMPTS, 1)
    assert message is not None
    _, headers = message
    assert mesh.far.last.headers["traceparent"].split("-")[1] == TRACE
    assert headers["traceparent"].split("-")[1] == TRACE
