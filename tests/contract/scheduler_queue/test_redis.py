"""What the queue does to Redis: its clock, what is left, and how many commands a step takes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.scheduler.domain import Outcome, QueueSettings
from services.scheduler.queue import RedisQueue
from tests.fakes.queue_bench import START_MS, UPSTREAM, Driver, FakeBench, RedisBench
from tests.waiting import eventually

if TYPE_CHECKING:
    from shared import kv

SECOND = timedelta(seconds=1)


async def test_redis_own_clock_is_the_clock(redis: kv.Client) -> None:
    queue = RedisQueue(redis, QueueSettings())
    await queue.enqueue(UPSTREAM, [Driver(FakeBench()).job()])
    (lease,) = (await queue.lease(UPSTREAM, 1, worker="w")).leases
    seconds, microseconds = await redis.time()  # type: ignore[misc]  the driver's types know no asyncio here
    assert 0 <= seconds * 1000 + microseconds // 1000 - lease.started.time_ms < 10_000


async def test_a_finished_job_and_a_mark_are_forgotten_in_time(redis: kv.Client) -> None:
    short = timedelta(milliseconds=20)
    bench = RedisBench(redis, QueueSettings(memory=short, cancel_mark=short))
    await bench.set_clock(START_MS)
    q = Driver(bench)
    lease = await q.begun()
    await q.finish(lease.key, succeeded=True)
    await q.cancel(q.job().id)

    async def forgotten() -> bool:
        return not await redis.keys("*:job:*") and not await redis.keys("*:cancel:*")

    await eventually(forgotten)


async def test_nothing_is_left_of_jobs_that_have_ended_but_what_is_remembered(redis: kv.Client) -> None:
    bench = RedisBench(redis)
    await bench.set_clock(START_MS)
    q = Driver(bench)
    await q.enqueue(*(q.job(f"tenant-{number % 7}", lane=f"con_{number % 3}") for number in range(60)))
    while leases := await q.lease():
        await q.queue.finish(UPSTREAM, [Outcome(key=lease.key, succeeded=True) for lease in leases])
    names = {name.decode().removeprefix("{sched:http}:").split(":")[0] for name in await redis.keys("*")}
    assert names <= {"job", "epoch", "virtual-time", "turn", "idle", "test-clock"}


async def commands_of(redis: kv.Client, step: Any) -> dict[str, int]:
    """How many commands of each kind the scripts of a step gave."""
    await redis.config_resetstat()
    await step()
    stats: dict[str, Any] = await redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): entry["calls"] for name, entry in stats.items()}
    return {
        name: count for name, count in calls.items() if name not in {"config|resetstat", "config", "info", "client"}
    }


async def test_a_step_gives_as_many_commands_at_ten_thousand_queued_jobs_as_at_a_hundred(redis: kv.Client) -> None:
    async def measured(queued: int) -> list[dict[str, int]]:
        await redis.flushdb()
        bench = RedisBench(redis)
        await bench.set_clock(START_MS)
        q = Driver(bench)
        for start in range(0, queued, 500):
            count = min(500, queued - start)
            await q.enqueue(*(q.job(f"tenant-{n % 5}", lane=f"con_{n % 20}") for n in range(count)))
        fresh = [q.job(f"tenant-{n % 5}", lane=f"con_{n % 20}") for n in range(10)]
        leases: list[Any] = []

        async def lease() -> None:
            leases.extend(await q.lease(10))

        return [
            await commands_of(redis, lambda: q.enqueue(*fresh)),
            await commands_of(redis, lease),
            await commands_of(redis, lambda: q.queue.begin(UPSTREAM, [each.key for each in leases])),
            await commands_of(redis, lambda: q.queue.extend(UPSTREAM, [each.key for each in leases])),
            await commands_of(
                redis,
                lambda: q.queue.finish(
                    UPSTREAM,
                    [Outcome(key=each.key, succeeded=bool(n % 2), retryable=True) for n, each in enumerate(leases)],
                ),
            ),
            await commands_of(redis, lambda: q.cancel(fresh[0].id, fresh[0].tenant)),
            await commands_of(redis, lambda: q.queue.sweep(UPSTREAM)),
        ]

    await measured(100)  # loads the scripts
    assert await measured(100) == await measured(10_000)
