"""What Redis loses is rebuilt from the log: what had happened holds, each job ends once, and no lease goes before."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.scheduler.limits import Budget, Limits, Rate, Rules
from services.scheduler.replay import chapters_of
from services.scheduler.scripts import RecoveryNeeded
from shared.errors import LeaseLost
from tests.integration.scheduler.conftest import error, run_out
from tests.integration.scheduler.recovery.replica import (
    LONG,
    SETTINGS,
    UPSTREAM,
    enqueued,
    is_true,
    open_again,
    work_off,
)
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scheduler.replay import Chapter
    from tests.integration.scheduler.conftest import JobsLog
    from tests.integration.scheduler.recovery.lossy_redis import LossyRedis
    from tests.integration.scheduler.recovery.replica import Replica

NO_WAIT = timedelta()


async def test_a_restart_that_lost_nothing_changes_nothing_but_the_epoch(
    replica: Replica, lossy: LossyRedis, log: JobsLog
) -> None:
    running = await replica.submit(timeout=LONG)
    granted = await replica.give()
    waiting = [await replica.submit(timeout=LONG) for _ in range(5)]
    await enqueued(replica, *waiting)
    await lossy.restart()
    assert await open_again(replica, after=1) == 2
    await replica.report(granted)
    await log.until(running, "RUNNING", "SUCCEEDED")
    calls = await work_off(replica, 5)
    assert [call.lease.key.job_id for call in calls] == waiting
    assert {call.lease.key.fence.epoch for call in calls} == {2}
    for job_id in waiting:
        await log.until(job_id, "RUNNING", "SUCCEEDED")


async def test_what_the_last_writes_had_done_is_done_again_from_the_log(
    replica: Replica, lossy: LossyRedis, log: JobsLog
) -> None:
    ended_later, leased_later, retried_later = [await replica.submit(timeout=LONG) for _ in range(3)]
    waiting = await replica.submit(timeout=LONG)
    await enqueued(replica, waiting)
    first = await replica.give()
    kept = lossy.size
    second, third = await replica.give(), await replica.give()
    await replica.report(first)
    await replica.report(third, error(retryable=True))
    canceled, lost = await replica.submit(), await replica.submit(timeout=LONG)
    await enqueued(replica, canceled, lost)
    await replica.outbox.publish(UPSTREAM, [(await replica.queue.cancel(UPSTREAM, canceled, tenant="acme")).fact])
    await log.until(ended_later, "RUNNING", "SUCCEEDED")
    await log.until(retried_later, "RUNNING", "RETRYING")
    await log.until(canceled, "CANCELED")

    await lossy.restart(keep=kept)
    await open_again(replica, after=1)
    assert second.lease.key.job_id == leased_later
    await replica.report(second)  # the lease was lost with its write, and stands again
    calls = await work_off(replica, 3)
    assert sorted(call.lease.key.job_id for call in calls) == sorted([retried_later, waiting, lost])
    assert {call.lease.started.attempt for call in calls if call.lease.key.job_id == retried_later} == {2}
    await log.until(ended_later, "RUNNING", "SUCCEEDED")
    await log.until(leased_later, "RUNNING", "SUCCEEDED")
    await log.until(retried_later, "RUNNING", "RETRYING", "RUNNING", "SUCCEEDED")
    await log.until(canceled, "CANCELED")
    for job_id in (waiting, lost):
        await log.until(job_id, "RUNNING", "SUCCEEDED")


async def test_a_queue_lost_whole_is_rebuilt_with_jobs_in_every_state(
    replica: Replica, lossy: LossyRedis, log: JobsLog
) -> None:
    finished = await replica.submit(timeout=LONG)
    await replica.report(await replica.give())
    await log.until(finished, "RUNNING", "SUCCEEDED")
    reported, lost = await replica.submit(timeout=LONG), await replica.submit(timeout=LONG)
    reports, _ = await replica.give(), await replica.give()
    begun = await replica.submit(idempotent=False, timeout=LONG)
    await replica.give()
    leased = await replica.submit(idempotent=False, timeout=LONG)
    unbegun = await replica.give(begin=False)
    delayed = await replica.submit(delay=timedelta(seconds=2), timeout=LONG)
    waiting = await replica.submit(timeout=LONG)
    await enqueued(replica, delayed, waiting)
    await lossy.restart(keep=0)

    await open_again(replica, after=1)
    with pytest.raises(LeaseLost):
        await replica.leases.begin(UPSTREAM, unbegun.lease.key)
    await replica.report(reports)
    await run_out(replica.redis, lost, begun)
    await log.until(lost, "RUNNING", "RETRYING")  # whoever leases it again tells that beside it, in either order
    calls = await work_off(replica, 4)
    assert sorted(call.lease.key.job_id for call in calls) == sorted([lost, leased, delayed, waiting])
    assert {call.lease.key.fence.epoch for call in calls} == {2}
    await log.until(begun, "RUNNING", "OUTCOME_UNKNOWN")
    await log.until(lost, "RUNNING", "RETRYING", "RUNNING", "SUCCEEDED")
    for job_id in (finished, reported, leased, delayed, waiting):
        await log.until(job_id, "RUNNING", "SUCCEEDED")
    revisions = [[event.revision for event in events] for events in log.events.values()]
    assert all(each == sorted(set(each)) for each in revisions)


async def test_nothing_is_leased_before_the_replay_is_done(replica: Replica, lossy: LossyRedis) -> None:
    job_id = await replica.submit()
    await enqueued(replica, job_id)
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold(chapters: Sequence[Chapter]) -> None:
        held.set()
        await go_on.wait()

    replica.rebuild.before_restore = hold
    await lossy.restart(keep=0)
    await eventually(held.is_set, what="the replay")
    assert replica.recovery.recovering(UPSTREAM)
    with pytest.raises(RecoveryNeeded):
        await replica.queue.lease(UPSTREAM, 1, worker="w")
    assert await replica.leases.give(UPSTREAM, 1, wait=NO_WAIT, worker="w") == []
    with pytest.raises(RecoveryNeeded):
        await replica.queue.cancel(UPSTREAM, job_id, tenant="acme")
    waiting = asyncio.create_task(replica.give())
    go_on.set()
    assert (await waiting).lease.key.job_id == job_id
    assert not replica.recovery.recovering(UPSTREAM)


async def test_two_schedulers_recover_a_queue_at_once_as_one_would(
    replicas: list[Replica], lossy: LossyRedis, log: JobsLog
) -> None:
    async with AsyncExitStack() as stack:
        for each in replicas:
            await stack.enter_async_context(each.running())
            await each.wholeness.seen(UPSTREAM)
        jobs = [await replicas[0].submit(tenant=f"tenant-{n % 3}", timeout=LONG) for n in range(300)]
        await enqueued(replicas[0], *jobs)
        done = await work_off(replicas[1], 40)
        held = [await replicas[1].give() for _ in range(10)]
        await eventually(lambda: all(log.states(call.lease.key.job_id) == ["RUNNING", "SUCCEEDED"] for call in done))
        await lossy.restart(keep=0)
        await open_again(replicas[0], after=1)
        for call in held:
            await replicas[0].report(call)
        rest = [*await work_off(replicas[0], 125), *await work_off(replicas[1], 125)]
        await eventually(lambda: all(log.states(job_id) == ["RUNNING", "SUCCEEDED"] for job_id in jobs), within=150)
    assert sorted(call.lease.key.job_id for call in [*done, *held, *rest]) == sorted(jobs)


async def test_another_scheduler_goes_on_with_a_replay_whose_own_has_died(
    replicas: list[Replica], lossy: LossyRedis
) -> None:
    first, second = replicas
    async with first.running():
        await first.wholeness.seen(UPSTREAM)
        jobs = [await first.submit(tenant=f"tenant-{n % 3}", timeout=LONG) for n in range(700)]
        await enqueued(first, *jobs)
        await work_off(first, 30)
    await lossy.restart(keep=0)
    replayed = 0

    async def die(chapters: Sequence[Chapter]) -> None:
        nonlocal replayed
        if replayed:
            raise asyncio.CancelledError
        replayed += sum(len(chapter.events) for chapter in chapters)

    first.rebuild.before_restore = die
    with pytest.raises(asyncio.CancelledError):
        await first.recovery.mend(UPSTREAM)
    assert 0 < replayed < 700
    with pytest.raises(RecoveryNeeded):
        await second.queue.lease(UPSTREAM, 1, worker="w")
    await second.recovery.mend(UPSTREAM)
    in_two_parts = await second.contents()
    await second.recovery.recover(UPSTREAM)
    assert await second.contents() == in_two_parts
    assert in_two_parts["depth"][b"*:2"] == b"670"


async def test_redis_lost_once_more_in_the_middle_of_a_replay_loses_nothing(
    replicas: list[Replica], lossy: LossyRedis
) -> None:
    first, second = replicas
    async with first.running():
        await first.wholeness.seen(UPSTREAM)
        jobs = [await first.submit(timeout=LONG) for _ in range(700)]
        await enqueued(first, *jobs)
    await lossy.restart(keep=0)
    sizes: list[int] = []

    async def note(chapters: Sequence[Chapter]) -> None:
        sizes.append(lossy.size)

    first.rebuild.before_restore = note
    await first.recovery.mend(UPSTREAM)
    before = await first.contents()
    await lossy.restart(keep=sizes[-1])
    await second.recovery.mend(UPSTREAM)
    assert len(sizes) > 1
    assert await second.contents() == before


async def test_replaying_the_whole_log_again_changes_nothing(replica: Replica, lossy: LossyRedis, log: JobsLog) -> None:
    jobs = [await replica.submit(tenant=f"tenant-{n % 3}", timeout=LONG, idempotent=n % 2 > 0) for n in range(20)]
    calls = [await replica.give() for _ in range(15)]
    for number, call in enumerate(calls[:10]):
        await replica.report(call, error(retryable=True) if number % 2 else None)
    await eventually(
        lambda: all(log.states(call.lease.key.job_id)[-1:] not in ([], ["RUNNING"]) for call in calls[:10])
    )
    delayed = await replica.submit(delay=timedelta(hours=1))
    await enqueued(replica, *jobs, delayed)
    await lossy.restart(keep=0)
    await open_again(replica, after=1)
    once = await replica.contents()
    key = f"{{sched:{UPSTREAM}}}:epoch"
    await replica.redis.hset(key, mapping={"run": "another", "applied": 1, "acked": 0})  # as another server finds it
    await open_again(replica, after=2)
    assert await replica.contents() == once


async def test_an_operator_has_a_queue_rebuilt_whatever_is_wrong_with_it(replica: Replica) -> None:
    jobs = [await replica.submit(timeout=LONG) for _ in range(3)]
    await enqueued(replica, *jobs)
    right = await replica.contents()
    await replica.redis.hset(f"{{sched:{UPSTREAM}}}:depth", "*:2", 17)
    await replica.redis.delete(f"{{sched:{UPSTREAM}}}:ring:read")
    await replica.recovery.recover(UPSTREAM)
    assert (await replica.contents())["depth"] == right["depth"]
    calls = await work_off(replica, 3)
    assert {call.lease.key.job_id for call in calls} == set(jobs)


async def test_calls_under_way_and_calls_begun_count_after_a_loss_as_before(
    replica: Replica, lossy: LossyRedis
) -> None:
    window = timedelta(seconds=50)
    limits = Limits(upstream=Budget(rates=(Rate(calls=3, window=window),)), lane=Budget(concurrency=1))

    async def set_rules(upstream: str) -> None:
        await replica.queue.configure(upstream, Rules(limits=limits))

    await set_rules(UPSTREAM)
    replica.recovery.on_recovered(set_rules)
    jobs = [await replica.submit(connection_id=f"con_{n // 2}", timeout=LONG) for n in range(8)]
    await enqueued(replica, *jobs)
    first, _ = await replica.give(), await replica.give()
    await lossy.restart(keep=0)
    await open_again(replica, after=1)
    third = await replica.give()
    assert third.lease.key.job_id == jobs[4]  # the lanes of the first two are busy
    await replica.report(first)
    left = await replica.queue.lease(UPSTREAM, 1, worker="w")
    assert left.leases == ()  # three were begun within the window
    view = await replica.queue.view(UPSTREAM, tenant="", lanes=0)
    assert [(use.used, use.budget.rates[0].calls) for use in view.budgets if use.scope == "upstream"] == [((3,), 3)]


async def test_a_loss_after_all_jobs_have_ended_replays_next_to_nothing(
    replica: Replica, lossy: LossyRedis, log: JobsLog
) -> None:
    jobs = [await replica.submit(timeout=LONG) for _ in range(5)]
    await work_off(replica, 5)
    for job_id in jobs:
        await log.until(job_id, "RUNNING", "SUCCEEDED")
    await enqueued(replica)
    await replica.wholeness.look(UPSTREAM, checkpoint=True)
    floor = await replica.checkpoints.floor(UPSTREAM)
    assert floor == await replica.bus.newest("JOBS", "jobs.submitted.http") + 1
    waiting = await replica.submit(timeout=LONG)
    await enqueued(replica, waiting)
    await lossy.restart(keep=0)
    await open_again(replica, after=1)
    assert (await replica.give()).lease.key.job_id == waiting
    assert await replica.leases.give(UPSTREAM, 1, wait=NO_WAIT, worker="w") == []


async def test_a_job_that_ended_long_ago_is_forgotten_unless_its_submission_may_come_again(
    replica: Replica, log: JobsLog
) -> None:
    ended = [await replica.submit(timeout=LONG) for _ in range(2)]
    await work_off(replica, 2)
    for job_id in ended:
        await log.until(job_id, "RUNNING", "SUCCEEDED")
    session = await replica.rebuild.begin(UPSTREAM, "by hand", forced=True)
    await replica.rebuild.clear(UPSTREAM, session)
    async with replica.bus.reader("JOBS", "jobs.*.http", start=1) as reader:
        (chapter,) = chapters_of(UPSTREAM, 0, await reader.batch())
    for happened in chapter.events:
        happened.event.time.FromDatetime(datetime.now(UTC) - SETTINGS.memory - timedelta(minutes=1))
    acked = chapter.jobs[0].sequence
    assert await replica.rebuild.restore(UPSTREAM, session, [chapter], acked=acked, epoch=2) == 6

    async def known() -> list[bool]:
        return [await replica.known(job.id) for job in chapter.jobs]

    await eventually(lambda: is_true(known, [False, True]), what="the first one to be forgotten")


async def test_calls_of_jobs_that_have_ended_count_in_rates_after_a_loss(
    replica: Replica, lossy: LossyRedis, log: JobsLog
) -> None:
    rules = Rules(limits=Limits(upstream=Budget(rates=(Rate(calls=3, window=timedelta(seconds=50)),))))

    async def set_rules(upstream: str) -> None:
        await replica.queue.configure(upstream, rules)

    replica.recovery.on_recovered(set_rules)
    jobs = [await replica.submit(timeout=LONG) for _ in range(2)]
    await work_off(replica, 2)
    for job_id in jobs:
        await log.until(job_id, "RUNNING", "SUCCEEDED")
    await enqueued(replica)
    await replica.wholeness.look(UPSTREAM, checkpoint=True)
    await lossy.restart(keep=0)
    await open_again(replica, after=1)
    await enqueued(replica, await replica.submit(timeout=LONG), await replica.submit(timeout=LONG))
    await replica.give()
    assert (await replica.queue.lease(UPSTREAM, 1, worker="w")).leases == ()
