"""From the notice of a batch's end to the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import notices_pb2
from penstock.jobs.v1 import batches_pb2

from services.webhooks.notices import NoticeCollector
from shared import ids
from shared.bus import Incoming
from shared.errors import Unavailable
from tests.unit.webhooks.conftest import START, Time

if TYPE_CHECKING:
    from tests.fakes.delivery_store import FakeDeliveryStore


@dataclass
class World:
    """A collector and what surrounds it."""

    collector: NoticeCollector
    store: FakeDeliveryStore
    woken: list[None]


@pytest.fixture
def world(store: FakeDeliveryStore, time: Time) -> World:
    woken = list[None]()
    return World(NoticeCollector(store=store, clock=time, wake=lambda: woken.append(None)), store, woken)


def notice(*, callback_url: str = "https://client.example:8443/hook", **changes: str) -> notices_pb2.Notice:
    batch = batches_pb2.Batch(
        id=ids.new_batch_id(), size=3, counts=batches_pb2.BatchCounts(succeeded=2, outcome_unknown=1)
    )
    batch.created_at.FromDatetime(START)
    batch.finished_at.FromDatetime(START)
    found = notices_pb2.Notice(
        **{"id": batch.id, "tenant": "acme"} | changes,
        batch_finished=notices_pb2.BatchFinished(
            batch=batch, callback_url=callback_url, sealed_callback_secret=b"sealed"
        ),
    )
    found.time.FromDatetime(START)
    return found


def message(content: notices_pb2.Notice | bytes) -> Incoming:
    payload = content if isinstance(content, bytes) else content.SerializeToString()
    return Incoming(subject="notices.batch_finished", payload=payload, headers={}, sequence=9, deliveries=1, reply="")


async def test_a_delivery_is_made_of_the_notice(world: World) -> None:
    told = notice()
    await world.collector.handle([message(told)])
    (delivery,) = world.store.by_id.values()
    assert (delivery.id, delivery.about, delivery.tenant) == (told.id, told.id, "acme")
    assert (delivery.url, delivery.host) == ("https://client.example:8443/hook", "client.example:8443")
    assert (delivery.sealed_secret, delivery.next_attempt_at) == (b"sealed", START)
    assert json.loads(delivery.payload) == {
        "type": "batch.finished",
        "timestamp": "2026-05-04T10:30:00Z",
        "data": {
            "id": told.id,
            "createdAt": "2026-05-04T10:30:00Z",
            "finishedAt": "2026-05-04T10:30:00Z",
            "size": 3,
            "counts": {"succeeded": 2, "outcomeUnknown": 1},
        },
    }
    assert len(world.woken) == 1


async def test_a_notice_that_comes_again_makes_no_second_delivery(world: World) -> None:
    told = notice()
    await world.collector.handle([message(told), message(notice())])
    await world.collector.handle([message(told)])
    assert len(world.store.by_id) == 2


async def test_nothing_is_made_where_nobody_is_to_be_told(world: World) -> None:
    await world.collector.handle([message(notice(callback_url=""))])
    assert (world.store.by_id, world.woken) == ({}, [])


@pytest.mark.parametrize(
    "content", [b"\xff", b"", notice(tenant=""), notice(id=ids.new_batch_id()), notice(id="batch_x")]
)
async def test_what_cannot_be_understood_is_dropped_and_the_rest_stored(
    world: World, content: notices_pb2.Notice | bytes
) -> None:
    broken = message(content)
    await world.collector.handle([broken, message(notice())])
    assert broken.verdict == b"+TERM"
    assert len(world.store.by_id) == 1


async def test_a_store_that_is_away_leaves_the_notices_to_come_again(world: World) -> None:
    world.store.away = True
    with pytest.raises(Unavailable):
        await world.collector.handle([message(notice())])
    assert world.woken == []
