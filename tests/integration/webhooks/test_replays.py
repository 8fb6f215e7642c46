"""Replays over a real MongoDB, by two replicas of which one is killed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.webhooks.deliveries import replays as replays_
from services.webhooks.deliveries.domain import State
from services.webhooks.deliveries.filters import DeliveryFilter
from services.webhooks.deliveries.replay import Replay, ReplayState
from services.webhooks.deliveries.replay_store import MongoReplayStore
from services.webhooks.deliveries.replays import Replays
from services.webhooks.deliveries.store import MongoDeliveryStore
from services.webhooks.delivering.receivers import MongoReceiverStore
from services.webhooks.endpoints.store import MongoEndpointStore
from shared.clock import SystemClock
from tests.fakes.deliveries import failed
from tests.fakes.doomed import Died, Doomed
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.mongo import Client

DEAD = DeliveryFilter(states=(State.FAILED,))
MANY = 60
RATE = 100


class Announcer:
    """Notes who has something due, as the service does, and wakes nobody.

    Args:
        receivers: Kept in MongoDB.
    """

    def __init__(self, receivers: MongoReceiverStore) -> None:
        self._receivers = receivers

    async def announce(self, due: Mapping[str, datetime]) -> None:
        await self._receivers.note_due(due)


@pytest.mark.parametrize(
    ("part", "method"), [("deliveries", "put_back_for"), ("announcer", "announce"), ("store", "go_on")]
)
async def test_what_one_replica_has_begun_another_ends(
    mongo: Client, monkeypatch: pytest.MonkeyPatch, part: str, method: str
) -> None:
    monkeypatch.setattr(replays_, "TURN", timedelta(seconds=1))
    parts: dict[str, Any] = {
        "store": MongoReplayStore(mongo),
        "deliveries": MongoDeliveryStore(mongo),
        "announcer": Announcer(MongoReceiverStore(mongo)),
        "endpoints": MongoEndpointStore(mongo),
    }
    store: MongoReplayStore = parts["store"]
    deliveries: MongoDeliveryStore = parts["deliveries"]
    await store.prepare()
    await deliveries.prepare()
    dead = [failed(host=f"{number % 3}.example") for number in range(MANY)]
    await deliveries.add(dead)

    doomed = Replays(**{**parts, part: Doomed(parts[part], method, after=True)}, clock=SystemClock())
    begun = await doomed.begin("acme", DEAD, max_per_second=RATE)
    with pytest.raises(Died):
        await doomed.run()
    others = [Replays(**parts, clock=SystemClock()) for _ in range(2)]
    running = [asyncio.create_task(each.run()) for each in others]

    async def done() -> Replay | None:
        replay = await store.replay("acme", begun.id)
        assert replay is not None
        return replay if replay.state is ReplayState.DONE else None

    ended = await eventually(done, within=60, what="the end of the replay")
    for task in running:
        task.cancel()
    assert ended is not None
    assert (ended.total, ended.replayed, ended.passed_over) == (MANY, MANY, 0)
    kept = [await deliveries.delivery("acme", each.id) for each in dead]
    assert {(each.state, each.replays) for each in kept if each is not None} == {(State.PENDING, 1)}
    noted = {each["_id"] async for each in mongo["webhooks"]["receivers"].find()}
    assert noted == {f"acme/{number}.example" for number in range(3)}
