"""How replays are begun and worked: at what rate, by whom, and whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.deliveries import replays as replays_
from services.webhooks.deliveries.domain import State
from services.webhooks.deliveries.filters import DeliveryFilter
from services.webhooks.deliveries.replay import MOST_RUNNING, Replay, ReplayState
from services.webhooks.deliveries.replays import Replays
from shared.errors import RateLimited, Unavailable
from tests.fakes.deliveries import NOW, SECOND, failed, make_delivery
from tests.fakes.delivery_store import FakeDeliveryStore
from tests.fakes.doomed import Died, Doomed
from tests.fakes.endpoint_store import FakeEndpointStore
from tests.fakes.endpoints import make_endpoint
from tests.fakes.replay_store import FakeReplayStore
from tests.unit.webhooks.conftest import Time
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery

DEAD = DeliveryFilter(states=(State.FAILED, State.SKIPPED))


@dataclass
class Announcements:
    """Who was said to have something due, and when."""

    said: list[Mapping[str, datetime]] = field(default_factory=list)

    async def announce(self, due: Mapping[str, datetime]) -> None:
        self.said.append(due)

    @property
    def receivers(self) -> set[str]:
        return {receiver for due in self.said for receiver in due}


class PutBacks(FakeDeliveryStore):
    """Deliveries that know when how many were put back."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self.time = time
        self.at: list[datetime] = []

    def _put_back(self, delivery: Delivery, now: datetime) -> Delivery:
        self.at.append(self.time.at)
        return super()._put_back(delivery, now)

    def most_in(self, window: timedelta) -> int:
        return max(sum(start <= at < start + window for at in self.at) for start in set(self.at))


@dataclass
class Mesh:
    """Everything that replicas share."""

    time: Time = field(default_factory=lambda: Time(NOW))
    store: FakeReplayStore = field(default_factory=FakeReplayStore)
    endpoints: FakeEndpointStore = field(default_factory=FakeEndpointStore)
    announcements: Announcements = field(default_factory=Announcements)
    deliveries: PutBacks = field(init=False)

    def __post_init__(self) -> None:
        self.deliveries = PutBacks(self.time)

    def replica(self, **others: Any) -> Replays:
        given: dict[str, Any] = {"store": self.store, "deliveries": self.deliveries, "announcer": self.announcements}
        return Replays(endpoints=self.endpoints, clock=self.time, **{**given, **others})

    async def begin(self, wanted: DeliveryFilter = DEAD, *, max_per_second: int = 100) -> Replay:
        return await self.replica().begin("acme", wanted, max_per_second=max_per_second)

    async def work(self, *replicas: Replays, turns: int = 10_000) -> None:
        """Has replicas take turns until nothing is left; the time is moved on to when the next one is due."""
        for _ in range(turns):
            if not any([await replica.take_turn() for replica in replicas or (self.replica(),)]):
                due = await self.store.next_due()
                if due is None:
                    return
                self.time.at = max(due, self.time.at)

    async def state(self, replay: Replay) -> Replay:
        found = await self.store.replay("acme", replay.id)
        assert found is not None
        return found

    def replays_of(self, deliveries: Collection[Delivery]) -> list[int]:
        return [self.deliveries.by_id[each.id].replays for each in deliveries]


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


async def test_every_delivery_that_is_meant_is_put_back_once_and_announced(mesh: Mesh) -> None:
    dead = [failed(host=f"{number % 3}.example") for number in range(130)]
    skipped, other = make_delivery(state=State.SKIPPED), make_delivery(tenant="other", state=State.FAILED)
    taken = make_delivery(state=State.DELIVERED)
    await mesh.deliveries.add([*dead, skipped, other, taken])
    begun = await mesh.begin()
    assert (begun.state, begun.total, begun.replayed) == (ReplayState.RUNNING, 131, 0)
    await mesh.work()
    done = await mesh.state(begun)
    assert (done.state, done.replayed, done.passed_over) == (ReplayState.DONE, 131, 0)
    assert done.finished_at == mesh.time.at
    assert mesh.replays_of([*dead, skipped]) == [1] * 131
    assert mesh.replays_of([other, taken]) == [0, 0]
    assert mesh.announcements.receivers == {f"acme/{name}.example" for name in (0, 1, 2, "client")}


