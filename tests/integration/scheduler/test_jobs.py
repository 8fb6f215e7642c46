"""The way of a job through the scheduler: from its submission to its end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import events_pb2
from penstock.scheduler.v1 import scheduler_pb2

from services.scheduler.__main__ import serve
from services.scheduler.joblog import JobLog
from services.scheduler.queue import RedisQueue
from shared import ids, streams
from shared.bus import Outgoing
from shared.errors import InvalidArgument, LeaseLost, PermissionDenied
from shared.lifecycle import Process
from tests.integration.scheduler.conftest import (
    ATTEMPT_TIMEOUT,
    LEASE_MARGIN,
    TRACEPARENT,
    calling,
    enqueued,
    error,
    is_open,
    run_out,
    scheduler,
    seconds,
)
from tests.service import running_process
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.scheduler.config import Config
    from services.scheduler.domain import Leased
    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.scheduler.conftest import JobsLog, Mesh

pytestmark = pytest.mark.usefixtures("no_stalls")

Event = events_pb2.JobEvent


async def test_a_job_is_called_and_succeeds(mesh: Mesh) -> None:
    event = mesh.submission("acme", callback_url="https://client.example/hook")
    began = time.time()
    await mesh.submit(event)
    call = await mesh.call()
    lease_s = (ATTEMPT_TIMEOUT + LEASE_MARGIN).total_seconds()
    assert began + lease_s <= call.deadline.ToMilliseconds() / 1000 <= time.time() + lease_s
    assert (call.job_id, call.tenant, call.attempt) == (event.job_id, "acme", 1)
    assert call.submission == event.submission
    assert call.traceparent == TRACEPARENT
    assert call.fence == events_pb2.Fence(epoch=1, count=1)
    await mesh.report(call)
    started, succeeded = await mesh.log.until(call.job_id, "RUNNING", "SUCCEEDED")
    assert (started.type, started.revision, started.attempt) == (Event.STARTED, 2, 1)
    assert (succeeded.type, succeeded.revision, succeeded.attempt) == (Event.SUCCEEDED, 3, 1)
    assert succeeded.result.inline.text == "ok"
    assert succeeded.started_at == started.started_at == started.time
    assert succeeded.finished_at == succeeded.time
    assert (succeeded.submitted_sequence, succeeded.has_callback, succeeded.tenant) == (1, True, "acme")
    assert set(mesh.log.traceparents[call.job_id]) == {TRACEPARENT}


async def test_a_job_that_fails_is_tried_three_times(mesh: Mesh) -> None:
    job_id = await mesh.submitted(timeout=timedelta(seconds=20))
    for attempt in range(1, 4):
        call = await mesh.call()
        assert (call.job_id, call.attempt, call.fence.count) == (job_id, attempt, attempt)
        await mesh.report(call, error=error(retryable=True))
    events = await mesh.log.until(job_id, "RUNNING", "RETRYING", "RUNNING", "RETRYING", "RUNNING", "FAILED")
    assert [event.revision for event in events] == [2, 3, 4, 5, 6, 7]
    assert [event.attempt for event in events] == [1, 1, 2, 2, 3, 3]
    retrying, failed = events[1], events[-1]
    pause_ms = retrying.not_before.ToMilliseconds() - retrying.time.ToMilliseconds()
    assert 0 <= pause_ms <= 50
    assert (failed.error.reason, failed.error.upstream_status) == ("UPSTREAM_STATUS", 503)


async def test_a_failure_for_good_ends_the_job(mesh: Mesh) -> None:
    await mesh.submitted(timeout=timedelta(seconds=20))
    call = await mesh.call()
    await mesh.report(call, error=error(retryable=False, status=404))
    *_, failed = await mesh.log.until(call.job_id, "RUNNING", "FAILED")
    assert failed.error.upstream_status == 404


async def test_the_upstreams_own_pause_is_kept(mesh: Mesh) -> None:
    await mesh.submitted()
    call = await mesh.call()
    await mesh.report(call, error=error(retryable=True, status=429), retry_after=seconds(60))
    *_, retrying = await mesh.log.until(call.job_id, "RUNNING", "RETRYING")
    assert retrying.not_before.ToMilliseconds() - retrying.time.ToMilliseconds() == 60_000
    assert await mesh.lease(wait_s=0) == []


@pytest.mark.usefixtures("unasked")
async def test_a_worker_that_waits_is_given_a_job_the_moment_it_comes(mesh: Mesh) -> None:
    waiting = asyncio.create_task(mesh.lease(wait_s=20))
    assert await mesh.lease(wait_s=0) == []  # answered while the other waits
    job_id = await mesh.submitted()
    (call,) = await waiting
    assert call.job_id == job_id


async def test_a_worker_that_waits_is_given_a_delayed_job_when_it_is_due(mesh: Mesh) -> None:
    waiting = asyncio.create_task(mesh.lease(wait_s=20))
    event = mesh.submission(delay=timedelta(milliseconds=700))
    await mesh.submit(event)
    (call,) = await waiting
    assert time.time() >= event.submission.job.not_before.ToMilliseconds() / 1000
    assert call.job_id == event.job_id


@pytest.mark.usefixtures("unasked")
async def test_a_lease_without_work_is_answered_when_its_time_is_over(mesh: Mesh) -> None:
    began = time.monotonic()
    assert await mesh.lease(wait_s=0.3) == []
    assert time.monotonic() - began >= 0.3


async def test_a_worker_that_leaves_takes_no_job_with_it(mesh: Mesh) -> None:
    leaving = asyncio.create_task(mesh.lease(wait_s=20))
    await mesh.lease(wait_s=0)
    leaving.cancel()
    await asyncio.wait({leaving})
    await mesh.lease(wait_s=0)
    job_id = await mesh.submitted()
    assert (await mesh.call()).job_id == job_id


async def test_begin_puts_the_start_on_disk_before_it_answers(mesh: Mesh) -> None:
    await mesh.submitted(idempotent=False)
    call = await mesh.call()
    assert mesh.log.states(call.job_id) == []
    before = await stored(mesh)
    await mesh.begin(call)
    assert await stored(mesh) == before + 1
    await mesh.begin(call)  # a worker whose answer was lost asks again
    await mesh.report(call)
    await mesh.log.until(call.job_id, "RUNNING", "SUCCEEDED")


async def stored(mesh: Mesh) -> int:
    info = await mesh.bus._jetstream.stream_info(streams.JOBS)
    return info.state.messages


async def test_begin_is_refused_once_the_lease_is_gone(mesh: Mesh, redis: kv.Client) -> None:
    await mesh.submitted(idempotent=False)
    lost = await mesh.call()
    await run_out(redis, lost.job_id)
    call = await mesh.call()
    assert (call.job_id, call.fence.count, call.attempt) == (lost.job_id, 2, 1)
    with pytest.raises(LeaseLost) as refused:
        await mesh.begin(lost)
    assert refused.value.metadata == {"job": lost.job_id}
    await mesh.begin(call)
    await run_out(redis, call.job_id)
    await mesh.log.until(call.job_id, "RUNNING", "OUTCOME_UNKNOWN")


async def test_a_lost_attempt_of_an_idempotent_job_is_made_again(mesh: Mesh, redis: kv.Client) -> None:
    job_id = await mesh.submitted(max_attempts=2)
    assert (await mesh.call()).attempt == 1
    await run_out(redis, job_id)
    await mesh.log.until(job_id, "RUNNING", "RETRYING")  # whoever leases it again tells that beside it, in either order
    assert (await mesh.call()).attempt == 2
    await run_out(redis, job_id)
    events = await mesh.log.until(job_id, "RUNNING", "RETRYING", "RUNNING", "FAILED")
    assert {event.error.reason for event in events[1::2]} == {"ATTEMPT_LOST"}


async def test_a_lost_attempt_of_another_job_ends_it(mesh: Mesh, redis: kv.Client) -> None:
    await mesh.submitted(idempotent=False)
    call = await mesh.call()
    await mesh.begin(call)
    await run_out(redis, call.job_id)
    *_, unknown = await mesh.log.until(call.job_id, "RUNNING", "OUTCOME_UNKNOWN")
    assert (unknown.error.reason, unknown.error.retryable) == ("OUTCOME_UNKNOWN", False)
    assert mesh.log.traceparents[call.job_id][-1] == TRACEPARENT


async def test_an_outcome_that_the_worker_does_not_know_ends_the_job(mesh: Mesh) -> None:
    await mesh.submitted(idempotent=False)
    call = await mesh.call()
    await mesh.begin(call)
    await mesh.report(call, error=error(retryable=True, status=0), outcome_unknown=True)
    *_, unknown = await mesh.log.until(call.job_id, "RUNNING", "OUTCOME_UNKNOWN")
    assert unknown.error.reason == "OUTCOME_UNKNOWN"


async def test_a_lease_that_is_extended_is_not_lost(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    unswept = replace(config, sweep_interval=timedelta(hours=1))
    async with scheduler(unswept, identities, bus, log) as mesh:
        for _ in range(2):
            await mesh.submitted()
        kept, lost = await mesh.call(), await mesh.call()
        lease = scheduler_pb2.Lease(job_id=kept.job_id, fence=kept.fence)
        extend = scheduler_pb2.ExtendRequest(upstream="http", leases=[lease])
        await run_out(redis, kept.job_id, lost.job_id)
        assert list((await mesh.worker.Extend(extend, timeout=30)).lost_job_ids) == []
        async with scheduler(config, identities, bus, log):  # which sweeps
            again = await mesh.call()
            assert (again.job_id, again.attempt) == (lost.job_id, 2)
            assert list((await mesh.worker.Extend(extend, timeout=30)).lost_job_ids) == []
            await mesh.report(kept)
            await mesh.log.until(kept.job_id, "RUNNING", "SUCCEEDED")
            assert list((await mesh.worker.Extend(extend, timeout=30)).lost_job_ids) == [kept.job_id]


async def test_an_outcome_under_an_old_fence_changes_nothing(mesh: Mesh, redis: kv.Client) -> None:
    await mesh.submitted()
    old = await mesh.call()
    await run_out(redis, old.job_id)
    await mesh.log.until(old.job_id, "RUNNING", "RETRYING")
    new = await mesh.call()
    await mesh.report(old)
    await mesh.report(new, error=error(retryable=False))
    *_, failed = await mesh.log.until(new.job_id, "RUNNING", "RETRYING", "RUNNING", "FAILED")
    assert failed.attempt == 2


async def test_a_submission_that_comes_again_makes_no_second_job(mesh: Mesh) -> None:
    event = mesh.submission()
    await mesh.submit(event)
    call = await mesh.call()
    again = Outgoing(
        subject=streams.job_subject("submitted", "http"), payload=event.SerializeToString(), message_id="another"
    )
    await mesh.bus.publish([again])
    other = await mesh.submitted()  # comes after it
    assert (await mesh.call()).job_id == other
    await mesh.report(call)
    await eventually(lambda: "SUCCEEDED" in mesh.log.states(call.job_id))
    await mesh.bus.publish([Outgoing(subject=again.subject, payload=again.payload, message_id="a third")])
    last = await mesh.submitted()
    assert (await mesh.call()).job_id == last


async def test_an_outcome_that_comes_again_makes_no_second_event(mesh: Mesh) -> None:
    await mesh.submitted()
    call = await mesh.call()
    await mesh.report(call)
    await mesh.log.until(call.job_id, "RUNNING", "SUCCEEDED")
    before = await stored(mesh)
    await mesh.report(call, message_id="another")
    await mesh.report(call, message_id="a third", error=error())
    await eventually(lambda: attempts_left(mesh, 0))
    assert await stored(mesh) == before


async def attempts_left(mesh: Mesh, count: int) -> bool:
    info = await mesh.bus._jetstream.stream_info(streams.ATTEMPTS)
    return info.state.messages == count


async def test_what_cannot_be_understood_is_dropped_and_holds_nothing_up(mesh: Mesh) -> None:
    wrong = mesh.submission()
    wrong.tenant = "no slug:"
    await mesh.bus.publish(
        [
            Outgoing(subject=streams.job_subject("submitted", "http"), payload=b"\xff\xff", message_id="1"),
            Outgoing(
                subject=streams.job_subject("submitted", "http"), payload=wrong.SerializeToString(), message_id="2"
            ),
        ]
    )
    await mesh.bus.publish([Outgoing(subject=streams.attempt_subject("http"), payload=b"\xff\xff", message_id="1")])
    job_id = await mesh.submitted()
    call = await mesh.call()
    assert call.job_id == job_id
    await mesh.report(call)
    await eventually(lambda: "SUCCEEDED" in mesh.log.states(job_id))
    await eventually(lambda: attempts_left(mesh, 0))


async def test_a_job_whose_submission_is_gone_from_the_log_fails_and_does_not_loop(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    async with scheduler(config, identities, bus, log) as mesh:
        job_id = await mesh.submitted()
        await enqueued(mesh, redis, job_id)
        await eventually(lambda: job_id in log.events)
    await bus._jetstream.delete_msg(streams.JOBS, 1)
    async with scheduler(config, identities, bus, log) as mesh:  # another replica, which has not seen it
        assert await mesh.lease(wait_s=2) == []
        (failed,) = await log.until(job_id, "FAILED")
    assert (failed.error.reason, failed.attempt, failed.error.retryable) == ("INTERNAL", 0, False)


async def test_a_submission_that_the_replica_has_just_seen_is_not_read_again(mesh: Mesh, redis: kv.Client) -> None:
    job_id = await mesh.submitted()
    await enqueued(mesh, redis, job_id)
    await mesh.bus._jetstream.delete_msg(streams.JOBS, 1)
    assert (await mesh.call()).submission.job.id == job_id


async def test_submissions_beyond_what_memory_holds_are_read_from_the_log(
    mesh: Mesh, redis: kv.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobLog, "HELD_BYTES", 1)
    job_ids = [await mesh.submitted() for _ in range(3)]
    for job_id in job_ids:
        await enqueued(mesh, redis, job_id)
    called = [(await mesh.call()).submission.job.id for _ in job_ids]
    assert called == job_ids


async def test_a_queued_job_expires(mesh: Mesh) -> None:
    job_id = await mesh.submitted(lifetime=timedelta(milliseconds=200))
    (expired,) = await mesh.log.until(job_id, "EXPIRED")
    assert (expired.type, expired.error.reason, expired.revision) == (Event.EXPIRED, "JOB_EXPIRED", 2)
    assert mesh.log.traceparents[job_id] == [TRACEPARENT, TRACEPARENT]
    assert await mesh.lease(wait_s=0) == []


# Who may ask for what


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"upstream": "flicker"}, "upstream"),
        ({"max_jobs": 0}, "max_jobs"),
        ({"max_jobs": 65}, "max_jobs"),
        ({"wait": seconds(31)}, "wait"),
        ({"wait": seconds(-1)}, "wait"),
        ({"worker": "w" * 129}, "worker"),
    ],
)
async def test_a_malformed_request_for_leases_is_refused(mesh: Mesh, changes: dict[str, object], field: str) -> None:
    request = {"upstream": "http", "max_jobs": 1, "worker": "w1"} | changes
    with pytest.raises(InvalidArgument) as refused:
        await mesh.worker.Lease(scheduler_pb2.LeaseRequest(**request), timeout=30)  # type: ignore[arg-type]  its fields
    assert [violation.field for violation in refused.value.violations] == [field]


async def test_what_is_no_job_id_is_refused(mesh: Mesh) -> None:
    with pytest.raises(InvalidArgument):
        await mesh.worker.Begin(scheduler_pb2.BeginRequest(job_id="nonsense"), timeout=30)
    with pytest.raises(InvalidArgument):
        await mesh.cancel("nonsense")
    with pytest.raises(InvalidArgument):
        await mesh.cancel(ids.new_job_id("http"), tenant="")


async def test_workers_lease_and_intake_cancels_and_not_the_other_way_round(mesh: Mesh) -> None:
    with pytest.raises(PermissionDenied):
        await mesh.intake.Lease(scheduler_pb2.LeaseRequest(upstream="http", max_jobs=1), timeout=30)
    with pytest.raises(PermissionDenied):
        await mesh.worker.Cancel(scheduler_pb2.CancelRequest(job_id=ids.new_job_id("http"), tenant="acme"), timeout=30)


@pytest.mark.usefixtures("redis")
async def test_a_drain_lets_waiting_workers_go(
    config: Config, identities: Identities, bus: Bus, log: JobsLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[asyncio.Task[object] | None] = set()
    lease = RedisQueue.lease

    async def noted(queue: RedisQueue, upstream: str, limit: int, *, worker: str) -> Leased:
        asked.add(asyncio.current_task())  # each call has its own, and may ask again
        return await lease(queue, upstream, limit, worker=worker)

    monkeypatch.setattr(RedisQueue, "lease", noted)
    process = Process("scheduler", config)
    async with (
        running_process(process, serve(config, process)) as address,
        calling(address, identities, bus, log) as mesh,
    ):
        await eventually(lambda: is_open(config))
        await mesh.lease(wait_s=0)
        asked.clear()
        waiting = [asyncio.create_task(mesh.lease(wait_s=25)) for _ in range(3)]
        await eventually(lambda: len(asked) == 3, what="all of them to wait")
        process.stopping.set()
        assert await asyncio.gather(*waiting) == [[], [], []]  # answered, and not cut off
