"""What did not go out costs neither an attempt nor a place in a rate, also in a queue that was rebuilt from the log."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.scheduler.limits import Budget, Limits, Rate, Rules
from tests.integration.scheduler.conftest import error
from tests.integration.scheduler.recovery.replica import LONG, UPSTREAM, enqueued, open_again, work_off

if TYPE_CHECKING:
    from tests.integration.scheduler.conftest import JobsLog
    from tests.integration.scheduler.recovery.lossy_redis import LossyRedis
    from tests.integration.scheduler.recovery.replica import Replica


@pytest.mark.parametrize("lost", ["all", "last writes"])
async def test_attempts_that_did_not_count_do_not_count_after_a_loss(
    replica: Replica, lossy: LossyRedis, log: JobsLog, lost: str
) -> None:
    job_id = await replica.submit(timeout=LONG, max_attempts=2)
    await enqueued(replica, job_id)
    kept = 0 if lost == "all" else lossy.size
    uncounted = ("RUNNING", "RETRYING")
    for number in range(1, 4):
        await replica.report(await replica.give(), error(retryable=True), uncounted=True)
        events = await log.until(job_id, *uncounted * number)
        assert [event.uncounted_attempts for event in events[1::2]] == list(range(1, number + 1))
    await lossy.restart(keep=kept)
    await open_again(replica, after=1)

    granted = await replica.give()
    assert granted.lease.started.attempt == 4
    await replica.report(granted, error(retryable=True))
    await log.until(job_id, *uncounted * 4)
    await replica.report(await replica.give(), error(retryable=True))
    *_, failed = await log.until(job_id, *uncounted * 4, "RUNNING", "FAILED")
    assert (failed.attempt, failed.uncounted_attempts) == (5, 3)


async def test_cached_answers_cost_no_quota_after_a_loss(replica: Replica, lossy: LossyRedis, log: JobsLog) -> None:
    rules = Rules(limits=Limits(upstream=Budget(rates=(Rate(calls=3, window=timedelta(minutes=30)),))))

    async def set_rules(upstream: str) -> None:
        await replica.queue.configure(upstream, rules)

    async def used() -> list[tuple[int, ...]]:
        return [use.used for use in (await replica.queue.view(UPSTREAM, tenant="", lanes=0)).budgets]

    await set_rules(UPSTREAM)
    replica.recovery.on_recovered(set_rules)
    jobs = [await replica.submit(timeout=LONG) for _ in range(6)]
    (called,) = await work_off(replica, 1)
    for _ in jobs[1:]:  # more than the rate lets go
        granted = await replica.give()
        await replica.report(granted, from_cache=True)
        await log.until(granted.lease.key.job_id, "RUNNING", "SUCCEEDED")
    await log.until(called.lease.key.job_id, "RUNNING", "SUCCEEDED")
    assert await used() == [(1,)]
    await lossy.restart(keep=0)
    await open_again(replica, after=1)
    assert await used() == [(1,)]
