"""Params that are too large to travel, on real servers."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest
from penstock.jobs.v1 import batches_pb2

from shared import errors
from shared.objects import params_key
from shared.rpc.status import from_rpc_error
from tests import object_stores
from tests.fakes.intake_requests import request
from tests.integration.intake.conftest import log_of_jobs, replica, submit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.intake.config import Config
    from shared import kv
    from shared.bus import Bus
    from shared.objects import Objects, ObjectSettings
    from tests.identities import Identities
    from tests.integration.intake.conftest import Intake

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")

URL = "https://example.com/x"


@pytest.fixture
async def intake(
    config: Config, identities: Identities, objects: Objects, object_settings: ObjectSettings
) -> AsyncIterator[Intake]:
    """A replica with an object store, which is empty."""
    del objects
    async with replica(replace(config, **object_stores.as_config(object_settings)), identities) as intake:
        yield intake


def canonical(text: str) -> bytes:
    return json.dumps({"json": text, "url": URL}, separators=(",", ":")).encode()


def text_for(size: int) -> str:
    """Such that params with it are as large as that."""
    return "x" * (size - len(canonical("")))


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024])
async def test_large_params_are_kept_before_their_job_is_published(
    intake: Intake, bus: Bus, objects: Objects, size: int
) -> None:
    text = text_for(size)
    await submit(intake, params={"url": URL, "json": text})
    [event] = await log_of_jobs(bus)
    submission = event.submission
    assert submission.params == b""
    assert submission.stored_params.size == size
    assert submission.stored_params.sha256 == hashlib.sha256(canonical(text)).digest()
    key = params_key("acme", submission.stored_params.sha256)
    assert await objects.get(key, at_most=size) == canonical(text)
    info = await objects.head(key)
    assert info is not None
    assert (info.content_type, info.sha256) == ("application/json", submission.stored_params.sha256)


async def test_params_that_just_fit_travel_in_the_message(intake: Intake, bus: Bus, objects: Objects) -> None:
    text = text_for(64 * 1024)
    await submit(intake, params={"url": URL, "json": text})
    [event] = await log_of_jobs(bus)
    assert event.submission.params == canonical(text)
    assert not event.submission.HasField("stored_params")
    assert await object_stores.keys_in(objects) == []


async def test_the_same_large_params_lie_there_once_for_each_tenant(intake: Intake, objects: Objects) -> None:
    params = {"url": URL, "json": text_for(100_000)}
    for tenant in ("acme", "acme", "globex"):
        await submit(intake, tenant=tenant, params=params)
    digest = hashlib.sha256(canonical(params["json"])).digest()
    assert await object_stores.keys_in(objects) == [params_key("acme", digest), params_key("globex", digest)]


async def test_a_refused_request_stores_nothing(intake: Intake, objects: Objects) -> None:
    large = {"url": URL, "json": text_for(100_000)}
    await submit(intake, request_id="k")
    with pytest.raises(errors.InvalidArgument):
        await submit(intake, params=large, priority=9)
    with pytest.raises(errors.IdempotencyKeyReused):
        await submit(intake, params=large, request_id="k")
    with pytest.raises(errors.TooLarge):
        await submit(intake, params={"url": URL, "json": text_for(1024 * 1024 + 1)})
    assert await object_stores.keys_in(objects) == []


async def test_while_the_store_is_away_large_params_are_told_to_come_again_and_small_ones_go_on(
    config: Config, identities: Identities, bus: Bus, redis: kv.Client
) -> None:
    async with replica(config, identities) as alone:
        await submit(alone)
        with pytest.raises(errors.Unavailable) as refused:
            await submit(alone, params={"url": URL, "json": text_for(100_000)}, request_id="k")
        assert refused.value.metadata["dependency"] == "objects"
        assert refused.value.retry_after is not None
        assert await redis.zcard("{intake:acme}:pending") == 1
        await submit(alone, request_id="small")
    assert len(await log_of_jobs(bus)) == 2


async def test_the_retry_of_a_submit_that_found_the_store_away_makes_the_job(
    config: Config,
    identities: Identities,
    objects: Objects,
    object_settings: ObjectSettings,
    bus: Bus,
) -> None:
    params = {"url": URL, "json": text_for(100_000)}
    async with replica(config, identities) as alone:
        with pytest.raises(errors.Unavailable):
            await submit(alone, params=params, request_id="k")
    async with replica(replace(config, **object_stores.as_config(object_settings)), identities) as intake:
        job = await submit(intake, params=params, request_id="k")
        assert await submit(intake, params=params, request_id="k") == job
    [event] = await log_of_jobs(bus)
    assert event.job_id == job.id
    assert len(await object_stores.keys_in(objects)) == 1


async def test_params_of_very_many_small_values_do_not_hold_up_others(intake: Intake, bus: Bus) -> None:
    await submit(intake)  # when the catalogue is loaded
    many = await asyncio.to_thread(lambda: request(params={"url": URL, "json": [1.5] * 250_000}))
    async with intake.jobs() as jobs:
        await jobs.SubmitJob(many, timeout=120)
    [_, event] = await log_of_jobs(bus)
    assert event.submission.stored_params.size > 1_000_000


async def submit_batch(intake: Intake, *params: dict[str, object]) -> None:
    await submit(intake)  # when the catalogue is loaded
    batch = batches_pb2.SubmitBatchRequest(jobs=[request(params=each) for each in params])
    async with intake.jobs() as jobs:
        try:
            await jobs.SubmitBatch(batch, timeout=120)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure


async def test_of_a_batch_large_params_are_kept_and_small_ones_travel(
    intake: Intake, bus: Bus, objects: Objects
) -> None:
    large, other = text_for(100_000), text_for(200_000)
    await submit_batch(intake, *({"url": URL, "json": text} for text in (large, "small", other, large)))
    [_, *events] = await log_of_jobs(bus)
    assert [event.submission.stored_params.size for event in events] == [100_000, 0, 200_000, 100_000]
    assert [event.submission.params for event in events] == [b"", canonical("small"), b"", b""]
    assert len(await object_stores.keys_in(objects)) == 2


async def test_a_batch_that_is_refused_stores_nothing(intake: Intake, bus: Bus, objects: Objects) -> None:
    with pytest.raises(errors.InvalidArgument):
        await submit_batch(intake, {"url": URL, "json": text_for(100_000)}, {"url": "ftp://x"})
    assert await object_stores.keys_in(objects) == []
    assert len(await log_of_jobs(bus)) == 1


async def test_a_batch_whose_params_cannot_be_kept_is_accepted_in_no_part(
    config: Config, identities: Identities, bus: Bus, redis: kv.Client
) -> None:
    async with replica(config, identities) as alone:
        with pytest.raises(errors.Unavailable) as refused:
            await submit_batch(alone, {"url": URL}, {"url": URL, "json": text_for(100_000)})
        assert refused.value.metadata["dependency"] == "objects"
    assert await redis.zcard("{intake:acme}:pending") == 1
    assert len(await log_of_jobs(bus)) == 1
