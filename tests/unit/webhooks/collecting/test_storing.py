"""However many deliveries a batch makes, each write and each batch is bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from services.webhooks.collecting import collector
from shared.errors import Unavailable
from tests.fakes.collecting import CALLBACK_URL, incoming

if TYPE_CHECKING:
    from tests.unit.webhooks.collecting.conftest import World


async def test_what_is_too_much_for_one_write_goes_in_several_and_is_noted_once(world: World) -> None:
    for _ in range(700):
        await world.endpoint(keys=())
    events = [world.job_log.submit() for _ in range(3)]
    await world.collector.handle([incoming(event) for event in events])
    assert world.deliveries.writes == [1000, 1000, 100]
    assert [len(noted) for noted in world.receivers.noted] == [700]
    assert len(world.deliveries.by_id) == 2100


async def test_what_is_too_much_for_one_batch_comes_again_by_itself_and_the_rest_is_acknowledged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MOST_DELIVERIES", 7)
    for _ in range(3):
        await world.endpoint(keys=())
    waiting = [world.job_log.submit() for _ in range(5)]
    other = world.job_log.submit(tenant="globex", callback_url=CALLBACK_URL)
    batches: list[int] = []
    while waiting:
        batch = [incoming(event) for event in (*waiting, other)]
        await world.collector.handle(batch)
        waiting = [event for event, message in zip(waiting, batch, strict=False) if message.verdict != b"+ACK"]
        batches.append(len(world.deliveries.by_id))
        assert {message.verdict for message in batch} <= {b"+ACK", b'-NAK {"delay": 0}'}
    assert batches == [7, 13, 16]


async def test_an_event_that_reaches_more_than_fit_one_batch_is_one_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MOST_DELIVERIES", 2)
    for _ in range(3):
        await world.endpoint(keys=())
    event = incoming(world.job_log.submit())
    await world.collector.handle([event])
    assert (event.verdict, len(world.deliveries.by_id)) == (b"+ACK", 3)


async def test_who_was_stored_as_pending_is_looked_at_again_though_it_was_disabled_before_that_was_noted(
    world: World,
) -> None:
    endpoint = await world.endpoint(keys=())
    event = world.job_log.submit()
    world.receivers.away = True
    with pytest.raises(Unavailable):
        await world.collector.handle([incoming(event)])
    world.receivers.away = False
    await world.endpoints.change(endpoint.tenant, endpoint.id, lambda each: replace(each, enabled=False))
    await world.collector.handle([incoming(event)])
    assert [set(noted) for noted in world.receivers.noted] == [{endpoint.id}]


async def test_of_large_bodies_fewer_go_in_one_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.webhooks.collecting.storing.MOST_BYTES_AT_ONCE", 1300)
    for _ in range(5):
        await world.endpoint(keys=())
    await world.collector.handle([incoming(world.job_log.submit(metadata={"text": "x" * 256}))])
    assert world.deliveries.writes == [2, 2, 1]
