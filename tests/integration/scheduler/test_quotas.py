"""What an upstream allows is used up, and not exceeded."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.scheduler.v1 import queues_pb2

from tests.fakes.metered_far_end import metered_far_end
from tests.fakes.queue_bench import START_MS, Driver, RedisBench, budget
from tests.fakes.queue_workers import Workers
from tests.integration.scheduler.working import working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from services.scheduler.config import Config
    from shared import kv
    from shared.bus import Bus
    from tests.fakes.metered_far_end import MeteredFarEnd
    from tests.identities import Identities
    from tests.integration.scheduler.conftest import JobsLog
    from tests.integration.scheduler.working import Working

#: Thousands of calls are made here, of lines that run in other tests too.
pytestmark = pytest.mark.usefixtures("redis", "uncounted")

TOKENS = [f"con_{number}" for number in range(10)]
JOBS = 1000
#: What the far end allows each token.
ALLOWANCE, WINDOW_S = 35, 6


@pytest.fixture
async def work(
    config: Config, identities: Identities, bus: Bus, log: JobsLog, tmp_path: Path
) -> AsyncIterator[Working]:
    """A scheduler and a worker."""
    async with working(config, identities, bus, log, tmp_path) as around:
        yield around


async def all_called(work: Working, far: MeteredFarEnd) -> None:
    """A thousand jobs over ten tokens succeed, with less than one refusal in a thousand calls."""
    jobs = [work.job(f"{far.url}/{TOKENS[n % 10]}", TOKENS[n % 10]) for n in range(JOBS)]
    await work.succeeded(await work.submit(jobs), within=150)
    assert far.hits.total() >= JOBS
    assert far.refused.total() / far.hits.total() < 0.001, f"refused: {far.refused}"


async def test_an_upstream_that_tells_its_quota_refuses_nothing(
    work: Working,
) -> None:
    """With no limit set but that of calls at a time, which every lane of `http` has."""
    async with metered_far_end(ALLOWANCE, WINDOW_S, tells=True) as far:
        await all_called(work, far)


async def test_an_upstream_whose_limit_is_known_refuses_nothing_though_it_tells_nothing(
    work: Working,
) -> None:
    """It counts any span of time; the operator leaves a margin for what the way there may vary by."""
    settings = queues_pb2.QueueSettings()
    settings.limits.lane.rates.add(calls=ALLOWANCE).window.FromTimedelta(timedelta(seconds=4))
    async with metered_far_end(ALLOWANCE, 2, sliding=True) as far:
        await work.set(settings)
        await all_called(work, far)


async def test_without_either_the_far_end_refuses_many(
    work: Working,
) -> None:
    """So that the two above can fail."""
    async with metered_far_end(1, 600, sliding=True) as far:
        await work.submit([work.job(f"{far.url}/{token}", token) for token in TOKENS for _ in range(2)])
        await work.refusals(far, 10)


@pytest.mark.parametrize("service_ms", [5, 300])
async def test_more_than_95_percent_of_an_allowance_is_used(redis: kv.Client, service_ms: int) -> None:
    """By the queue's own leases: each token has work all the time, and workers enough."""
    bench = RedisBench(redis)
    await bench.set_clock(START_MS)
    q = Driver(bench)
    await q.configure(lane=budget((ALLOWANCE, WINDOW_S)))
    workers = Workers(q, 100, timedelta(milliseconds=service_ms))
    windows = 20
    for token in TOKENS:
        workers.arrive(timedelta(0), [q.job(lane=token) for _ in range(ALLOWANCE * windows)])
    grants = await workers.work(timedelta(seconds=WINDOW_S * windows))
    by_token = Counter(grant.job.lane for grant in grants)
    assert min(by_token.values()) > 0.95 * ALLOWANCE * windows
    for token in TOKENS:
        times = [grant.at_ms for grant in grants if grant.job.lane == token]
        assert all(
            later - earlier >= WINDOW_S * 1000 for earlier, later in zip(times, times[ALLOWANCE:], strict=False)
        ), "more than is allowed within some span"
