"""Jobs that have left the hot view: asked of history, in the caller's name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.jobs.v1 import jobs_pb2

from shared import errors, ids
from shared.rpc.status import from_rpc_error
from tests.integration.intake.conftest import ended, event, publish, replica, submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.intake.config import Config
    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.intake.conftest import HistoryStandIn, Intake, SchedulerStandIn

pytestmark = pytest.mark.usefixtures("no_stalls")

READS = ["GetJob", "WaitJob", "WatchJob", "StreamJob"]


def finished(job_id: str, *, revision: int = 3) -> jobs_pb2.Job:
    return jobs_pb2.Job(id=job_id, upstream="http", state=jobs_pb2.Job.SUCCEEDED, revision=revision)


async def asked(intake: Intake, rpc: str, *, tenant: str = "acme", **fields: Any) -> Any:
    """The job, or the messages of a stream; its failure is an error of the tree."""
    request = getattr(jobs_pb2, f"{rpc}Request")(**fields)
    async with intake.jobs(tenant) as jobs:
        call = getattr(jobs, rpc)(request, timeout=120)
        try:
            return await call if rpc in {"GetJob", "WaitJob", "CancelJob"} else [message async for message in call]
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure


@pytest.fixture
def recorded(history: HistoryStandIn) -> Callable[[jobs_pb2.Job], jobs_pb2.Job]:
    """Puts a job of `acme` into history."""

    def put(job: jobs_pb2.Job) -> jobs_pb2.Job:
        history.jobs["acme", job.id] = job
        return job

    return put


@pytest.fixture
def old(recorded: Callable[[jobs_pb2.Job], jobs_pb2.Job]) -> jobs_pb2.Job:
    """A job that ended long ago."""
    return recorded(finished(ids.new_job_id("http")))


@pytest.mark.parametrize("rpc", ["GetJob", "WaitJob"])
async def test_a_job_that_only_history_has_is_answered(intake: Intake, old: jobs_pb2.Job, rpc: str) -> None:
    assert await asked(intake, rpc, job_id=old.id) == old


async def test_history_is_asked_in_the_callers_name(intake: Intake, old: jobs_pb2.Job, history: HistoryStandIn) -> None:
    await asked(intake, "GetJob", job_id=old.id)
    assert [principal.startswith("key_") for principal in history.principals] == [True]


async def test_a_watcher_is_told_how_a_job_ended_that_only_history_has(intake: Intake, old: jobs_pb2.Job) -> None:
    assert [message.job for message in await asked(intake, "WatchJob", job_id=old.id)] == [old]
    assert await asked(intake, "WatchJob", job_id=old.id, after_revision=3) == []
    frames = b"".join(message.data for message in await asked(intake, "StreamJob", job_id=old.id)).split(b"\n\n")
    assert [frame.split(b"\n")[0] for frame in frames] == [b"retry: 1000", b"id: 3", b""]


async def test_what_is_in_the_hot_view_costs_no_call(intake: Intake, bus: Bus, history: HistoryStandIn) -> None:
    job = await submit(intake)
    await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=2))
    for rpc in ("WaitJob", "GetJob", "WatchJob", "StreamJob"):
        await asked(intake, rpc, job_id=job.id)
    assert history.principals == []


async def test_events_go_on_where_history_has_left_a_job(
    intake: Intake, bus: Bus, redis: kv.Client, recorded: Callable[[jobs_pb2.Job], jobs_pb2.Job]
) -> None:
    """The hot view has lost the job, and gets to know its later events alone."""
    job = await submit(intake)
    await publish(bus, event(job.id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1))
    async with intake.jobs() as jobs:
        stream = jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.id))
        seen = [(await stream.read()).job for _ in range(2)]  # type: ignore[union-attr]  it is no EOF
        stream.cancel()
    await redis.flushall()
    recorded(seen[-1])
    await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=3))
    told = await asked(intake, "WatchJob", job_id=job.id)
    assert [message.job.revision for message in told] == [2, 3]
    found = await asked(intake, "GetJob", job_id=job.id)
    assert (found.state, found.revision, found.created_at) == (jobs_pb2.Job.SUCCEEDED, 3, job.created_at)


@pytest.mark.parametrize("rpc", READS)
async def test_what_history_does_not_have_is_not_found(intake: Intake, old: jobs_pb2.Job, rpc: str) -> None:
    for tenant, job_id in (("acme", ids.new_job_id("http")), ("globex", old.id)):
        with pytest.raises(errors.JobNotFound) as refused:
            await asked(intake, rpc, tenant=tenant, job_id=job_id)
        assert refused.value.metadata == {"job": job_id}


@pytest.mark.parametrize("rpc", READS)
async def test_without_history_nothing_is_said_of_old_jobs(
    config: Config, identities: Identities, history: HistoryStandIn, rpc: str
) -> None:
    async with replica(replace(config, history_address="127.0.0.1:1"), identities) as intake:
        job = await submit(intake)
        assert await asked(intake, "GetJob", job_id=job.id) == job
        with pytest.raises(errors.Unavailable) as refused:
            await asked(intake, rpc, job_id=ids.new_job_id("http"))
    assert refused.value.metadata == {"dependency": "history"}
    assert refused.value.retry_after == timedelta(seconds=1)
    assert "127.0.0.1" not in refused.value.message


async def test_a_job_that_has_left_the_hot_view_cannot_be_canceled(
    intake: Intake, old: jobs_pb2.Job, scheduler: SchedulerStandIn
) -> None:
    with pytest.raises(errors.JobFinished):
        await asked(intake, "CancelJob", job_id=old.id)
    with pytest.raises(errors.JobNotFound):
        await asked(intake, "CancelJob", job_id=ids.new_job_id("http"))
    assert scheduler.asked == []


def attempted(job: jobs_pb2.Job) -> jobs_pb2.Job:
    """The job as history has it: with an attempt."""
    kept = jobs_pb2.Job()
    kept.CopyFrom(job)
    kept.attempts.add(number=1, state=jobs_pb2.Job.SUCCEEDED)
    return kept


async def test_attempts_are_historys_and_told_where_they_are_asked_for(
    intake: Intake, bus: Bus, recorded: Callable[[jobs_pb2.Job], jobs_pb2.Job]
) -> None:
    hot = await submit(intake)
    assert not (await asked(intake, "GetJob", job_id=hot.id, view=jobs_pb2.Job.FULL)).attempts, "not heard of yet"
    await publish(bus, ended(hot.id, "acme", "SUCCEEDED", revision=2))
    old = finished(ids.new_job_id("http"))
    for job in (hot, old):
        kept = recorded(attempted(job))
        whole = await asked(intake, "GetJob", job_id=job.id, view=jobs_pb2.Job.FULL)
        assert list(whole.attempts) == list(kept.attempts)
        assert whole.state == jobs_pb2.Job.SUCCEEDED, "the hot view is the newer one"
        for rpc in ("GetJob", "WaitJob"):
            assert not (await asked(intake, rpc, job_id=job.id)).attempts
    with pytest.raises(errors.InvalidArgument) as refused:
        await asked(intake, "GetJob", job_id=old.id, view=9)
    assert [(fault.field, fault.description) for fault in refused.value.violations] == [
        ("view", "is 9; it takes BASIC or FULL")
    ]


async def test_without_history_attempts_alone_are_unavailable(
    config: Config, identities: Identities, history: HistoryStandIn
) -> None:
    async with replica(replace(config, history_address="127.0.0.1:1"), identities) as intake:
        job = await submit(intake)
        assert await asked(intake, "GetJob", job_id=job.id, view=jobs_pb2.Job.BASIC) == job
        with pytest.raises(errors.Unavailable) as refused:
            await asked(intake, "GetJob", job_id=job.id, view=jobs_pb2.Job.FULL)
    assert refused.value.metadata == {"dependency": "history"}
    assert "attempts" in refused.value.message
