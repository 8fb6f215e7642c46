"""Lists and exports of history on real servers, as a tenant asks for them."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest
import structlog
from penstock.history.v1 import history_pb2, history_pb2_grpc, retention_pb2, retention_pb2_grpc

from services.history.__main__ import serve
from services.history.config import Config
from services.history.jobs.documents import COLLECTION, DATABASE
from shared import ids, streams
from shared.bus import Bus, Outgoing
from shared.config import Secret
from shared.lifecycle import Process
from tests import object_stores
from tests.bench import recorded
from tests.service import NONE_BESIDE_HISTORY, channel, running, running_process
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from shared.mongo import Client, Document
    from tests.identities import Identities

#: Not where a server is away: what else of the service fails then is told with its traceback, which takes its time.
steady = pytest.mark.usefixtures("no_stalls")

TENANT = recorded.TENANTS[0]
NOW = datetime.now(UTC).replace(microsecond=0)
#: So many that their lines are more than gRPC and the kernel hold for a client that does not read.
MANY = 3_000


@pytest.fixture
def config(nats_url: str, mongo_url: str, mongo: Client, bus: Bus, identities: Identities) -> Config:
    return Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("history"),
        mongo_url=Secret(mongo_url),
        nats_url=Secret(nats_url),
        **NONE_BESIDE_HISTORY,
        **object_stores.AWAY,
    )


@asynccontextmanager
async def history(address: str, token: str) -> AsyncGenerator[Any]:
    async with channel(address, token) as connection:
        yield history_pb2_grpc.HistoryServiceStub(connection)


async def recorded_jobs(mongo: Client, count: int) -> list[str]:
    """Has so many jobs in history; answers with the tenant's, the oldest first."""
    generator = recorded.Generator(jobs=count, until=NOW)
    documents: Sequence[Document] = await asyncio.to_thread(lambda: [*generator.documents()])
    for some in batched(documents, 300):  # at once, they would hold the loop up
        await mongo[DATABASE].get_collection(COLLECTION).insert_many(some)
    return [document["_id"] for document in documents if document["tenant"] == TENANT]


def batched(documents: Sequence[Document], size: int) -> list[Sequence[Document]]:
    return [documents[start : start + size] for start in range(0, len(documents), size)]


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


@steady
async def test_a_list_is_read_to_and_fro_and_its_token_is_good_for_it_alone(
    config: Config, mongo: Client, identities: Identities
) -> None:
    expected = await recorded_jobs(mongo, 60)

    def asked(token: str = "", **fields: Any) -> history_pb2.ListJobsRequest:
        return history_pb2.ListJobsRequest(page_size=10, page_token=token, **{"order_by": "createdAt", **fields})

    def named(page: history_pb2.ListJobsResponse) -> list[str]:
        return [job.id for job in page.jobs]

    async with running("history", serve, config) as address, history(address, identities.mint(TENANT)) as stub:
        first = await stub.ListJobs(asked(include_total_size=True))
        assert (named(first), first.previous_page_token) == (expected[:10], "")
        assert first.total_size == len(expected)
        second = await stub.ListJobs(asked(first.next_page_token))
        assert (named(second), second.total_size) == (expected[10:20], 0)
        assert await stub.ListJobs(asked(second.previous_page_token)) == history_pb2.ListJobsResponse(
            jobs=first.jobs, next_page_token=first.next_page_token
        )
        newest = await stub.ListJobs(asked(order_by=" createdAt  desc"))
        assert named(newest) == expected[:-11:-1]
        for fields in ({"order_by": ""}, {"method": "http.get"}):
            error = await refused(stub.ListJobs(asked(second.previous_page_token, **fields)))
            assert str(error.details()).startswith("pageToken: ")
        error = await refused(stub.ListJobs(asked(order_by="state")))
        assert str(error.details()).startswith("orderBy: is 'state'; it takes 'createdAt desc'")


