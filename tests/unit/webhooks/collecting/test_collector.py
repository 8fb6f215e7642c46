"""From the event to the store."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.events.v1 import events_pb2

from services.webhooks.collecting import collector as collector_
from services.webhooks.collecting.collector import CONSUMER, MOST_TRIES
from services.webhooks.collecting.domain import CLOCK_SKEW
from services.webhooks.deliveries.domain import Reason, State, delivery_id
from services.webhooks.endpoints.domain import DisabledReason, EventFilter, Order
from shared import ids
from shared.errors import Unavailable
from tests.fakes.collecting import CALLBACK_URL, TRACEPARENT, JobLog, incoming
from tests.fakes.endpoints import NOW

if TYPE_CHECKING:
    from tests.unit.webhooks.collecting.conftest import World

#: Of the callback of every job here that has one.
CALLBACK = "acme/client.example:8443"
ENDS = ("SUCCEEDED", "FAILED", "CANCELED", "EXPIRED", "OUTCOME_UNKNOWN")


def test_only_the_events_by_which_jobs_end_are_consumed() -> None:
    assert sorted(CONSUMER.filter_subjects or []) == sorted(f"jobs.{end.lower()}.*" for end in ENDS)


async def test_a_callbacks_delivery_is_made_of_the_event_and_its_submission(world: World) -> None:
    event = world.job_log.submit(callback_url=CALLBACK_URL, connection_id="con_1")
    await world.collector.handle([incoming(event)])
    (delivery,) = world.deliveries.by_id.values()
    assert delivery.webhook_id == f"{event.job_id}:3"
    assert (delivery.id, delivery.receiver) == (delivery_id(delivery.webhook_id, CALLBACK), CALLBACK)
    assert (delivery.tenant, delivery.about, delivery.event_type) == ("acme", event.job_id, "job.succeeded")
    assert (delivery.url, delivery.endpoint_id, delivery.line) == (CALLBACK_URL, "", "")
    assert (delivery.sealed_secret, delivery.traceparent) == (b"sealed", TRACEPARENT)
    assert delivery.next_attempt_at == delivery.created_at == delivery.event_time == NOW
    assert json.loads(delivery.payload)["data"]["state"] == "SUCCEEDED"


async def test_an_endpoints_delivery_has_neither_url_nor_secret_of_its_own(world: World) -> None:
    endpoint = await world.endpoint()
    event = world.job_log.submit(connection_id="con_1")
    await world.collector.handle([incoming(event)])
    (delivery,) = world.deliveries.by_id.values()
    assert delivery.webhook_id == f"{event.job_id}:3"
    assert (delivery.receiver, delivery.endpoint_id) == (endpoint.id, endpoint.id)
    assert (delivery.url, delivery.sealed_secret) == ("", b"")
    assert (delivery.state, delivery.line) == (State.PENDING, "")


async def test_an_event_is_told_to_its_callback_and_to_every_endpoint_with_one_body(world: World) -> None:
    endpoints = [await world.endpoint() for _ in range(3)]
    await world.collector.handle([incoming(world.job_log.submit(callback_url=CALLBACK_URL))])
    made = list(world.deliveries.by_id.values())
    assert {each.receiver for each in made} == {CALLBACK, *(each.id for each in endpoints)}
    assert len({each.webhook_id for each in made}) == 1
    assert len({id(each.payload) for each in made}) == 1
    assert world.deliveries.writes == [4]


async def test_whoever_has_something_due_is_noted_once_and_told(world: World) -> None:
    endpoint = await world.endpoint()
    events = [world.job_log.submit(callback_url=CALLBACK_URL) for _ in range(3)]
    await world.collector.handle([incoming(event) for event in events])
    assert world.receivers.noted == [{CALLBACK: NOW, endpoint.id: NOW}]
    assert world.woken == [{CALLBACK, endpoint.id}]


async def test_by_connection_an_endpoints_deliveries_stand_in_the_line_of_the_jobs_connection(world: World) -> None:
    ordered = await world.endpoint(order=Order.BY_CONNECTION)
    with_one, without = world.job_log.submit(connection_id="con_1"), world.job_log.submit()
    await world.collector.handle([incoming(with_one, sequence=41), incoming(without, sequence=42)])
    assert [(each.line, each.place) for each in world.deliveries.to(ordered.id)] == [("con_1", 41), ("", 42)]


async def test_what_a_disabled_endpoint_would_be_sent_is_skipped_and_nobody_is_called_for_it(world: World) -> None:
    fields: dict[str, Any] = {"enabled": False, "disabled_reason": DisabledReason.ASKED}
    disabled = await world.endpoint(**fields, order=Order.BY_CONNECTION)
    event = world.job_log.submit(connection_id="con_1")
    await world.collector.handle([incoming(event, sequence=7)])
    (delivery,) = world.deliveries.to(disabled.id)
    assert (delivery.state, delivery.last_reason) == (State.SKIPPED, Reason.ENDPOINT_DISABLED)
    assert (delivery.finished_at, delivery.attempts) == (NOW, 0)
    assert (delivery.line, delivery.place) == ("con_1", 7)  # it stands there when it is replayed
    assert (world.receivers.noted, world.woken) == ([], [])


async def test_one_that_comes_again_stays_as_it_is_though_the_endpoint_was_enabled_since(world: World) -> None:
    disabled = await world.endpoint(enabled=False)
    event = world.job_log.submit()
    await world.collector.handle([incoming(event)])
    world.endpoints.by_id.clear()
    await world.endpoint(id=disabled.id)
    await world.collector.handle([incoming(event)])
    (delivery,) = world.deliveries.by_id.values()
    assert delivery.state is State.SKIPPED


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        (EventFilter(), True),
        (EventFilter(event_types=("job.succeeded",)), True),
        (EventFilter(event_types=("job.failed", "job.*")), True),
        (EventFilter(event_types=("job.failed", "batch.*")), False),
        (EventFilter(upstreams=("flickr", "http")), True),
        (EventFilter(upstreams=("flickr",)), False),
        (EventFilter(methods=("http.get",)), True),
        (EventFilter(methods=("http.*",)), True),
        (EventFilter(methods=("http.post", "flickr.*")), False),
        (EventFilter(metadata={"order": "123"}), True),
        (EventFilter(metadata={"order": "123", "of": "acme"}), True),
        (EventFilter(metadata={"order": "124"}), False),
        (EventFilter(metadata={"shop": "1"}), False),
        (EventFilter(event_types=("job.*",), upstreams=("http",), methods=("http.*",), metadata={"of": "acme"}), True),
        (EventFilter(event_types=("job.*",), upstreams=("http",), methods=("http.post",)), False),
    ],
)
async def test_an_endpoint_is_reached_by_what_passes_its_whole_filter(
    world: World, wanted: EventFilter, *, reached: bool
) -> None:
    await world.endpoint(filter=wanted)
    event = world.job_log.submit(metadata={"order": "123", "of": "acme"})
    await world.collector.handle([incoming(event)])
    assert bool(world.deliveries.by_id) is reached


async def test_submissions_are_read_only_where_somebody_may_be_told(world: World) -> None:
    await world.endpoint(filter=EventFilter(event_types=("job.failed",)))
    await world.endpoint(filter=EventFilter(upstreams=("flickr",)))
    told_nobody = world.job_log.submit()
    failed = world.job_log.submit(ends="FAILED")
    of_flickr = world.job_log.submit(upstream="flickr")
    called_back = world.job_log.submit(callback_url=CALLBACK_URL)
    of_another = world.job_log.submit(tenant="globex", ends="FAILED")
    events = (told_nobody, failed, of_flickr, called_back, of_another)
    await world.collector.handle([incoming(event) for event in events])
    assert world.job_log.read == [each.submitted_sequence for each in (failed, of_flickr, called_back)]
    assert len(world.deliveries.by_id) == 3


async def test_tenants_are_apart(world: World) -> None:
    ours, theirs = await world.endpoint(tenant="acme"), await world.endpoint(tenant="globex")
    our_event, their_event = world.job_log.submit(tenant="acme"), world.job_log.submit(tenant="globex")
    await world.collector.handle([incoming(our_event), incoming(their_event)])
    for endpoint, event in ((ours, our_event), (theirs, their_event)):
        (delivery,) = world.deliveries.to(endpoint.id)
        assert (delivery.tenant, delivery.about) == (endpoint.tenant, event.job_id)
    assert len(world.deliveries.by_id) == 2


async def test_a_submission_of_another_tenants_job_tells_nobody_anything(world: World) -> None:
    await world.endpoint()
    event = world.job_log.submit(tenant="globex", callback_url=CALLBACK_URL)
    event.tenant = "acme"
    await world.collector.handle([incoming(event)])
    assert world.deliveries.by_id == {}


@pytest.mark.parametrize(
    ("before", "sent"),
    [(timedelta(), True), (CLOCK_SKEW, True), (CLOCK_SKEW + timedelta(milliseconds=1), False)],
)
async def test_an_endpoint_is_not_sent_what_happened_before_it_was_made(
    world: World, before: timedelta, *, sent: bool
) -> None:
    await world.endpoint(created_at=NOW)
    await world.collector.handle([incoming(world.job_log.submit(time=NOW - before))])
    assert bool(world.deliveries.by_id) is sent


async def test_an_event_that_comes_again_makes_no_second_delivery_and_is_noted_as_due_again(world: World) -> None:
    await world.endpoint()
    event = world.job_log.submit(callback_url=CALLBACK_URL)
    await world.collector.handle([incoming(event), incoming(event)])
    await world.collector.handle([incoming(event)])
    assert len(world.deliveries.by_id) == 2
    assert len(world.receivers.noted) == 2


async def test_an_event_without_callback_and_endpoints_makes_none(world: World) -> None:
    await world.collector.handle([incoming(world.job_log.submit())])
    assert not world.deliveries.by_id
    assert not world.deliveries.writes
    assert not world.woken


async def test_an_event_whose_submission_is_gone_is_dropped_and_the_rest_is_stored(world: World) -> None:
    gone, moved, broken, here = (world.job_log.submit(callback_url=CALLBACK_URL) for _ in range(4))
    del world.job_log.messages[gone.submitted_sequence]
    moved.submitted_sequence = here.submitted_sequence
    world.job_log.messages[broken.submitted_sequence] = b"\xff"
    batch = [incoming(event) for event in (gone, moved, broken, here)]
    await world.collector.handle(batch)
    assert [each.about for each in world.deliveries.by_id.values()] == [here.job_id]
    assert {each.verdict for each in batch} == {b"+ACK"}


def _event(**changes: Any) -> events_pb2.JobEvent:
    event = JobLog().submit(callback_url=CALLBACK_URL)
    for name, value in changes.items():
        setattr(event, name, value)
    return event


@pytest.mark.parametrize(
    "malformed",
    [
        b"\xff\xff",
        _event(tenant=""),
        _event(job_id="x.y"),
        _event(revision=0),
        _event(type=events_pb2.JobEvent.STARTED),
    ],
)
async def test_what_cannot_be_understood_never_comes_again(
    world: World, malformed: events_pb2.JobEvent | bytes
) -> None:
    good, bad = incoming(world.job_log.submit(callback_url=CALLBACK_URL)), incoming(malformed)
    await world.collector.handle([bad, good])
    assert (bad.verdict, good.verdict) == (b"+TERM", b"+ACK")
    assert len(world.deliveries.by_id) == 1


async def test_one_that_no_delivery_can_be_made_of_is_given_up_in_the_end_for_it_holds_up_the_order_of_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = (world.job_log.submit(callback_url=CALLBACK_URL) for _ in range(2))
    payload_of = collector_.payload_of

    def fails(event: events_pb2.JobEvent, *submitted: Any) -> bytes:
        if event.job_id == broken.job_id:
            raise RuntimeError("a fault of ours")
        return payload_of(event, *submitted)

    monkeypatch.setattr(collector_, "payload_of", fails)
    with pytest.raises(RuntimeError):
        await world.collector.handle([incoming(broken, deliveries=MOST_TRIES - 1)])
    last, other = incoming(broken, deliveries=MOST_TRIES), incoming(good)
    await world.collector.handle([last, other])
    assert (last.verdict, other.verdict) == (b"+TERM", b"+ACK")
    assert [each.about for each in world.deliveries.by_id.values()] == [good.job_id]


@pytest.mark.parametrize("part", ["job_log", "deliveries", "endpoints", "receivers"])
async def test_a_batch_is_not_acknowledged_while_a_part_is_away(world: World, part: str) -> None:
    event = world.job_log.submit(callback_url=CALLBACK_URL)
    getattr(world, part).away = True
    with pytest.raises(Unavailable):
        await world.collector.handle([incoming(event)])
    assert not world.woken
    getattr(world, part).away = False
    await world.collector.handle([incoming(event)])
    assert (len(world.deliveries.by_id), len(world.receivers.noted), len(world.woken)) == (1, 1, 1)


async def test_a_url_that_is_none_makes_a_delivery_that_tells(world: World) -> None:
    await world.collector.handle([incoming(world.job_log.submit(callback_url="http://[::1/"))])
    (delivery,) = world.deliveries.by_id.values()
    assert delivery.receiver == "acme/"


async def test_what_is_stored_is_the_same_for_events_of_one_batch_and_of_many(world: World) -> None:
    await world.endpoint(order=Order.BY_CONNECTION)
    events = [world.job_log.submit(callback_url=CALLBACK_URL, ends=end) for end in ENDS]
    for event in events:
        await world.collector.handle([incoming(event)])
    apart = dict(world.deliveries.by_id)
    world.deliveries.by_id.clear()
    await world.collector.handle([incoming(event) for event in events])
    assert world.deliveries.by_id == apart
    assert {ids.kind_of(each.about) for each in apart.values()} == {"job"}
