"""Processes about to publish what they had done when Redis lost it: nothing is called twice, and ends hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.errors import LeaseLost
from tests.integration.scheduler.recovery.replica import LONG, UPSTREAM, enqueued, is_true, open_again, work_off
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.scheduler.conftest import JobsLog
    from tests.integration.scheduler.recovery.lossy_redis import LossyRedis
    from tests.integration.scheduler.recovery.replica import Replica


async def test_a_start_published_after_its_queue_was_lost_shares_its_revision_with_no_other(
    replica: Replica, lossy: LossyRedis, log: JobsLog
) -> None:
    job_id = await replica.submit(timeout=LONG)
    await enqueued(replica, job_id)

    async def lose_redis() -> None:
        replica.bus.before_publish = None
        await lossy.restart(keep=0)
        await open_again(replica, after=1)

    replica.bus.before_publish = lose_redis
    granted = await replica.give()
    assert (granted.lease.key.fence.epoch, granted.lease.started.attempt) == (2, 1)
    first, second = await log.until(job_id, "RUNNING", "RUNNING")
    assert first.fence.epoch < second.fence.epoch
    assert first.revision < second.revision


async def test_an_attempt_begun_on_a_queue_that_was_lost_before_the_log_had_it_is_not_made(
    replica: Replica, lossy: LossyRedis
) -> None:
    await replica.submit(idempotent=False, timeout=LONG)
    granted = await replica.give(begin=False)

    async def lose_redis() -> None:
        replica.bus.before_publish = None
        await lossy.restart(keep=0)
        await open_again(replica, after=1)

    replica.bus.before_publish = lose_redis
    with pytest.raises(LeaseLost):
        await replica.leases.begin(UPSTREAM, granted.lease.key)


async def test_an_end_published_after_its_queue_was_rebuilt_without_it_holds(
    replica: Replica, lossy: LossyRedis, log: JobsLog
) -> None:
    job_id, other = await replica.submit(), await replica.submit(timeout=LONG)
    await enqueued(replica, job_id, other)
    canceled = await replica.queue.cancel(UPSTREAM, job_id, tenant="acme")
    await lossy.restart(keep=0)
    await open_again(replica, after=1)

    async def count() -> int:
        return await replica.redis.zcard(f"{{sched:{UPSTREAM}}}:expiry")

    assert await count() == 2
    await replica.outbox.publish(UPSTREAM, [canceled.fact])
    await eventually(lambda: is_true(count, 1), what="the cancel to be applied")
    (call,) = await work_off(replica, 1)
    assert call.lease.key.job_id == other
    await log.until(other, "RUNNING", "SUCCEEDED")
    await log.until(job_id, "CANCELED")
