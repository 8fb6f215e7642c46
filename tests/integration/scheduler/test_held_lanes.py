"""A lane whose connection needs to be authorized anew, on real servers: its jobs wait, whatever is lost meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import queues_pb2

from services.scheduler.__main__ import serve
from services.scheduler.standings import CONSUMER
from shared import streams
from tests.fakes.connection_notices import CONNECTION, OTHER, deleted, needs_reauth, restored
from tests.integration.scheduler.conftest import calling, is_open
from tests.integration.scheduler.test_queue_service import Desk, desk_of, rate
from tests.service import running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from services.scheduler.config import Config
    from shared import kv
    from shared.bus import Bus, Outgoing
    from tests.identities import Identities
    from tests.integration.scheduler.conftest import JobsLog

HTTP = queues_pb2.GetQueueRequest(upstream="http")
REFUSED = jobs_pb2.JobError(reason="CONNECTION_NEEDS_REAUTH", message="authorize it anew", retryable=True)


@pytest.fixture
async def desk(config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog) -> AsyncIterator[Desk]:
    async with desk_of(config, identities, bus, log) as desk:
        await eventually(lambda: is_open(config))
        yield desk


async def in_lane(desk: Desk, lane: str = CONNECTION, tenant: str = "acme", **fields: object) -> str:
    """A job of this connection that waits in the queue."""
    job_id = await desk.mesh.submitted(tenant, connection_id=lane, **fields)
    await desk.waiting(job_id, tenant=tenant)
    return job_id


async def until_held(desk: Desk, job_id: str, *, held: bool = True) -> None:
    """Returns when the job's lane is held, or is not."""

    async def is_so() -> bool:
        kinds = [hold.kind for hold in (await desk.explain(job_id)).holds]
        return (jobs_pb2.Hold.NEEDS_REAUTH in kinds) == held

    await eventually(is_so, what=f"held: {held}")


async def told(desk: Desk, *notices: Outgoing) -> None:
    """Publishes notices, and returns when the scheduler has them on disk."""
    bus = desk.mesh.bus
    await bus.publish(notices)
    newest = await bus.newest(streams.NOTICES, streams.notice_subject("*"))

    async def all_heard() -> bool:
        return await bus.acknowledged(streams.NOTICES, CONSUMER.durable_name or "") == newest

    await eventually(all_heard)


async def test_the_jobs_of_a_held_lane_wait_and_say_why_and_all_others_are_called(desk: Desk) -> None:
    held = await in_lane(desk)
    await desk.mesh.bus.publish([needs_reauth(1)])
    await until_held(desk, held)
    free = {await in_lane(desk, OTHER), await in_lane(desk, tenant="other"), await desk.mesh.submitted()}
    calls = [await desk.mesh.call() for _ in free]
    assert {call.job_id for call in calls} == free
    assert await desk.mesh.lease(wait_s=0.2) == []

    explanation = await desk.explain(held)
    assert [(hold.kind, hold.scope) for hold in explanation.holds] == [(jobs_pb2.Hold.NEEDS_REAUTH, "lane")]
    assert explanation.summary == "the job's connection needs to be authorized anew: revoked"
    assert explanation.state == jobs_pb2.Job.QUEUED
    acme, other = await desk.of(), await desk.of("other")
    seen = [(pause.tenant, pause.lane, pause.reason, pause.suspension) for pause in (await acme.GetQueue(HTTP)).pauses]
    assert seen == [("acme", CONNECTION, "revoked", True)]
    assert list((await other.GetQueue(HTTP)).pauses) == []
    assert (await desk.mesh.cancel(held)).state == jobs_pb2.Job.CANCELED


async def test_a_notice_about_another_upstream_holds_nothing_here(desk: Desk) -> None:
    await told(desk, needs_reauth(1, upstream="empty"))
    job_id = await in_lane(desk)
    assert (await desk.mesh.call()).job_id == job_id


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize(
    "lifted",
    [restored, deleted, lambda revision: needs_reauth(revision, jobs_wait=False)],
    ids=["restored", "deleted", "its jobs wait no more"],
)
async def test_who_waits_for_leases_is_served_as_soon_as_the_lane_flows(
    desk: Desk, lifted: Callable[[int], Outgoing]
) -> None:
    job_id = await in_lane(desk)
    await desk.mesh.bus.publish([needs_reauth(1)])
    await until_held(desk, job_id)
    waiting = asyncio.create_task(desk.mesh.lease(wait_s=20.0))
    assert not (await asyncio.wait({waiting}, timeout=0.3))[0]
    await desk.mesh.bus.publish([lifted(2)])
    assert [call.job_id for call in await waiting] == [job_id]


async def test_its_tenant_resumes_a_pause_and_not_a_held_lane(desk: Desk) -> None:
    acme = await desk.of()
    job_id = await in_lane(desk)
    await desk.mesh.bus.publish([needs_reauth(1)])
    await until_held(desk, job_id)
    await acme.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", lane=CONNECTION, reason="maintenance"))
    await acme.ResumeQueue(queues_pb2.ResumeQueueRequest(upstream="http", lane=CONNECTION))
    await acme.ResumeQueue(queues_pb2.ResumeQueueRequest(upstream="http"))
    assert await desk.mesh.lease(wait_s=0.2) == []
    await acme.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", lane=CONNECTION))
    await desk.mesh.bus.publish([restored(2)])
    await until_held(desk, job_id, held=False)
    assert await desk.mesh.lease(wait_s=0.2) == []
    await acme.ResumeQueue(queues_pb2.ResumeQueueRequest(upstream="http", lane=CONNECTION))
    assert (await desk.mesh.call()).job_id == job_id


