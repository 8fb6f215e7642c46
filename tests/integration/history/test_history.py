"""History on real servers: from the log of jobs to a page of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.events.v1 import events_pb2
from penstock.history.v1 import history_pb2, history_pb2_grpc
from penstock.jobs.v1 import jobs_pb2

from services.history.__main__ import serve
from services.history.config import Config
from shared import ids, streams
from shared.bus import Bus, Outgoing
from shared.config import Secret
from tests import object_stores
from tests.service import NONE_BESIDE_HISTORY, channel, running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from shared.mongo import Client
    from tests.identities import Identities

NOW = datetime.now(UTC)


@pytest.fixture
def config(nats_url: str, mongo_url: str, mongo: Client, identities: Identities) -> Config:
    return Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("history"),
        mongo_url=Secret(mongo_url),
        nats_url=Secret(nats_url),
        **NONE_BESIDE_HISTORY,
        **object_stores.AWAY,
    )


def events_of(job_id: str, *states: str, tenant: str = "acme", method: str = "http.get") -> list[events_pb2.JobEvent]:
    """The job's submission, and an event for each state after it."""
    first = events_pb2.JobEvent(
        type=events_pb2.JobEvent.SUBMITTED, job_id=job_id, tenant=tenant, upstream="http", revision=1
    )
    first.state = jobs_pb2.Job.QUEUED
    first.time.FromDatetime(NOW)
    first.submission.job.MergeFrom(jobs_pb2.Job(id=job_id, upstream="http", method=method, revision=1))
    first.submission.job.state = jobs_pb2.Job.QUEUED
    first.submission.job.created_at.FromDatetime(NOW)
    events = [first]
    for revision, state in enumerate(states, start=2):
        event = events_pb2.JobEvent(job_id=job_id, tenant=tenant, upstream="http", revision=revision, attempt=1)
        event.state = jobs_pb2.Job.State.Value(state)
        event.time.FromDatetime(NOW + timedelta(seconds=revision))
        if state == "SUCCEEDED":
            event.result.inline.text = "body"
            event.result.size = 4
            event.finished_at.CopyFrom(event.time)
        events.append(event)
    return events


async def publish(bus: Bus, events: list[events_pb2.JobEvent]) -> None:
    await bus.publish(
        [
            Outgoing(
                subject=streams.job_subject("any", "http"),
                payload=event.SerializeToString(),
                message_id=f"{event.job_id}:{event.revision}",
            )
            for event in events
        ]
    )


@asynccontextmanager
async def history(address: str, token: str | None) -> AsyncGenerator[Any]:
    async with channel(address, token) as connection:
        yield history_pb2_grpc.HistoryServiceStub(connection)


async def all_jobs(stub: Any, **filters: Any) -> list[jobs_pb2.Job]:
    jobs: list[jobs_pb2.Job] = []
    token = ""
    while True:
        page = await stub.ListJobs(history_pb2.ListJobsRequest(page_token=token, **filters))
        jobs += page.jobs
        token = page.next_page_token
        if not token:
            return jobs


async def test_a_stored_result_is_listed_without_its_headers_and_read_with_them(
    config: Config, bus: Bus, identities: Identities
) -> None:
    job = ids.new_job_id("http")
    events = events_of(job, "RUNNING", "SUCCEEDED")
    url = f"/api/v1/jobs/{job}/result"
    result = jobs_pb2.JobResult(url=url, status=200, headers={"a": "b"}, content_type="x/y", size=300_000)
    events[-1].result.CopyFrom(result)
    await publish(bus, events)
    async with running("history", serve, config) as address, history(address, identities.mint()) as stub:
        (listed,) = await eventually_listed(stub, 1)
        assert listed.result == jobs_pb2.JobResult(url=url, status=200, content_type="x/y", size=300_000)
        whole = await stub.GetRecordedJob(history_pb2.GetRecordedJobRequest(job_id=job))
        assert whole.result == result


async def test_jobs_of_the_log_can_be_listed_and_read(config: Config, bus: Bus, identities: Identities) -> None:
    done, failed, queued = (ids.new_job_id("http") for _ in range(3))
    await publish(bus, events_of(done, "RUNNING", "SUCCEEDED"))
    await publish(bus, events_of(failed, "RUNNING", "RETRYING", "RUNNING", "FAILED", method="http.post"))
    await publish(bus, events_of(queued))
    await publish(bus, events_of(ids.new_job_id("http"), tenant="other"))
    async with running("history", serve, config) as address, history(address, identities.mint()) as stub:
        jobs = {job.id: job for job in await eventually_listed(stub, 3)}
        assert set(jobs) == {done, failed, queued}
        assert jobs[done].state == jobs_pb2.Job.SUCCEEDED
        assert (jobs[done].result.size, jobs[done].result.WhichOneof("content")) == (4, None)
        assert [job.id for job in await all_jobs(stub, state=[jobs_pb2.Job.FAILED])] == [failed]
        assert [job.id for job in await all_jobs(stub, method="http.post")] == [failed]
        assert len(await all_jobs(stub, page_size=1)) == 3
        whole = await stub.GetRecordedJob(history_pb2.GetRecordedJobRequest(job_id=done))
        assert whole.result.inline.text == "body"
        assert (whole.revision, whole.attempt) == (3, 1)
    async with running("history", serve, config) as address, history(address, identities.mint("other")) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetRecordedJob(history_pb2.GetRecordedJobRequest(job_id=done))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert len(await all_jobs(stub)) == 1


