"""Backoff grows, is random below its ceiling, and never leaves its maximum."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.retry import Backoff, until_done

durations = st.timedeltas(min_value=timedelta(milliseconds=1), max_value=timedelta(hours=1))


@given(initial=durations, maximum=durations, attempt=st.integers(min_value=1, max_value=10_000))
def test_a_pause_lies_between_nothing_and_the_ceiling(initial: timedelta, maximum: timedelta, attempt: int) -> None:
    backoff = Backoff(initial=initial, maximum=maximum)
    assert timedelta(0) <= backoff.pause(attempt) <= backoff.ceiling(attempt) <= maximum


def test_the_ceiling_doubles_up_to_the_maximum() -> None:
    backoff = Backoff(initial=timedelta(seconds=1), maximum=timedelta(seconds=5))
    assert [backoff.ceiling(attempt).total_seconds() for attempt in range(1, 6)] == [1, 2, 4, 5, 5]


async def test_an_action_is_repeated_until_it_returns() -> None:
    outcomes: list[int | Exception] = [OSError("first"), OSError("second"), 7]
    told: list[str] = []

    async def action() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    answer = await until_done(
        action,
        retry_on=(OSError,),
        backoff=Backoff(initial=timedelta(0), maximum=timedelta(0)),
        on_failure=lambda error, _: told.append(str(error)),
    )
    assert answer == 7
    assert told == ["first", "second"]


async def test_an_error_that_is_not_named_passes_through() -> None:
    async def action() -> None:
        raise ValueError("not ours")

    with pytest.raises(ValueError, match="not ours"):
        await until_done(action, retry_on=(OSError,))