async def test_a_call_that_was_leased_before_comes_back_uncounted_and_is_made_when_the_lane_flows(desk: Desk) -> None:
    job_id = await in_lane(desk, max_attempts=1)
    call = await desk.mesh.call()
    await told(desk, needs_reauth(1))
    await desk.mesh.report(call, error=REFUSED, uncounted=True)
    _, retrying = await desk.mesh.log.until(job_id, "RUNNING", "RETRYING")
    assert retrying.error == REFUSED
    assert (retrying.attempt, retrying.uncounted_attempts) == (1, 1)
    await until_held(desk, job_id)
    assert await desk.mesh.lease(wait_s=0.8) == [], "its pause is over by then"
    await desk.mesh.bus.publish([restored(2)])
    again = await desk.mesh.call()
    assert (again.job_id, again.attempt) == (job_id, 2)
    await desk.mesh.report(again)
    await desk.mesh.log.until(job_id, "RUNNING", "RETRYING", "RUNNING", "SUCCEEDED")


async def test_a_job_of_a_held_lane_expires_in_its_time(desk: Desk) -> None:
    job_id = await in_lane(desk, lifetime=timedelta(seconds=1))
    await desk.mesh.bus.publish([needs_reauth(1)])
    await desk.mesh.log.until(job_id, "EXPIRED")


async def test_a_notice_that_comes_after_a_newer_one_changes_nothing(desk: Desk) -> None:
    await told(desk, restored(2), needs_reauth(1))
    await told(desk, needs_reauth(5, OTHER), restored(4, OTHER), needs_reauth(3, OTHER, reason="an older reason"))
    held, free = await in_lane(desk, OTHER), await in_lane(desk)
    await until_held(desk, held)
    assert [call.job_id for call in await desk.mesh.lease(2)] == [free]
    assert await desk.mesh.lease(wait_s=0.2) == []
    assert (await desk.explain(held)).holds[0].message.endswith(": revoked")


@pytest.mark.parametrize("loss", ["asked", "everything lost"])
async def test_a_queue_that_is_rebuilt_gives_a_held_lane_no_lease(desk: Desk, redis: kv.Client, loss: str) -> None:
    held, free = await in_lane(desk), await in_lane(desk, OTHER)
    await desk.mesh.bus.publish([needs_reauth(1)])
    await until_held(desk, held)
    if loss == "asked":
        operator = await desk.of("staff", operator=True)
        await operator.RecoverQueue(queues_pb2.RecoverQueueRequest(upstream="http"))
    else:
        await redis.flushall()
    assert [call.job_id for call in await desk.mesh.lease(2)] == [free]
    assert await desk.mesh.lease(2, wait_s=0.3) == []
    await desk.mesh.bus.publish([deleted(2)])
    assert (await desk.mesh.call()).job_id == held


async def test_one_that_was_told_while_no_scheduler_ran_holds_as_soon_as_one_does(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    await bus.publish([needs_reauth(1)])
    async with desk_of(config, identities, bus, log) as desk:
        await eventually(lambda: is_open(config))
        await until_held(desk, await in_lane(desk))
    await redis.flushall()  # and one that starts on an empty Redis knows of it from its disk
    async with desk_of(config, identities, bus, log) as desk:
        free = await desk.mesh.submitted(connection_id=OTHER)
        assert [call.job_id for call in await desk.mesh.lease(2)] == [free]
        assert await desk.mesh.lease(wait_s=0.3) == []


async def test_two_replicas_hold_it_and_let_it_go_together(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    async with AsyncExitStack() as stack:
        desks: list[Desk] = []
        for _ in range(2):
            address = await stack.enter_async_context(running("scheduler", serve, config))
            mesh = await stack.enter_async_context(calling(address, identities, bus, log))
            desks.append(Desk(mesh, address, identities, stack))
        await eventually(lambda: is_open(config))
        await bus.publish([needs_reauth(n) if n % 2 else restored(n) for n in range(1, 8)])
        job_id = await in_lane(desks[0])
        for desk in desks:
            await until_held(desk, job_id)
            assert await desk.mesh.lease(wait_s=0.2) == []
        await bus.publish([restored(8)])
        assert (await desks[1].mesh.call()).job_id == job_id


@pytest.mark.usefixtures("unasked")
async def test_cached_answers_cost_no_quota_and_have_who_waits_for_it_served_at_once(desk: Desk) -> None:
    operator = await desk.of("staff", operator=True)
    settings = rate(1, 3600)
    settings.limits.upstream.CopyFrom(settings.limits.lane)
    await operator.SetQueueSettings(queues_pb2.SetQueueSettingsRequest(upstream="http", settings=settings))
    first, second, third = [await in_lane(desk) for _ in range(3)]
    cached = jobs_pb2.JobResult(inline=jobs_pb2.InlineResult(status=200, text="ok"), size=2, from_cache=True)
    call = await desk.mesh.call()
    assert call.job_id == first
    waiting = asyncio.create_task(desk.mesh.lease(wait_s=20.0))
    assert not (await asyncio.wait({waiting}, timeout=0.3))[0]
    await desk.mesh.report(call, result=cached)
    (call,) = await waiting
    assert call.job_id == second
    await desk.mesh.report(call)
    await desk.mesh.log.until(second, "RUNNING", "SUCCEEDED")
    assert await desk.mesh.lease(wait_s=0.2) == []
    assert [hold.kind for hold in (await desk.explain(third)).holds] == [jobs_pb2.Hold.RATE] * 2
