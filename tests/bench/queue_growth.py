"""How the cost of the queue grows: enqueue, lease, begin, finish at ever more queued jobs and lanes, in a real Redis.

Straight on `RedisQueue`, with every limit set and none reached: no stream, no RPC. A script's time is what Redis itself
counts for it, whatever this process is busy with; jobs per second are those that this one client gets through.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from deploy.local import layout, programs
from deploy.local.stack import Stack
from services.scheduler.domain import MAX_BATCH, NewJob, Outcome, Priority, QueueSettings
from services.scheduler.limits import Budget, Limits, Rate, Rules
from services.scheduler.queue import RedisQueue
from shared import ids, kv
from shared.config import Secret
from tests.fakes.open_queue import open_queue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence

    from services.scheduler.domain import Lease
    from services.scheduler.queue import Queue

_UPSTREAM = "noop"
_START_TIMEOUT_S = 60.0
_DAY_MS = 24 * 3600 * 1000
_MAX_TENANTS = 10
#: Jobs of one call that fills the queue.
_FILLED = 10 * MAX_BATCH
#: So often each step is measured, each time for the jobs of one script; the median counts, whatever came in between.
_ROUNDS = 25
_HIGH = Budget(rates=(Rate(calls=100_000_000, window=timedelta(minutes=1)),), concurrency=100_000_000)
_HIGH_LIMITS = Limits(upstream=_HIGH, classes={"read": _HIGH}, lane=_HIGH, lane_classes={"read": _HIGH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What the steps cost at one depth and number of lanes."""

    queued: int
    lanes: int
    #: Jobs per second, by step.
    per_second: dict[str, float]
    #: Microseconds of Redis' time a job, by step.
    script_us: dict[str, float]
    #: Of Redis' memory.
    bytes_per_job: float


def measure(*, queued: Sequence[int], lanes: Sequence[int]) -> Iterator[Growth]:
    """Measures at each number of lanes and each depth.

    Args:
        queued: In ascending order.
        lanes: Of all tenants together.
    """
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    stack = Stack(layout.on_free_ports(folder, programs.PORTS))
    redis = [program for program in programs.PROGRAMS if program.name == "redis"]
    try:
        stack.start(redis, tied=True)
        stack.wait_until_ready(redis, timeout_s=_START_TIMEOUT_S)
        for number in lanes:
            yield from asyncio.run(_measure(stack.layout.redis_url, queued, number))
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(url: str, queued: Sequence[int], lanes: int) -> list[Growth]:
    found: list[Growth] = []
    async with _opened(url) as (client, queue):
        bench = _Bench(client, queue, lanes)
        empty = await bench.memory()
        for depth in queued:
            await bench.fill(depth)
            used, held = await bench.memory() - empty, bench.held
            costs = await bench.costs()
            found.append(
                Growth(
                    queued=depth,
                    lanes=lanes,
                    per_second={step: 1 / median(cost.seconds for cost in each) for step, each in costs.items()},
                    script_us={step: median(cost.script_us for cost in each) for step, each in costs.items()},
                    bytes_per_job=used / held,
                )
            )
    return found


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[tuple[Any, Queue]]:
    """An empty Redis, and the queue in it."""
    client: Any = await kv.connect(
        Secret(url)
    )  # the driver's own types know neither its commands' answers nor their fields
    try:
        await client.flushall()
        await open_queue(client, _UPSTREAM)
        queue = RedisQueue(client, QueueSettings())
        await queue.configure(_UPSTREAM, Rules(limits=_HIGH_LIMITS))
        yield client, queue
    finally:
        await kv.close(client)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    """Of one job."""

    seconds: float
    script_us: float


class _Bench:
    def __init__(self, client: Any, queue: Queue, lanes: int) -> None:
        self._client = client
        self._queue = queue
        self._lanes = lanes
        self._tenants = min(lanes, _MAX_TENANTS)
        self._made = 0
        self._queued = 0
        self._leases: Sequence[Lease] = ()

    @property
    def held(self) -> int:
        """Jobs that Redis holds: those that wait, and those that have ended and are remembered."""
        return self._made

    async def memory(self) -> int:
        return (await self._client.info("memory"))["used_memory"]

    async def fill(self, depth: int) -> None:
        while self._queued < depth:
            await self._enqueue(min(_FILLED, depth - self._queued))

    async def costs(self) -> dict[str, list[_Cost]]:
        """Each step's cost for a job, several times: leased, begun, finished; and as many enqueued: the depth stays."""
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            "enqueue": lambda: self._enqueue(MAX_BATCH),
            "lease": self._lease,
            "begin": self._begin,
            "finish": self._finish,
        }
        rounds = [{step: await self._cost(act) for step, act in steps.items()} for _ in range(_ROUNDS)]
        return {step: [each[step] for each in rounds] for step in steps}

    async def _cost(self, act: Callable[[], Awaitable[None]]) -> _Cost:
        await self._client.config_resetstat()
        began = time.perf_counter()
        await act()
        seconds = time.perf_counter() - began
        scripts = (await self._client.info("commandstats"))["cmdstat_evalsha"]
        return _Cost(seconds=seconds / MAX_BATCH, script_us=scripts["usec"] / MAX_BATCH)

    async def _enqueue(self, count: int) -> None:
        enqueued = await self._queue.enqueue(_UPSTREAM, [self._job() for _ in range(count)])
        assert enqueued.fresh == count
        self._queued += count

    async def _lease(self) -> None:
        leased = await self._queue.lease(_UPSTREAM, MAX_BATCH, worker="bench")
        assert len(leased.leases) == MAX_BATCH
        self._leases = leased.leases
        self._queued -= MAX_BATCH

    async def _begin(self) -> None:
        begun = await self._queue.begin(_UPSTREAM, [lease.key for lease in self._leases])
        assert all(begun)

    async def _finish(self) -> None:
        await self._queue.finish(_UPSTREAM, [Outcome(key=lease.key, succeeded=True) for lease in self._leases])

    def _job(self) -> NewJob:
        self._made += 1
        lane = self._made % self._lanes
        return NewJob(
            id=ids.new_job_id(_UPSTREAM),
            tenant=f"tenant-{lane % self._tenants}",
            lane=f"lane-{lane}.example",
            priority=Priority.NORMAL,
            method_class="read",
            idempotent=True,
            sequence=self._made,
            not_before_ms=0,
            expires_at_ms=int(time.time() * 1000) + _DAY_MS,
            max_attempts=3,
            initial_backoff_ms=1000,
            max_backoff_ms=60_000,
            timeout_ms=30_000,
            has_callback=False,
        )