@steady
async def test_jobs_are_found_by_the_keys_of_metadata_that_their_tenant_names(
    config: Config, bus: Bus, identities: Identities
) -> None:
    token = identities.mint(TENANT)
    async with running("history", serve, config) as address, channel(address, token) as connection:
        stub = history_pb2_grpc.HistoryServiceStub(connection)
        asked = history_pb2.ListJobsRequest(metadata=["order=0"])
        error = await refused(stub.ListJobs(asked))
        assert "metadata[0]: is of the key 'order', which is not indexed" in str(error.details())
        await retention_pb2_grpc.RetentionServiceStub(connection).UpdateRetention(
            retention_pb2.UpdateRetentionRequest(retention=retention_pb2.Retention(indexed_metadata=["order"]))
        )
        drawn = [each for each in recorded.Generator(jobs=60, until=NOW).drawn() if each.tenant == TENANT]
        await bus.publish(
            [
                Outgoing(
                    subject=streams.job_subject("submitted", "http"),
                    payload=recorded.submission(each).SerializeToString(),
                    message_id=each.id,
                )
                for each in drawn
            ]
        )
        labelled = {each.id for each in drawn if each.metadata.get("order") == "0"}
        assert labelled

        async def all_found() -> bool:
            return {job.id for job in (await stub.ListJobs(asked)).jobs} == labelled

        await eventually(all_found)


def ids_in(message: Any) -> list[str]:
    return [json.loads(line)["id"] for line in message.data.splitlines()]


async def test_an_export_that_loses_its_store_says_so_and_is_gone_on_with(
    config: Config, mongo: Client, mongo_url: str, identities: Identities
) -> None:
    expected = await recorded_jobs(mongo, MANY)
    server = urlsplit(mongo_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        direct = wire.on_the_way_to(mongo_url).replace("replicaSet=penstock", "directConnection=true")
        severable = replace(config, mongo_url=Secret(direct))
        async with running("history", serve, severable) as address, history(address, identities.mint(TENANT)) as stub:
            call = stub.ExportJobs(history_pb2.ExportJobsRequest(order_by="createdAt"))
            headers = dict(await call.initial_metadata())
            assert headers["content-disposition"] == 'attachment; filename="jobs.ndjson"'
            assert (await call.read()).content_type == "application/x-ndjson"
            got = ids_in(await call.read())
            await wire.cut()

            async def read_on() -> None:
                async for message in call:
                    got.extend(ids_in(message))

            broken = await refused(read_on())
            assert broken.code() is grpc.StatusCode.UNAVAILABLE
            assert got == expected[: len(got)]
            await wire.mend()

            async def rest() -> list[str] | None:
                asked = history_pb2.ExportJobsRequest(order_by="createdAt", after_job_id=got[-1])
                more: list[str] = []
                try:
                    async for message in stub.ExportJobs(asked):
                        more += ids_in(message)
                except grpc.aio.AioRpcError:
                    return None
                return more

            assert got + (await eventually(rest) or []) == expected
            error = await refused(
                stub.ExportJobs(history_pb2.ExportJobsRequest(after_job_id=ids.new_job_id("http"))).read()
            )
            assert error.code() is grpc.StatusCode.NOT_FOUND
            error = await refused(stub.ExportJobs(history_pb2.ExportJobsRequest(batch_id="b")).read())
            assert str(error.details()).startswith("batchId: ")


@steady
async def test_an_export_waits_for_its_client_and_ends_with_it_or_with_its_key(
    config: Config, mongo: Client, bus: Bus, identities: Identities
) -> None:
    await recorded_jobs(mongo, MANY)
    process = Process("history", config)
    async with running_process(process, serve(config, process)) as address:
        async with history(address, identities.mint(TENANT)) as stub:
            left, kept = (stub.ExportJobs(history_pb2.ExportJobsRequest()) for _ in range(2))
            for call in (left, kept):
                await call.read()
            assert len(held(process)) == 2, "both wait for their clients"
            left.cancel()
            with structlog.testing.capture_logs() as lines:
                await eventually(lambda: len(held(process)) == 1, what="the end of the export that was left")
            assert "rpc_failed" not in {line["event"] for line in lines}, "that its client went is no fault"
            [principal] = {holder.name for holder in process.streams._streams if holder.kind == "principal"}
            await bus.signal(streams.PRINCIPAL_REVOKED_SIGNAL, principal.encode())

            async def read_on() -> None:
                async for _ in kept:
                    pass

            revoked = await refused(read_on())
            assert revoked.code() is grpc.StatusCode.UNAUTHENTICATED
        assert not held(process)


def held(process: Process) -> set[Any]:
    """The open streams."""
    return {stream for streams_ in process.streams._streams.values() for stream in streams_}
