"""DeliveryService over real gRPC and a real MongoDB, beside a receiver that fails as it is told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from penstock.webhooks.v1 import deliveries_pb2

from services.webhooks.deliveries import replays
from services.webhooks.deliveries.domain import State
from services.webhooks.endpoints.secrets import EndpointSecrets
from services.webhooks.endpoints.store import MongoEndpointStore
from shared import ids
from shared.config import Secret
from shared.sealing import ENDPOINT_SECRET, Sealer
from tests.fakes.deliveries import NOW, SECOND, an_attempt, failed, make_delivery
from tests.fakes.endpoints import make_endpoint
from tests.integration.webhooks.receiver import Answer
from tests.integration.webhooks.tenant import Tenant, tenant_at
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.endpoints.domain import Endpoint
    from shared.mongo import Client
    from tests.integration.webhooks.conftest import Mesh

pytestmark = pytest.mark.usefixtures("no_stalls")
S = deliveries_pb2.Delivery.State
R = deliveries_pb2.Replay.State
TIMEOUT_S = 20.0
ONE = ids.new_endpoint_id()
#: Far from now: nothing of it is attempted while a test looks at it.
FAR = {"next_attempt_at": NOW + timedelta(days=3650)}


def stamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


async def listed(tenant: Tenant, **asked: Any) -> list[str]:
    """The ids of what a filter finds, in pages of three."""
    found: list[str] = []
    token = ""
    while True:
        request = deliveries_pb2.ListDeliveriesRequest(page_size=3, page_token=token, **asked)
        page = await tenant.delivering.ListDeliveries(request, timeout=TIMEOUT_S)
        assert len(page.deliveries) <= 3
        assert not any(each.payload or each.attempt_log for each in page.deliveries)
        found += [each.id for each in page.deliveries]
        token = page.next_page_token
        if not token:
            return found


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str, str]:
    """The code, the reason and the text of what a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    status = rpc_status.from_call(cast("Any", refused.value))
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert any(detail.Unpack(info) for detail in status.details)
    return refused.value.code(), info.reason, status.message


async def made(mesh: Mesh, mongo: Client, path: str = "/hook", **fields: Any) -> Endpoint:
    """An endpoint at the receiver, whose secrets open."""
    secrets = EndpointSecrets(Sealer.from_setting(mesh.config.sealing_key, ENDPOINT_SECRET))
    endpoint = make_endpoint(secrets=secrets, url=f"{mesh.receiver.url}{path}", **fields)
    store = MongoEndpointStore(mongo)
    await store.prepare()
    assert await store.add(endpoint)
    return endpoint


async def test_deliveries_are_listed_by_every_filter_and_only_to_their_tenant(mesh: Mesh) -> None:
    async with mesh.running() as process, tenant_at(process, mesh.identities) as acme:
        deliveries = [
            make_delivery(**FAR),
            failed(at=NOW + SECOND, endpoint_id=ONE, event_type="job.failed", about="http-1"),
            make_delivery(at=NOW + 2 * SECOND, endpoint_id=ONE, state=State.SKIPPED, finished_at=NOW),
            failed(at=NOW + 3 * SECOND, endpoint_id=ONE),
            make_delivery(at=NOW + 4 * SECOND, state=State.DELIVERED, finished_at=NOW),
        ]
        await mesh.store.add([*deliveries, failed(tenant="globex", endpoint_id=ONE, about="http-1")])
        for asked, numbers in (
            ({}, [4, 3, 2, 1, 0]),
            ({"endpoint_id": ONE}, [3, 2, 1]),
            ({"state": [S.FAILED]}, [3, 1]),
            ({"state": [S.SKIPPED, S.FAILED, S.FAILED], "endpoint_id": ONE}, [3, 2, 1]),
            ({"event_type": "job.failed"}, [1]),
            ({"about": "http-1", "state": [S.FAILED]}, [1]),
            ({"created_after": stamp(NOW + SECOND), "created_before": stamp(NOW + 3 * SECOND)}, [2, 1]),
            ({"created_before": stamp(NOW + timedelta(microseconds=1))}, [0]),
            ({"created_after": stamp(NOW + 4 * SECOND + timedelta(microseconds=1))}, []),
            ({"endpoint_id": ids.new_endpoint_id()}, []),
        ):
            assert await listed(acme, **asked) == [deliveries[number].id for number in numbers], asked
        async with tenant_at(process, mesh.identities, "globex") as globex:
            assert len(await listed(globex)) == 1
            assert await listed(globex, endpoint_id=ONE, state=[S.SKIPPED]) == []
            first = await acme.delivering.ListDeliveries(deliveries_pb2.ListDeliveriesRequest(page_size=1))
            for asked in ({"page_size": 1}, {"page_size": 1, "state": [S.FAILED]}):
                request = deliveries_pb2.ListDeliveriesRequest(page_token=first.next_page_token, **asked)
                tenant = globex if len(asked) == 1 else acme
                code, _, text = await refusal(tenant.delivering.ListDeliveries(request))
                assert (code, text[:9]) == (grpc.StatusCode.INVALID_ARGUMENT, "pageToken")


