"""What follows from changes of endpoints: by several replicas at once, for what waits, with MongoDB away."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
import pytest
from penstock.webhooks.v1 import endpoints_pb2

from services.webhooks.errors import EndpointLimitReached
from shared import errors
from shared.config import Secret
from shared.rpc import status
from tests.integration.webhooks.endpoint_api import (
    CANARY,
    Api,
    Endpoint,
    Filter,
    Headers,
    api_at,
    reason,
    refused,
)
from tests.integration.webhooks.receiver import Answer
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from shared.lifecycle import Process
    from shared.mongo import Client
    from tests.integration.webhooks.conftest import Mesh

pytestmark = pytest.mark.usefixtures("no_stalls")

SKIPPED = [("SKIPPED", "ENDPOINT_DISABLED")] * 2
ENDED = [("FAILED", "ENDPOINT_DELETED")] * 2


async def test_of_many_made_at_once_no_more_stay_than_a_tenant_may_have(mesh: Mesh) -> None:
    async with (
        mesh.running(max_endpoints=5) as one,
        mesh.running(max_endpoints=5) as other,
        api_at(one, mesh.identities) as here,
        api_at(other, mesh.identities) as there,
    ):
        calls = [(here, there)[index % 2].create() for index in range(14)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        failed = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
        assert {reason(each) for each in failed} == {EndpointLimitReached.reason}
        assert status.from_rpc_error(failed[0]).metadata == {"tenant": "acme", "limit": "5"}
        assert (len(outcomes) - len(failed), len(await here.listed())) == (5, 5)
        async with api_at(one, mesh.identities, "globex") as globex:
            await globex.create()


async def test_of_changes_at_the_same_time_none_is_lost(api: Api, process: Process, mesh: Mesh) -> None:
    made = (await api.create()).endpoint
    async with mesh.running() as other, api_at(other, mesh.identities) as there:
        await asyncio.gather(
            api.update(made.id, description="described"),
            there.update(made.id, order=Endpoint.BY_CONNECTION),
            api.update(made.id, batching=endpoints_pb2.Batching(max_events=7)),
            there.update(made.id, filter=Filter(upstreams=["http"])),
            *(each.rotate(made.id) for each in (api, there)),
        )
    found = await api.get(made.id)
    assert (found.description, found.order, found.batching.max_events) == ("described", Endpoint.BY_CONNECTION, 7)
    assert found.filter == Filter(upstreams=["http"])
    assert len(found.public_keys) == 2
    assert made.public_keys[0] not in found.public_keys


async def test_one_that_is_disabled_is_sent_nothing_and_what_it_missed_is_told_of(api: Api, mesh: Mesh) -> None:
    made = (await api.create(f"{mesh.receiver.url}/hook")).endpoint
    disabled = await api.update(made.id, enabled=False)
    assert (disabled.enabled, disabled.disabled_reason) == (False, Endpoint.ASKED)
    jobs = await mesh.ended_jobs(3)

    async def skipped() -> bool:
        return (await api.stats(made.id)).skipped_deliveries == len(jobs)

    await eventually(skipped, what="the skipped deliveries")
    answer = await api.enable(made.id)
    assert (answer.endpoint.enabled, answer.skipped_deliveries, answer.HasField("replay")) == (True, 3, False)
    assert answer.endpoint.disabled_reason == Endpoint.DISABLED_REASON_UNSPECIFIED
    assert mesh.receiver.at("/hook") == []
    replayed = await api.enable(made.id, replay_skipped=True)
    assert replayed.replay.filter.endpoint_id == made.id

    async def delivered() -> bool:
        return {each.message["data"]["id"] for each in mesh.receiver.at("/hook")} == set(jobs)

    await eventually(delivered, what="the replayed deliveries")


async def two_that_fail(api: Api, mesh: Mesh, *, pause_s: int) -> list[str]:
    """Two endpoints for each of which two deliveries wait that have failed once."""
    later = endpoints_pb2.DeliveryRetry(pauses=[{"seconds": pause_s}] * 20)
    made = [(await api.create(f"{mesh.receiver.url}/{number}", retry=later)).endpoint.id for number in range(2)]
    for number in range(2):
        mesh.receiver.answers[f"/{number}"] += [Answer(status=500)] * 50
    await mesh.ended_jobs(2)
    return made


async def ends_of(mongo: Client, endpoint_id: str) -> list[tuple[str, str]]:
    found = await mongo["webhooks"]["deliveries"].find({"endpoint_id": endpoint_id}).to_list()
    return [(each["state"], each["last_reason"]) for each in found]


async def test_what_waits_for_one_that_is_disabled_is_skipped_and_for_one_that_is_deleted_fails(
    api: Api, mesh: Mesh, mongo: Client
) -> None:
    off, gone = await two_that_fail(api, mesh, pause_s=3600)

    async def both(*ends: list[tuple[str, str]]) -> bool:
        return [await ends_of(mongo, each) for each in (off, gone)] == list(ends)

    waiting = [("PENDING", "RECEIVER_STATUS")] * 2
    await eventually(lambda: both(waiting, waiting), what="the failed attempts")
    await api.update(off, enabled=False)
    await api.delete(gone)
    await eventually(lambda: both(SKIPPED, ENDED), what="the ends of what was waiting, long before it is due")


async def test_a_change_of_which_nobody_was_told_is_seen_when_the_next_attempt_is_due(
    api: Api, mesh: Mesh, mongo: Client
) -> None:
    """As where the replica that has made it dies before it tells."""
    off, gone = await two_that_fail(api, mesh, pause_s=1)

    async def attempted() -> bool:
        return bool(mesh.receiver.at("/0") and mesh.receiver.at("/1"))

    await eventually(attempted, what="the first attempts")
    endpoints = mongo["webhooks"]["endpoints"]
    await endpoints.update_one({"_id": off}, {"$set": {"enabled": False, "disabled_reason": "ASKED"}})
    await endpoints.delete_one({"_id": gone})

    async def ended() -> bool:
        return (await ends_of(mongo, off), await ends_of(mongo, gone)) == (SKIPPED, ENDED)

    await eventually(ended, within=60, what="the ends of what was waiting")
    calls = len(mesh.receiver.received)
    await api.enable(off)
    assert await api.listed() == [off]
    assert len(mesh.receiver.received) == calls


async def _is_true(value: object) -> bool:
    return bool(value)


async def test_what_is_not_yet_delivered_goes_by_the_change(api: Api, mesh: Mesh) -> None:
    soon = endpoints_pb2.DeliveryRetry(pauses=[{"seconds": 1}] * 20)
    mesh.receiver.answers["/old"] += [Answer(status=500)] * 20
    made = (await api.create(f"{mesh.receiver.url}/old", retry=soon)).endpoint
    [job] = await mesh.ended_jobs()
    await eventually(lambda: _is_true(mesh.receiver.at("/old")), what="the first attempt")
    headers = Headers(values={"x-key": CANARY})
    await api.update(made.id, url=f"{mesh.receiver.url}/new", headers=headers)
    await eventually(lambda: _is_true(mesh.receiver.at("/new")), what="the attempt at the new URL")
    received = mesh.receiver.at("/new")[0]
    assert received.message["data"]["id"] == job
    assert received.webhook_id == mesh.receiver.at("/old")[0].webhook_id
    assert received.headers["x-key"] == CANARY


async def test_with_mongodb_away_nothing_is_changed_and_it_answers_again_when_that_is_back(mesh: Mesh) -> None:
    server = urlsplit(mesh.config.mongo_url.reveal())
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        through = wire.on_the_way_to(mesh.config.mongo_url.reveal()).replace(
            "replicaSet=penstock", "directConnection=true"
        )
        severed = replace(mesh, config=replace(mesh.config, mongo_url=Secret(through)))
        async with severed.running() as process, api_at(process, mesh.identities) as api:
            made = (await api.create()).endpoint
            await wire.cut()
            calls = (
                *(api.create(), api.get(made.id), api.listed(), api.update(made.id, description="x")),
                *(api.rotate(made.id), api.enable(made.id), api.test(made.id), api.delete(made.id)),
            )
            for error in await asyncio.gather(*(refused(call) for call in calls)):
                assert isinstance(error, errors.Unavailable | errors.DeadlineExceeded)
            assert await api.event_types()
            await wire.mend()

            async def answers() -> bool:
                try:
                    return await api.listed() == [made.id]
                except grpc.aio.AioRpcError:  # the driver has not found its server again
                    return False

            await eventually(answers, within=60, what="an answer")
            assert await api.get(made.id) == made
