"""What may crash on the way of a submit: each row of the crash table that is intake's."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest
from penstock.jobs.v1 import jobs_pb2

from services.intake import acceptance
from services.intake.known_servers import KnownServers
from services.intake.reading import read_draft
from services.intake.store import RedisJobStore, server_id
from shared import errors
from shared.config import Secret
from shared.identity import Principal, PrincipalKind
from shared.rpc.status import from_rpc_error
from tests.fakes.intake_requests import request
from tests.fakes.intake_submitters import submitter_of
from tests.integration.intake.conftest import ended, log_of_jobs, publish, replica, submit
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from services.intake.config import Config
    from services.intake.submitter import Submitter
    from shared import kv
    from shared.bus import Bus, Outgoing
    from tests.identities import Identities
    from tests.wires import Wire

pytestmark = pytest.mark.usefixtures("no_stalls")

PRINCIPAL = Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset())


class FailingPublisher:
    """Publishes, and says of the first so many that it failed, having published or not."""

    def __init__(self, bus: Bus, *, failures: float, publishes: bool) -> None:
        self._bus = bus
        self._failures = failures
        self._publishes = publishes
        self.ids: list[str] = []

    async def publish_whole(self, messages: Sequence[Outgoing]) -> None:
        self.ids.append(messages[0].message_id)
        fails = len(self.ids) <= self._failures
        if not fails or self._publishes:
            await self._bus.publish_units([messages])
        if fails:
            raise errors.Unavailable("no acknowledgement came")


class CrashingPublisher:
    """Ends the process, as far as one can be ended in a test: before the publish, or after it."""

    def __init__(self, bus: Bus, *, publishes: bool) -> None:
        self._bus = bus
        self._publishes = publishes

    async def publish_whole(self, messages: Sequence[Outgoing]) -> None:
        if self._publishes:
            await self._bus.publish_units([messages])
        raise asyncio.CancelledError


async def submitter(redis: kv.Client, publisher: Any, *, patience: timedelta = timedelta(seconds=10)) -> Submitter:
    store = RedisJobStore(redis, KnownServers(await server_id(redis)))
    return submitter_of(store, publisher, patience=patience)


async def send(through: Submitter, *, key: str = "k", remaining_s: float | None = None) -> jobs_pb2.Job:
    return await through.submit(read_draft(request(request_id=key), {}), PRINCIPAL, remaining_s=remaining_s)


async def end_claim(redis: kv.Client) -> None:
    """Has the claim of the key run out, as when its time is over."""
    [key] = [key async for key in redis.scan_iter("*:key:k")]
    await redis.hset(key, "claim", 0)


async def crash(through: Submitter) -> None:
    with pytest.raises(asyncio.CancelledError):
        await send(through)


@pytest.mark.parametrize("publishes", [False, True])
async def test_a_crash_around_the_publish_leaves_one_job_that_the_retry_gets(
    redis: kv.Client, bus: Bus, *, publishes: bool
) -> None:
    await crash(await submitter(redis, CrashingPublisher(bus, publishes=publishes)))
    well = await submitter(redis, FailingPublisher(bus, failures=0, publishes=True))
    with pytest.raises(errors.IdempotencyKeyInFlight) as in_flight:
        await send(well)
    job_id = in_flight.value.metadata["job"]
    await end_claim(redis)
    job = await send(well)
    assert job.id == job_id
    assert [event.job_id for event in await log_of_jobs(bus)] == [job_id]
    assert await send(well) == job


async def test_retries_at_once_after_a_lapsed_claim_make_one_job(redis: kv.Client, bus: Bus) -> None:
    await crash(await submitter(redis, CrashingPublisher(bus, publishes=False)))
    await end_claim(redis)
    publisher = FailingPublisher(bus, failures=0, publishes=True)
    replicas = [await submitter(redis, publisher) for _ in range(20)]
    answers = await asyncio.gather(*(send(each) for each in replicas), return_exceptions=True)
    assert {type(answer) for answer in answers} <= {jobs_pb2.Job, errors.IdempotencyKeyInFlight}
    assert len({answer.id for answer in answers if isinstance(answer, jobs_pb2.Job)}) == 1
    assert len(await log_of_jobs(bus)) == 1


@pytest.mark.parametrize("publishes", [False, True])
async def test_a_publish_that_times_out_is_repeated_under_the_same_id(
    redis: kv.Client, bus: Bus, *, publishes: bool
) -> None:
    publisher = FailingPublisher(bus, failures=3, publishes=publishes)
    job = await send(await submitter(redis, publisher))
    assert Counter(publisher.ids) == {job.id: 4}
    assert [event.job_id for event in await log_of_jobs(bus)] == [job.id]


@pytest.mark.parametrize("limits", [{"remaining_s": 0.5}, {"remaining_s": None}])
async def test_a_publish_that_never_succeeds_is_unavailable_with_the_job(
    redis: kv.Client, bus: Bus, limits: dict[str, float | None]
) -> None:
    broken = FailingPublisher(bus, failures=float("inf"), publishes=False)
    with pytest.raises(errors.Unavailable) as refused:
        await send(
            await submitter(redis, broken, patience=timedelta(milliseconds=400)), remaining_s=limits["remaining_s"]
        )
    job_id = refused.value.metadata["job"]
    assert refused.value.metadata["dependency"] == "nats"
    assert refused.value.retry_after == timedelta(seconds=1)
    assert set(broken.ids) == {job_id}
    assert await log_of_jobs(bus) == []
    job = await send(await submitter(redis, FailingPublisher(bus, failures=0, publishes=True)))
    assert job.id == job_id  # the claim ended with the call, so that the retry need not wait for it
    assert [event.job_id for event in await log_of_jobs(bus)] == [job_id]


async def test_without_a_key_a_retry_is_another_job(redis: kv.Client, bus: Bus) -> None:
    publisher = FailingPublisher(bus, failures=0, publishes=True)
    through = await submitter(redis, publisher)
    assert (await send(through, key="")).id != (await send(through, key="")).id


@pytest.fixture
async def to_nats(nats_url: str) -> AsyncIterator[Wire]:
    server = urlsplit(nats_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


@pytest.fixture
async def to_redis(redis_url: str) -> AsyncIterator[Wire]:
    server = urlsplit(redis_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


async def test_nats_away_is_unavailable_and_loses_nothing(
    config: Config, identities: Identities, bus: Bus, to_nats: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "_ANSWER_MARGIN_S", 28.0)
    severable = replace(config, nats_url=Secret(to_nats.on_the_way_to(config.nats_url.reveal())))
    async with replica(severable, identities) as intake:
        before = await submit(intake)
        await to_nats.cut()
        async with intake.jobs() as jobs:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await jobs.SubmitJob(request(request_id="k"), timeout=30)
            error = from_rpc_error(refused.value)
            assert isinstance(error, errors.Unavailable)
            assert error.retry_after == timedelta(seconds=1)
            assert (await jobs.GetJob(jobs_pb2.GetJobRequest(job_id=before.id), timeout=30)).id == before.id
            waiting = asyncio.ensure_future(jobs.WaitJob(jobs_pb2.WaitJobRequest(job_id=before.id), timeout=30))
            await publish(bus, ended(before.id, "acme", "SUCCEEDED", revision=2))
            await to_nats.mend()
            assert (await waiting).state == jobs_pb2.Job.SUCCEEDED

        async def accepted() -> jobs_pb2.Job | None:
            try:
                return await submit(intake, request_id="k")
            except (errors.Unavailable, errors.IdempotencyKeyInFlight):
                return None

        job = await eventually(accepted, within=150)
        assert job is not None
        assert job.id == error.metadata["job"]
    submitted = Counter(event.job_id for event in await log_of_jobs(bus) if event.revision == 1)
    assert submitted == {before.id: 1, job.id: 1}


async def test_redis_away_is_unavailable_and_comes_back_by_itself(
    config: Config, identities: Identities, bus: Bus, to_redis: Wire
) -> None:
    severable = replace(config, redis_url=Secret(to_redis.on_the_way_to(config.redis_url.reveal())))
    async with replica(severable, identities) as intake:
        job = await submit(intake)
        await to_redis.cut()
        async with intake.jobs() as jobs:
            calls = [
                jobs.SubmitJob(request(), timeout=30),
                jobs.GetJob(jobs_pb2.GetJobRequest(job_id=job.id), timeout=30),
                jobs.WaitJob(jobs_pb2.WaitJobRequest(job_id=job.id), timeout=30),
                jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.id), timeout=30),
            ]
            answers = await asyncio.gather(*calls, return_exceptions=True)
        for answer in answers:
            assert isinstance(answer, grpc.aio.AioRpcError)
            error = from_rpc_error(answer)
            assert isinstance(error, errors.Unavailable)
            assert error.metadata == {"dependency": "redis"}
            assert error.retry_after is not None
        await publish(bus, ended(job.id, "acme", "SUCCEEDED", revision=2))
        await to_redis.mend()

        async def caught_up() -> bool:
            async with intake.jobs() as jobs:
                found = await jobs.GetJob(jobs_pb2.GetJobRequest(job_id=job.id), timeout=30)
            return found.state == jobs_pb2.Job.SUCCEEDED and found.created_at == job.created_at

        await eventually(caught_up, within=150)
        await submit(intake)
    assert len([event for event in await log_of_jobs(bus) if event.revision == 1]) == 2
