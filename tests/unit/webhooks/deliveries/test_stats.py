"""How endpoints' figures are counted, written and read."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.deliveries import tally as tally_
from services.webhooks.deliveries.domain import Reason, State
from services.webhooks.deliveries.stats import BOUNDS_S, Counts, EndpointStatistics, hour_of
from services.webhooks.deliveries.tally import Tally
from shared import ids
from tests.fakes.deliveries import NOW, SECOND, failed, make_delivery
from tests.fakes.delivery_store import FakeDeliveryStore
from tests.fakes.stats_store import FakeStatsStore
from tests.unit.webhooks.conftest import Time
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

ONE, OTHER = ids.new_endpoint_id(), ids.new_endpoint_id()
DAY = timedelta(days=1)


@pytest.fixture
def time() -> Time:
    return Time(NOW)


@pytest.fixture
def stats() -> FakeStatsStore:
    return FakeStatsStore()


@pytest.fixture
def tally(stats: FakeStatsStore, time: Time) -> Tally:
    return Tally(stats, clock=time)


def counts_of(seconds: Iterable[float]) -> Counts:
    counts = Counts()
    for each in seconds:
        counts.add(timedelta(seconds=each), success=True)
    return counts


async def test_attempts_are_counted_by_endpoint_and_hour(tally: Tally, stats: FakeStatsStore, time: Time) -> None:
    tally.note(ONE, Reason.OK, timedelta(milliseconds=3))
    tally.note(ONE, Reason.RECEIVER_TIMEOUT, timedelta(seconds=15))
    tally.note(OTHER, Reason.RECEIVER_STATUS, timedelta(milliseconds=3))
    time.advance(hours=1)
    tally.note(ONE, Reason.OK, timedelta(milliseconds=3))
    await tally.flush()
    assert stats.writes == 1
    found = await stats.since(ONE, hour_of(NOW))
    assert (found.attempts, found.successes, found.latency.total()) == (3, 2, 3)
    assert (await stats.since(ONE, hour_of(time.at))).attempts == 1
    assert (await stats.since(OTHER, hour_of(NOW))).successes == 0


async def test_callbacks_are_nobodys(tally: Tally, stats: FakeStatsStore) -> None:
    tally.note("", Reason.OK, SECOND)
    await tally.flush()
    assert stats.writes == 0


async def test_what_cannot_be_written_is_written_the_next_time(tally: Tally, stats: FakeStatsStore) -> None:
    tally.note(ONE, Reason.OK, SECOND)
    stats.away = True
    await tally.flush()
    stats.away = False
    tally.note(ONE, Reason.OK, SECOND)
    await tally.flush()
    await tally.flush()
    assert (await stats.since(ONE, hour_of(NOW))).attempts == 2


async def test_what_is_too_much_to_keep_is_not_counted(
    tally: Tally, stats: FakeStatsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally_, "MAX_PENDING", 1)
    tally.note(ONE, Reason.OK, SECOND)
    tally.note(OTHER, Reason.OK, SECOND)
    tally.note(ONE, Reason.OK, SECOND)
    await tally.flush()
    assert {each.endpoint_id: counts.attempts for each, counts in stats.by_hour.items()} == {ONE: 2}


async def test_it_writes_by_itself_a_while_after_something_was_counted(
    tally: Tally, stats: FakeStatsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally_, "FLUSH_INTERVAL", timedelta(milliseconds=1))
    running = asyncio.create_task(tally.run())
    for number in (1, 2):
        tally.note(ONE, Reason.OK, SECOND)
        await eventually(lambda number=number: stats.writes == number)
    running.cancel()
    assert (await stats.since(ONE, hour_of(NOW))).attempts == 2


@given(
    st.lists(st.floats(min_value=0.0001, max_value=60.0), min_size=1, max_size=60),
    st.floats(min_value=0.01, max_value=1),
)
def test_a_percentile_lies_in_the_bucket_of_the_attempt_that_it_names(seconds: list[float], share: float) -> None:
    found = counts_of(seconds).percentile(share)
    assert found is not None
    named = sorted(seconds)[math.ceil(share * len(seconds)) - 1]
    upper = next(bound for bound in BOUNDS_S if named <= bound + 1e-6)
    assert found.total_seconds() <= upper + 1e-6


def test_percentiles_are_read_between_the_bounds() -> None:
    even = counts_of([0.15] * 50 + [0.3] * 40 + [0.8] * 10)
    assert even.percentile(0.25) == timedelta(milliseconds=150)
    assert even.percentile(0.5) == timedelta(milliseconds=200)
    assert even.percentile(0.7) == timedelta(milliseconds=350)
    assert even.percentile(0.95) == timedelta(milliseconds=750)


def test_what_is_longer_than_every_bucket_counts_as_the_last_bound() -> None:
    assert counts_of([75.0]).percentile(0.99) == timedelta(seconds=60)


def test_of_no_attempts_there_is_no_percentile() -> None:
    assert Counts().percentile(0.5) is None


async def test_figures_tell_of_the_period_and_of_now(tally: Tally, stats: FakeStatsStore, time: Time) -> None:
    deliveries = FakeDeliveryStore()
    await deliveries.add([make_delivery(at=NOW + number * SECOND, endpoint_id=ONE) for number in range(3)])
    await deliveries.add([failed(endpoint_id=ONE), failed(endpoint_id=OTHER), make_delivery()])
    await deliveries.add([make_delivery(endpoint_id=ONE, state=State.SKIPPED) for _ in range(2)])
    tally.note(ONE, Reason.OK, SECOND)
    time.advance(hours=23)
    tally.note(ONE, Reason.RECEIVER_STATUS, SECOND)
    await tally.flush()
    statistics = EndpointStatistics(stats=stats, deliveries=deliveries, clock=time)
    day = await statistics.figures("acme", ONE, period=DAY)
    assert (day.since, day.until) == (hour_of(time.at) - DAY, time.at)
    assert (day.counts.attempts, day.counts.successes) == (2, 1)
    assert (day.pending, day.failed, day.skipped, day.oldest_pending_at) == (3, 1, 2, NOW)
    hour = await statistics.figures("acme", ONE, period=timedelta(hours=1))
    assert (hour.counts.attempts, hour.counts.successes) == (1, 0)
    assert await statistics.skipped("acme", ONE) == 2


async def test_of_an_endpoint_without_any_there_is_nothing(stats: FakeStatsStore, time: Time) -> None:
    statistics = EndpointStatistics(stats=stats, deliveries=FakeDeliveryStore(), clock=time)
    none = await statistics.figures("acme", ONE, period=DAY)
    assert (none.counts, none.pending, none.oldest_pending_at) == (Counts(), 0, None)
