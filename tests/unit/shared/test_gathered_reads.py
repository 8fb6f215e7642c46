"""Many who read at the same time share commands and round trips."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.errors import Unavailable
from shared.gathered import MAX_ANSWERED, MAX_GROUP, GatheredReads
from tests.stalls import watching_for_stalls

if TYPE_CHECKING:
    from shared import kv


class Redis:
    """Answers each command with itself, when it is let go on."""

    def __init__(self) -> None:
        self.round_trips: list[list[tuple[str, ...]]] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.away = False

    def pipeline(self, *, transaction: bool) -> Pipeline:
        assert not transaction
        return Pipeline(self)


class Pipeline:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._commands: list[tuple[str, ...]] = []

    def execute_command(self, *command: str) -> None:
        self._commands.append(command)

    async def execute(self) -> list[Any]:
        self._redis.round_trips.append(self._commands)
        self._redis.asked.set()
        await self._redis.may_answer.wait()
        if self._redis.away:
            raise RedisConnectionError("gone")
        return [" ".join(command) for command in self._commands]


@pytest.fixture
async def redis() -> Redis:
    return Redis()


@pytest.fixture
async def reads(redis: Redis) -> GatheredReads:
    return GatheredReads(cast("kv.Client", redis))


async def test_who_asks_the_same_at_the_same_time_shares_one_command(redis: Redis, reads: GatheredReads) -> None:
    with watching_for_stalls():
        answers = await asyncio.gather(*(reads.ask("HMGET", "job") for _ in range(10_000)))
    assert set(answers) == {"HMGET job"}
    assert redis.round_trips == [[("HMGET", "job")]]


async def test_many_commands_go_in_few_round_trips(redis: Redis, reads: GatheredReads) -> None:
    answers = await asyncio.gather(*(reads.ask("HMGET", f"job {number}") for number in range(200)))
    assert answers == [f"HMGET job {number}" for number in range(200)]
    assert [len(commands) for commands in redis.round_trips] == [MAX_GROUP, MAX_GROUP, MAX_GROUP, 200 - 3 * MAX_GROUP]


async def test_what_was_sent_before_the_question_does_not_answer_it(redis: Redis, reads: GatheredReads) -> None:
    redis.may_answer.clear()
    early = asyncio.create_task(reads.ask("HMGET", "job"))
    await redis.asked.wait()
    late = [asyncio.create_task(reads.ask("HMGET", "job")) for _ in range(5)]
    await asyncio.sleep(0)
    redis.may_answer.set()
    await asyncio.gather(early, *late)
    assert len(redis.round_trips) == 2


async def test_a_caller_that_leaves_takes_nothing_from_the_others(redis: Redis, reads: GatheredReads) -> None:
    redis.may_answer.clear()
    callers = [asyncio.create_task(reads.ask("HMGET", "job")) for _ in range(3)]
    await redis.asked.wait()
    callers[0].cancel()
    redis.may_answer.set()
    assert await asyncio.gather(*callers[1:]) == ["HMGET job"] * 2
    assert callers[0].cancelled()


async def test_a_server_that_is_away_is_told_to_everyone_and_asked_again(redis: Redis, reads: GatheredReads) -> None:
    redis.away = True
    failures = await asyncio.gather(*(reads.ask("HMGET", "job") for _ in range(3)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [Unavailable] * 3
    redis.away = False
    assert await reads.ask("HMGET", "job") == "HMGET job"


async def test_of_those_who_share_an_answer_not_all_go_on_in_one_step(reads: GatheredReads) -> None:
    steps: list[int] = []
    step = 0

    async def caller() -> None:
        await reads.ask("HMGET", "job")
        steps.append(step)

    callers = [asyncio.create_task(caller()) for _ in range(5 * MAX_ANSWERED)]
    while not all(caller.done() for caller in callers):
        step += 1
        await asyncio.sleep(0)
    assert max(Counter(steps).values()) <= MAX_ANSWERED
