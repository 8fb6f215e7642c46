from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth import usage as usage_
from services.auth.callers import Callers
from services.auth.usage import Usage
from services.auth.usage_store import Counted, KeyDay
from tests.fakes.auth_usage import FakeUsage

if TYPE_CHECKING:
    from services.auth.domain import Key
    from tests.unit.auth.conftest import World


@pytest.fixture
def store() -> FakeUsage:
    return FakeUsage()


@pytest.fixture
def usage(store: FakeUsage, world: World) -> Usage:
    return Usage(store=store, keys=world.store)


@pytest.fixture
async def key(world: World) -> Key:
    await world.make_key()
    return next(iter(world.store.by_id.values()))


def last_used(world: World, key: Key) -> object:
    return world.store.by_id[key.id].last_used_at


async def test_many_requests_are_one_write(usage: Usage, store: FakeUsage, world: World, key: Key) -> None:
    for _ in range(1000):
        usage.count(key, Counted.ALLOWED, world.time.now())
    assert (store.writes, world.store.notes) == (0, 0)
    await usage.flush()
    assert (store.writes, world.store.notes) == (1, 1)
    assert store.totals() == {"allowed": 1000}


async def test_a_request_counts_on_its_own_day(usage: Usage, store: FakeUsage, world: World, key: Key) -> None:
    usage.count(key, Counted.ALLOWED, world.time.now())
    usage.count(key, Counted.RATE_LIMITED, world.time.now() + timedelta(days=1))
    await usage.flush()
    today = world.time.now().date()
    world.time.advance(seconds=timedelta(days=2).total_seconds())
    callers = Callers(usage=store, keys=world.store, clock=world.time)
    assert await callers.usage_of(key, 3) == [
        (today + timedelta(days=2), {}),
        (today + timedelta(days=1), {Counted.RATE_LIMITED: 1}),
        (today, {Counted.ALLOWED: 1}),
    ]


async def test_a_key_is_noted_as_used_to_the_minute_and_once_a_minute(usage: Usage, world: World, key: Key) -> None:
    for written in (1, 1, 1, 1, 2, 2):
        usage.count(key, Counted.ALLOWED, world.time.now())
        await usage.flush()
        assert last_used(world, key) == world.time.now().replace(second=0, microsecond=0)
        assert world.store.notes == written
        world.time.advance(seconds=15)


async def test_a_refused_request_is_no_use_of_the_key(usage: Usage, world: World, key: Key) -> None:
    for outcome in (Counted.REFUSED, Counted.RATE_LIMITED):
        usage.count(key, outcome, world.time.now())
    await usage.flush()
    assert last_used(world, key) is None


async def test_what_cannot_be_written_is_written_later(usage: Usage, store: FakeUsage, world: World, key: Key) -> None:
    usage.count(key, Counted.ALLOWED, world.time.now())
    store.away = world.store.away = True
    await usage.flush()
    usage.count(key, Counted.ALLOWED, world.time.now())
    store.away = False
    await usage.flush()  # MongoDB is away yet
    world.store.away = False
    await usage.flush()
    assert store.totals() == {"allowed": 2}
    assert last_used(world, key) == world.time.now().replace(second=0, microsecond=0)


async def test_what_waits_to_be_written_is_bounded(
    usage: Usage, store: FakeUsage, world: World, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_, "MAX_PENDING", 2)
    for day in range(5):
        usage.count(key, Counted.ALLOWED, world.time.now() + timedelta(days=day))
    await usage.flush()
    assert len(store.days) == 2
    assert KeyDay(key.tenant, key.id, world.time.now().date()) in store.days
