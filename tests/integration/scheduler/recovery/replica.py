"""The parts of a scheduler without a process around them: a test can stop them anywhere."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.scheduler.checkpoints import Checkpoints
from services.scheduler.domain import QueueSettings
from services.scheduler.joblog import JobLog
from services.scheduler.latecomers import Latecomers
from services.scheduler.leases import Leases
from services.scheduler.outbox import Outbox
from services.scheduler.outcomes import Outcomes
from services.scheduler.queue import RedisQueue
from services.scheduler.rebuild import Rebuild
from services.scheduler.recovery import Recovery
from services.scheduler.submissions import Submissions
from services.scheduler.sweep import Sweeper
from services.scheduler.upstreams import QueueKeeper
from services.scheduler.wholeness import Wholeness
from services.scheduler.work import Work
from shared import streams
from shared.bus import Bus, Outgoing
from shared.errors import Unavailable
from tests.integration.scheduler.conftest import submission, submitted
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence

    from services.scheduler.leases import Granted
    from services.scheduler.rebuild import Session
    from services.scheduler.replay import Chapter
    from shared import kv
    from shared.bus import Bucket, Unit

UPSTREAM = "http"
SETTINGS = QueueSettings(lease_margin=timedelta(milliseconds=500), outbox_delay=timedelta(milliseconds=100))
#: Of attempts that a test reports: they outlast a slow machine.
LONG = timedelta(seconds=60)


class WatchedBus(Bus):
    """A bus on which a test may come in between before something is published."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus._client, bus._reconnects)
        self.before_publish: Callable[[], Awaitable[None]] | None = None

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.before_publish is not None:
            await self.before_publish()
        await super().publish(messages)

    async def publish_units(self, units: Sequence[Unit]) -> None:
        if self.before_publish is not None:
            await self.before_publish()
        await super().publish_units(units)


class WatchedRebuild(Rebuild):
    """A rebuild that a test may hold up, or break off, before any of its steps."""

    before_restore: Callable[[Sequence[Chapter]], Awaitable[None]] | None = None

    async def restore(
        self, upstream: str, session: Session, chapters: Sequence[Chapter], *, acked: int, epoch: int
    ) -> int:
        if self.before_restore is not None:
            await self.before_restore(chapters)
        return await super().restore(upstream, session, chapters, acked=acked, epoch=epoch)