async def test_pages_stay_as_they_are_while_deliveries_arrive(mesh: Mesh) -> None:
    async with mesh.running() as process, tenant_at(process, mesh.identities) as acme:
        there = [make_delivery(at=NOW + number // 3 * SECOND, **FAR) for number in range(11)]
        await mesh.store.add(there)
        seen: list[str] = []
        request = deliveries_pb2.ListDeliveriesRequest(page_size=3)
        while True:
            page = await acme.delivering.ListDeliveries(request)
            seen += [each.id for each in page.deliveries]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
            await mesh.store.add([make_delivery(at=NOW + 60 * SECOND, **FAR)])
        ordered = sorted(there, key=lambda each: (each.created_at, each.id), reverse=True)
        assert seen == [each.id for each in ordered]


async def test_one_delivery_is_shown_with_its_body_and_what_the_receiver_said(mesh: Mesh, mongo: Client) -> None:
    async with mesh.running() as process, tenant_at(process, mesh.identities) as acme:
        log = (an_attempt(1), an_attempt(2, status=410, body=b"\xff" * 3), an_attempt(3, duration=None, outcome=None))
        kept = failed(line="con_1", place=7)
        await mesh.store.add([kept])
        rows = [
            {"number": 1, "started_at": log[0].started_at, "duration_us": 250_000, "reason": "RECEIVER_STATUS"}
            | {"status": 500, "detail": "in words", "headers": [["x-trace", "7"]], "body": b"no", "truncated": True},
            {"number": 2, "started_at": log[1].started_at},
        ]
        await mongo["webhooks"]["deliveries"].update_one({"_id": kept.id}, {"$set": {"log": rows}})
        shown = await acme.delivering.GetDelivery(deliveries_pb2.GetDeliveryRequest(delivery_id=kept.id))
        assert shown.payload == '{"type":"job.succeeded"}'
        assert (shown.webhook_id, shown.url, shown.state) == (kept.webhook_id, kept.url, S.FAILED)
        assert (shown.attempts, shown.max_attempts, shown.last_status) == (3, 3, 500)
        assert shown.created_at.ToDatetime() == NOW.replace(tzinfo=None)
        assert not shown.HasField("next_attempt_at")
        came_out, lost = shown.attempt_log
        assert (came_out.reason, came_out.status, came_out.detail) == ("RECEIVER_STATUS", 500, "in words")
        assert (came_out.response_body, came_out.response_truncated) == (b"no", True)
        assert dict(came_out.response_headers) == {"x-trace": "7"}
        assert came_out.duration.ToTimedelta() == timedelta(milliseconds=250)
        assert not lost.HasField("duration")
        assert (lost.number, lost.reason) == (2, "")


async def test_what_belongs_to_others_or_to_nobody_is_not_there(mesh: Mesh) -> None:
    theirs = failed(tenant="globex")
    async with mesh.running() as process, tenant_at(process, mesh.identities) as acme:
        await mesh.store.add([theirs])
        api = acme.delivering
        for delivery_id in (theirs.id, "dlv_" + 32 * "0", "no id", ""):
            for call, request in (
                (api.GetDelivery, deliveries_pb2.GetDeliveryRequest(delivery_id=delivery_id)),
                (api.ReplayDelivery, deliveries_pb2.ReplayDeliveryRequest(delivery_id=delivery_id)),
            ):
                code, reason, _ = await refusal(call(request, timeout=TIMEOUT_S))
                assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "DELIVERY_NOT_FOUND")
        async with tenant_at(process, mesh.identities, "globex") as globex:
            begun = await globex.delivering.ReplayDeliveries(deliveries_pb2.ReplayDeliveriesRequest())
        for replay_id in (begun.id, ids.new_replay_id(), ""):
            for call, request in (
                (api.GetReplay, deliveries_pb2.GetReplayRequest(replay_id=replay_id)),
                (api.CancelReplay, deliveries_pb2.CancelReplayRequest(replay_id=replay_id)),
            ):
                code, reason, _ = await refusal(call(request, timeout=TIMEOUT_S))
                assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "REPLAY_NOT_FOUND")
        assert not (await api.ListReplays(deliveries_pb2.ListReplaysRequest())).replays


