"""From the event to the store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.webhooks.collector import CONSUMER, Collector
from shared import ids, streams
from shared.bus import Incoming
from shared.errors import Unavailable
from tests.unit.webhooks.conftest import START

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.delivery_store import FakeDeliveryStore
    from tests.unit.webhooks.conftest import Time

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class JobLog:
    """The log of jobs in memory."""

    messages: dict[int, bytes] = field(default_factory=dict)
    away: bool = False

    async def read_message(self, stream: str, sequence: int) -> tuple[bytes, Mapping[str, str]] | None:
        assert stream == streams.JOBS
        if self.away:
            raise Unavailable("NATS does not answer")
        payload = self.messages.get(sequence)
        return None if payload is None else (payload, {})

    def submit(self, *, callback_url: str = "https://client.example:8443/hook?t=1") -> events_pb2.JobEvent:
        """Puts a submission into the log; answers with the event by which its job ends."""
        job_id = ids.new_job_id("http")
        submission = events_pb2.Submission(
            job=jobs_pb2.Job(id=job_id, upstream="http", state=jobs_pb2.Job.QUEUED, revision=1),
            callback_url=callback_url,
            sealed_callback_secret=b"sealed",
        )
        sequence = len(self.messages) + 1
        self.messages[sequence] = events_pb2.JobEvent(
            type=events_pb2.JobEvent.SUBMITTED, job_id=job_id, tenant="acme", revision=1, submission=submission
        ).SerializeToString()
        event = events_pb2.JobEvent(
            type=events_pb2.JobEvent.SUCCEEDED,
            job_id=job_id,
            tenant="acme",
            upstream="http",
            revision=3,
            state=jobs_pb2.Job.SUCCEEDED,
            submitted_sequence=sequence,
            has_callback=True,
        )
        event.time.FromDatetime(START)
        return event


@dataclass
class World:
    """A collector and what surrounds it."""

    collector: Collector
    job_log: JobLog
    store: FakeDeliveryStore
    woken: list[None]


@pytest.fixture
def world(store: FakeDeliveryStore, time: Time) -> World:
    job_log, woken = JobLog(), list[None]()
    collector = Collector(job_log=job_log, store=store, clock=time, wake=lambda: woken.append(None))
    return World(collector, job_log, store, woken)


def message(event: events_pb2.JobEvent | bytes) -> Incoming:
    payload = event if isinstance(event, bytes) else event.SerializeToString()
    headers = {"traceparent": TRACEPARENT}
    return Incoming(subject="jobs.x.http", payload=payload, headers=headers, sequence=9, deliveries=1, reply="")


def test_only_the_events_by_which_jobs_end_are_consumed() -> None:
    assert sorted(CONSUMER.filter_subjects or []) == [
        "jobs.canceled.*",
        "jobs.expired.*",
        "jobs.failed.*",
        "jobs.outcome_unknown.*",
        "jobs.succeeded.*",
    ]


async def test_a_delivery_is_made_of_the_event_and_its_submission(world: World) -> None:
    event = world.job_log.submit()
    await world.collector.handle([message(event)])
    (delivery,) = world.store.by_id.values()
    assert delivery.id == f"{event.job_id}:3"
    assert (delivery.tenant, delivery.about, delivery.event_type) == ("acme", event.job_id, "job.succeeded")
    assert (delivery.url, delivery.host) == ("https://client.example:8443/hook?t=1", "client.example:8443")
    assert (delivery.sealed_secret, delivery.traceparent) == (b"sealed", TRACEPARENT)
    assert delivery.next_attempt_at == delivery.created_at == delivery.event_time == START
    assert json.loads(delivery.payload)["data"]["state"] == "SUCCEEDED"
    assert len(world.woken) == 1


async def test_an_event_that_comes_again_makes_no_second_delivery(world: World) -> None:
    event = world.job_log.submit()
    await world.collector.handle([message(event), message(event)])
    await world.collector.handle([message(event)])
    assert len(world.store.by_id) == 1


async def test_an_event_without_a_callback_makes_none(world: World) -> None:
    event = world.job_log.submit()
    event.has_callback = False
    await world.collector.handle([message(event)])
    assert not world.store.by_id
    assert not world.woken


async def test_an_event_whose_submission_is_gone_is_dropped_and_the_rest_is_stored(world: World) -> None:
    gone, moved, broken, here = (world.job_log.submit() for _ in range(4))
    del world.job_log.messages[gone.submitted_sequence]
    moved.submitted_sequence = here.submitted_sequence
    world.job_log.messages[broken.submitted_sequence] = b"\xff"
    batch = [message(event) for event in (gone, moved, broken, here)]
    await world.collector.handle(batch)
    assert [each.about for each in world.store.by_id.values()] == [here.job_id]
    assert {each.verdict for each in batch} == {b"+ACK"}


def _event(**changes: Any) -> events_pb2.JobEvent:
    event = JobLog().submit()
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
    good, bad = message(world.job_log.submit()), message(malformed)
    await world.collector.handle([bad, good])
    assert (bad.verdict, good.verdict) == (b"+TERM", b"+ACK")
    assert len(world.store.by_id) == 1


@pytest.mark.parametrize("part", ["job_log", "store"])
async def test_a_batch_is_not_acknowledged_while_a_part_is_away(world: World, part: str) -> None:
    event = world.job_log.submit()
    getattr(world, part).away = True
    with pytest.raises(Unavailable):
        await world.collector.handle([message(event)])
    assert not world.woken
    getattr(world, part).away = False
    await world.collector.handle([message(event)])
    assert len(world.store.by_id) == 1


async def test_a_url_that_is_none_makes_a_delivery_that_tells(world: World) -> None:
    await world.collector.handle([message(world.job_log.submit(callback_url="http://[::1/"))])
    (delivery,) = world.store.by_id.values()
    assert delivery.host == ""
