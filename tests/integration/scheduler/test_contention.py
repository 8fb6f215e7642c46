"""Limits hold across replicas: many lease from one queue at once, each over its own connection, by Redis' clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from services.scheduler.domain import Outcome, QueueSettings
from services.scheduler.limits import Limits, Rules
from services.scheduler.queue import RedisQueue
from shared import kv
from shared.config import Secret
from tests.fakes.open_queue import open_queue
from tests.fakes.queue_bench import UPSTREAM, Driver, FakeBench, budget

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from services.scheduler.domain import Lease, NewJob
    from services.scheduler.queue import Queue

REPLICAS = 6
LANES = 4
JOBS = 240
#: Of a lane: calls at a time, and calls begun within a second.
CONCURRENCY, CALLS = 2, 12


@asynccontextmanager
async def replicas(redis: kv.Client, redis_url: str) -> AsyncGenerator[list[Queue]]:
    """So many of them on one queue."""
    await open_queue(redis, UPSTREAM)
    async with AsyncExitStack() as stack:
        queues: list[Queue] = []
        for _ in range(REPLICAS):
            client = await kv.connect(Secret(redis_url))
            stack.push_async_callback(kv.close, client)
            queues.append(RedisQueue(client, QueueSettings()))
        yield queues


def jobs() -> list[NewJob]:
    """Jobs of several lanes, in one order."""
    driver = Driver(FakeBench())
    return [driver.job(lane=f"con_{n % LANES}") for n in range(JOBS)]


@pytest.mark.usefixtures("uncounted")
async def test_replicas_that_lease_at_the_same_time_exceed_no_limit_together(redis: kv.Client, redis_url: str) -> None:
    limits = Limits(
        lane=budget((CALLS, 1), concurrency=CONCURRENCY), upstream=budget(concurrency=LANES * CONCURRENCY - 1)
    )
    given: list[Lease] = []
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    all_jobs = jobs()
    lanes = {job.id: job.lane for job in all_jobs}

    async def work(queue: Queue) -> None:
        while len(given) < JOBS:
            leased = await queue.lease(UPSTREAM, 3, worker="w")
            given.extend(leased.leases)
            for lease in leased.leases:
                for scope in (lanes[lease.key.job_id], "upstream"):
                    running[scope] += 1
                    most[scope] = max(most[scope], running[scope])
            await queue.begin(UPSTREAM, [lease.key for lease in leased.leases])  # meanwhile the others lease
            for lease in leased.leases:
                for scope in (lanes[lease.key.job_id], "upstream"):
                    running[scope] -= 1
                await queue.finish(UPSTREAM, [Outcome(key=lease.key, succeeded=True)])

    async with replicas(redis, redis_url) as queues, asyncio.timeout(120):
        await queues[0].configure(UPSTREAM, Rules(limits=limits))
        await queues[0].enqueue(UPSTREAM, all_jobs)
        await asyncio.gather(*(work(queue) for queue in queues for _ in range(2)))
    assert Counter(lease.key.job_id for lease in given) == dict.fromkeys(lanes, 1)
    assert 1 < most["upstream"] <= LANES * CONCURRENCY - 1
    for lane in set(lanes.values()):
        assert most[lane] <= CONCURRENCY
        times = sorted(lease.started.time_ms for lease in given if lanes[lease.key.job_id] == lane)
        assert all(later - earlier >= 1000 for earlier, later in zip(times, times[CALLS:], strict=False))
