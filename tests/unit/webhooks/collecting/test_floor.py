"""What the floor asks, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from services.webhooks.collecting.floor import Floor
from shared import streams
from shared.bus import Progress
from shared.errors import Unavailable
from tests.waiting import eventually

MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Log:
    """Says how far the consumer is; answers can be held back."""

    acknowledged: int = 0
    given: int = 0
    end: int = 0
    away: bool = False
    asked: int = 0
    asked_for_the_end: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    async def progress(self, stream: str, durable: str) -> Progress:
        assert (stream, durable) == (streams.JOBS, "webhooks")
        if self.away:
            raise Unavailable("NATS does not answer")
        self.asked += 1
        now = Progress(acknowledged=self.acknowledged, given=self.given)
        await self.answers.wait()
        return now

    async def newest(self, stream: str, subject: str) -> int:
        assert (stream, subject) == (streams.JOBS, "jobs.*.*")
        self.asked_for_the_end += 1
        return self.end


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def floor(log: Log) -> Floor:
    return Floor(log, shortest=MILLISECOND, longest=MILLISECOND)


@pytest.mark.parametrize(
    ("acknowledged", "given", "passed"),
    [
        (10, 10, True),
        (9, 10, True),  # its own event need not be acknowledged: it is stored, or nobody would ask
        (8, 10, False),
        (0, 10, False),
        (12, 20, True),
    ],
)
async def test_a_place_is_passed_when_all_before_it_is_acknowledged(
    log: Log, floor: Floor, acknowledged: int, given: int, *, passed: bool
) -> None:
    log.acknowledged, log.given = acknowledged, given
    assert await floor.passed(10) is passed
    assert log.asked_for_the_end == 0


@pytest.mark.parametrize(("end", "passed"), [(9, True), (0, True), (10, False), (11, False)])
async def test_a_place_that_was_never_given_is_passed_where_the_log_does_not_reach_it(
    log: Log, floor: Floor, end: int, *, passed: bool
) -> None:
    log.acknowledged, log.given, log.end = 3, 4, end
    assert await floor.passed(10) is passed


async def test_a_known_yes_is_not_asked_for_again(log: Log, floor: Floor) -> None:
    log.acknowledged = log.given = 10
    assert await floor.passed(10)
    assert all([await floor.passed(place) for place in (1, 5, 11)])
    assert log.asked == 1


async def test_a_no_is_asked_for_again_until_it_is_a_yes(log: Log, floor: Floor) -> None:
    log.acknowledged, log.given = 4, 12
    assert not await floor.passed(10)
    log.acknowledged = 9
    assert await floor.passed(10)
    assert log.asked == 2


async def test_all_who_wait_share_one_question(log: Log, floor: Floor) -> None:
    log.acknowledged, log.given = 5, 20
    answers = await asyncio.gather(*(floor.passed(place) for place in range(1, 21)))
    assert answers == [place <= 6 for place in range(1, 21)]
    assert log.asked == 1


async def test_whoever_comes_while_an_answer_is_under_way_waits_for_the_next(log: Log, floor: Floor) -> None:
    """The one under way was asked for before its event came: it may say that the event was never given."""
    log.answers.clear()
    log.acknowledged, log.given = 4, 4
    first = asyncio.create_task(floor.passed(3))
    await eventually(lambda: log.asked)
    log.acknowledged, log.given, log.end = 7, 10, 10
    second = asyncio.create_task(floor.passed(10))
    log.answers.set()
    assert [await first, await second] == [True, False]
    assert log.asked == 2


async def test_a_log_that_is_away_is_told_to_all_who_wait_and_asked_again(log: Log, floor: Floor) -> None:
    log.away = True
    answers = await asyncio.gather(floor.passed(1 + 1), floor.passed(3), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    log.away = False
    log.acknowledged = log.given = 9
    assert await floor.passed(3)


async def test_one_who_leaves_takes_the_answer_from_nobody(log: Log, floor: Floor) -> None:
    log.acknowledged = log.given = 9
    log.answers.clear()
    leaves, stays = asyncio.create_task(floor.passed(5)), asyncio.create_task(floor.passed(6))
    await eventually(lambda: log.asked)
    leaves.cancel()
    log.answers.set()
    assert await stays


async def test_the_longer_nothing_goes_forward_the_seldomer_it_is_asked(log: Log) -> None:
    floor = Floor(log, shortest=5 * MILLISECOND, longest=20 * MILLISECOND)
    log.given = 99
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(5):
        assert not await floor.passed(99)
    assert loop.time() - began >= 0.005 + 0.010 + 0.020 + 0.020
    assert log.asked == 5
    log.acknowledged = 1
    assert not await floor.passed(99)
    assert floor._interval_s == 0.005
