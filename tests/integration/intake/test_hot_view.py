"""The hot view kept to its bound, beside the real history: a job that went is answered as before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.jobs.v1 import jobs_pb2

from services.history.__main__ import serve as serve_history
from services.history.config import Config as HistoryConfig
from services.intake import metrics
from services.intake.layout import job_key
from shared import errors
from shared.config import Secret
from shared.rpc.status import from_rpc_error
from tests import object_stores
from tests.fakes.intake_requests import request
from tests.integration.intake.conftest import ended, event, publish, replica, submit
from tests.service import NONE_BESIDE_HISTORY, running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.intake.config import Config
    from shared import kv
    from shared.bus import Bus
    from shared.mongo import Client
    from tests.identities import Identities
    from tests.integration.intake.conftest import Intake

RESULT = jobs_pb2.JobResult(
    inline=jobs_pb2.InlineResult(status=200, text="x" * 2000), content_type="text/plain", size=2000
)


@pytest.fixture
async def history_address(
    nats_url: str, mongo_url: str, mongo: Client, bus: Bus, identities: Identities
) -> AsyncIterator[str]:
    config = HistoryConfig(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("history"),
        mongo_url=Secret(mongo_url),
        nats_url=Secret(nats_url),
        **NONE_BESIDE_HISTORY,
        **object_stores.AWAY,
    )
    async with running("history", serve_history, config) as address:
        yield address


async def finished(intake: Intake, bus: Bus, *, key: str = "") -> jobs_pb2.Job:
    """A job that has succeeded, as the hot view has it."""
    job = await submit(intake, request_id=key)
    await publish(bus, event(job.id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1))
    await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=3, result=RESULT))
    return await asked(intake, "WaitJob", job_id=job.id)


async def asked(intake: Intake, rpc: str, *, scopes: tuple[str, ...] = ("jobs:read",), **fields: Any) -> jobs_pb2.Job:
    async with intake.jobs(scopes=scopes) as jobs:
        try:
            return await getattr(jobs, rpc)(getattr(jobs_pb2, f"{rpc}Request")(**fields), timeout=120)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure


async def watched(intake: Intake, job_id: str) -> list[jobs_pb2.Job]:
    async with intake.jobs() as jobs:
        return [each.job async for each in jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job_id), timeout=120)]


async def gone(redis: kv.Client, job: jobs_pb2.Job) -> bool:
    return not await redis.hexists(job_key("acme", job.id), "event")


async def test_a_job_that_went_is_answered_as_before(
    config: Config, identities: Identities, bus: Bus, redis: kv.Client, history_address: str
) -> None:
    small = replace(config, history_address=history_address, hot_view_max_bytes=1)
    before = metrics.EVICTED_JOBS._value.get()
    async with replica(small, identities) as intake:
        job = await finished(intake, bus, key="once")
        await eventually(lambda: gone(redis, job))
        assert metrics.EVICTED_JOBS._value.get() == before + 1
        assert await asked(intake, "GetJob", job_id=job.id) == job
        assert await asked(intake, "WaitJob", job_id=job.id) == job
        assert (await watched(intake, job.id))[-1] == job
        assert await watched_again(intake, job) == []
        async with intake.jobs(scopes=("jobs:write",)) as jobs:  # who submits again need not be allowed to read
            assert await jobs.SubmitJob(request(request_id="once"), timeout=120) == job
        with pytest.raises(errors.JobFinished):
            await asked(intake, "CancelJob", scopes=("jobs:write",), job_id=job.id)


async def watched_again(intake: Intake, job: jobs_pb2.Job) -> list[jobs_pb2.WatchJobResponse]:
    async with intake.jobs() as jobs:
        watch = jobs_pb2.WatchJobRequest(job_id=job.id, after_revision=job.revision)
        return [each async for each in jobs.WatchJob(watch, timeout=120)]


async def test_an_event_that_comes_again_changes_nothing_of_a_job_that_went(
    config: Config, identities: Identities, bus: Bus, redis: kv.Client, history_address: str
) -> None:
    small = replace(config, history_address=history_address, hot_view_max_bytes=1)
    async with replica(small, identities) as intake:
        job = await finished(intake, bus)
        await eventually(lambda: gone(redis, job))
        await publish(bus, event(job.id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1))
        await finished(intake, bus)  # the log is in order: when this one has ended, the other event was applied
        assert await asked(intake, "GetJob", job_id=job.id) == job


async def test_without_history_nothing_goes(config: Config, identities: Identities, bus: Bus, redis: kv.Client) -> None:
    async with replica(replace(config, hot_view_max_bytes=1), identities) as intake:
        metrics.HOT_VIEW_BYTES.set(0)
        job = await finished(intake, bus)
        await eventually(lambda: metrics.HOT_VIEW_BYTES._value.get() > 1)
        assert not await gone(redis, job)
        assert await asked(intake, "GetJob", job_id=job.id) == job
