"""Redis loses its last writes, or all of them: what intake held there comes back from the log of jobs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest
from penstock.jobs.v1 import jobs_pb2

from deploy.local import layout
from services.intake import metrics, projection
from services.intake.domain import Candidate
from services.intake.known_servers import KnownServers
from services.intake.store import RedisJobStore, server_id
from shared import errors, ids, kv, streams
from shared.config import Secret
from shared.rpc.status import from_rpc_error
from tests.fakes.intake_requests import request
from tests.integration.intake.conftest import ended, event, publish, replica
from tests.integration.intake.own_redis import OwnRedis
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from services.intake.config import Config
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.intake.conftest import Intake
    from tests.wires import Wire


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    [port] = layout.on_free_ports(tmp_path, {"redis": 0}).ports.values()
    (tmp_path / "one").mkdir()
    server = OwnRedis(tmp_path / "one", port)
    await server.start()
    yield server
    server.kill()


@pytest.fixture
async def wire(own_redis: OwnRedis) -> AsyncIterator[Wire]:
    """The way from intake to it."""
    async with wire_to("127.0.0.1", own_redis.port) as wire:
        yield wire


@pytest.fixture
def small(config: Config, wire: Wire) -> Config:
    """Settings under which three unfinished jobs are enough."""
    return replace(config, redis_url=Secret(f"redis://127.0.0.1:{wire.port}/0"), max_pending_jobs=3)


async def call(intake: Intake, rpc: str, message: object) -> jobs_pb2.Job:
    async with intake.jobs() as jobs:
        try:
            return await getattr(jobs, rpc)(message, timeout=120)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure


async def submit(intake: Intake, key: str = "") -> jobs_pb2.Job:
    """Submits for as long as something is away, or is being rebuilt."""

    async def accepted() -> jobs_pb2.Job | None:
        try:
            return await call(intake, "SubmitJob", request(request_id=key))
        except errors.Unavailable:
            return None

    job = await eventually(accepted, what="a submit that is answered")
    assert job is not None
    return job


async def get(intake: Intake, job_id: str) -> jobs_pb2.Job:
    return await call(intake, "GetJob", jobs_pb2.GetJobRequest(job_id=job_id))


async def seen(intake: Intake, job_id: str, state: jobs_pb2.Job.State.ValueType) -> None:
    async def reached() -> bool:
        return (await get(intake, job_id)).state == state

    await eventually(reached, what="the state in the view")


async def finish(intake: Intake, bus: Bus, job_id: str) -> None:
    started = event(job_id, "acme", "STARTED", revision=2, state="RUNNING", attempt=1)
    await publish(bus, started)
    await publish(bus, ended(job_id, "acme", "SUCCEEDED", revision=3))
    await seen(intake, job_id, jobs_pb2.Job.SUCCEEDED)


async def is_full(intake: Intake) -> bool:
    try:
        await call(intake, "SubmitJob", request())
    except errors.QueueFull:
        return True
    return False


def rebuilt_events() -> float:
    return metrics.REBUILT_EVENTS._value.get()


def rebuilds() -> float:
    return metrics.REBUILD_SECONDS._sum.get()


async def test_after_the_loss_of_all_keys_pending_jobs_and_states_are_as_before(
    small: Config, identities: Identities, bus: Bus, own_redis: OwnRedis
) -> None:
    async with replica(small, identities) as intake:
        keyed, over, other = [await submit(intake, key) for key in ("k", "l", "m")]
        await finish(intake, bus, over.id)
        await own_redis.restart()
        assert (await submit(intake, "k")).id == keyed.id
        assert (await submit(intake, "l")).id == over.id
        assert (await get(intake, over.id)).state == jobs_pb2.Job.SUCCEEDED
        assert await get(intake, other.id) == other
        assert not await is_full(intake)  # two are unfinished, and this makes three
        assert await is_full(intake)
        await finish(intake, bus, keyed.id)
        assert not await is_full(intake)


async def test_after_the_loss_of_the_last_writes_only_those_are_applied_again(
    small: Config, identities: Identities, bus: Bus, own_redis: OwnRedis
) -> None:
    async with replica(small, identities) as intake:
        first, second = await submit(intake, "k"), await submit(intake, "l")
        client = await own_redis.connect()

        async def floor() -> bool:
            return await client.get("{intake}:floor") == b"2"

        await eventually(floor, what="the floor behind both submissions")
        await kv.close(client)
        own_redis.remember()
        await finish(intake, bus, first.id)
        lost = await submit(intake, "m")
        await seen(intake, lost.id, jobs_pb2.Job.QUEUED)
        before = rebuilt_events()
        await own_redis.restart(with_copy=True)
        assert (await submit(intake, "m")).id == lost.id
        assert rebuilt_events() - before == 3
        assert (await submit(intake, "k")).id == first.id
        assert (await get(intake, first.id)).state == jobs_pb2.Job.SUCCEEDED
        assert (await get(intake, second.id)).state == jobs_pb2.Job.QUEUED
        assert not await is_full(intake)
        assert await is_full(intake)


async def refused_while_rebuilt(intake: Intake) -> bool:
    with pytest.raises(errors.Unavailable) as refused:
        await call(intake, "SubmitJob", request(request_id="k"))
    return refused.value.metadata.get("state") == "rebuilding"


async def all_viewed(bus: Bus) -> bool:
    info = await bus._jetstream.consumer_info(streams.JOBS, projection.DURABLE)
    return info.num_ack_pending == 0 and info.num_pending == 0


async def test_nothing_is_admitted_and_no_job_is_said_to_be_unknown_before_all_is_rebuilt(
    small: Config, identities: Identities, bus: Bus, own_redis: OwnRedis, wire: Wire
) -> None:
    bucket = await bus.bucket("intake", replicas=1)
    async with replica(small, identities) as intake:
        job = await submit(intake, "k")
        await eventually(lambda: all_viewed(bus), what="the job's event in the view: else it comes again meanwhile")
        await wire.cut()
        await own_redis.restart()
        client = await own_redis.connect()
        server = await server_id(client)
        await bucket.put(server, b"rebuilding elsewhere")
        await wire.mend()

        await eventually(lambda: refused_while_rebuilt(intake), what="an answer of Redis by way of intake")
        for rpc, message in (
            ("SubmitJob", request()),
            ("GetJob", jobs_pb2.GetJobRequest(job_id=job.id)),
            ("WaitJob", jobs_pb2.WaitJobRequest(job_id=job.id)),
            ("CancelJob", jobs_pb2.CancelJobRequest(job_id=job.id)),
            ("ExplainJob", jobs_pb2.ExplainJobRequest(job_id=job.id)),
        ):
            with pytest.raises(errors.Unavailable) as refused:
                await call(intake, rpc, message)
            assert refused.value.metadata == {"dependency": "redis", "state": "rebuilding"}
            assert refused.value.retry_after is not None
        assert await client.keys("{intake:*") == []
        await kv.close(client)
        await bucket.delete(server)
        assert (await submit(intake, "k")).id == job.id
        with pytest.raises(errors.JobNotFound):
            await get(intake, ids.new_job_id("http"))


async def test_of_two_replicas_one_rebuilds_and_both_admit(
    small: Config, identities: Identities, bus: Bus, own_redis: OwnRedis
) -> None:
    async with replica(small, identities) as one, replica(small, identities) as other:
        keyed, over = await submit(one, "k"), await submit(other, "l")
        await finish(one, bus, over.id)
        before, took = rebuilt_events(), rebuilds()
        await own_redis.restart()
        answers = await asyncio.gather(*(submit(where, "k") for where in (one, other) * 5))
        assert {answer.id for answer in answers} == {keyed.id}
        assert rebuilds() > took
        assert rebuilt_events() - before == 4  # each event once
        tries = await asyncio.gather(*(is_full(where) for where in (one, other) * 5))
        assert tries.count(False) == 2
        assert await is_full(one)
        assert await is_full(other)


async def test_a_new_replica_rebuilds_nothing_and_one_that_was_away_learns_of_it(
    small: Config, identities: Identities, own_redis: OwnRedis
) -> None:
    async with replica(small, identities) as intake:
        job = await submit(intake, "k")
        await seen(intake, job.id, jobs_pb2.Job.QUEUED)
    before = rebuilt_events()
    async with replica(small, identities) as intake:
        assert (await call_when_loaded(intake, "k")).id == job.id
        assert rebuilt_events() == before
    await own_redis.restart()
    async with replica(small, identities) as intake:
        assert (await submit(intake, "k")).id == job.id
    assert rebuilt_events() > before


async def call_when_loaded(intake: Intake, key: str) -> jobs_pb2.Job:
    """Submits; only the catalogue may be missing yet."""

    async def accepted() -> jobs_pb2.Job | None:
        try:
            return await call(intake, "SubmitJob", request(request_id=key))
        except errors.Unavailable as error:
            if error.metadata.get("dependency") == "upstream":
                return None
            raise

    job = await eventually(accepted)
    assert job is not None
    return job


async def test_a_promoted_replica_and_the_way_back_are_noticed(tmp_path: Path, own_redis: OwnRedis) -> None:
    """A failover loses writes as a restart does; so does the next one, to a server that had been known before."""
    [port] = layout.on_free_ports(tmp_path, {"redis": 0}).ports.values()
    (tmp_path / "two").mkdir()
    second = OwnRedis(tmp_path / "two", port)
    await second.start()
    try:
        one, two = await own_redis.connect(), await second.connect()
        await follow(two, own_redis.port)
        servers = KnownServers(await server_id(one))
        assert await admits(one, servers)
        await two.replicaof("NO", "ONE")
        assert not await admits(two, servers)
        servers.add(await server_id(two))
        assert await admits(two, servers)
        assert await admits(one, servers)  # it lives on, and does not know yet
        await follow(one, port)
        await one.replicaof("NO", "ONE")
        assert not await admits(one, servers)
        await kv.close(one)
        await kv.close(two)
    finally:
        second.kill()


async def follow(client: kv.Client, port: int) -> None:
    await client.replicaof("127.0.0.1", port)

    async def follows() -> bool:
        return (await client.info("replication"))["master_link_status"] == "up"

    await eventually(follows, what="a replica that follows its primary")


async def admits(client: kv.Client, servers: KnownServers) -> bool:
    try:
        job_id = ids.new_job_id("http")
        candidate = Candidate(id=job_id, jobs=((job_id, b"job"),), idempotency_key="", fingerprint=b"1")
        await RedisJobStore(client, servers).admit("acme", candidate, max_pending=100)
    except errors.Unavailable:
        return False
    return True
