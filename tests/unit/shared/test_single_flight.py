"""One question for all who want to know the same."""

from __future__ import annotations

import asyncio

import pytest

from shared.single_flight import SingleFlight
from tests.waiting import eventually


class Oracle:
    """Answers how often it was asked, when it may."""

    def __init__(self) -> None:
        self.flight: SingleFlight[str, int] = SingleFlight()
        self.asked = 0
        self.kept: list[int] = []
        self.open = asyncio.Event()
        self.fault: Exception | None = None

    async def answer(self) -> int:
        self.asked += 1
        number = self.asked
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        return number

    def ask(self, key: str = "a") -> asyncio.Task[int]:
        return asyncio.create_task(self.flight.ask(key, self.answer, self.kept.append))


async def test_all_who_ask_at_the_same_time_share_an_answer_that_is_kept_once() -> None:
    oracle = Oracle()
    asking = [oracle.ask() for _ in range(5)]
    await eventually(lambda: oracle.asked)
    asking[0].cancel()
    oracle.open.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 4
    assert oracle.kept == [1]
    assert await oracle.ask() == 2


async def test_who_asks_about_something_else_asks_alone() -> None:
    oracle = Oracle()
    asking = oracle.ask("a"), oracle.ask("b")
    oracle.open.set()
    assert sorted(await asyncio.gather(*asking)) == [1, 2]


async def test_an_answer_that_is_outdated_is_given_to_those_who_waited_and_not_kept() -> None:
    oracle = Oracle()
    before = oracle.ask()
    await eventually(lambda: oracle.asked)
    oracle.flight.outdate(lambda key: key == "b")
    oracle.flight.outdate(lambda key: key == "a")
    after = oracle.ask()
    await eventually(lambda: oracle.asked == 2)
    oracle.open.set()
    assert (await before, await after) == (1, 2)
    assert oracle.kept == [2]


async def test_a_fault_is_everybodys_and_forgotten() -> None:
    oracle = Oracle()
    oracle.fault = ValueError("no")
    asking = [oracle.ask() for _ in range(2)]
    oracle.open.set()
    for each in asking:
        with pytest.raises(ValueError, match="no"):
            await each
    oracle.fault = None
    assert await oracle.ask() == 2
    assert oracle.kept == [2]
