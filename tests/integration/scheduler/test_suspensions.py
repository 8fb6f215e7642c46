"""A tenant that is suspended, on real servers: no lease in any queue, whatever is lost, rebuilt or new meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import queues_pb2
from penstock.upstream.v1 import upstream_pb2_grpc

from services.scheduler.__main__ import serve
from services.scheduler.standings import CONSUMER
from shared import streams
from shared.rpc.health import Health
from shared.rpc.server import Server
from tests.fakes.tenant_notices import published
from tests.integration.scheduler.conftest import CatalogueStandIn, calling, is_open
from tests.integration.scheduler.test_queue_service import Desk, desk_of
from tests.service import running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.scheduler.config import Config
    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.scheduler.conftest import JobsLog

WHOLE = queues_pb2.GetQueueRequest(upstream="http", tenant="-")


@pytest.fixture
async def desk(config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog) -> AsyncIterator[Desk]:
    async with desk_of(config, identities, bus, log) as desk:
        await eventually(lambda: is_open(config))
        yield desk


async def suspended(desk: Desk, upstream: str = "http") -> dict[str, str]:
    """The tenants whose suspension is in force, and why, as an operator is shown it."""
    operator = await desk.of("staff", operator=True)
    queue = await operator.GetQueue(queues_pb2.GetQueueRequest(upstream=upstream, tenant="-"))
    return {pause.tenant: pause.reason for pause in queue.pauses if pause.suspension}


async def until_suspended(desk: Desk, upstream: str = "http", **why: str) -> None:
    async def is_so() -> bool:
        return await suspended(desk, upstream) == why

    await eventually(is_so, what=f"the suspensions {why} in {upstream}")


async def test_a_suspended_tenant_is_given_no_lease_in_any_queue_and_others_are(desk: Desk) -> None:
    held = await desk.mesh.submitted("acme")
    await desk.waiting(held)
    await desk.mesh.bus.publish([published("acme", 1)])
    for upstream in ("http", "empty"):
        await until_suspended(desk, upstream, acme="unpaid")
    late = await desk.mesh.submitted("acme", connection_id="con_1")
    free = await desk.mesh.submitted("other")
    await desk.waiting(late)
    assert [call.job_id for call in await desk.mesh.lease(3)] == [free]
    assert await desk.mesh.lease(3, wait_s=0.2) == []
    explanation = await desk.explain(held)
    assert [(hold.kind, hold.scope) for hold in explanation.holds] == [(jobs_pb2.Hold.SUSPENDED, "tenant")]
    assert explanation.summary == "the tenant is suspended: unpaid"
    assert explanation.state == jobs_pb2.Job.QUEUED


@pytest.mark.usefixtures("unasked")
async def test_who_waits_for_leases_is_served_as_soon_as_the_tenant_is_resumed(desk: Desk) -> None:
    await desk.mesh.bus.publish([published("acme", 1)])
    await until_suspended(desk, acme="unpaid")
    job_id = await desk.mesh.submitted("acme")
    await desk.waiting(job_id)
    waiting = asyncio.create_task(desk.mesh.lease(wait_s=20.0))
    assert not (await asyncio.wait({waiting}, timeout=0.3))[0]
    await desk.mesh.bus.publish([published("acme", 2, None)])
    assert [call.job_id for call in await waiting] == [job_id]


async def test_the_call_under_way_counts_and_its_retry_waits(desk: Desk) -> None:
    job_id = await desk.mesh.submitted("acme")
    other = await desk.mesh.submitted("acme")
    calls = {call.job_id: call for call in [await desk.mesh.call(), await desk.mesh.call()]}
    await desk.mesh.bus.publish([published("acme", 1)])
    await until_suspended(desk, acme="unpaid")
    await desk.mesh.report(calls[job_id])
    await desk.mesh.log.until(job_id, "RUNNING", "SUCCEEDED")
    await desk.mesh.report(calls[other], error=jobs_pb2.JobError(reason="UPSTREAM_STATUS", retryable=True))
    await desk.mesh.log.until(other, "RUNNING", "RETRYING")
    assert await desk.mesh.lease(wait_s=0.3) == []
    await desk.mesh.bus.publish([published("acme", 2, None)])
    assert (await desk.mesh.call()).job_id == other


async def test_a_pause_and_a_suspension_are_taken_back_each_by_its_own_word(desk: Desk) -> None:
    acme = await desk.of()
    operator = await desk.of("staff", operator=True)
    await acme.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", reason="maintenance"))
    await desk.mesh.bus.publish([published("acme", 1)])
    await until_suspended(desk, acme="unpaid")
    seen = [(pause.reason, pause.suspension) for pause in (await operator.GetQueue(WHOLE)).pauses]
    assert seen == [("unpaid", True), ("maintenance", False)]
    job_id = await desk.mesh.submitted("acme")
    await desk.waiting(job_id)

    await operator.ResumeQueue(queues_pb2.ResumeQueueRequest(upstream="http", tenant="acme"))
    assert await suspended(desk) == {"acme": "unpaid"}
    assert await desk.mesh.lease(wait_s=0.2) == []
    await acme.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", reason="maintenance"))
    await desk.mesh.bus.publish([published("acme", 2, None)])
    await until_suspended(desk)
    assert await desk.mesh.lease(wait_s=0.2) == []
    await acme.ResumeQueue(queues_pb2.ResumeQueueRequest(upstream="http"))
    assert (await desk.mesh.call()).job_id == job_id


@pytest.mark.parametrize("loss", ["asked", "everything lost"])
async def test_a_queue_that_is_rebuilt_gives_a_suspended_tenant_no_lease(
    desk: Desk, redis: kv.Client, loss: str
) -> None:
    await desk.mesh.bus.publish([published("acme", 1)])
    await until_suspended(desk, acme="unpaid")
    held, free = await desk.mesh.submitted("acme"), await desk.mesh.submitted("other")
    await desk.waiting(held)
    await desk.waiting(free, tenant="other")
    if loss == "asked":
        operator = await desk.of("staff", operator=True)
        await operator.RecoverQueue(queues_pb2.RecoverQueueRequest(upstream="http"))
    else:
        await redis.flushall()
    given = await desk.mesh.lease(2)
    assert [call.job_id for call in given] == [free]
    assert await desk.mesh.lease(2, wait_s=0.3) == []
    await until_suspended(desk, acme="unpaid")
    await desk.mesh.bus.publish([published("acme", 2, None)])
    assert (await desk.mesh.call()).job_id == held


async def test_an_upstream_that_comes_later_gives_a_suspended_tenant_no_lease(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    catalogue = CatalogueStandIn()
    catalogue.names = ["empty"]
    server = Server("upstream", address="127.0.0.1:0", verifier=identities.verifier(), health=Health({}))
    server.add(
        upstream_pb2_grpc.add_UpstreamServiceServicer_to_server, catalogue, "penstock.upstream.v1.UpstreamService"
    )
    port = await server.start()
    grown = replace(config, upstream_address=f"127.0.0.1:{port}")
    try:
        async with desk_of(grown, identities, bus, log) as desk:
            await bus.publish([published("acme", 1)])
            await until_suspended(desk, "empty", acme="unpaid")
            held, free = await desk.mesh.submitted("acme"), await desk.mesh.submitted("other")
            catalogue.names = ["empty", "http"]
            assert [call.job_id for call in await desk.mesh.lease(2)] == [free]
            await desk.waiting(held)
            assert await desk.mesh.lease(2, wait_s=0.3) == []
            assert await suspended(desk) == {"acme": "unpaid"}
            await bus.publish([published("acme", 2, None)])
            assert (await desk.mesh.call()).job_id == held
    finally:
        await server.drain(timedelta(seconds=1))


async def test_a_notice_that_comes_after_a_newer_one_changes_nothing(desk: Desk) -> None:
    bus = desk.mesh.bus
    await bus.publish([published("acme", 2, None), published("acme", 1)])
    await bus.publish([published("other", 5), published("other", 4, None), published("other", 3, "an older reason")])
    newest = await bus.newest(streams.NOTICES, streams.notice_subject("*"))

    async def all_heard() -> bool:
        return await bus.acknowledged(streams.NOTICES, CONSUMER.durable_name or "") == newest

    await eventually(all_heard)
    await until_suspended(desk, other="unpaid")
    free, held = await desk.mesh.submitted("acme"), await desk.mesh.submitted("other")
    await desk.waiting(held, tenant="other")
    assert [call.job_id for call in await desk.mesh.lease(2)] == [free]
    assert await desk.mesh.lease(wait_s=0.2) == []


async def test_a_suspension_that_was_told_while_no_scheduler_ran_holds_as_soon_as_one_does(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    await bus.publish([published("acme", 1)])
    async with desk_of(config, identities, bus, log) as desk:
        await until_suspended(desk, acme="unpaid")
    await redis.flushall()  # and one that starts on an empty Redis knows of it from its disk
    async with desk_of(config, identities, bus, log) as desk:
        held, free = await desk.mesh.submitted("acme"), await desk.mesh.submitted("other")
        assert [call.job_id for call in await desk.mesh.lease(2)] == [free]
        await desk.waiting(held)
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
        for revision in range(1, 8):
            await bus.publish([published("acme", revision, "unpaid" if revision % 2 else None)])
        for desk in desks:
            await until_suspended(desk, acme="unpaid")
        job_id = await desks[0].mesh.submitted("acme")
        for desk in desks:
            await desk.waiting(job_id)
            assert await desk.mesh.lease(wait_s=0.2) == []
        await bus.publish([published("acme", 8, None)])
        assert (await desks[1].mesh.call()).job_id == job_id
