"""QueueService on real servers: what is set holds, survives, and is shown to whom it belongs."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import queues_pb2, queues_pb2_grpc, scheduler_pb2

from services.scheduler.__main__ import serve
from shared.errors import JobNotFound
from shared.permissions import ADMIN_SCOPES, Scope
from tests.integration.scheduler.conftest import calling
from tests.service import channel, running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.scheduler.config import Config
    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.scheduler.conftest import JobsLog, Mesh

OPERATOR = frozenset({*ADMIN_SCOPES, Scope.OPERATOR})


@dataclass
class Desk:
    """The service as its callers see it, and what is around the scheduler."""

    mesh: Mesh
    address: str
    identities: Identities
    stack: AsyncExitStack

    async def of(self, tenant: str = "acme", *, operator: bool = False) -> queues_pb2_grpc.QueueServiceAsyncStub:
        """Called with a key of this tenant."""
        token = self.identities.mint(tenant, OPERATOR if operator else ADMIN_SCOPES)
        connection = await self.stack.enter_async_context(channel(self.address, token))
        return cast("queues_pb2_grpc.QueueServiceAsyncStub", queues_pb2_grpc.QueueServiceStub(connection))

    async def explain(self, job_id: str, tenant: str = "acme") -> jobs_pb2.JobExplanation:
        """As intake asks."""
        return await self.mesh.intake.Explain(scheduler_pb2.ExplainRequest(job_id=job_id, tenant=tenant), timeout=30)

    async def waiting(self, *job_ids: str, tenant: str = "acme") -> None:
        """Returns when these jobs are in the queue."""
        for job_id in job_ids:
            await eventually(lambda job_id=job_id: self._known(job_id, tenant), what=f"{job_id} in the queue")

    async def _known(self, job_id: str, tenant: str) -> bool:
        try:
            explanation = await self.explain(job_id, tenant)
        except JobNotFound:
            return False
        return explanation.state != jobs_pb2.Job.STATE_UNSPECIFIED  # as it is while the queue is made


@asynccontextmanager
async def desk_of(config: Config, identities: Identities, bus: Bus, log: JobsLog) -> AsyncIterator[Desk]:
    async with (
        AsyncExitStack() as stack,
        running("scheduler", serve, config) as address,
        calling(address, identities, bus, log) as mesh,
    ):
        yield Desk(mesh, address, identities, stack)


@pytest.fixture
async def desk(config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog) -> AsyncIterator[Desk]:
    async with desk_of(config, identities, bus, log) as desk:
        yield desk


def rate(calls: int, seconds: int) -> queues_pb2.QueueSettings:
    """Settings with a limit for each lane."""
    settings = queues_pb2.QueueSettings()
    settings.limits.lane.rates.add(calls=calls).window.FromTimedelta(timedelta(seconds=seconds))
    return settings


async def test_each_tenant_sees_the_depth_of_its_own_jobs_and_an_operator_all(desk: Desk) -> None:
    own = [await desk.mesh.submitted(priority=jobs_pb2.Job.HIGH), await desk.mesh.submitted(connection_id="con_1")]
    own.append(await desk.mesh.submitted(delay=timedelta(hours=1), connection_id="con_1"))
    other = await desk.mesh.submitted("other", connection_id="con_2")
    await desk.waiting(*own)
    await desk.waiting(other, tenant="other")
    asked = queues_pb2.GetQueueRequest(upstream="http")

    acme = await (await desk.of()).GetQueue(asked)
    assert acme.depth == queues_pb2.Depth(ready=2, delayed=1, high=1, normal=2)
    assert [(lane.tenant, lane.lane, lane.waiting) for lane in acme.lanes] == [("acme", "con_1", 2), ("acme", "-", 1)]
    assert acme.HasField("oldest_waiting_since")
    theirs = await (await desk.of("other")).GetQueue(asked)
    assert (theirs.depth.ready, [lane.lane for lane in theirs.lanes]) == (1, ["con_2"])

    operator = await desk.of("staff", operator=True)
    whole = await operator.GetQueue(queues_pb2.GetQueueRequest(upstream="http", tenant="-"))
    assert (whole.tenant, whole.depth.ready, whole.depth.delayed, whole.tenants) == ("", 3, 1, 2)
    assert {lane.tenant for lane in whole.lanes} == {"acme", "other"}
    listed = await operator.ListQueues(queues_pb2.ListQueuesRequest(tenant="acme"))
    assert {queue.upstream: queue.depth.ready for queue in listed.queues} == {"empty": 0, "http": 2}
    assert all(not queue.lanes for queue in listed.queues)


async def test_a_paused_lane_is_given_no_lease_until_it_is_resumed(desk: Desk) -> None:
    acme = await desk.of()
    await acme.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", lane="con_1", reason="token exchanged"))
    held = await desk.mesh.submitted(connection_id="con_1")
    free = await desk.mesh.submitted(connection_id="con_2")
    assert [call.job_id for call in await desk.mesh.lease(2)] == [free]
    explanation = await desk.explain(held)
    assert [(hold.kind, hold.scope) for hold in explanation.holds] == [(jobs_pb2.Hold.PAUSED, "lane")]
    assert "token exchanged" in explanation.summary
    assert not explanation.HasField("estimated_start_at")
    resumed = await acme.ResumeQueue(queues_pb2.ResumeQueueRequest(upstream="http", lane="con_1"))
    assert list(resumed.pauses) == []
    assert [call.job_id for call in await desk.mesh.lease(2)] == [held]


async def test_who_waits_for_leases_is_served_as_soon_as_the_queue_is_resumed(desk: Desk) -> None:
    operator = await desk.of(operator=True)
    await operator.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", tenant="-"))
    job_id = await desk.mesh.submitted("other")
    assert await desk.mesh.lease(wait_s=0.2) == []
    await operator.ResumeQueue(queues_pb2.ResumeQueueRequest(upstream="http", tenant="-"))
    assert (await desk.mesh.call()).job_id == job_id


async def test_limits_that_are_set_hold_at_once_and_count_what_was_called_before(desk: Desk) -> None:
    operator = await desk.of(operator=True)
    await operator.SetQueueSettings(queues_pb2.SetQueueSettingsRequest(upstream="http", settings=rate(100, 3600)))
    jobs = [await desk.mesh.submitted(connection_id="con_1") for _ in range(3)]
    await desk.waiting(*jobs)
    assert [call.job_id for call in await desk.mesh.lease(2)] == jobs[:2]
    await operator.SetQueueSettings(queues_pb2.SetQueueSettingsRequest(upstream="http", settings=rate(2, 3600)))
    assert await desk.mesh.lease(wait_s=0.2) == []
    queue = await (await desk.of()).GetQueue(queues_pb2.GetQueueRequest(upstream="http"))
    (budget,) = queue.lanes[0].budgets
    assert (budget.scope, list(budget.used), budget.running) == ("lane", [2], 2)
    (hold,) = (await desk.explain(jobs[2])).holds
    assert (hold.kind, hold.scope) == (jobs_pb2.Hold.RATE, "lane")
    assert "2 calls of the lane con_1 may begin in any 3600 s" in hold.message
    back = queues_pb2.SetQueueSettingsRequest(upstream="http", settings=queues_pb2.QueueSettings())
    await operator.SetQueueSettings(back)
    assert (await desk.mesh.call()).job_id == jobs[2]


async def test_what_was_set_outlives_its_replica_and_holds_in_a_redis_that_was_emptied(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    settings = rate(1, 3600)
    settings.weights["acme"] = 3
    async with desk_of(config, identities, bus, log) as desk:
        operator = await desk.of(operator=True)
        await operator.SetQueueSettings(queues_pb2.SetQueueSettingsRequest(upstream="http", settings=settings))
        await operator.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", tenant="other", reason="abuse"))
    await redis.flushall()
    async with desk_of(config, identities, bus, log) as desk:
        operator = await desk.of(operator=True)
        assert await operator.GetQueueSettings(queues_pb2.GetQueueSettingsRequest(upstream="http")) == settings
        whole = queues_pb2.GetQueueRequest(upstream="http", tenant="-")

        async def paused() -> list[tuple[str, str]]:
            return [(pause.tenant, pause.reason) for pause in (await operator.GetQueue(whole)).pauses]

        await eventually(paused)
        assert await paused() == [("other", "abuse")]
        for _ in range(2):
            await desk.mesh.submitted(connection_id="con_1")
        await desk.mesh.submitted("other")
        assert [call.tenant for call in await desk.mesh.lease(3)] == ["acme"]
        assert await desk.mesh.lease(3, wait_s=0.2) == []


async def test_settings_set_at_one_replica_are_known_to_the_other(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    async with desk_of(config, identities, bus, log) as first, desk_of(config, identities, bus, log) as second:
        settings = rate(5, 60)
        one, other = await first.of(operator=True), await second.of(operator=True)
        await one.SetQueueSettings(queues_pb2.SetQueueSettingsRequest(upstream="http", settings=settings))
        assert await other.GetQueueSettings(queues_pb2.GetQueueSettingsRequest(upstream="http")) == settings
        await one.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", lane="con_1"))
        await other.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", lane="con_2"))
        for replica in (one, other):
            queue = await replica.GetQueue(queues_pb2.GetQueueRequest(upstream="http"))
            assert [pause.lane for pause in queue.pauses] == ["con_1", "con_2"]


async def test_what_is_anothers_needs_the_operators_scope(desk: Desk) -> None:
    acme = await desk.of()
    for call in (
        acme.GetQueue(queues_pb2.GetQueueRequest(upstream="http", tenant="other")),
        acme.ListQueues(queues_pb2.ListQueuesRequest(tenant="-")),
        acme.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", tenant="-")),
        acme.ResumeQueue(queues_pb2.ResumeQueueRequest(upstream="http", tenant="other")),
        acme.GetQueueSettings(queues_pb2.GetQueueSettingsRequest(upstream="http")),
        acme.SetQueueSettings(queues_pb2.SetQueueSettingsRequest(upstream="http", settings=rate(1, 1))),
        acme.RecoverQueue(queues_pb2.RecoverQueueRequest(upstream="http")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "'operator'" in (refused.value.details() or "")


async def test_an_upstream_that_is_none_is_not_found(desk: Desk) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (await desk.of()).GetQueue(queues_pb2.GetQueueRequest(upstream="flicker"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_explanation_of_a_job_is_its_tenants_alone(desk: Desk) -> None:
    first, second = [await desk.mesh.submitted() for _ in range(2)]
    await desk.waiting(first, second)
    explanation = await desk.explain(second)
    assert (explanation.job_id, explanation.state) == (second, jobs_pb2.Job.QUEUED)
    assert list(explanation.holds) == []
    assert (explanation.place.ahead_in_lane, explanation.place.waiting_of_tenant) == (1, 2)
    assert explanation.summary.startswith("nothing holds it back but its turn: 1 job of its lane is before it")
    with pytest.raises(JobNotFound):
        await desk.explain(second, "other")


async def test_an_operator_has_a_queue_rebuilt_and_no_job_of_it_is_lost(desk: Desk) -> None:
    jobs = [await desk.mesh.submitted(connection_id="con_1") for _ in range(3)]
    await desk.waiting(*jobs)
    operator = await desk.of(operator=True)
    await operator.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", tenant="other"))
    await operator.RecoverQueue(queues_pb2.RecoverQueueRequest(upstream="http"))
    whole = queues_pb2.GetQueueRequest(upstream="http", tenant="-")

    async def whole_again() -> bool:
        queue = await operator.GetQueue(whole)
        return not queue.recovering and queue.depth.ready == len(jobs)

    await eventually(whole_again)
    assert [pause.tenant for pause in (await operator.GetQueue(whole)).pauses] == ["other"]
    assert [call.job_id for call in await desk.mesh.lease(3)] == jobs