async def stopped(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancels tasks that go on for ever; raises what one of them has failed with before."""
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


class Replica:
    """One scheduler."""

    def __init__(self, redis: kv.Client, bus: Bus, bucket: Bucket) -> None:
        self.redis: Any = redis
        self.bus = WatchedBus(bus)
        self.queue = RedisQueue(redis, SETTINGS)
        self.log = JobLog(self.bus)
        self.outbox = Outbox(queue=self.queue, log=self.log)
        self.signals = Work(self.bus)
        self.leases = Leases(queue=self.queue, log=self.log, outbox=self.outbox, signals=self.signals)
        self.rebuild = WatchedRebuild(redis, SETTINGS)
        self.checkpoints = Checkpoints(bucket)
        self.recovery = Recovery(
            bus=self.bus,
            rebuild=self.rebuild,
            checkpoints=self.checkpoints,
            outbox=self.outbox,
            signals=self.signals,
        )
        self.wholeness = Wholeness(
            bus=self.bus, rebuild=self.rebuild, checkpoints=self.checkpoints, recovery=self.recovery
        )
        self.latecomers = Latecomers(bus=self.bus, rebuild=self.rebuild, recovery=self.recovery)
        self.keeper = QueueKeeper(
            bus=self.bus,
            submissions=Submissions(queue=self.queue, log=self.log, outbox=self.outbox, signals=self.signals),
            outcomes=Outcomes(queue=self.queue, log=self.log, signals=self.signals),
            sweeper=Sweeper(
                queue=self.queue, outbox=self.outbox, signals=self.signals, interval=timedelta(milliseconds=50)
            ),
            wholeness=self.wholeness,
            latecomers=self.latecomers,
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """All of it."""
        tasks = {asyncio.create_task(self.keeper.run(UPSTREAM)), asyncio.create_task(self.log.run())}
        try:
            yield
        finally:
            await stopped(tasks)

    async def submit(self, **fields: Any) -> str:
        """A job's id."""
        event = submission(**fields)
        await self.bus.publish([submitted(event)])
        return event.job_id

    async def give(self, *, begin: bool = True) -> Granted:
        """The lease of the next job, begun."""
        while True:
            try:
                granted = await self.leases.give(UPSTREAM, 1, wait=timedelta(seconds=10), worker="w")
            except Unavailable:
                continue
            if granted:
                break
        if begin and not granted[0].lease.idempotent:
            await self.leases.begin(UPSTREAM, granted[0].lease.key)
        return granted[0]

    async def report(
        self,
        granted: Granted,
        failure: jobs_pb2.JobError | None = None,
        *,
        uncounted: bool = False,
        from_cache: bool = False,
    ) -> None:
        """Publishes how an attempt came out."""
        key = granted.lease.key
        attempt = events_pb2.Attempt(
            job_id=key.job_id,
            upstream=UPSTREAM,
            fence=events_pb2.Fence(epoch=key.fence.epoch, count=key.fence.count),
            error=failure,
            result=jobs_pb2.JobResult(size=1, from_cache=from_cache) if failure is None else None,
            uncounted=uncounted,
        )
        message = Outgoing(
            subject=streams.attempt_subject(UPSTREAM),
            payload=attempt.SerializeToString(),
            message_id=f"{key.job_id}:{key.fence}",
        )
        await self.bus.publish([message])

    async def known(self, job_id: str) -> bool:
        """Whether the queue knows the job."""
        return bool(await self.redis.exists(f"{{sched:{UPSTREAM}}}:job:{job_id}"))

    async def contents(self) -> dict[str, Any]:
        """All that the queue holds, but for what says when it was looked at."""
        start = f"{{sched:{UPSTREAM}}}:"
        found: dict[str, Any] = {}
        async for key in self.redis.scan_iter(match=f"{start}*"):
            name = key.decode().removeprefix(start)
            if name in {"epoch", "turn"} or name.startswith(("turns:", "lanes:")):
                continue
            match await self.redis.type(key):
                case b"string":
                    found[name] = await self.redis.get(key)
                case b"hash":
                    found[name] = await self.redis.hgetall(key)
                case _ if name == "leases":  # a restored lease runs from its restoration
                    found[name] = set(await self.redis.zrange(key, 0, -1))
                case _:
                    found[name] = dict(await self.redis.zrange(key, 0, -1, withscores=True))
        return found


async def enqueued(replica: Replica, *job_ids: str) -> None:
    """Returns when the queue knows the jobs, and NATS that it does."""

    async def acknowledged() -> bool:
        newest = await replica.bus.newest("JOBS", "jobs.submitted.http")
        return await replica.bus.acknowledged("JOBS", "scheduler-submitted-http") >= newest

    for job_id in job_ids:
        await eventually(lambda job_id=job_id: replica.known(job_id), what=f"{job_id} in the queue")
    await eventually(acknowledged, what="all submissions acknowledged")


async def open_again(replica: Replica, *, after: int) -> int:
    """The epoch, when the queue was opened after the one given."""

    async def epoch() -> int:
        found = await replica.redis.hmget(f"{{sched:{UPSTREAM}}}:epoch", "epoch", "run")
        return int(found[0]) if found[1] and int(found[0]) > after else 0

    return await eventually(epoch, what="the queue to be opened again")


async def work_off(replica: Replica, jobs: int) -> list[Granted]:
    """Calls of that many jobs, all of which succeed."""
    calls = []
    for _ in range(jobs):
        calls.append(await replica.give())
        await replica.report(calls[-1])
    return calls


async def is_true(ask: Callable[[], Awaitable[object]], expected: object) -> bool:
    return await ask() == expected
