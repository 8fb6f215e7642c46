"""GetJob, WaitJob and CancelJob over gRPC, and the hot view behind them."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.intake import metrics, reader
from shared import errors, ids, streams
from shared.rpc.status import from_rpc_error
from tests.integration.intake.conftest import ended, event, publish, replica, submit
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.intake.config import Config
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.intake.conftest import Intake, SchedulerStandIn

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")

RESULT = jobs_pb2.JobResult(
    inline=jobs_pb2.InlineResult(status=200, text="hello"), content_type="text/plain", size=5, from_cache=True
)
FAILURE = jobs_pb2.JobError(reason="UPSTREAM_STATUS", message="503", upstream_status=503, retryable=True)


async def call(intake: Intake, rpc: str, *, tenant: str = "acme", timeout_s: float = 10, **fields: Any) -> jobs_pb2.Job:
    """One RPC; its failure is an error of the tree."""
    request = getattr(jobs_pb2, f"{rpc}Request")(**fields)
    async with intake.jobs(tenant) as jobs:
        try:
            return await getattr(jobs, rpc)(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure


async def state_is(intake: Intake, job_id: str, state: jobs_pb2.Job.State.ValueType) -> jobs_pb2.Job:
    async def reached() -> jobs_pb2.Job | None:
        job = await call(intake, "GetJob", job_id=job_id)
        return job if job.state == state else None

    return await eventually(reached)  # type: ignore[return-value]  it is not None by then


def waiters() -> float:
    return metrics.WAITERS._value.get()


async def test_a_job_can_be_read_as_soon_as_it_was_answered(intake: Intake) -> None:
    job = await submit(intake)
    assert await call(intake, "GetJob", job_id=job.id) == job
    assert await call(intake, "GetJob", job_id=job.id, upstream="http") == job


async def test_the_view_follows_every_event(intake: Intake, bus: Bus) -> None:
    first = await submit(intake)
    started = event(first.id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1)
    started.started_at.CopyFrom(started.time)
    await publish(bus, started)
    running = await state_is(intake, first.id, jobs_pb2.Job.RUNNING)
    assert (running.attempt, running.started_at, running.updated_at) == (1, started.started_at, started.time)
    assert running.created_at == first.created_at

    retrying = event(first.id, "acme", "RETRYING", revision=3, attempt=1, error=FAILURE)
    retrying.not_before.CopyFrom(retrying.time)
    await publish(bus, retrying)
    waiting = await state_is(intake, first.id, jobs_pb2.Job.RETRYING)
    assert (waiting.not_before, waiting.error, waiting.revision) == (retrying.not_before, FAILURE, 3)

    over = ended(first.id, "acme", "SUCCEEDED", revision=5, result=RESULT)
    await publish(bus, over)
    done = await state_is(intake, first.id, jobs_pb2.Job.SUCCEEDED)
    assert (done.result, done.finished_at, done.revision) == (RESULT, over.finished_at, 5)
    assert not done.HasField("error")


async def test_events_out_of_order_and_repeated_come_to_the_same(intake: Intake, bus: Bus) -> None:
    job = await submit(intake)
    events = [
        event(job.id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1),
        event(job.id, "acme", "RETRYING", revision=3, attempt=1, error=FAILURE),
        event(job.id, "acme", "STARTED", revision=4, state="RUNNING", attempt=2),
        ended(job.id, "acme", "SUCCEEDED", revision=5, result=RESULT),
    ] * 3
    random.Random(7).shuffle(events)
    for happened in events:
        await publish(bus, happened)
    last = await submit(intake)  # the log is in order: when this one is seen, the others were
    await publish(bus, ended(last.id, "acme", "FAILED", revision=2))
    await state_is(intake, last.id, jobs_pb2.Job.FAILED)
    found = await call(intake, "GetJob", job_id=job.id)
    assert (found.state, found.revision, found.result) == (jobs_pb2.Job.SUCCEEDED, 5, RESULT)


async def test_a_job_that_the_view_has_lost_comes_back_with_its_submission(intake: Intake, bus: Bus) -> None:
    job = jobs_pb2.Job(id=ids.new_job_id("http"), upstream="http", state=jobs_pb2.Job.QUEUED, revision=1)
    await publish(bus, event(job.id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1))
    submission = events_pb2.Submission(job=job)
    submitted = event(job.id, "acme", "SUBMITTED", revision=1, state="QUEUED", submission=submission)
    await publish(bus, submitted)

    async def back() -> bool:
        try:
            return (await call(intake, "GetJob", job_id=job.id)).state == jobs_pb2.Job.RUNNING
        except errors.JobNotFound:
            return False

    await eventually(back)


async def test_what_cannot_be_understood_holds_nothing_up(intake: Intake, bus: Bus) -> None:
    before = metrics.MALFORMED_EVENTS._value.get()
    job = await submit(intake)
    subject = streams.job_subject("started", "http")
    odd_state = event(job.id, "acme", "STARTED", revision=2, state="RUNNING")
    odd_state.state = 99  # type: ignore[assignment]  of a newer program
    for payload in (b"\xff\xff", b"", odd_state.SerializeToString()):
        await bus._jetstream.publish(subject, payload)
    await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=3))
    await state_is(intake, job.id, jobs_pb2.Job.SUCCEEDED)
    assert metrics.MALFORMED_EVENTS._value.get() == before + 3


@pytest.mark.parametrize("rpc", ["GetJob", "WaitJob", "CancelJob"])
@pytest.mark.parametrize("job_id", ["", "http", "http-123", "HTTP-01a2009e-8b09-7a66-a3f1-6cc0187db85b", "x" * 5000])
async def test_an_id_that_is_no_id_is_refused(intake: Intake, rpc: str, job_id: str) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        await call(intake, rpc, job_id=job_id)
    assert [violation.field for violation in refused.value.violations] == ["jobId"]
    assert len(refused.value.message) < 250


@pytest.mark.parametrize("rpc", ["GetJob", "WaitJob", "CancelJob"])
async def test_another_tenants_job_is_as_unknown_as_one_that_is_not(
    intake: Intake, scheduler: SchedulerStandIn, rpc: str
) -> None:
    job = await submit(intake)
    with pytest.raises(errors.JobNotFound) as theirs:
        await call(intake, rpc, tenant="globex", job_id=job.id)
    unknown = ids.new_job_id("http")
    with pytest.raises(errors.JobNotFound) as none:
        await call(intake, rpc, tenant="globex", job_id=unknown)
    assert theirs.value.message.replace(job.id, unknown) == none.value.message
    assert scheduler.asked == []


@pytest.mark.parametrize("rpc", ["GetJob", "CancelJob"])
async def test_a_job_is_not_found_under_another_upstream(intake: Intake, rpc: str) -> None:
    job = await submit(intake)
    with pytest.raises(errors.JobNotFound):
        await call(intake, rpc, job_id=job.id, upstream="flickr")


async def test_a_wait_ends_with_the_job(intake: Intake, bus: Bus) -> None:
    job = await submit(intake)
    before = waiters()
    waiting = asyncio.create_task(call(intake, "WaitJob", job_id=job.id))
    await eventually(lambda: waiters() == before + 1)
    await publish(bus, event(job.id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1))
    await state_is(intake, job.id, jobs_pb2.Job.RUNNING)
    assert not waiting.done()
    await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=3, result=RESULT))
    assert (await waiting).result == RESULT
    assert waiters() == before


async def test_a_wait_for_a_finished_job_ends_at_once(intake: Intake, bus: Bus) -> None:
    job = await submit(intake)
    await publish(bus, ended(job.id, "acme", "FAILED", revision=2, error=FAILURE))
    await state_is(intake, job.id, jobs_pb2.Job.FAILED)
    assert (await call(intake, "WaitJob", job_id=job.id)).error == FAILURE


@pytest.mark.parametrize("at_most", [Duration(nanos=200_000_000), None, Duration()])
async def test_a_wait_that_takes_too_long_answers_with_the_job_as_it_stands(
    intake: Intake, at_most: Duration | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_ANSWER_MARGIN_S", 39.5)  # before the caller's deadline, as where little time is left
    job = await submit(intake)
    began = time.monotonic()
    found = await call(intake, "WaitJob", job_id=job.id, timeout=at_most, timeout_s=40)
    assert (found.id, found.state) == (job.id, jobs_pb2.Job.QUEUED)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "at_most",
    [Duration(seconds=60, nanos=1_000_000), Duration(seconds=-1), Duration(seconds=10**15), Duration(nanos=-1)],
)
async def test_a_timeout_out_of_bounds_is_refused(intake: Intake, at_most: Duration) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        await call(intake, "WaitJob", job_id=ids.new_job_id("http"), timeout=at_most)
    assert [violation.field for violation in refused.value.violations] == ["timeout"]


async def test_a_client_that_leaves_frees_its_waiter(intake: Intake) -> None:
    job = await submit(intake)
    before = waiters()
    async with intake.jobs() as jobs:
        calls = [jobs.WaitJob(jobs_pb2.WaitJobRequest(job_id=job.id)) for _ in range(5)]
        tasks = [asyncio.ensure_future(waiting) for waiting in calls]
        await eventually(lambda: waiters() == before + 5)
        for waiting in calls:
            waiting.cancel()
        await eventually(lambda: waiters() == before)
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_waiter_on_one_replica_is_woken_by_an_event_that_another_applied(
    config: Config, identities: Identities, bus: Bus
) -> None:
    async with replica(config, identities) as one, replica(config, identities) as other:
        found = [await submit(one) for _ in range(8)]
        before = waiters()
        waiting = [
            asyncio.create_task(call(where, "WaitJob", job_id=job.id)) for job in found for where in (one, other)
        ]
        await eventually(lambda: waiters() == before + 16)
        for job in found:
            await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=2))
        answers = await asyncio.wait_for(asyncio.gather(*waiting), 30)
    assert {answer.state for answer in answers} == {jobs_pb2.Job.SUCCEEDED}


async def test_a_replica_that_stops_lets_its_waiters_go(config: Config, identities: Identities) -> None:
    async with replica(config, identities) as intake:
        job = await submit(intake)
        before = waiters()
        waiting = asyncio.create_task(call(intake, "WaitJob", job_id=job.id, timeout_s=30))
        await eventually(lambda: waiters() == before + 1)
    assert (await waiting).state == jobs_pb2.Job.QUEUED


async def test_a_cancel_is_answered_and_seen_at_once(intake: Intake, scheduler: SchedulerStandIn) -> None:
    job = await submit(intake)
    before = waiters()
    waiting = asyncio.create_task(call(intake, "WaitJob", job_id=job.id))
    await eventually(lambda: waiters() == before + 1)
    canceled = await call(intake, "CancelJob", job_id=job.id)
    assert (canceled.id, canceled.state, canceled.revision) == (job.id, jobs_pb2.Job.CANCELED, 2)
    assert canceled.HasField("finished_at")
    assert await call(intake, "GetJob", job_id=job.id) == canceled
    assert await waiting == canceled
    assert [(asked.job_id, asked.tenant) for asked in scheduler.asked] == [(job.id, "acme")]


async def test_a_canceled_job_is_answered_without_asking_again(intake: Intake, scheduler: SchedulerStandIn) -> None:
    job = await submit(intake)
    first = await call(intake, "CancelJob", job_id=job.id)
    assert await call(intake, "CancelJob", job_id=job.id) == first
    assert len(scheduler.asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        errors.JobRunning("it runs", metadata={"job": "http-1"}),
        errors.JobFinished("it has ended", metadata={"job": "http-1", "state": "FAILED"}),
    ],
)
async def test_what_the_scheduler_refuses_is_refused(
    intake: Intake, scheduler: SchedulerStandIn, error: errors.PenstockError
) -> None:
    job = await submit(intake)
    scheduler.error = error
    with pytest.raises(type(error)) as refused:
        await call(intake, "CancelJob", job_id=job.id)
    assert refused.value.metadata == error.metadata
    assert (await call(intake, "GetJob", job_id=job.id)).state == jobs_pb2.Job.QUEUED


async def test_a_job_that_has_ended_is_not_canceled_whatever_the_scheduler_has_forgotten(
    intake: Intake, scheduler: SchedulerStandIn, bus: Bus
) -> None:
    job = await submit(intake)
    await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=3, result=RESULT))
    done = await state_is(intake, job.id, jobs_pb2.Job.SUCCEEDED)
    with pytest.raises(errors.JobFinished) as refused:
        await call(intake, "CancelJob", job_id=job.id)
    assert refused.value.metadata == {"job": job.id, "state": "SUCCEEDED"}
    assert await call(intake, "GetJob", job_id=job.id) == done
    assert scheduler.asked == []


async def test_a_job_that_runs_is_canceled_with_force_alone(
    intake: Intake, bus: Bus, scheduler: SchedulerStandIn
) -> None:
    job = await submit(intake)
    await publish(bus, event(job.id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1))
    await state_is(intake, job.id, jobs_pb2.Job.RUNNING)
    scheduler.error = errors.JobRunning(f"the job {job.id} runs; cancel it with force", metadata={"job": job.id})
    with pytest.raises(errors.JobRunning, match="cancel it with force"):
        await call(intake, "CancelJob", job_id=job.id)
    scheduler.error = None
    canceled = await call(intake, "CancelJob", job_id=job.id, force=True)
    assert (canceled.state, canceled.attempt) == (jobs_pb2.Job.CANCELED, 1)
    assert await call(intake, "GetJob", job_id=job.id) == canceled
    assert [asked.force for asked in scheduler.asked] == [False, True]


async def test_without_a_scheduler_nothing_is_canceled(intake: Intake, scheduler: SchedulerStandIn) -> None:
    job = await submit(intake)
    scheduler.error = errors.Unavailable("failed to connect to 10.1.2.3:18103")
    with pytest.raises(errors.Unavailable) as refused:
        await call(intake, "CancelJob", job_id=job.id)
    assert refused.value.metadata == {"dependency": "scheduler"}
    assert refused.value.retry_after == timedelta(seconds=1)
    assert "10.1.2.3" not in refused.value.message
