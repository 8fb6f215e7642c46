"""Several schedulers and many workers: each job is called once, whoever gives the lease."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from penstock.scheduler.v1 import scheduler_pb2

from tests.integration.scheduler.conftest import scheduler, seconds
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.scheduler.config import Config
    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.scheduler.conftest import JobsLog, Mesh

JOBS = 500


async def work(mesh: Mesh, called: Counter[str]) -> None:
    """A worker: leases, begins what is not idempotent, and reports, until canceled."""
    request = scheduler_pb2.LeaseRequest(upstream="http", max_jobs=7, wait=seconds(10), worker="w")
    while True:
        answer = await mesh.worker.Lease(request, timeout=30)
        for call in answer.calls:
            if not call.submission.idempotent:
                await mesh.begin(call)
            called[call.job_id] += 1
            await mesh.report(call)


@pytest.mark.usefixtures("uncounted")
async def test_each_job_is_called_once_by_many_workers_of_two_schedulers(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(scheduler(config, identities, bus, log)) for _ in range(2)]
        called: Counter[str] = Counter()
        workers = [asyncio.create_task(work(replica, called)) for replica in replicas for _ in range(5)]
        jobs = [
            replicas[0].submission(f"tenant-{n % 5}", connection_id=f"con_{n % 11}", idempotent=n % 4 > 0)
            for n in range(JOBS)
        ]
        for start in range(0, JOBS, 100):
            await replicas[0].submit(*jobs[start : start + 100])
        await eventually(
            lambda: all(log.states(job.job_id)[-1:] == ["SUCCEEDED"] for job in jobs), within=150, what="all to succeed"
        )
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
    assert called == {job.job_id: 1 for job in jobs}
    assert all(log.states(job.job_id) == ["RUNNING", "SUCCEEDED"] for job in jobs)
    assert all([event.revision for event in log.events[job.job_id]] == [1, 2, 3] for job in jobs)
    assert await redis.zcard("{sched:http}:leases") == 0


async def test_a_replica_wakes_the_workers_that_wait_at_another(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    async with (
        scheduler(config, identities, bus, log) as one,
        scheduler(config, identities, bus, log) as other,
    ):
        waiting = [asyncio.create_task(mesh.lease(wait_s=20)) for mesh in (one, other)]
        await one.lease(wait_s=0)
        await other.lease(wait_s=0)
        jobs = {await one.submitted(), await one.submitted()}
        given = await asyncio.gather(*waiting)
        assert {call.job_id for calls in given for call in calls} == jobs
