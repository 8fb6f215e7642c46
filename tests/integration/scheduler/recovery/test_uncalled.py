"""What did not go out costs neither an attempt nor a place in a rate, also in a queue that was rebuilt from the log."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.jobs.v1 import jobs_pb2

from services.scheduler.limits import Budget, Limits, Rate, Rules
from shared.errors import Unavailable
from tests.integration.scheduler.conftest import error
from tests.integration.scheduler.recovery.replica import LONG, UPSTREAM, enqueued, open_again, work_off

if TYPE_CHECKING:
    from tests.integration.scheduler.conftest import JobsLog
    from tests.integration.scheduler.recovery.lossy_redis import LossyRedis
    from tests.integration.scheduler.recovery.replica import Replica

NOT_CALLED = jobs_pb2.JobError(reason="CONNECTION_NEEDS_REAUTH", retryable=True)


@pytest.mark.parametrize("lost", ["all", "last writes"])
async def test_attempts_that_did_not_count_do_not_count_after_a_loss(
    replica: Replica, lossy: LossyRedis, log: JobsLog, lost: str
) -> None:
    job_id = await replica.submit(timeout=LONG, max_attempts=2)
    await enqueued(replica, job_id)
    kept = 0 if lost == "all" else lossy.size
    uncounted = ("RUNNING", "RETRYING")
    for number in range(1, 4):
        await replica.report(await replica.give(), NOT_CALLED, uncounted=True)
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
    refused = await replica.submit(timeout=LONG)  # the upstream was asked, though it does not count as an attempt
    await replica.report(await replica.give(), error(retryable=True, status=401), uncounted=True)
    await log.until(refused, "RUNNING", "RETRYING")
    assert await used() == [(2,)]
    await lossy.restart(keep=0)
    await open_again(replica, after=1)
    assert await used() == [(2,)]


async def test_an_outcome_that_is_applied_again_because_its_event_was_not_published_gives_back_once(
    replica: Replica, log: JobsLog
) -> None:
    rate = Rate(calls=3, window=timedelta(minutes=30))
    await replica.queue.configure(UPSTREAM, Rules(limits=Limits(upstream=Budget(rates=(rate,)))))
    jobs = [await replica.submit(timeout=LONG) for _ in range(3)]
    called = [await replica.give() for _ in jobs]
    published = 0

    async def fail_once() -> None:
        nonlocal published
        published += 1
        if published == 2:  # the first one is the outcome itself
            raise Unavailable("the publish fails, for the test wants it to")

    replica.bus.before_publish = fail_once
    await replica.report(called[0], from_cache=True)
    await log.until(called[0].lease.key.job_id, "RUNNING", "SUCCEEDED")
    assert published > 2, "it came again"
    (use,) = (await replica.queue.view(UPSTREAM, tenant="", lanes=0)).budgets
    assert use.used == (2,)
