"""A load ends when its last call has ended, and its percentiles are calls that were made."""

from __future__ import annotations

import time

import pytest

from tests.bench.tally import Tally, percentile


def test_no_more_calls_go_out_than_were_asked_for() -> None:
    tally = Tally(count=2, seconds=60)
    tally.start()
    assert [tally.take() for _ in range(3)] == [True, True, False]


async def test_it_is_over_when_the_last_call_has_ended_and_not_before() -> None:
    tally = Tally(count=2, seconds=60)
    tally.start()
    for _ in range(2):
        tally.take()
    tally.end(time.perf_counter())
    assert not tally.take()
    assert not tally.over.is_set()
    tally.end(time.perf_counter())
    assert not tally.take()
    assert tally.over.is_set()


async def test_after_its_time_no_call_goes_out() -> None:
    tally = Tally(count=10, seconds=0)
    tally.start()
    assert not tally.take()
    assert tally.over.is_set()


def test_errors_are_counted_and_a_few_of_them_shown() -> None:
    tally = Tally(count=10, seconds=60)
    for number in range(5):
        tally.end(time.perf_counter(), error=f"error {number}")
    assert tally.errors == 5
    assert tally.samples == ["error 0", "error 1", "error 2"]


@pytest.mark.parametrize(("part", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_the_value_of_its_rank(part: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], part) == value


def test_of_nothing_every_percentile_is_zero() -> None:
    assert percentile([], 0.95) == 0.0
