"""What every usage store does: the fake in memory and the real one in Redis."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth.usage import KeyDay, Outcome, RedisUsage, UsageStore
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
    await store.add({DAY: {Outcome.ALLOWED: 3, Outcome.REFUSED: 1}, YESTERDAY: {Outcome.ALLOWED: 7}})
    await store.add({DAY: {Outcome.ALLOWED: 2, Outcome.RATE_LIMITED: 4}})
    assert await store.of_days([DAY, YESTERDAY]) == [
        {Outcome.ALLOWED: 5, Outcome.REFUSED: 1, Outcome.RATE_LIMITED: 4},
        {Outcome.ALLOWED: 7},
    ]


async def test_a_day_of_which_nothing_is_known_is_empty(store: UsageStore) -> None:
    await store.add({DAY: {Outcome.ALLOWED: 1}})
    for other in (KeyDay("globex", "key_1", TODAY), KeyDay("acme", "key_2", TODAY), YESTERDAY):
        assert await store.of_days([other]) == [{}]


async def test_a_day_is_kept_for_ninety_days(redis_usage: RedisUsage, redis: kv.Client) -> None:
    await redis_usage.add({DAY: {Outcome.ALLOWED: 1}})
    (key,) = await redis.keys("*")
    assert timedelta(days=90) < timedelta(seconds=await redis.ttl(key)) <= timedelta(days=91)
    assert key.startswith(b"{auth:tenant:acme}:")
