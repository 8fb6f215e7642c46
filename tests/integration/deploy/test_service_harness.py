"""A service in this process: `tests.service`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import errors
from shared.config import ServiceConfig
from shared.rpc import call
from tests.service import channel, running

if TYPE_CHECKING:
    from shared.lifecycle import Process
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("no_stalls")


class Jobs(job_service_pb2_grpc.JobServiceServicer):
    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: object) -> jobs_pb2.Job:
        return jobs_pb2.Job(id=request.job_id, metadata={"tenant": call.current_tenant()})


async def serve(_: ServiceConfig, process: Process) -> None:
    await process.serve((job_service_pb2_grpc.add_JobServiceServicer_to_server, Jobs(), "penstock.jobs.v1.JobService"))


@pytest.fixture
def config(identities: Identities) -> ServiceConfig:
    return ServiceConfig(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("intake"),
    )


async def test_a_service_answers_a_caller_with_a_token(config: ServiceConfig, identities: Identities) -> None:
    async with running("intake", serve, config) as address, channel(address, identities.mint("acme")) as connection:
        job = await job_service_pb2_grpc.JobServiceStub(connection).GetJob(
            jobs_pb2.GetJobRequest(job_id="x"), timeout=30
        )
    assert job.metadata["tenant"] == "acme"


async def test_a_service_refuses_a_caller_without_a_token(config: ServiceConfig) -> None:
    async with running("intake", serve, config) as address, channel(address) as connection:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await job_service_pb2_grpc.JobServiceStub(connection).GetJob(jobs_pb2.GetJobRequest(job_id="x"), timeout=30)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_service_tells_its_health(config: ServiceConfig) -> None:
    async with running("intake", serve, config) as address, channel(address) as connection:
        answer = await health_pb2_grpc.HealthStub(connection).Check(health_pb2.HealthCheckRequest(), timeout=30)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_loop_that_fails_ends_the_service_and_the_test(config: ServiceConfig) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise errors.Unavailable("gone")

    async def serve_with_loop(_: ServiceConfig, process: Process) -> None:
        process.loop("fails", fails)
        await process.serve()

    with pytest.raises(BaseExceptionGroup):
        async with running("intake", serve_with_loop, config):
            await asyncio.sleep(0.1)
