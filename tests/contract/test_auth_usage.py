"""What every usage store does: the fake in memory and the real one in Redis."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth import usage_store
from services.auth.usage_store import ALL, Caller, Counted, KeyDay, Measure, RedisUsage, UsageStore
from tests.fakes.auth_usage import FakeUsage

if TYPE_CHECKING:
    from shared import kv

TODAY = date(2026, 5, 4)
DAY = KeyDay("acme", "key_1", TODAY)
YESTERDAY = KeyDay("acme", "key_1", TODAY - timedelta(days=1))


@pytest.fixture
def fake_usage() -> FakeUsage:
    return FakeUsage()


@pytest.fixture
def redis_usage(redis: kv.Client) -> RedisUsage:
    return RedisUsage(redis)


@pytest.fixture(params=["fake_usage", "redis_usage"])
def store(request: pytest.FixtureRequest) -> UsageStore:
    return request.getfixturevalue(request.param)


async def test_what_is_added_is_added_up(store: UsageStore) -> None:
    await store.add({DAY: {Counted.ALLOWED: 3, Counted.REFUSED: 1}, YESTERDAY: {Counted.ALLOWED: 7}})
    await store.add({DAY: {Counted.ALLOWED: 2, Counted.RATE_LIMITED: 4}})
    assert await store.of_days([DAY, YESTERDAY]) == [
        {Counted.ALLOWED: 5, Counted.REFUSED: 1, Counted.RATE_LIMITED: 4},
        {Counted.ALLOWED: 7},
    ]


async def test_a_day_of_which_nothing_is_known_is_empty(store: UsageStore) -> None:
    await store.add({DAY: {Counted.ALLOWED: 1}})
    for other in (KeyDay("globex", "key_1", TODAY), KeyDay("acme", "key_2", TODAY), YESTERDAY):
        assert await store.of_days([other]) == [{}]


async def test_a_day_is_kept_for_ninety_days(redis_usage: RedisUsage, redis: kv.Client) -> None:
    await redis_usage.add({DAY: {Counted.ALLOWED: 1}})
    kept = await redis.keys("*")
    assert {key.partition(b"}")[0] for key in kept} == {b"{auth:tenant:acme", b"{auth:all"}
    for key in kept:
        assert timedelta(days=90) < timedelta(seconds=await redis.ttl(key)) <= timedelta(days=91)


def of(key: str, *, tenant: str = "acme", day: date = TODAY) -> KeyDay:
    return KeyDay(tenant, key, day)


async def test_who_has_most_comes_first(store: UsageStore) -> None:
    await store.add({of("key_1"): {Counted.ALLOWED: 3}, of("key_2"): {Counted.ALLOWED: 5, Counted.REFUSED: 1}})
    await store.add({of("key_1", day=YESTERDAY.day): {Counted.RATE_LIMITED: 4, Counted.JOBS: 2}})
    await store.add({of("key_3", tenant="globex"): {Counted.ALLOWED: 1, Counted.ERRORS: 1}})
    one, two, three = Caller("acme", "key_1"), Caller("acme", "key_2"), Caller("globex", "key_3")
    both = [TODAY, YESTERDAY.day]
    for tenant, measure, days, callers in (
        ("acme", Measure.REQUESTS, [TODAY], [two, one]),
        ("acme", Measure.REQUESTS, both, [one, two]),
        ("acme", Measure.JOBS, both, [one]),
        ("acme", Measure.ERRORS, both, []),
        ("globex", Measure.REQUESTS, both, [three]),
        (ALL, Measure.REQUESTS, both, [one, two, three]),
        (ALL, Measure.ERRORS, both, [three]),
        ("nobody", Measure.REQUESTS, both, []),
    ):
        assert await store.top(tenant, measure, days, limit=10) == callers, (tenant, measure)
    assert await store.top(ALL, Measure.REQUESTS, both, limit=2) == [one, two]


async def test_a_ranking_keeps_its_first(
    redis_usage: RedisUsage, redis: kv.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_store, "KEPT_CALLERS", 3)
    for number in range(1, 6):
        await redis_usage.add({of(f"key_{number}"): {Counted.ALLOWED: number}})
    found = await redis_usage.top("acme", Measure.REQUESTS, [TODAY], limit=10)
    assert [caller.key_id for caller in found] == ["key_5", "key_4", "key_3"]