async def eventually_listed(stub: Any, count: int) -> list[jobs_pb2.Job]:
    async def enough() -> list[jobs_pb2.Job] | None:
        jobs = await all_jobs(stub)
        return jobs if len(jobs) >= count else None

    return await eventually(enough, within=150)


async def test_a_batch_is_made_of_its_recorded_jobs(config: Config, bus: Bus, identities: Identities) -> None:
    batch = ids.new_batch_id()
    first, second, third = (
        ids.job_id_in_batch(batch, index, name) for index, name in enumerate(("http", "s3", "http"))
    )
    states = {first: ("RUNNING", "SUCCEEDED"), second: ("RUNNING",), third: ()}
    for job_id, left_by in states.items():
        events = events_of(job_id, *left_by)
        events[0].submission.job.batch_id = batch
        await publish(bus, events)
    async with running("history", serve, config) as address, history(address, identities.mint()) as stub:
        await eventually_listed(stub, 3)
        found = await stub.GetRecordedBatch(history_pb2.GetRecordedBatchRequest(batch_id=batch))
        assert [job.id for job in found.jobs] == [first, second, third]
        assert (found.counts.succeeded, found.counts.running, found.counts.queued) == (1, 1, 1)
        assert not found.HasField("finished_at")
        assert found.jobs[0].result.WhichOneof("content") is None
        with pytest.raises(grpc.aio.AioRpcError) as wrong:
            await stub.GetRecordedBatch(history_pb2.GetRecordedBatchRequest(batch_id="batch"))
        assert wrong.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    async with running("history", serve, config) as address, history(address, identities.mint("other")) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await stub.GetRecordedBatch(history_pb2.GetRecordedBatchRequest(batch_id=batch))
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_malformed_event_holds_nothing_up(config: Config, bus: Bus, identities: Identities) -> None:
    await bus.publish(
        [
            Outgoing(subject="jobs.submitted.http", payload=b"\xff\xff", message_id="bad"),
            Outgoing(subject="jobs.submitted.http", payload=b"", message_id="empty"),
        ]
    )
    await publish(bus, events_of(ids.new_job_id("http")))
    async with running("history", serve, config) as address, history(address, identities.mint()) as stub:
        await eventually_listed(stub, 1)

        async def nothing_left() -> bool:
            info = await bus._jetstream.consumer_info(streams.JOBS, "history")
            return info.num_ack_pending == 0 and info.num_pending == 0

        await eventually(nothing_left)


async def test_replicas_share_a_thousand_jobs_and_each_is_there_once(
    config: Config, bus: Bus, identities: Identities
) -> None:
    job_ids = [ids.new_job_id("http") for _ in range(1000)]
    async with running("history", serve, config) as first, running("history", serve, config):
        for start in range(0, 1000, 100):
            batch = [
                event for job_id in job_ids[start : start + 100] for event in events_of(job_id, "RUNNING", "FAILED")
            ]
            await publish(bus, batch)
        async with history(first, identities.mint()) as stub:

            async def all_failed() -> bool:
                return len(await all_jobs(stub, page_size=500, state=[jobs_pb2.Job.FAILED])) == 1000

            await eventually(all_failed, within=150)
            assert sorted(job.id for job in await all_jobs(stub, page_size=500)) == sorted(job_ids)


@pytest.mark.parametrize(
    ("request_fields", "path"),
    [
        ({"page_size": -1}, "pageSize"),
        ({"page_token": "forged"}, "pageToken"),
        ({"state": [99]}, "state[0]"),
        ({"state": [0]}, "state[0]"),
        ({"priority": 99}, "priority"),
        ({"upstream": "NO SLUG"}, "upstream"),
    ],
)
async def test_wrong_arguments_are_named(
    config: Config, bus: Bus, identities: Identities, request_fields: dict[str, Any], path: str
) -> None:
    async with running("history", serve, config) as address, history(address, identities.mint()) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListJobs(history_pb2.ListJobsRequest(**request_fields))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert str(refused.value.details()).startswith(f"{path}: ")


async def test_a_page_token_is_good_for_its_own_list_alone(config: Config, bus: Bus, identities: Identities) -> None:
    for _ in range(3):
        await publish(bus, events_of(ids.new_job_id("http")))
    async with running("history", serve, config) as address, history(address, identities.mint()) as stub:
        await eventually_listed(stub, 3)
        page = await stub.ListJobs(history_pb2.ListJobsRequest(page_size=1))
        for token, fields in ((identities.mint(), {"method": "http.get"}), (identities.mint("other"), {})):
            async with history(address, token) as other:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await other.ListJobs(history_pb2.ListJobsRequest(page_token=page.next_page_token, **fields))
                assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_history_catches_up_after_it_was_away(config: Config, bus: Bus, identities: Identities) -> None:
    job_id = ids.new_job_id("http")
    first, second, last = events_of(job_id, "RUNNING", "SUCCEEDED")
    async with running("history", serve, config) as address, history(address, identities.mint()) as stub:
        await publish(bus, [first])
        await eventually_listed(stub, 1)
    await publish(bus, [second, last])
    async with running("history", serve, config) as address, history(address, identities.mint()) as stub:

        async def ended() -> bool:
            jobs = await asyncio.wait_for(all_jobs(stub), 30)
            return jobs[0].state == jobs_pb2.Job.SUCCEEDED

        await eventually(ended, within=150)
