"""What the queue does to Redis: its clock, what is left, and how many commands a step takes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.scheduler.domain import Health, Outcome, QueueSettings
from services.scheduler.limits import BreakerPolicy, Quota, QuotaScope
from services.scheduler.queue import RedisQueue
from tests.fakes.open_queue import open_queue
from tests.fakes.queue_bench import START_MS, UPSTREAM, Driver, FakeBench, RedisBench, budget
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.scheduler.domain import Lease
    from shared import kv

SECOND = timedelta(seconds=1)


async def test_redis_own_clock_is_the_clock(redis: kv.Client) -> None:
    await open_queue(redis, UPSTREAM)
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
    names = {name.removeprefix("{sched:http}:") for name in await keys_of(redis)}
    left = {name for name in names if not name.startswith("job:")}
    assert left <= {"epoch", "virtual-time", "turn", "idle", "test-clock", "scope:upstream"}


async def test_what_is_counted_of_a_lane_is_kept_while_it_counts_and_forgotten_after(redis: kv.Client) -> None:
    """Kong #4076 and #5763: a key that is forgotten too early forgets calls, one without a time is never forgotten."""
    bench = RedisBench(redis)
    await bench.set_clock(START_MS)
    q = Driver(bench)
    await q.configure(lane=budget((5, 3600)))
    lease = await q.begun()
    key = "{sched:http}:scope:lane:acme:-"
    assert await redis.pttl(key) == -1, "with a lease out it is kept"
    await q.finish(lease.key, succeeded=True)
    assert 3600_000 <= await redis.pttl(key) < 3 * 3600_000


async def test_what_lifted_a_suspension_is_remembered_for_a_while(redis: kv.Client) -> None:
    bench = RedisBench(redis, QueueSettings(memory=timedelta(hours=1)))
    await bench.set_clock(START_MS)
    q = Driver(bench)
    for lane in ("", "con_1"):
        await q.suspend("acme", lane)
        await q.reinstate("acme", lane)
    lifted = sorted(name for name in await keys_of(redis) if ":lifted:" in name)
    assert lifted == ["{sched:http}:lifted:acme", "{sched:http}:lifted:acme:con_1"]
    assert all(0 < ttl_ms <= 3600_000 for ttl_ms in [await redis.pttl(name) for name in lifted])
    await q.suspend("acme", "con_1")
    assert not await redis.exists("{sched:http}:lifted:acme:con_1"), "the newer word says it"


async def test_a_job_and_rules_of_before_a_field_was_added_are_read(redis: kv.Client) -> None:
    bench = RedisBench(redis)
    await bench.set_clock(START_MS)
    q = Driver(bench)
    await q.configure(lane=budget((2, 60)))
    lease = await q.begun(max_attempts=1)
    shortened = """
      local job = cmsgpack.unpack(redis.call('GET', KEYS[1]))
      redis.call('SET', KEYS[1], cmsgpack.pack({ unpack(job, 1, 24) }))
      local rules = cmsgpack.unpack(redis.call('GET', KEYS[2]))
      rules.version, rules.digest = nil, nil
      redis.call('SET', KEYS[2], cmsgpack.pack(rules))
    """
    await redis.eval(shortened, 2, f"{{sched:http}}:job:{lease.key.job_id}", "{sched:http}:rules")  # type: ignore[misc]  the driver's types know no asyncio here
    fact = await q.finish(lease.key, retryable=True, uncounted=True, unspent=True, jitter=0.0)
    assert (fact.attempt, fact.uncounted) == (1, 1)
    await q.configure(lane=budget((2, 60)))
    await q.advance(SECOND)
    assert await q.leased_ids() == [lease.key.job_id]


async def keys_of(redis: kv.Client) -> list[str]:
    """All that there are."""
    names: list[Any] = await redis.keys("*")
    return [name.decode() for name in names]


async def commands_of(redis: kv.Client, step: Any) -> dict[str, int]:
    """How many commands of each kind the scripts of a step gave."""
    await redis.config_resetstat()
    await step()
    stats: dict[str, Any] = await redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): entry["calls"] for name, entry in stats.items()}
    return {
        name: count for name, count in calls.items() if name not in {"config|resetstat", "config", "info", "client"}
    }