async def test_bad_input_names_the_field_the_value_and_the_way_out(mesh: Mesh) -> None:
    async with mesh.running() as process, tenant_at(process, mesh.identities) as acme:
        many: Callable[..., Awaitable[object]] = acme.delivering.ReplayDeliveries
        for asked, text in (
            ({"endpoint_id": "ep"}, "endpointId: is 'ep', which is no endpoint's id; one begins with ep_"),
            ({"state": [S.FAILED, 9]}, "state[1]: is 9; it takes PENDING, DELIVERED, FAILED, SKIPPED"),
            ({"state": [0]}, "state[0]: is 0; it takes PENDING, DELIVERED, FAILED, SKIPPED"),
            (
                {"event_type": "job.*"},
                "eventType: is 'job.*', which is no event type; GET /api/v1/event-types lists them",
            ),
            ({"about": "x" * 201}, "about: has 201 characters, and no id has; give the id of what they tell of"),
            (
                {"created_after": Timestamp(seconds=10**12)},
                "createdAfter: is no time between the years 1 and 9999; write it as in 2027-01-31T12:00:00Z",
            ),
            (
                {"created_after": stamp(NOW), "created_before": stamp(NOW)},
                "createdBefore: is not later than createdAfter; nothing lies between",
            ),
        ):
            request = deliveries_pb2.ListDeliveriesRequest(**asked)
            found = await refusal(acme.delivering.ListDeliveries(request))
            assert found == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", text)
            replay = deliveries_pb2.ReplayDeliveriesRequest(filter=deliveries_pb2.DeliveryFilter(**asked))
            assert (await refusal(many(replay)))[2] == f"filter.{text}"
        for rate in (-1, 1001):
            found = await refusal(many(deliveries_pb2.ReplayDeliveriesRequest(max_per_second=rate)))
            assert found[2] == f"maxPerSecond: is {rate}; it takes 1 to 1000, or 0 for 100"
        code, _, text = await refusal(acme.delivering.ListReplays(deliveries_pb2.ListReplaysRequest(page_size=-1)))
        assert (code, text[:13]) == (grpc.StatusCode.INVALID_ARGUMENT, "pageSize: is ")


