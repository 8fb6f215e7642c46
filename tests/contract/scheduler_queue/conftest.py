"""Every queue, the fake in memory and the real one in Redis: each test of this folder is run on both."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.fakes.queue_bench import START_MS, Driver, FakeBench, RedisBench

if TYPE_CHECKING:
    from shared import kv
    from tests.fakes.queue_bench import Bench

SECOND = timedelta(seconds=1)


@pytest.fixture
def fake() -> Bench:
    return FakeBench()


@pytest.fixture
def real(redis: kv.Client) -> Bench:
    return RedisBench(redis)


@pytest.fixture(params=["fake", "real"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def q(bench: Bench) -> Driver:
    await bench.set_clock(START_MS)
    return Driver(bench)