async def test_the_oldest_come_first_and_later_ones_are_not_meant(mesh: Mesh) -> None:
    new, old = failed(at=NOW), failed(at=NOW - SECOND)
    coming = failed(at=NOW + timedelta(milliseconds=1))
    await mesh.deliveries.add([new, old, coming])
    begun = await mesh.begin(max_per_second=1)
    assert begun.total == 2
    replica = mesh.replica()
    assert await replica.take_turn()
    assert mesh.replays_of([old, new]) == [1, 0]
    await mesh.work(replica)
    assert mesh.replays_of([old, new, coming]) == [1, 1, 0]


async def test_a_filter_that_ends_earlier_stays_so(mesh: Mesh) -> None:
    early, late = failed(at=NOW - 9 * SECOND), failed(at=NOW - SECOND)
    await mesh.deliveries.add([early, late])
    await mesh.begin(replace(DEAD, created_before=NOW - 5 * SECOND))
    await mesh.work()
    assert mesh.replays_of([early, late]) == [1, 0]


@pytest.mark.parametrize("rate", [1, 7, 100, 1000])
async def test_no_second_sees_more_than_the_rate(mesh: Mesh, rate: int) -> None:
    await mesh.deliveries.add([failed() for _ in range(rate * 3)])
    await mesh.begin(max_per_second=rate)
    await mesh.work(mesh.replica(), mesh.replica())
    assert len(mesh.deliveries.at) == rate * 3
    assert mesh.deliveries.most_in(SECOND) <= rate
    assert mesh.time.at - NOW <= 4.5 * SECOND


async def test_what_is_passed_over_takes_no_time_from_the_rest(mesh: Mesh) -> None:
    disabled, gone = make_endpoint(enabled=False), make_endpoint()
    await mesh.endpoints.add(disabled)
    enabled = make_endpoint()
    await mesh.endpoints.add(enabled)
    dead = [failed(endpoint_id=each.id) for each in (disabled, gone) for _ in range(200)]
    at_work = make_delivery(claim="somebody", next_attempt_at=NOW + 60 * SECOND)
    alive = failed(endpoint_id=enabled.id)
    await mesh.deliveries.add([*dead, at_work, alive])
    begun = await mesh.begin(DeliveryFilter(), max_per_second=2)
    await mesh.work()
    done = await mesh.state(begun)
    assert (done.total, done.replayed, done.passed_over) == (402, 1, 401)
    assert mesh.time.at - NOW <= 2 * SECOND
    assert mesh.announcements.receivers == {enabled.id}


async def test_a_canceled_one_stops_at_once(mesh: Mesh) -> None:
    await mesh.deliveries.add([failed() for _ in range(100)])
    begun = await mesh.begin(max_per_second=20)
    replica = mesh.replica()
    assert await replica.take_turn()
    await mesh.store.cancel("acme", begun.id, now=mesh.time.at)
    mesh.time.advance(minutes=1)
    assert not await replica.take_turn()
    done = await mesh.state(begun)
    assert (done.state, done.replayed, len(mesh.deliveries.at)) == (ReplayState.CANCELED, 10, 10)


async def test_replays_take_turns(mesh: Mesh) -> None:
    many = [failed(event_type="job.failed") for _ in range(200)]
    one = failed(event_type="job.expired")
    await mesh.deliveries.add([*many, one])
    await mesh.begin(replace(DEAD, event_type="job.failed"), max_per_second=10)
    small = await mesh.begin(replace(DEAD, event_type="job.expired"))
    replica = mesh.replica()
    for _ in range(3):
        await replica.take_turn()
    assert mesh.replays_of([one]) == [1]
    await mesh.work(replica, turns=8)
    assert (await mesh.state(small)).state is ReplayState.DONE


async def test_a_tenant_has_so_many_running_and_no_more(mesh: Mesh) -> None:
    for _ in range(MOST_RUNNING):
        last = await mesh.begin()
    with pytest.raises(RateLimited, match="20 replays are running"):
        await mesh.begin()
    assert await mesh.replica().begin("other", DEAD, max_per_second=1)
    await mesh.store.cancel("acme", last.id, now=NOW)
    assert await mesh.begin()