async def test_a_dead_letter_is_replayed_with_the_same_body_and_id(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"].extend([Answer(status=500, headers={"X-Why": "down"}, size=20_000)])
    async with mesh.running(retry_schedule=()) as process, tenant_at(process, mesh.identities) as acme:
        job_id = await mesh.finished_job()
        dead = await mesh.settled(job_id, State.FAILED)
        assert await listed(acme, state=[S.FAILED], about=job_id) == [dead.id]
        back = await acme.delivering.ReplayDelivery(deliveries_pb2.ReplayDeliveryRequest(delivery_id=dead.id))
        assert (back.state, back.attempts, back.replays, back.last_reason) == (S.PENDING, 0, 1, "")
        await mesh.settled(job_id, State.DELIVERED)
        first, second = mesh.receiver.at("/hook")
        assert (first.webhook_id, first.body) == (second.webhook_id, second.body)
        shown = await acme.delivering.GetDelivery(deliveries_pb2.GetDeliveryRequest(delivery_id=dead.id))
        failed_, delivered = shown.attempt_log
        assert (failed_.number, failed_.status, delivered.number, delivered.status) == (1, 500, 1, 200)
        assert {name.lower(): value for name, value in failed_.response_headers.items()}["x-why"] == "down"
        assert (len(failed_.response_body), failed_.response_truncated) == (16 * 1024, True)
        assert shown.payload.encode() == first.body


async def test_what_cannot_be_replayed_says_why(mesh: Mesh, mongo: Client) -> None:
    disabled = await made(mesh, mongo, enabled=False)
    at_work = make_delivery(claim="somebody", **FAR)
    in_a_batch = make_delivery(batch_id="msg_1", **FAR)
    to_disabled, to_nobody = failed(endpoint_id=disabled.id), failed(endpoint_id=ONE)
    async with mesh.running() as process, tenant_at(process, mesh.identities) as acme:
        await mesh.store.add([at_work, in_a_batch, to_disabled, to_nobody])
        for delivery, code, reason in (
            (at_work, grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_AT_WORK"),
            (in_a_batch, grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_AT_WORK"),
            (to_disabled, grpc.StatusCode.FAILED_PRECONDITION, "ENDPOINT_DISABLED"),
            (to_nobody, grpc.StatusCode.NOT_FOUND, "ENDPOINT_NOT_FOUND"),
        ):
            request = deliveries_pb2.ReplayDeliveryRequest(delivery_id=delivery.id)
            assert (await refusal(acme.delivering.ReplayDelivery(request)))[:2] == (code, reason)
            assert await mesh.store.delivery("acme", delivery.id) == delivery
        for endpoint_id, reason in ((disabled.id, "ENDPOINT_DISABLED"), (ONE, "ENDPOINT_NOT_FOUND")):
            many = deliveries_pb2.ReplayDeliveriesRequest(filter=deliveries_pb2.DeliveryFilter(endpoint_id=endpoint_id))
            assert (await refusal(acme.delivering.ReplayDeliveries(many)))[1] == reason
        (shown,) = (
            await acme.delivering.ListDeliveries(deliveries_pb2.ListDeliveriesRequest(endpoint_id=ONE))
        ).deliveries
        assert shown.url == ""


async def replayed(tenant: Tenant, replay_id: str, state: R) -> deliveries_pb2.Replay:
    """Waits until a replay stands so."""

    async def stands() -> deliveries_pb2.Replay | None:
        replay = await tenant.delivering.GetReplay(deliveries_pb2.GetReplayRequest(replay_id=replay_id))
        assert replay.state == state, replay
        return replay

    found = await eventually(stands, within=60, what=f"the replay {R.Name(state)}")
    assert found is not None
    return found


async def test_many_are_replayed_with_progress_and_reach_the_receiver_once(mesh: Mesh, mongo: Client) -> None:
    endpoint, disabled = await made(mesh, mongo), await made(mesh, mongo, enabled=False)
    dead = [failed(at=NOW + number * SECOND, endpoint_id=endpoint.id) for number in range(30)]
    skipped = make_delivery(endpoint_id=endpoint.id, state=State.SKIPPED, finished_at=NOW)
    to_disabled = failed(endpoint_id=disabled.id)
    async with mesh.running() as process, mesh.running(), tenant_at(process, mesh.identities) as acme:
        await mesh.store.add([*dead, skipped, to_disabled, failed(tenant="globex", endpoint_id=endpoint.id)])
        request = deliveries_pb2.ReplayDeliveriesRequest(max_per_second=1000)
        begun = await acme.delivering.ReplayDeliveries(request)
        assert (begun.state, begun.total, begun.max_per_second) == (R.RUNNING, 32, 1000)
        assert list(begun.filter.state) == [S.FAILED, S.SKIPPED]
        done = await replayed(acme, begun.id, R.DONE)
        assert (done.replayed, done.passed_over) == (31, 1)
        assert done.HasField("finished_at")
        await eventually(lambda: len(mesh.receiver.received) >= 31, within=60, what="the POSTs")
        sent = [each.webhook_id for each in mesh.receiver.received]
        assert sorted(sent) == sorted(each.webhook_id for each in [*dead, skipped])
        again = await acme.delivering.ReplayDeliveries(deliveries_pb2.ReplayDeliveriesRequest())
        listing = await acme.delivering.ListReplays(deliveries_pb2.ListReplaysRequest(page_size=1))
        assert [each.id for each in listing.replays] == [again.id]
        rest = deliveries_pb2.ListReplaysRequest(page_size=1, page_token=listing.next_page_token)
        assert [each.id for each in (await acme.delivering.ListReplays(rest)).replays] == [begun.id]


async def test_a_replay_that_is_canceled_leaves_the_rest_as_it_is(mesh: Mesh) -> None:
    async with mesh.running() as process, tenant_at(process, mesh.identities) as acme:
        await mesh.store.add([failed(url=f"{mesh.receiver.url}/hook") for _ in range(40)])
        begun = await acme.delivering.ReplayDeliveries(deliveries_pb2.ReplayDeliveriesRequest(max_per_second=2))

        async def has_begun() -> bool:
            shown = await acme.delivering.GetReplay(deliveries_pb2.GetReplayRequest(replay_id=begun.id))
            return shown.replayed > 0

        await eventually(has_begun, what="progress")
        request = deliveries_pb2.CancelReplayRequest(replay_id=begun.id)
        canceled = await acme.delivering.CancelReplay(request)
        assert canceled.state == R.CANCELED
        assert await acme.delivering.CancelReplay(request) == await replayed(acme, begun.id, R.CANCELED)
        assert len(await listed(acme, state=[S.FAILED])) >= 40 - canceled.replayed - 1


async def test_while_mongodb_is_away_nothing_is_answered_and_replays_go_on_after(
    mesh: Mesh, mongo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "TURN", SECOND)  # of a turn that is lost with the connection
    server = urlsplit(mongo_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        severable = Secret(wire.on_the_way_to(mongo_url).replace("replicaSet=penstock", "directConnection=true"))
        async with mesh.running(mongo_url=severable) as process, tenant_at(process, mesh.identities) as acme:
            dead: list[Delivery] = [failed(url=f"{mesh.receiver.url}/hook") for _ in range(8)]
            await mesh.store.add(dead)
            begun = await acme.delivering.ReplayDeliveries(deliveries_pb2.ReplayDeliveriesRequest(max_per_second=2))
            await wire.cut()
            request = deliveries_pb2.ListDeliveriesRequest()
            code, _, text = await refusal(acme.delivering.ListDeliveries(request, timeout=30))
            assert code is grpc.StatusCode.UNAVAILABLE
            assert "MongoDB" in text
            await wire.mend()

            async def is_done() -> bool:
                try:
                    shown = await acme.delivering.GetReplay(deliveries_pb2.GetReplayRequest(replay_id=begun.id))
                except grpc.aio.AioRpcError:
                    return False  # the driver has not found it yet
                return shown.state == R.DONE and shown.replayed == 8

            await eventually(is_done, within=90, what="the end of the replay")
            states = [await mesh.store.delivery("acme", each.id) for each in dead]
            assert [each.replays for each in states if each is not None] == [1] * 8
