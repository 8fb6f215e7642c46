"""Who hears of news, and that what is lost of it ends nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from services.webhooks.delivering.news import News
from shared.errors import Unavailable
from shared.streams import DELIVERIES_DUE_SIGNAL
from tests.fakes.collecting import Receivers, Signals
from tests.fakes.deliveries import NOW
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection


@dataclass
class Replica:
    """A replica that holds one receiver."""

    holds: set[str] = field(default_factory=set)
    receivers: Receivers = field(default_factory=Receivers)
    signals: Signals = field(default_factory=Signals)
    woken: list[list[str]] = field(default_factory=list)
    heard: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.news = News(receivers=self.receivers, dispatcher=self, signals=self.signals)

    def wake(self, receivers: Collection[str]) -> Collection[str]:
        self.woken.append(list(receivers))
        return [each for each in receivers if each not in self.holds]

    def hear(self, receivers: Collection[str]) -> None:
        self.heard.append(list(receivers))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(self.news.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_news_are_noted_then_told_here_then_signaled_where_somebody_else_may_hold_the_receiver() -> None:
    replica = Replica(holds={"ep_here"})
    async with replica.running():
        await replica.news.announce({"ep_here": NOW, "ep_there": NOW})
        await eventually(lambda: replica.signals.sent)
    assert replica.receivers.noted == [{"ep_here": NOW, "ep_there": NOW}]
    assert replica.woken == [["ep_here", "ep_there"]]
    assert replica.signals.sent == [(DELIVERIES_DUE_SIGNAL, b"ep_there")]


async def test_what_cannot_be_noted_is_not_told() -> None:
    replica = Replica()
    replica.receivers.away = True
    with pytest.raises(Unavailable):
        await replica.news.announce({"ep_1": NOW})
    assert replica.woken == []


async def test_no_news_are_no_news() -> None:
    replica = Replica()
    await replica.news.announce({})
    assert (replica.receivers.noted, replica.woken) == ([], [])


async def test_what_is_told_in_the_meantime_goes_together_in_signals_that_stay_small() -> None:
    replica = Replica()
    for number in range(700):
        replica.news.tell([f"ep_{number}", "ep_0"])
    async with replica.running():
        await eventually(lambda: len(replica.signals.sent) == 2)
    told = [each for _, payload in replica.signals.sent for each in payload.decode().split("\n")]
    assert len(told) == len(set(told)) == 700


async def test_a_signal_that_is_lost_ends_nothing() -> None:
    replica = Replica()
    replica.signals.away = True
    with capture_logs() as lines:
        async with replica.running():
            replica.news.tell(["ep_1"])
            await eventually(lambda: lines)
            replica.signals.away = False
            replica.news.tell(["ep_2"])
            await eventually(lambda: replica.signals.sent)
    assert [line["event"] for line in lines] == ["due_signal_lost"]


async def test_a_signal_is_heard_as_it_was_sent() -> None:
    replica = Replica()
    await replica.news.hear(b"ep_1\nacme/client.example\n\xff")
    assert replica.heard == [["ep_1", "acme/client.example", "�"]]
