"""What is lost between Redis and NATS is made good: every event comes, and none comes twice."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
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
from shared.errors import LeaseLost, Unavailable
from tests.integration.scheduler.conftest import error, run_out, submission, submitted
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from services.scheduler.leases import Granted
    from shared import kv
    from shared.bus import Bucket, Unit
    from tests.integration.scheduler.conftest import JobsLog

SETTINGS = QueueSettings(lease_margin=timedelta(seconds=30), outbox_delay=timedelta(milliseconds=100))
WAIT = timedelta(seconds=10)


class FailingBus(Bus):
    """A bus whose publishes fail as often as it is told to, as if the process had died before them."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus._client, [])
        self.failures = 0

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self._fail_if_told()
        await super().publish(messages)

    async def publish_units(self, units: Sequence[Unit]) -> None:
        self._fail_if_told()
        await super().publish_units(units)

    def _fail_if_told(self) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the publish fails, for the test wants it to")


class Parts:
    """The scheduler's parts over a bus that can fail, without a process around them."""

    def __init__(self, redis: kv.Client, bus: Bus, bucket: Bucket) -> None:
        self.bus = FailingBus(bus)
        self.queue = RedisQueue(redis, SETTINGS)
        self.log = JobLog(self.bus)
        self.outbox = Outbox(queue=self.queue, log=self.log)
        self.signals = Work(self.bus)
        self.leases = Leases(queue=self.queue, log=self.log, outbox=self.outbox, signals=self.signals)
        self.sweeper = Sweeper(
            queue=self.queue, outbox=self.outbox, signals=self.signals, interval=timedelta(milliseconds=30)
        )
        rebuild, checkpoints = Rebuild(redis, SETTINGS), Checkpoints(bucket)
        self.recovery = Recovery(
            bus=self.bus, rebuild=rebuild, checkpoints=checkpoints, outbox=self.outbox, signals=self.signals
        )
        self.keeper = QueueKeeper(
            bus=self.bus,
            submissions=Submissions(queue=self.queue, log=self.log, outbox=self.outbox, signals=self.signals),
            outcomes=Outcomes(queue=self.queue, log=self.log, signals=self.signals),
            sweeper=self.sweeper,
            wholeness=Wholeness(bus=self.bus, rebuild=rebuild, checkpoints=checkpoints, recovery=self.recovery),
            latecomers=Latecomers(bus=self.bus, rebuild=rebuild, recovery=self.recovery),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = {asyncio.create_task(self.keeper.run("http")), asyncio.create_task(self.log.run())}
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def submit(self, **fields: object) -> events_pb2.JobEvent:
        event = submission(**fields)  # type: ignore[arg-type]  its own fields
        await Bus(self.bus._client, []).publish([submitted(event)])
        return event

    async def give(self) -> Granted:
        (granted,) = await self.leases.give("http", 1, wait=WAIT, worker="w1")
        return granted

    async def run_out(self, event: events_pb2.JobEvent) -> None:
        await run_out(self.queue._client, event.job_id)

    async def report(self, granted: Granted, failure: jobs_pb2.JobError | None = None) -> None:
        fence = granted.lease.key.fence
        attempt = events_pb2.Attempt(
            job_id=granted.lease.key.job_id,
            upstream="http",
            fence=events_pb2.Fence(epoch=fence.epoch, count=fence.count),
            error=failure,
            result=jobs_pb2.JobResult(size=1) if failure is None else None,
        )
        message = Outgoing(
            subject=streams.attempt_subject("http"), payload=attempt.SerializeToString(), message_id="outcome"
        )
        await Bus(self.bus._client, []).publish([message])


@pytest.fixture
async def parts(redis: kv.Client, bus: Bus, log: JobsLog) -> AsyncIterator[Parts]:
    made = Parts(redis, bus, await bus.bucket("scheduler", replicas=1))
    await made.recovery.mend("http")
    async with made.running():
        yield made


async def test_a_job_leased_before_its_start_was_published_is_queued_again_without_an_attempt(
    parts: Parts, log: JobsLog
) -> None:
    event = await parts.submit()
    parts.bus.failures = 1
    with pytest.raises(Unavailable):
        await parts.give()
    await parts.run_out(event)
    granted = await parts.give()
    assert (granted.lease.key.fence.count, granted.lease.started.attempt) == (2, 1)
    await parts.report(granted)
    await log.until(event.job_id, "RUNNING", "SUCCEEDED")


async def test_a_start_that_was_marked_and_not_published_ends_unknown_and_is_never_called_twice(
    parts: Parts, log: JobsLog
) -> None:
    event = await parts.submit(idempotent=False)
    granted = await parts.give()
    parts.bus.failures = 1
    with pytest.raises(Unavailable):
        await parts.leases.begin("http", granted.lease.key)
    await parts.run_out(event)
    await log.until(event.job_id, "OUTCOME_UNKNOWN")
    with pytest.raises(LeaseLost):
        await parts.leases.begin("http", granted.lease.key)


async def test_a_begin_that_failed_may_be_repeated_under_its_lease(parts: Parts, log: JobsLog) -> None:
    event = await parts.submit(idempotent=False)
    granted = await parts.give()
    parts.bus.failures = 1
    with pytest.raises(Unavailable):
        await parts.leases.begin("http", granted.lease.key)
    await parts.leases.begin("http", granted.lease.key)
    await parts.report(granted)
    await log.until(event.job_id, "RUNNING", "SUCCEEDED")


@pytest.mark.parametrize(
    ("failure", "states"),
    [
        (None, ["RUNNING", "SUCCEEDED"]),
        (error(retryable=False), ["RUNNING", "FAILED"]),
        (error(retryable=True), ["RUNNING", "RETRYING"]),
    ],
)
async def test_an_outcome_whose_event_was_lost_is_delivered_again_and_tells_the_same(
    parts: Parts, log: JobsLog, failure: jobs_pb2.JobError | None, states: list[str]
) -> None:
    event = await parts.submit()
    granted = await parts.give()
    parts.bus.failures = 2
    await parts.report(granted, failure)
    events = await log.until(event.job_id, *states)
    assert parts.bus.failures == 0
    assert [each.revision for each in events] == [2, 3]
    assert events[-1].attempt == 1


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_lost_lease_whose_event_was_lost_is_told_by_a_later_sweep(
    parts: Parts, log: JobsLog, *, idempotent: bool
) -> None:
    event = await parts.submit(idempotent=idempotent, max_attempts=1)
    granted = await parts.give()
    if not idempotent:
        await parts.leases.begin("http", granted.lease.key)
    await log.until(event.job_id, "RUNNING")
    parts.bus.failures = 2
    await parts.run_out(event)
    await log.until(event.job_id, "RUNNING", "FAILED" if idempotent else "OUTCOME_UNKNOWN")
    assert parts.bus.failures == 0
    await outbox_is_empty(parts)


async def test_an_expiry_whose_event_was_lost_is_told_by_a_later_sweep(parts: Parts, log: JobsLog) -> None:
    parts.bus.failures = 2
    event = await parts.submit(lifetime=timedelta(milliseconds=100))
    await log.until(event.job_id, "EXPIRED")
    assert parts.bus.failures == 0
    await outbox_is_empty(parts)


async def test_a_cancel_whose_event_was_lost_is_told_by_a_sweep(parts: Parts, log: JobsLog) -> None:
    event = await parts.submit()
    await eventually(lambda: parts.queue._client.exists(f"{{sched:http}}:job:{event.job_id}"))
    await parts.queue.cancel("http", event.job_id, tenant="acme")  # and the process dies
    (canceled,) = await log.until(event.job_id, "CANCELED")
    assert canceled.error.reason == "JOB_CANCELED"
    await outbox_is_empty(parts)


async def test_a_cancel_that_overtook_its_submission_is_told_though_the_first_publish_failed(
    parts: Parts, log: JobsLog
) -> None:
    event = submission()
    await parts.queue.cancel("http", event.job_id, tenant="acme")
    parts.bus.failures = 1
    await Bus(parts.bus._client, []).publish([submitted(event)])
    await log.until(event.job_id, "CANCELED")
    await outbox_is_empty(parts)


async def outbox_is_empty(parts: Parts) -> None:
    async def empty() -> bool:
        return await parts.queue._client.zcard("{sched:http}:outbox") == 0

    await eventually(empty, what="an empty outbox")
