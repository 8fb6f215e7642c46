"""Streams that end when who watches was revoked, through a real port."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared.errors import TenantSuspended
from shared.rpc.health import Health
from shared.rpc.open_streams import OpenStreams
from shared.rpc.server import Server
from shared.rpc.status import from_rpc_error
from tests.service import channel
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("no_stalls")


class Jobs(job_service_pb2_grpc.JobServiceServicer):
    """Tells of one event, and then of nothing."""

    def __init__(self) -> None:
        self.open = 0

    async def WatchJob(self, request: Any, context: Any) -> AsyncGenerator[jobs_pb2.WatchJobResponse]:
        self.open += 1
        try:
            yield jobs_pb2.WatchJobResponse(job=jobs_pb2.Job(id=request.job_id))
            await asyncio.Event().wait()
        finally:
            self.open -= 1


class Large(Jobs):
    """Tells, first of all, more than a client has room for that does not read."""

    async def WatchJob(self, request: Any, context: Any) -> AsyncGenerator[jobs_pb2.WatchJobResponse]:
        self.open += 1
        try:
            yield jobs_pb2.WatchJobResponse(job=jobs_pb2.Job(metadata={"padding": "x" * 8 * 1024 * 1024}))
        finally:
            self.open -= 1


@asynccontextmanager
async def serving(identities: Identities, jobs: Jobs, streams: OpenStreams) -> AsyncIterator[str]:
    server = Server("intake", address="127.0.0.1:0", verifier=identities.verifier(), health=Health({}), streams=streams)
    server.add(job_service_pb2_grpc.add_JobServiceServicer_to_server, jobs, "penstock.jobs.v1.JobService")
    port = await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server._server.stop(None)


@asynccontextmanager
async def watching(address: str, token: str) -> AsyncIterator[Any]:
    """A stream whose first event has come."""
    async with channel(address, token) as connection:
        stub = cast("Any", job_service_pb2_grpc.JobServiceStub(connection))
        stream = stub.WatchJob(jobs_pb2.WatchJobRequest(job_id="x"), timeout=60)
        assert (await stream.read()).job.id == "x"
        yield stream


async def end_of(stream: Any) -> grpc.aio.AioRpcError:
    """How the stream ends, after what is still on its way."""
    async with asyncio.timeout(150):
        try:
            while await stream.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return error
    raise AssertionError("the stream came to a good end")


async def test_all_streams_of_who_was_revoked_end_and_nobody_elses(identities: Identities) -> None:
    jobs, streams = Jobs(), OpenStreams()
    revoked, other = identities.mint(key_id="key_1"), identities.mint(key_id="key_2")
    async with serving(identities, jobs, streams) as address:
        async with (
            watching(address, revoked) as first,
            watching(address, revoked) as second,
            watching(address, other) as kept,
        ):
            await streams.end(b"key_1")
            for stream in (first, second):
                failure = await end_of(stream)
                assert failure.code() is grpc.StatusCode.UNAUTHENTICATED
                assert "revoked" in (failure.details() or "")
            await eventually(lambda: jobs.open == 1, what="the end of two handlers")
            assert not kept.done()
            await streams.end(b"key_2")
            assert (await end_of(kept)).code() is grpc.StatusCode.UNAUTHENTICATED
        assert streams._streams == {}


async def test_a_stream_that_opens_after_the_revocation_under_an_old_token_is_refused(identities: Identities) -> None:
    now = 0.0
    jobs, streams = Jobs(), OpenStreams(monotonic=lambda: now)
    await streams.end(b"key_1")
    async with serving(identities, jobs, streams) as address, channel(address, identities.mint(key_id="key_1")) as made:
        stub = cast("Any", job_service_pb2_grpc.JobServiceStub(made))
        assert (await end_of(stub.WatchJob(jobs_pb2.WatchJobRequest(job_id="x")))).code() is (
            grpc.StatusCode.UNAUTHENTICATED
        )
        assert jobs.open == 0
        now = 3600.0  # no token of then is good any more
        async with watching(address, identities.mint(key_id="key_1")) as stream:
            assert not stream.done()


async def test_all_streams_of_a_suspended_tenant_end_and_open_again_when_it_is_resumed(identities: Identities) -> None:
    jobs, streams = Jobs(), OpenStreams()
    first, second = identities.mint("acme", key_id="key_1"), identities.mint("acme", key_id="key_2")
    other = identities.mint("globex", key_id="key_3")
    async with serving(identities, jobs, streams) as address:
        async with watching(address, first) as one, watching(address, second) as two, watching(address, other) as kept:
            await streams.end_tenant(b"acme")
            for stream in (one, two):
                failure = await end_of(stream)
                assert failure.code() is grpc.StatusCode.PERMISSION_DENIED
                assert "suspended" in (failure.details() or "")
                assert isinstance(from_rpc_error(failure), TenantSuspended)
            await eventually(lambda: jobs.open == 1, what="the end of two handlers")
            assert not kept.done()
            async with channel(address, first) as connection:
                stub = cast("Any", job_service_pb2_grpc.JobServiceStub(connection))
                late = await end_of(stub.WatchJob(jobs_pb2.WatchJobRequest(job_id="x")))
                assert late.code() is grpc.StatusCode.PERMISSION_DENIED
            await streams.readmit_tenant(b"acme")
            async with watching(address, first) as again:
                assert not again.done()
        await eventually(lambda: not streams._streams, what="the end of every handler")


async def test_a_revoked_key_of_a_resumed_tenant_stays_revoked(identities: Identities) -> None:
    jobs, streams = Jobs(), OpenStreams()
    async with serving(identities, jobs, streams) as address, watching(address, identities.mint(key_id="key_1")) as it:
        await streams.end(b"key_1")
        await streams.end_tenant(b"acme")  # it has ended already, and is told once why
        assert (await end_of(it)).code() is grpc.StatusCode.UNAUTHENTICATED
        await streams.readmit_tenant(b"acme")
        async with channel(address, identities.mint(key_id="key_1")) as connection:
            stub = cast("Any", job_service_pb2_grpc.JobServiceStub(connection))
            refused = await end_of(stub.WatchJob(jobs_pb2.WatchJobRequest(job_id="x")))
            assert refused.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_stream_is_told_its_end_also_while_its_first_message_is_on_its_way(identities: Identities) -> None:
    jobs, streams = Large(), OpenStreams()
    async with serving(identities, jobs, streams) as address, channel(address, identities.mint(key_id="key_1")) as made:
        stub = cast("Any", job_service_pb2_grpc.JobServiceStub(made))
        slow, quick = (stub.WatchJob(jobs_pb2.WatchJobRequest(), timeout=60) for _ in range(2))
        await eventually(lambda: jobs.open == 2, what="messages that have no room")
        await streams.end(b"key_1")
        for stream in (quick, slow):  # the slow one reads when the other has seen its end
            assert (await end_of(stream)).code() is grpc.StatusCode.UNAUTHENTICATED
        await eventually(lambda: jobs.open == 0 and not streams._streams, what="the end of the handlers")


async def test_a_client_that_goes_leaves_nothing_behind(identities: Identities) -> None:
    jobs, streams = Jobs(), OpenStreams()
    async with serving(identities, jobs, streams) as address:
        async with watching(address, identities.mint(key_id="key_1")) as stream:
            stream.cancel()
        await eventually(lambda: jobs.open == 0 and not streams._streams, what="the end of the handler")
        await streams.end(b"key_1")
