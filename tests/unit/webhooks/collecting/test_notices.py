"""From notices to the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from penstock.events.v1 import notices_pb2

from services.webhooks.collecting.notices import CONSUMER
from services.webhooks.collecting.payload import NOTICE_TYPES
from services.webhooks.deliveries.domain import Reason, State
from services.webhooks.endpoints.domain import DisabledReason, EventFilter, Order
from services.webhooks.endpoints.notices import UntoldEndpoints
from shared import ids
from shared.errors import Unavailable
from tests.fakes import connection_notices, tenant_notices
from tests.fakes.collecting import CALLBACK_URL, TRACEPARENT, finished_batch, heard
from tests.fakes.endpoint_store import FakeEndpointStore
from tests.fakes.endpoints import LATER, NOW, make_endpoint

if TYPE_CHECKING:
    from shared.bus import Outgoing
    from tests.unit.webhooks.collecting.conftest import World

CALLBACK = "acme/client.example:8443"
CONNECTION = connection_notices.CONNECTION
SECRETS = ("token=1", "canary")


def noticed(outgoing: Outgoing, **changes: Any) -> notices_pb2.Notice:
    """What was published, as of now."""
    notice = notices_pb2.Notice.FromString(outgoing.payload)
    notice.time.FromDatetime(NOW)
    for name, value in changes.items():
        setattr(notice, name, value)
    return notice


def disabled_endpoint(endpoint_id: str = "", *, tenant: str = "acme") -> notices_pb2.Notice:
    """As the service itself tells of it."""
    disabled = make_endpoint(
        id=endpoint_id or ids.new_endpoint_id(),
        tenant=tenant,
        enabled=False,
        url="https://client.example:8443/hook/canary?token=1",
        disabled_reason=DisabledReason.FAILING,
        disabled_at=LATER,
        failing_since=NOW,
        revision=4,
    )
    return notices_pb2.Notice.FromString(UntoldEndpoints(FakeEndpointStore()).notice(disabled).payload)


def every_notice() -> dict[str, notices_pb2.Notice]:
    """One of each type."""
    return {
        "batch.finished": finished_batch(callback_url=""),
        "connection.needs_reauth": noticed(connection_notices.needs_reauth(2)),
        "connection.restored": noticed(connection_notices.restored(3)),
        "connection.deleted": noticed(connection_notices.deleted(4)),
        "tenant.suspended": noticed(tenant_notices.published("acme", 2)),
        "tenant.resumed": noticed(tenant_notices.published("acme", 3, None)),
        "endpoint.disabled": disabled_endpoint(),
    }


def test_every_notice_is_consumed() -> None:
    assert CONSUMER.filter_subjects == ["notices.*"]
    facts = [field.name for field in notices_pb2.Notice.DESCRIPTOR.oneofs_by_name["fact"].fields]
    assert sorted(NOTICE_TYPES) == sorted(facts)
    assert sorted(NOTICE_TYPES.values()) == sorted(every_notice())


async def test_a_callbacks_delivery_is_made_of_the_end_of_its_batch(world: World) -> None:
    told = finished_batch()
    await world.notices.handle([heard(told)])
    (delivery,) = world.deliveries.by_id.values()
    assert (delivery.webhook_id, delivery.about, delivery.tenant) == (told.id, told.id, "acme")
    assert (delivery.url, delivery.receiver, delivery.traceparent) == (CALLBACK_URL, CALLBACK, TRACEPARENT)
    assert (delivery.sealed_secret, delivery.next_attempt_at, delivery.place) == (b"sealed", NOW, 0)
    assert json.loads(delivery.payload) == {
        "type": "batch.finished",
        "timestamp": "2026-05-04T10:30:15.123Z",
        "data": {
            "id": told.id,
            "createdAt": "2026-05-04T10:30:15.123Z",
            "finishedAt": "2026-05-04T10:30:15.123Z",
            "size": 3,
            "counts": {"succeeded": 2, "outcomeUnknown": 1},
        },
    }
    assert (world.receivers.noted, world.woken) == ([{CALLBACK: NOW}], [{CALLBACK}])


@pytest.mark.parametrize(
    ("event_type", "about", "data"),
    [
        (
            "connection.needs_reauth",
            CONNECTION,
            {
                "connectionId": CONNECTION,
                "upstream": "http",
                "revision": "2",
                "reason": "revoked",
                "neededSince": "2027-01-15T08:00:00Z",
                "jobsWait": True,
            },
        ),
        ("connection.restored", CONNECTION, {"connectionId": CONNECTION, "upstream": "http", "revision": "3"}),
        ("connection.deleted", CONNECTION, {"connectionId": CONNECTION, "upstream": "http", "revision": "4"}),
        (
            "tenant.suspended",
            "acme",
            {"revision": "2", "reason": "unpaid", "suspendedAt": "2027-01-15T08:00:00Z"},
        ),
        ("tenant.resumed", "acme", {"revision": "3"}),
    ],
)
async def test_every_fact_is_told_to_endpoints(world: World, event_type: str, about: str, data: dict[str, Any]) -> None:
    endpoint = await world.endpoint(order=Order.BY_CONNECTION)
    notice = every_notice()[event_type]
    await world.notices.handle([heard(notice)])
    (delivery,) = world.deliveries.by_id.values()
    assert (delivery.receiver, delivery.tenant, delivery.about) == (endpoint.id, "acme", about)
    assert (delivery.webhook_id, delivery.event_type) == (notice.id, event_type)
    assert (delivery.line, delivery.place) == ("", 0)  # facts of this kind have no order
    message = json.loads(delivery.payload)
    assert (message["type"], message["timestamp"]) == (event_type, "2026-05-04T10:30:15.123Z")
    assert message["data"] == data


async def test_a_disabled_endpoint_is_told_to_the_others_with_nothing_that_lets_anybody_in(world: World) -> None:
    itself, other = await world.endpoint(enabled=False), await world.endpoint()
    await world.notices.handle([heard(disabled_endpoint(itself.id))])
    (skipped,), (told,) = world.deliveries.to(itself.id), world.deliveries.to(other.id)
    assert (skipped.state, skipped.last_reason) == (State.SKIPPED, Reason.ENDPOINT_DISABLED)
    assert (told.state, told.about, told.webhook_id) == (State.PENDING, itself.id, f"{itself.id}:4")
    assert json.loads(told.payload)["data"] == {
        "endpointId": itself.id,
        "url": "https://client.example:8443",
        "reason": "FAILING",
        "disabledAt": "2026-05-04T10:31:15.123Z",
        "failingSince": "2026-05-04T10:30:15.123Z",
        "revision": "4",
    }
    assert not any(secret in told.payload.decode() for secret in SECRETS)
    assert world.woken == [{other.id}]


@pytest.mark.parametrize("event_type", sorted(every_notice()))
async def test_no_webhook_id_has_a_full_stop_which_parts_what_is_signed(world: World, event_type: str) -> None:
    await world.endpoint()
    await world.notices.handle([heard(every_notice()[event_type])])
    (delivery,) = world.deliveries.by_id.values()
    assert "." not in delivery.webhook_id
    assert ids.kind_of(delivery.about) == event_type.split(".", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        (EventFilter(event_types=("connection.*",)), 3),
        (EventFilter(event_types=("connection.deleted", "tenant.resumed")), 2),
        (EventFilter(upstreams=("http",)), 3),
        (EventFilter(upstreams=("flickr",)), 0),
        (EventFilter(methods=("http.*",)), 0),
        (EventFilter(metadata={"order": "123"}), 0),
        (EventFilter(), 7),
    ],
)
async def test_an_endpoint_is_reached_by_the_notices_that_pass_its_filter(
    world: World, wanted: EventFilter, reached: int
) -> None:
    await world.endpoint(filter=wanted)
    await world.notices.handle([heard(notice) for notice in every_notice().values()])
    assert len(world.deliveries.by_id) == reached


async def test_tenants_are_apart(world: World) -> None:
    await world.endpoint(tenant="globex")
    await world.notices.handle([heard(notice) for notice in every_notice().values()])
    assert world.deliveries.by_id == {}


async def test_a_notice_that_comes_again_makes_no_second_delivery(world: World) -> None:
    await world.endpoint()
    told = finished_batch()
    await world.notices.handle([heard(told), heard(finished_batch())])
    await world.notices.handle([heard(told)])
    assert len(world.deliveries.by_id) == 4


async def test_nothing_is_made_where_nobody_is_to_be_told(world: World) -> None:
    await world.notices.handle([heard(finished_batch(callback_url=""))])
    assert (world.deliveries.writes, world.receivers.noted, world.woken) == ([], [], [])


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"",
        finished_batch(tenant=""),
        finished_batch(id=ids.new_batch_id()),
        finished_batch(id="batch_x"),
        finished_batch(id=""),
        noticed(connection_notices.deleted(4, "con_1")),
        noticed(connection_notices.deleted(4), id="v1.2"),
        disabled_endpoint("ep_1"),
    ],
)
async def test_what_cannot_be_understood_is_dropped_and_the_rest_stored(
    world: World, content: notices_pb2.Notice | bytes
) -> None:
    broken = heard(content)
    await world.notices.handle([broken, heard(finished_batch())])
    assert broken.verdict == b"+TERM"
    assert len(world.deliveries.by_id) == 1


async def test_what_a_newer_version_tells_of_is_passed_over(world: World) -> None:
    await world.endpoint()
    unknown = heard(notices_pb2.Notice(id="x:1", tenant="acme"))
    await world.notices.handle([unknown])
    assert unknown.verdict == b"+ACK"
    assert world.deliveries.by_id == {}


@pytest.mark.parametrize("part", ["deliveries", "endpoints", "receivers"])
async def test_a_store_that_is_away_leaves_the_notices_to_come_again(world: World, part: str) -> None:
    getattr(world, part).away = True
    with pytest.raises(Unavailable):
        await world.notices.handle([heard(finished_batch())])
    assert world.woken == []
