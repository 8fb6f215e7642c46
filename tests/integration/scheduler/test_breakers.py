"""A lane that is throttled rests; the others go on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.scheduler.v1 import queues_pb2

from tests.fakes.metered_far_end import metered_far_end
from tests.integration.scheduler.working import working
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from services.scheduler.config import Config
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.scheduler.conftest import JobsLog
    from tests.integration.scheduler.working import Working

pytestmark = pytest.mark.usefixtures("redis")

#: Long enough for the other lanes' jobs on a slow machine.
PAUSE_S = 6


@pytest.fixture
async def work(
    config: Config, identities: Identities, bus: Bus, log: JobsLog, tmp_path: Path
) -> AsyncIterator[Working]:
    """A scheduler and a worker."""
    async with working(config, identities, bus, log, tmp_path) as around:
        yield around


@pytest.fixture
def settings() -> queues_pb2.QueueSettings:
    """One call of a lane at a time, and a breaker that opens at three refusals in a row."""
    settings = queues_pb2.QueueSettings()
    settings.limits.lane.concurrency = 1
    policy = settings.breaker
    policy.throttles, policy.failure_ratio, policy.min_calls = 3, 0.5, 20
    policy.throttle_pause.FromTimedelta(timedelta(seconds=PAUSE_S))
    policy.failure_pause.FromTimedelta(timedelta(seconds=PAUSE_S))
    policy.window.FromTimedelta(timedelta(seconds=60))
    policy.max_pause.FromTimedelta(timedelta(seconds=60))
    return settings


async def breaker_of(work: Working, lane: str) -> queues_pb2.Breaker | None:
    """The lane's, where it is not closed."""
    queue = await work.queues.GetQueue(queues_pb2.GetQueueRequest(upstream="http"), timeout=30)
    found = [each for each in queue.lanes if each.lane == lane and each.HasField("breaker")]
    return found[0].breaker if found else None


async def test_three_refusals_rest_a_lane_one_probe_goes_and_the_others_flow_on(
    work: Working, settings: queues_pb2.QueueSettings
) -> None:
    async with metered_far_end(10**6, 1) as far:
        await work.set(settings)
        far.throttled.add("bad")
        bad = await work.submit([work.job(f"{far.url}/bad", "bad") for _ in range(8)])
        opened = await eventually(lambda: breaker_of(work, "bad"), what="the lane's rest")
        assert opened is not None
        assert (opened.state, opened.cause) == (queues_pb2.Breaker.OPEN, "throttled")
        assert far.hits["bad"] == 3

        far.throttled.clear()
        far.held["bad"] = asyncio.Event()
        good = await work.submit([work.job(f"{far.url}/good-{n % 4}", f"good-{n % 4}") for n in range(20)])
        await work.succeeded(good)
        await eventually(lambda: far.hits["bad"] == 4, what="the probe")
        again = await work.submit([work.job(f"{far.url}/good-0", "good-0") for _ in range(5)])
        await work.succeeded(again)
        assert far.hits["bad"] == 4, "one call goes as a probe; the others wait for it"
        half_open = await breaker_of(work, "bad")
        assert half_open is not None
        assert half_open.state == queues_pb2.Breaker.HALF_OPEN

        far.held["bad"].set()
        await work.succeeded(bad)
        assert far.refused.total() == 3
        assert await breaker_of(work, "bad") is None
