"""The server kit and the client, as two processes of the mesh meet: through a real port."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import errors
from shared.config import ServiceConfig
from shared.lifecycle import Process
from shared.rpc import call as current_call
from shared.rpc import client
from tests.bench.http2 import Http2Connection, header_block, message
from tests.bench.tally import Tally
from tests.service import channel, running_process
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("no_stalls")
JOB = "http-0198c6f2-6d3c-7abc-8def-0123456789ab"


@dataclass
class Jobs(job_service_pb2_grpc.JobServiceServicer):
    """Answers as a test tells it to."""

    get: Callable[[], Awaitable[jobs_pb2.Job]]
    calls: list[current_call.Call] = field(default_factory=list)

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Any) -> jobs_pb2.Job:
        call = current_call.current()
        assert call is not None
        self.calls.append(call)
        return await self.get()


async def answer() -> jobs_pb2.Job:
    return jobs_pb2.Job(id=JOB)


@dataclass
class Running:
    address: str
    jobs: Jobs
    process: Process


@asynccontextmanager
async def serving(
    identities: Identities,
    get: Callable[[], Awaitable[jobs_pb2.Job]] = answer,
    *,
    drain_timeout: timedelta = timedelta(seconds=5),
    prepare: Callable[[Process], Awaitable[None]] | None = None,
) -> AsyncGenerator[Running]:
    config = ServiceConfig(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("intake"),
        drain_timeout=drain_timeout,
    )
    process = Process("intake", config)
    if prepare is not None:
        await prepare(process)
    jobs = Jobs(get)
    registration = (job_service_pb2_grpc.add_JobServiceServicer_to_server, jobs, "penstock.jobs.v1.JobService")
    async with running_process(process, process.serve(registration)) as address:
        yield Running(address, jobs, process)


async def get_job(address: str, token: str | None, **options: Any) -> jobs_pb2.Job:
    metadata = options.pop("metadata", None)
    async with channel(address, token, metadata=metadata) as connection:
        return await job_service_pb2_grpc.JobServiceStub(connection).GetJob(
            jobs_pb2.GetJobRequest(job_id=JOB), **options
        )


def reason_of(failure: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(failure)  # type: ignore[arg-type]  it has what is read of a Call
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason


async def test_a_call_with_an_identity_is_answered_and_knows_its_caller(identities: Identities) -> None:
    async with serving(identities) as server:
        token = identities.mint("acme", ["jobs:read"], key_id="key_1")
        assert (await get_job(server.address, token)).id == JOB
        principal = server.jobs.calls[0].principal
        assert principal is not None
        assert (principal.tenant, principal.id) == ("acme", "key_1")


@pytest.mark.usefixtures("uncounted")
async def test_thousands_of_calls_that_come_at_once_are_all_answered(identities: Identities) -> None:
    """As after a restart of the gateway, when every client comes back; gRPC itself would refuse most of them."""
    calls = 5000
    tally = Tally(count=calls, seconds=60)
    async with serving(identities) as server:
        block = header_block("/penstock.jobs.v1.JobService/GetJob", server.address, identities.mint())
        host, _, port = server.address.rpartition(":")
        transport, connection = await asyncio.get_running_loop().create_connection(
            lambda: Http2Connection(tally, [(block, message(b""))], calls), host, int(port)
        )
        tally.start()
        connection.start()
        await asyncio.wait_for(tally.over.wait(), 60)
        transport.close()
    assert (tally.ended, tally.errors) == (calls, 0)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, grpc.StatusCode.UNAUTHENTICATED),
        ("garbage", grpc.StatusCode.UNAUTHENTICATED),
        ("expired", grpc.StatusCode.UNAUTHENTICATED),
        ("of a service that may not", grpc.StatusCode.PERMISSION_DENIED),
        ("without the scope", grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_a_call_that_may_not_be_made_never_reaches_the_handler(
    identities: Identities, token: str | None, code: grpc.StatusCode
) -> None:
    tokens = {
        "expired": lambda: identities.mint(lifetime=timedelta(seconds=-60)),
        "of a service that may not": lambda: identities.service("scheduler").token(),
        "without the scope": lambda: identities.mint(scopes=["keys:read"]),
    }
    async with serving(identities) as server:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await get_job(server.address, tokens[token]() if token in tokens else token)
        assert refused.value.code() is code
        assert reason_of(refused.value) == code.name
        assert server.jobs.calls == []


async def test_what_is_said_twice_under_one_name_is_heard_as_a_whole(identities: Identities) -> None:
    said = (("x-order", "7"), ("x-order", "8"), ("x-order", "7"), ("x-mark", "a"), ("x-mark", "a"))
    async with serving(identities) as server, channel(server.address, identities.mint()) as connection:
        jobs = job_service_pb2_grpc.JobServiceStub(connection)
        await jobs.GetJob(jobs_pb2.GetJobRequest(job_id=JOB), metadata=grpc.aio.Metadata(*said))
        heard = server.jobs.calls[0].metadata
    assert (heard["x-order"], heard["x-mark"]) == ("7, 8", "a")


async def test_what_is_raised_arrives_as_a_status_with_its_reason(identities: Identities) -> None:
    async def missing() -> jobs_pb2.Job:
        raise errors.JobNotFound("there is no job x", metadata={"job": "x"})

    async with serving(identities, missing) as server:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await get_job(server.address, identities.mint())
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert reason_of(refused.value) == "JOB_NOT_FOUND"


async def test_a_fault_leaves_as_an_error_id_alone_and_is_logged_in_full(identities: Identities) -> None:
    async def fault() -> jobs_pb2.Job:
        raise RuntimeError("mongodb://root:hunter2@db said no")

    async with serving(identities, fault) as server:
        with structlog.testing.capture_logs() as lines, pytest.raises(grpc.aio.AioRpcError) as refused:
            await get_job(server.address, identities.mint())
        assert refused.value.code() is grpc.StatusCode.INTERNAL
        assert "hunter2" not in str(refused.value.details())
        logged = next(line for line in lines if line["event"] == "rpc_failed")
        assert logged["error_id"] in str(refused.value.details())
        assert logged["exc_info"]


async def test_a_malformed_message_is_an_invalid_argument(identities: Identities) -> None:
    async with serving(identities) as server, channel(server.address, identities.mint()) as connection:
        call = connection.unary_unary("/penstock.jobs.v1.JobService/GetJob")
        for malformed in (b"\x0a\x02\xff\xfe", b"\x0a\xff", b"\xff\xff\xff"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(malformed)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert server.jobs.calls == []


async def test_an_rpc_that_is_not_offered_is_a_well_formed_refusal(identities: Identities) -> None:
    async with serving(identities) as server, channel(server.address, identities.mint()) as connection:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await connection.unary_unary("/penstock.jobs.v1.JobService/Unheard")(b"")
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert reason_of(refused.value) == "UNIMPLEMENTED"


async def test_a_request_id_is_taken_if_well_formed_and_made_if_not(identities: Identities) -> None:
    async with serving(identities) as server:
        await get_job(server.address, identities.mint(), metadata={"x-request-id": "order-7"})
        await get_job(server.address, identities.mint(), metadata={"x-request-id": "two words"})
        first, second = (call.request_id for call in server.jobs.calls)
        assert first == "order-7"
        assert len(second) == 36


async def test_the_client_carries_identity_request_id_and_less_time_than_it_has(identities: Identities) -> None:
    token = identities.mint()
    async with serving(identities) as inner:
        outgoing = client.connect(inner.address, identities.service("upstream"), default_timeout=timedelta(seconds=30))
        stub = health_pb2_grpc.HealthStub(outgoing)

        async def ask_on() -> jobs_pb2.Job:
            await stub.Check(health_pb2.HealthCheckRequest())
            jobs = job_service_pb2_grpc.JobServiceStub(outgoing)
            try:
                await jobs.GetJob(jobs_pb2.GetJobRequest(job_id=JOB))
            except errors.PermissionDenied as error:  # the typed error is back; upstream may not read jobs
                return jobs_pb2.Job(id=error.message)
            raise AssertionError("a service without permission was let in")

        async with serving(identities, ask_on) as outer:
            answered = await get_job(outer.address, token, timeout=30)
            assert answered.id == "the service upstream may not call /penstock.jobs.v1.JobService/GetJob"
        await outgoing.close()


async def test_a_call_on_the_callers_behalf_is_made_in_the_callers_name(identities: Identities) -> None:
    token = identities.mint("acme", ["jobs:read"], key_id="key_1")
    async with serving(identities) as inner:
        outgoing = client.connect(
            inner.address,
            identities.service("upstream"),
            default_timeout=timedelta(seconds=30),
            on_behalf_of_caller=True,
        )
        jobs = job_service_pb2_grpc.JobServiceStub(outgoing)

        async def ask_on() -> jobs_pb2.Job:
            return await jobs.GetJob(jobs_pb2.GetJobRequest(job_id=JOB))

        async with serving(identities, ask_on) as outer:
            await get_job(outer.address, token, timeout=30)
        principal = inner.jobs.calls[0].principal
        assert principal is not None
        assert (principal.tenant, principal.id) == ("acme", "key_1")
        with pytest.raises(errors.Unauthenticated):  # nobody calls
            await ask_on()
        assert len(inner.jobs.calls) == 1
        await outgoing.close()


async def test_a_hop_without_time_left_is_refused_early(identities: Identities) -> None:
    outgoing = client.connect("127.0.0.1:1", identities.service("upstream"), default_timeout=timedelta(seconds=30))

    async def ask_on() -> jobs_pb2.Job:
        call = current_call.current()
        assert call is not None
        call.deadline = 0.0
        return await job_service_pb2_grpc.JobServiceStub(outgoing).GetJob(jobs_pb2.GetJobRequest(job_id=JOB))

    async with serving(identities, ask_on) as server:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await get_job(server.address, identities.mint())
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "too little time" in str(refused.value.details())
    await outgoing.close()


async def test_readiness_follows_a_dependency_while_liveness_stays(identities: Identities) -> None:
    there = True

    async def check(_: object) -> None:
        if not there:
            raise errors.Unavailable("gone")

    async def connect() -> object:
        return object()

    async def close(_: object) -> None:
        return

    async def prepare(process: Process) -> None:
        await process.depend_on("store", connect, check=check, close=close)

    async with serving(identities, prepare=prepare) as server, channel(server.address) as connection:
        health = health_pb2_grpc.HealthStub(connection)

        async def is_serving(name: str) -> bool:
            answered = await health.Check(health_pb2.HealthCheckRequest(service=name))
            return answered.status == health_pb2.HealthCheckResponse.SERVING

        assert await is_serving("")
        watch = health.Watch(health_pb2.HealthCheckRequest(service="dependency/store"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        there = False
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not await is_serving("")
        assert await is_serving("liveness")
        listed = await health.List(health_pb2.HealthListRequest())
        assert {name: status.status for name, status in listed.statuses.items()} == {
            "liveness": health_pb2.HealthCheckResponse.SERVING,
            "": health_pb2.HealthCheckResponse.NOT_SERVING,
            "dependency/store": health_pb2.HealthCheckResponse.NOT_SERVING,
        }
        there = True
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert await is_serving("")
        watch.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await is_serving("dependency/unheard")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_begun_calls_are_finished_and_new_ones_refused_while_draining(identities: Identities) -> None:
    release = asyncio.Event()

    async def slow() -> jobs_pb2.Job:
        await release.wait()
        return jobs_pb2.Job(id="finished")

    async with serving(identities, slow, drain_timeout=timedelta(seconds=20)) as server:
        begun = asyncio.create_task(get_job(server.address, identities.mint()))
        await eventually(lambda: server.jobs.calls)
        server.process.stopping.set()

        async def refused() -> bool:
            try:
                await get_job(server.address, identities.mint(), timeout=1)
            except grpc.aio.AioRpcError as failure:
                return failure.code() is grpc.StatusCode.UNAVAILABLE
            return False

        await eventually(refused)
        release.set()
        assert (await begun).id == "finished"


async def test_a_dependency_is_awaited_at_start(identities: Identities) -> None:
    tries = 0

    async def connect() -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise errors.Unavailable("not yet")
        return "connected"

    async def fine(_: str) -> None:
        return

    async def prepare(process: Process) -> None:
        assert await process.depend_on("store", connect, check=fine, close=fine) == "connected"

    async with serving(identities, prepare=prepare) as server:
        assert (await get_job(server.address, identities.mint())).id == JOB
    assert tries == 3


async def test_a_loop_that_fails_ends_the_process(identities: Identities) -> None:
    async def fail() -> None:
        raise LookupError("the loop broke")

    async def prepare(process: Process) -> None:
        process.loop("broken", fail)

    with pytest.raises(ExceptionGroup) as ended:
        async with serving(identities, prepare=prepare):
            await asyncio.Event().wait()
    assert ended.group_contains(LookupError, match="the loop broke")


async def test_reflection_lists_the_services(identities: Identities) -> None:
    async with serving(identities) as server, grpc.aio.insecure_channel(server.address) as connection:
        stub = reflection_pb2_grpc.ServerReflectionStub(connection)
        stream = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        answered = await stream.read()
        names = {service.name for service in answered.list_services_response.service}
        assert {"penstock.jobs.v1.JobService", "grpc.health.v1.Health"} <= names


async def test_every_answered_call_is_logged_once_and_counted(identities: Identities) -> None:
    async with serving(identities) as server:
        with structlog.testing.capture_logs() as lines:
            await get_job(server.address, identities.mint("acme", key_id="key_9"))
        answered = [line for line in lines if line["event"] == "rpc_answered"]
        assert len(answered) == 1
        assert (answered[0]["code"], answered[0]["tenant"], answered[0]["principal"]) == ("OK", "acme", "key_9")
        assert json.dumps(answered[0])  # plain values only
