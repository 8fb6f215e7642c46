"""Many jobs by one call, on real servers: history, intake and the scheduler together."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from penstock.events.v1 import events_pb2
from penstock.history.v1 import history_pb2, history_pb2_grpc
from penstock.jobs.v1 import batches_pb2, jobs_pb2

from deploy.local import layout
from services.history.__main__ import serve as serve_history
from services.history.config import Config as HistoryConfig
from services.scheduler.__main__ import serve as serve_scheduler
from services.scheduler.config import Config as SchedulerConfig
from shared import ids, streams
from shared.config import Secret
from shared.permissions import Scope
from shared.rpc.status import from_rpc_error
from tests import object_stores
from tests.fakes.intake_requests import request
from tests.integration.intake.conftest import Intake, replica, submit
from tests.service import NONE_BESIDE_HISTORY, channel, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from services.intake.config import Config
    from shared.bus import Bus
    from shared.mongo import Client
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("uncounted")


@dataclass
class Trio:
    """The three, asked as a tenant asks them."""

    intake: Intake
    history: Any
    operations: Any

    async def end_of(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        while not operation.done:
            wait = operations_pb2.WaitOperationRequest(name=operation.name, timeout=Duration(seconds=60))
            operation = await self.operations.WaitOperation(wait, timeout=120)
        return operation

    async def batches(self, count: int) -> list[str]:
        """So many batches of a hundred jobs, which nobody works."""
        await submit(self.intake)  # as soon as the catalogue is loaded
        made: list[str] = []
        async with self.intake.jobs() as jobs:
            for _ in range(count):
                batch = batches_pb2.SubmitBatchRequest(jobs=[request() for _ in range(100)])
                made.append((await jobs.SubmitBatch(batch, timeout=120)).id)
        return made


def result(operation: operations_pb2.Operation) -> history_pb2.BulkResponse:
    found = history_pb2.BulkResponse()
    assert operation.response.Unpack(found), operation
    return found


@pytest.fixture
async def trio(  # noqa: PLR0917  each is a fixture
    config: Config, identities: Identities, stand_ins: str, mongo: Client, mongo_url: str, tmp_path: Path
) -> AsyncIterator[Trio]:
    del mongo
    free = layout.on_free_ports(tmp_path, {"intake": 0, "history": 0, "scheduler": 0})
    common: dict[str, Any] = {"identity_keys_file": identities.keys_file, "nats_url": config.nats_url}
    scheduler = SchedulerConfig(
        grpc_address=free.address("scheduler"),
        service_key=identities.service_key("scheduler"),
        redis_url=config.redis_url,
        upstream_address=stand_ins,
        **common,
    )
    history = HistoryConfig(
        grpc_address=free.address("history"),
        service_key=identities.service_key("history"),
        mongo_url=Secret(mongo_url),
        gather=timedelta(milliseconds=20),
        **{**NONE_BESIDE_HISTORY, "intake_address": free.address("intake")},
        **common,
        **object_stores.AWAY,
    )
    intake = replace(
        config,
        grpc_address=free.address("intake"),
        scheduler_address=free.address("scheduler"),
        history_address=free.address("history"),
        max_pending_jobs=5000,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running("scheduler", serve_scheduler, scheduler))
        address = await stack.enter_async_context(running("history", serve_history, history))
        made = await stack.enter_async_context(replica(intake, identities))
        token = identities.mint("acme", {Scope.JOBS_READ, Scope.JOBS_WRITE})
        connection = await stack.enter_async_context(channel(address, token))
        yield Trio(
            made, history_pb2_grpc.HistoryServiceStub(connection), operations_pb2_grpc.OperationsStub(connection)
        )


async def test_thousands_are_canceled_by_one_call_and_some_tried_again(trio: Trio, bus: Bus) -> None:
    batches = await trio.batches(20)
    everything = history_pb2.JobFilter(method="http.get")
    cancel = history_pb2.CancelJobsRequest(filter=everything, request_id="all-of-it")
    done = await trio.end_of(await trio.history.CancelJobs(cancel, timeout=60))
    assert result(done) == history_pb2.BulkResponse(matched=2001, succeeded=2001)
    again = await trio.history.CancelJobs(cancel, timeout=60)
    assert (again.name, again.done) == (done.name, True)
    async with trio.intake.jobs() as jobs:
        for batch in (batches[0], batches[-1]):
            seen = await jobs.GetBatch(batches_pb2.GetBatchRequest(batch_id=batch), timeout=60)
            assert {job.state for job in seen.jobs} == {jobs_pb2.Job.CANCELED}

    some = history_pb2.JobFilter(batch_id=batches[3], state=[jobs_pb2.Job.CANCELED])
    order = history_pb2.RetryJobsRequest(filter=some, max_per_second=1000)
    dry = history_pb2.RetryJobsRequest(filter=some, validate_only=True)
    assert result(await trio.history.RetryJobs(dry, timeout=60)).matched == 100
    before = await bus.newest(streams.JOBS, "jobs.*.*")
    retried = await trio.end_of(await trio.history.RetryJobs(order, timeout=60))
    assert result(retried) == history_pb2.BulkResponse(matched=100, succeeded=100)
    after = range(before + 1, await bus.newest(streams.JOBS, "jobs.*.*") + 1)
    events = [events_pb2.JobEvent.FromString(await bus.read(streams.JOBS, place) or b"") for place in after]
    async with trio.intake.jobs() as jobs:
        batch = await jobs.GetBatch(batches_pb2.GetBatchRequest(batch_id=batches[3]), timeout=60)
    submitted = [each.submission.job for each in events if each.HasField("submission")]  # an end may come late
    assert sorted(job.retry_of for job in submitted) == sorted(job.id for job in batch.jobs)


async def test_what_is_wrong_with_an_order_is_named_and_one_that_runs_is_canceled(trio: Trio) -> None:
    for asked, fields in [
        (history_pb2.CancelJobsRequest(), {"filter"}),
        (history_pb2.CancelJobsRequest(filter={"state": ["RUNNING"]}), {"filter.state[0]"}),
        (
            history_pb2.CancelJobsRequest(filter={"state": ["FAILED"], "upstream": "A B"}),
            {"filter.state[0]", "filter.upstream"},
        ),
        (history_pb2.RetryJobsRequest(filter={"state": ["FAILED"]}), {"filter"}),
        (history_pb2.RetryJobsRequest(filter={"state": ["SUCCEEDED"], "method": "m"}), {"filter.state[0]"}),
        (history_pb2.RetryJobsRequest(filter={"method": "m"}, max_per_second=1001), {"maxPerSecond"}),
        (history_pb2.RetryJobsRequest(filter={"method": "m"}, request_id="a b"), {"requestId"}),
    ]:
        call = trio.history.CancelJobs if isinstance(asked, history_pb2.CancelJobsRequest) else trio.history.RetryJobs
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(asked, timeout=60)
        assert {each.field for each in getattr(from_rpc_error(refused.value), "violations", ())} == fields, asked

    [batch] = await trio.batches(1)
    await trio.end_of(
        await trio.history.CancelJobs(history_pb2.CancelJobsRequest(filter={"batch_id": batch}), timeout=60)
    )
    slow = history_pb2.RetryJobsRequest(filter={"batch_id": batch, "state": ["CANCELED"]}, max_per_second=1)
    begun = await trio.history.RetryJobs(slow, timeout=60)
    await trio.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=begun.name), timeout=60)
    over = await trio.end_of(begun)
    assert (over.error.code, over.HasField("response")) == (1, False)
    metadata = history_pb2.BulkMetadata()
    assert over.metadata.Unpack(metadata)
    assert metadata.cancel_requested
    listed = await trio.operations.ListOperations(
        operations_pb2.ListOperationsRequest(name="operations", filter="done=true AND kind=RETRY_JOBS"), timeout=60
    )
    assert [each.name for each in listed.operations] == [begun.name]
    await trio.operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=begun.name), timeout=60)
    gone = operations_pb2.GetOperationRequest(name=f"operations/{ids.new_operation_id()}")
    for name in (begun.name, gone.name, "operations/x"):
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await trio.operations.GetOperation(operations_pb2.GetOperationRequest(name=name), timeout=60)
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