KILLS = [
    ("store", "take"),
    ("deliveries", "deliveries"),
    ("store", "take_in_hand"),
    ("deliveries", "put_back_for"),
    ("announcer", "announce"),
    ("store", "go_on"),
    ("store", "finish"),
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("part", "method"), KILLS)
async def test_another_goes_on_where_one_was_killed(mesh: Mesh, part: str, method: str, *, after: bool) -> None:
    dead = [failed() for _ in range(25)]
    await mesh.deliveries.add(dead)
    begun = await mesh.begin(max_per_second=20)
    healthy = mesh.replica()
    assert await healthy.take_turn()
    whole = {"store": mesh.store, "deliveries": mesh.deliveries, "announcer": mesh.announcements}
    doomed = mesh.replica(**{part: Doomed(whole[part], method, after=after)})
    with pytest.raises(Died):
        await mesh.work(doomed)
    await fail_again(mesh, dead[:12])
    await mesh.work(healthy)
    done = await mesh.state(begun)
    assert (done.state, done.replayed, done.passed_over) == (ReplayState.DONE, 25, 0)
    assert mesh.replays_of(dead) == [1] * 25
    assert mesh.announcements.receivers == {"acme/client.example"}


async def fail_again(mesh: Mesh, deliveries: Collection[Delivery]) -> None:
    """What was put back of these has been attempted, and is dead again."""
    for each in deliveries:
        now = mesh.deliveries.by_id[each.id]
        if now.state is State.PENDING:
            mesh.deliveries.by_id[each.id] = replace(now, state=State.FAILED)


@given(seed=st.integers(min_value=0, max_value=2**32), size=st.integers(min_value=0, max_value=70))
def test_whatever_dies_each_is_put_back_once_at_no_more_than_the_rate(seed: int, size: int) -> None:
    asyncio.run(_survive(random.Random(seed), size))


async def _survive(chance: random.Random, size: int) -> None:
    mesh = Mesh()
    dead = [failed(at=NOW - chance.randrange(9) * SECOND) for _ in range(size)]
    await mesh.deliveries.add(dead)
    rate = chance.choice([1, 4, 20])
    begun = await mesh.begin(max_per_second=rate)
    whole = {"store": mesh.store, "deliveries": mesh.deliveries, "announcer": mesh.announcements}
    for _ in range(chance.randrange(8)):
        part, method = chance.choice(KILLS)
        doomed = mesh.replica(**{part: Doomed(whole[part], method, after=chance.random() < 0.5)})
        try:
            await mesh.work(doomed, mesh.replica(), turns=chance.randrange(6))
        except Died:
            await fail_again(mesh, dead)
    await mesh.work(mesh.replica(), mesh.replica())
    done = await mesh.state(begun)
    assert (done.state, done.replayed, done.passed_over) == (ReplayState.DONE, size, 0)
    assert mesh.replays_of(dead) == [1] * size
    assert not size or mesh.deliveries.most_in(SECOND) <= rate


async def test_the_loop_begins_at_once_and_goes_on_when_the_store_is_back(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays_, "LOOK_INTERVAL", timedelta(hours=1))
    monkeypatch.setattr(replays_, "_BACKOFF", replace(replays_._BACKOFF, maximum=timedelta(milliseconds=1)))
    replica = mesh.replica()
    running = asyncio.create_task(replica.run())
    await mesh.deliveries.add([failed()])
    first = await replica.begin("acme", DEAD, max_per_second=1000)
    await eventually(lambda: len(mesh.deliveries.at) == 1, what="the first put back")
    mesh.time.advance(seconds=1)
    mesh.store.away = True
    with pytest.raises(Unavailable):
        await replica.begin("acme", DEAD, max_per_second=1)
    mesh.store.away = False
    await mesh.deliveries.add([failed(at=mesh.time.at)])
    await replica.begin("acme", DEAD, max_per_second=1000)
    await eventually(lambda: len(mesh.deliveries.at) == 2, what="the second put back")
    mesh.time.advance(seconds=1)
    await mesh.begin()
    replica._woken.set()

    async def is_done() -> bool:
        return (await mesh.state(first)).state is ReplayState.DONE

    await eventually(is_done)
    running.cancel()


async def test_after_a_drain_no_turn_is_taken(mesh: Mesh) -> None:
    await mesh.deliveries.add([failed()])
    replica = mesh.replica()
    await mesh.begin()
    await replica.drain()
    assert not await replica.take_turn()
    assert mesh.deliveries.at == []
    assert await mesh.replica().take_turn()