async def crowded(redis: kv.Client, jobs: int) -> Driver:
    """So many jobs in a hundred lanes of five tenants, under limits of every kind; some lanes have no room."""
    await redis.flushdb()
    bench = RedisBench(redis)
    await bench.set_clock(START_MS)
    q = Driver(bench)
    wide = budget((10**6, 10), concurrency=10**5)
    await q.configure(
        upstream=wide,
        classes={"read": wide},
        lane=budget((10**6, 10), concurrency=1),
        lane_classes={"read": wide},
        breaker=BreakerPolicy(upstream=True),
        weights={"tenant-0": 3, "tenant-1": 2},
    )
    for start in range(0, jobs, 1000):
        await q.enqueue(*(q.job(f"tenant-{n % 5}", lane=f"con_{n % 100}") for n in range(start, start + 1000)))
    assert len(await q.lease(20)) == 20
    return q


async def steps_of(redis: kv.Client, q: Driver) -> dict[str, dict[str, int]]:
    """What each step of a queue gives in commands."""
    fresh = [q.job(f"tenant-{n % 5}", lane=f"con_{n % 20}") for n in range(10)]
    leases: list[Lease] = []

    async def lease() -> None:
        leases.extend(await q.lease(10))

    def outcomes() -> list[Outcome]:
        healths = (Health.HEALTHY, Health.THROTTLED, Health.FAILING)
        quota = Quota(scope=QuotaScope.LANE, remaining=1000, reset_after_ms=60_000)
        return [
            Outcome(
                key=each.key,
                succeeded=bool(n % 2),
                retryable=True,
                uncounted=n % 4 == 0,
                unspent=n < 4,
                health=healths[n % 3],
                quotas=(quota,),
            )
            for n, each in enumerate(leases)
        ]

    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "enqueue": lambda: q.enqueue(*fresh),
        "lease": lease,
        "begin": lambda: q.queue.begin(UPSTREAM, [each.key for each in leases]),
        "extend": lambda: q.queue.extend(UPSTREAM, [each.key for each in leases]),
        "explain": lambda: q.explain(fresh[0]),
        "view": q.view,
        "view of a tenant": lambda: q.view("tenant-2"),
        "finish": lambda: q.queue.finish(UPSTREAM, outcomes()),
        "cancel": lambda: q.cancel(fresh[0].id, fresh[0].tenant),
        "pause": lambda: q.pause("tenant-3", "con_8"),
        "resume": lambda: q.resume("tenant-3", "con_8"),
        "hold a lane": lambda: q.suspend("tenant-1", "con_6"),
        "let a lane go": lambda: q.reinstate("tenant-1", "con_6"),
        "suspend": lambda: q.suspend("tenant-4"),
        "lease among lanes without room": lambda: q.lease(30),  # so few that one sweep finds all of them lost
        "configure": q.configure,
        "sweep": q.sweep,
    }
    counts: dict[str, dict[str, int]] = {}
    for name, step in steps.items():
        counts[name] = await commands_of(redis, step)
    await q.advance(60 * SECOND)
    counts["sweep of lost leases"] = await commands_of(redis, q.sweep)
    return counts


async def test_a_step_gives_as_many_commands_at_thirty_thousand_queued_jobs_as_at_a_thousand(
    redis: kv.Client,
) -> None:
    await steps_of(redis, await crowded(redis, 1000))  # loads the scripts
    few = await steps_of(redis, await crowded(redis, 1000))
    many = await steps_of(redis, await crowded(redis, 30_000))
    assert few == many
    assert all(0 < sum(commands.values()) < 3000 for commands in few.values())


async def test_an_upstream_keeps_its_keys_under_its_own_hash_tag(redis: kv.Client) -> None:
    q = await crowded(redis, 1000)
    await steps_of(redis, q)
    assert all(name.startswith("{sched:http}:") for name in await keys_of(redis))
