"""Batches over gRPC, on real servers: taken in as a whole, shown as they stand, told of when the last job has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.events.v1 import notices_pb2
from penstock.jobs.v1 import batches_pb2, jobs_pb2

from shared import errors, ids, streams
from shared.rpc.status import from_rpc_error
from tests.fakes.intake_requests import request
from tests.integration.intake.conftest import ended, event, log_of_jobs, publish, replica, submit
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.intake.config import Config
    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.intake.conftest import HistoryStandIn, Intake, SchedulerStandIn

pytestmark = pytest.mark.usefixtures("no_stalls")

Job = jobs_pb2.Job


async def submit_batch(
    intake: Intake, size: int = 3, *, tenant: str = "acme", metadata: dict[str, str] | None = None, **fields: Any
) -> batches_pb2.Batch:
    """Submits until the catalogue is loaded, which a new replica does beside answering."""
    jobs = fields.pop("jobs", None) or [request(metadata={"n": str(number)}) for number in range(size)]
    async with intake.jobs(tenant, metadata=metadata) as stub:
        while True:
            try:
                return await stub.SubmitBatch(batches_pb2.SubmitBatchRequest(jobs=jobs, **fields), timeout=120)
            except grpc.aio.AioRpcError as failure:
                error = from_rpc_error(failure)
                if error.metadata.get("dependency") != "upstream":
                    raise error from failure


async def get(intake: Intake, batch_id: str, *, tenant: str = "acme") -> batches_pb2.Batch:
    async with intake.jobs(tenant) as stub:
        try:
            return await stub.GetBatch(batches_pb2.GetBatchRequest(batch_id=batch_id), timeout=120)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure


async def cancel(intake: Intake, batch_id: str, *, force: bool = False) -> batches_pb2.Batch:
    async with intake.jobs() as stub:
        try:
            return await stub.CancelBatch(batches_pb2.CancelBatchRequest(batch_id=batch_id, force=force), timeout=120)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure


async def notices(bus: Bus) -> list[notices_pb2.Notice]:
    info = await bus._jetstream.stream_info(streams.NOTICES)
    found = [await bus.read(streams.NOTICES, sequence) for sequence in range(1, info.state.last_seq + 1)]
    return [notices_pb2.Notice.FromString(payload) for payload in found if payload is not None]


async def test_a_batch_is_in_the_log_as_a_whole_and_shown_with_its_jobs(intake: Intake, bus: Bus) -> None:
    batch = await submit_batch(intake, 100)
    assert [happened.job_id for happened in await log_of_jobs(bus)] == [job.id for job in batch.jobs]
    assert [job.metadata["n"] for job in batch.jobs] == [str(number) for number in range(100)]
    assert await get(intake, batch.id) == batch


async def test_its_counts_follow_its_jobs_and_the_last_end_is_told_once(intake: Intake, bus: Bus) -> None:
    batch = await submit_batch(intake, 3, callback_url="https://client.example/hook")
    first, second, third = (job.id for job in batch.jobs)
    await publish(bus, event(first, "acme", "STARTED", revision=2, state="RUNNING", attempt=1))
    inline = jobs_pb2.JobResult(inline=jobs_pb2.InlineResult(status=200, text="x"), content_type="text/plain", size=1)
    await publish(bus, ended(second, "acme", "SUCCEEDED", revision=3, result=inline))

    async def shown(**counts: int) -> bool:
        return (await get(intake, batch.id)).counts == batches_pb2.BatchCounts(**counts)

    await eventually(lambda: shown(queued=1, running=1, succeeded=1))
    result = (await get(intake, batch.id)).jobs[1].result
    assert (result.WhichOneof("content"), result.content_type, result.size) == (None, "text/plain", 1)
    assert await notices(bus) == []
    await publish(bus, ended(first, "acme", "FAILED", revision=3))
    last = ended(third, "acme", "EXPIRED", revision=2)
    await publish(bus, last)

    async def told() -> list[notices_pb2.Notice]:
        return await notices(bus)

    [notice] = await eventually(told)
    found = await get(intake, batch.id)
    assert found.counts == batches_pb2.BatchCounts(failed=1, succeeded=1, expired=1)
    assert found.finished_at == last.finished_at
    assert (notice.id, notice.tenant) == (batch.id, "acme")
    finished = notice.batch_finished
    assert finished.callback_url == "https://client.example/hook"
    assert (finished.batch.counts, finished.batch.size) == (found.counts, 3)
    assert not finished.batch.jobs
    await publish(bus, last)  # it comes again
    another = await submit_batch(intake, 1)
    await publish(bus, ended(another.jobs[0].id, "acme", "CANCELED", revision=2))

    async def both() -> bool:
        return {each.id for each in await notices(bus)} == {batch.id, another.id}

    await eventually(both)
    assert len(await notices(bus)) == 2


async def test_a_hundred_duplicates_at_once_make_one_batch(intake: Intake, bus: Bus) -> None:
    await submit(intake)  # the catalogue is there

    async def one() -> str:
        try:
            return (await submit_batch(intake, 2, metadata={"idempotency-key": '"twice"'})).id
        except errors.IdempotencyKeyInFlight as error:
            return error.metadata["batch"]

    found = await asyncio.gather(*(one() for _ in range(100)))
    assert len(set(found)) == 1
    assert len(await log_of_jobs(bus)) == 3


async def test_one_bad_job_refuses_all_and_leaves_nothing(intake: Intake, bus: Bus, redis: kv.Client) -> None:
    await submit(intake, tenant="other")
    with pytest.raises(errors.InvalidArgument) as refused:
        await submit_batch(intake, jobs=[request(), request(params={"url": "http://10.0.0.1/"})], request_id="k")
    assert [violation.field for violation in refused.value.violations] == ["jobs[1].params.url"]
    assert len(await log_of_jobs(bus)) == 1
    assert [key async for key in redis.scan_iter("{intake:acme}:*")] == []


async def test_a_batch_of_another_tenant_is_not_found(intake: Intake) -> None:
    batch = await submit_batch(intake)
    for batch_id in (batch.id, ids.new_batch_id()):
        with pytest.raises(errors.BatchNotFound) as missing:
            await get(intake, batch_id, tenant="other")
        assert missing.value.metadata == {"batch": batch_id}
    with pytest.raises(errors.InvalidArgument, match="not the id of a batch"):
        await get(intake, batch.jobs[0].id)


async def test_what_waits_of_a_batch_is_canceled_and_what_ended_stays(
    intake: Intake, bus: Bus, scheduler: SchedulerStandIn
) -> None:
    batch = await submit_batch(intake, 3)
    await publish(bus, ended(batch.jobs[0].id, "acme", "SUCCEEDED", revision=3))

    async def has_ended() -> bool:
        return (await get(intake, batch.id)).counts.succeeded == 1

    await eventually(has_ended)
    canceled = await cancel(intake, batch.id)
    assert canceled.counts == batches_pb2.BatchCounts(succeeded=1, canceled=2)
    assert {asked.job_id for asked in scheduler.asked} == {job.id for job in batch.jobs[1:]}
    assert await cancel(intake, batch.id, force=True) == canceled
    assert len(scheduler.asked) == 2


async def test_what_runs_of_a_batch_goes_on_unless_it_is_forced(intake: Intake, scheduler: SchedulerStandIn) -> None:
    batch = await submit_batch(intake, 2)
    scheduler.error = errors.JobRunning("it runs", metadata={"job": batch.jobs[0].id})
    assert (await cancel(intake, batch.id)).counts == batches_pb2.BatchCounts(queued=2)
    scheduler.error = None
    assert (await cancel(intake, batch.id, force=True)).counts == batches_pb2.BatchCounts(canceled=2)
    assert [asked.force for asked in scheduler.asked] == [False, False, True, True]


async def test_a_scheduler_that_is_away_cancels_no_batch(intake: Intake, scheduler: SchedulerStandIn) -> None:
    batch = await submit_batch(intake, 2)
    scheduler.error = errors.Unavailable("away")
    with pytest.raises(errors.Unavailable) as away:
        await cancel(intake, batch.id)
    assert away.value.metadata == {"dependency": "scheduler"}


async def test_jobs_and_batches_that_have_left_the_hot_view_are_those_of_history(
    intake: Intake, redis: kv.Client, history: HistoryStandIn
) -> None:
    batch = await submit_batch(intake, 3)
    recorded = batches_pb2.Batch()
    recorded.CopyFrom(batch)
    recorded.jobs[0].state = Job.SUCCEEDED
    history.batches["acme", batch.id] = recorded
    await redis.delete(f"{{intake:acme}}:job:{batch.jobs[0].id}")
    mixed = await get(intake, batch.id)
    assert mixed.counts == batches_pb2.BatchCounts(queued=2, succeeded=1)
    assert [job.id for job in mixed.jobs] == [job.id for job in batch.jobs]
    await redis.delete(f"{{intake:acme}}:batch:{batch.id}")
    assert await get(intake, batch.id) == recorded


async def test_a_replica_that_died_before_it_told_of_the_end_is_made_up_for(
    config: Config, identities: Identities, bus: Bus, redis: kv.Client
) -> None:
    async with replica(config, identities) as intake:
        batch = await submit_batch(intake, 2)
        await publish(bus, ended(batch.jobs[0].id, "acme", "SUCCEEDED", revision=3))
        await eventually(lambda: _has_ended(redis, batch.id, 0))
    # The last end was noted, and whoever did died before the notice: its event is not acknowledged, and comes again.
    last = ended(batch.jobs[1].id, "acme", "SUCCEEDED", revision=3)
    await redis.hset(
        f"{{intake:acme}}:batch:{batch.id}", mapping={"end:1": "SUCCEEDED", "ended_at": str(last.time.ToMilliseconds())}
    )
    await publish(bus, last)
    async with replica(config, identities):

        async def told() -> list[notices_pb2.Notice]:
            return await notices(bus)

        assert [notice.id for notice in await eventually(told)] == [batch.id]


async def test_a_batch_whose_record_was_lost_is_rebuilt_and_ends_as_it_would_have(
    config: Config, identities: Identities, bus: Bus, redis: kv.Client
) -> None:
    async with replica(config, identities) as intake:
        batch = await submit_batch(intake, 2, request_id="k", callback_url="https://client.example/hook")
        await publish(bus, ended(batch.jobs[0].id, "acme", "FAILED", revision=3))
        await eventually(lambda: _has_ended(redis, batch.id, 0))
    await redis.flushall()
    await _forget_servers(bus)
    async with replica(config, identities) as intake:
        await eventually(lambda: _has_ended(redis, batch.id, 0))

        async def rebuilt() -> bool:
            try:
                again = await submit_batch(intake, 2, request_id="k", callback_url="https://client.example/hook")
            except errors.Unavailable:
                return False
            return again.id == batch.id

        await eventually(rebuilt)
        assert len(await log_of_jobs(bus)) == 3
        await publish(bus, ended(batch.jobs[1].id, "acme", "SUCCEEDED", revision=3))

        async def told() -> list[notices_pb2.Notice]:
            return await notices(bus)

        [notice] = await eventually(told)
        assert notice.batch_finished.callback_url == "https://client.example/hook"
        assert notice.batch_finished.batch.counts == batches_pb2.BatchCounts(failed=1, succeeded=1)


async def _has_ended(redis: kv.Client, batch_id: str, index: int) -> bool:
    return bool(await redis.hexists(f"{{intake:acme}}:batch:{batch_id}", f"end:{index}"))


async def _forget_servers(bus: Bus) -> None:
    """As if the server were another one: none of them is known to hold what the log tells."""
    bucket = await bus.bucket("intake", replicas=1)
    for key in await bucket.entries():
        await bucket.delete(key)
