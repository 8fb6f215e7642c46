"""Redis dies again and again under load, each time with some of its last writes: nothing is lost, and nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.jobs.v1 import jobs_pb2

from services.scheduler.domain import Fence, State
from shared.errors import LeaseLost, Unavailable
from tests.integration.scheduler.conftest import error, submission, submitted
from tests.integration.scheduler.recovery.replica import UPSTREAM, stopped
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.scheduler.leases import Granted
    from tests.integration.scheduler.conftest import JobsLog
    from tests.integration.scheduler.recovery.lossy_redis import LossyRedis
    from tests.integration.scheduler.recovery.replica import Replica

JOBS = 400
LOSSES = 4
#: So long that no attempt here outlasts it, so short that a lease whose answer was lost soon runs out.
TIMEOUT = timedelta(seconds=2)
TERMINAL = {state for state in State if state.terminal}


class Calls:
    """Every call that workers have made, by job."""

    def __init__(self) -> None:
        self.fences: defaultdict[str, list[Fence]] = defaultdict(list)

    async def work(self, replica: Replica, chance: random.Random) -> None:
        """Leases, begins what is not idempotent, calls and reports, until canceled."""
        while True:
            try:
                for granted in await replica.leases.give(UPSTREAM, 4, wait=timedelta(seconds=1), worker="w"):
                    if granted.lease.idempotent or await begun(replica, granted):
                        self.fences[granted.lease.key.job_id].append(granted.lease.key.fence)
                        await replica.report(granted, error(retryable=True) if chance.random() < 0.2 else None)
            except Unavailable:  # Redis is away, or is being rebuilt
                await asyncio.sleep(0)


async def begun(replica: Replica, granted: Granted) -> bool:
    """Whether the attempt may be made; asks until it is told."""
    while True:
        try:
            await replica.leases.begin(UPSTREAM, granted.lease.key)
        except LeaseLost:
            return False
        except Unavailable:
            await asyncio.sleep(0)
        else:
            return True


@pytest.mark.usefixtures("uncounted")
async def test_each_job_ends_once_though_redis_loses_its_last_writes_again_and_again(
    replicas: list[Replica], lossy: LossyRedis, log: JobsLog
) -> None:
    chance = random.Random(4)
    calls = Calls()
    jobs = [
        submission(
            f"tenant-{n % 5}", connection_id=f"con_{n % 7}", idempotent=n % 3 > 0, timeout=TIMEOUT, max_attempts=20
        )
        for n in range(JOBS)
    ]

    def ended(count: int) -> bool:
        return (
            sum(bool(TERMINAL & {State(each.state) for each in log.events.get(job.job_id, ())}) for job in jobs)
            >= count
        )

    async with AsyncExitStack() as stack:
        for each in replicas:
            await stack.enter_async_context(each.running())
            await each.wholeness.seen(UPSTREAM)
        workers = [asyncio.create_task(calls.work(each, chance)) for each in replicas for _ in range(2)]
        stack.push_async_callback(stopped, workers)
        per_loss = JOBS // (LOSSES + 1)
        for loss in range(LOSSES):
            await replicas[0].bus.publish([submitted(job) for job in jobs[loss * per_loss : (loss + 1) * per_loss]])
            await eventually(lambda loss=loss: ended(loss * per_loss + per_loss // 2), within=150, what="half of them")
            await lossy.kill()
            await lossy.restart(keep=chance.randint(lossy.size // 2, lossy.size) if loss < LOSSES - 1 else 0)
        await replicas[0].bus.publish([submitted(job) for job in jobs[LOSSES * per_loss :]])
        await eventually(lambda: ended(JOBS), within=150, what="all to end")

    for job in jobs:
        events = {(event.revision, event.state, str(event.fence)) for event in log.events[job.job_id]}
        ends = [state for _, state, _ in events if state in TERMINAL]
        assert len(ends) == 1, f"{job.job_id} ended as {[jobs_pb2.Job.State.Name(state) for state in ends]}"
        assert max(events)[1] == ends[0], f"{job.job_id} went on after its end: {sorted(events)}"
        fences = calls.fences[job.job_id]
        assert fences == sorted(set(fences), key=lambda fence: (fence.epoch, fence.count))
        if not job.submission.idempotent:
            states = [event.state for event in log.events[job.job_id]]
            assert len(fences) <= 1 + states.count(jobs_pb2.Job.RETRYING), f"{job.job_id} was called again"
    assert sum(bool(fences) for fences in calls.fences.values()) > JOBS // 2
