"""How fast an endpoint is sent to."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.delivering.pace import Pace
from services.webhooks.endpoints.domain import Rate
from tests.fakes.deliveries import NOW, SECOND


def times(rate: Rate, pauses: list[timedelta]) -> list[datetime]:
    """When POSTs go out that are wanted after these pauses, each as early as it may."""
    pace, not_before, now, gone = Pace(rate), None, NOW, list[datetime]()
    for pause in pauses:
        now += pause
        now = now if not_before is None else max(now, not_before)
        gone.append(now)
        not_before = pace.after(now, not_before)
    return gone


@given(
    deliveries=st.integers(1, 40),
    pauses=st.lists(st.integers(0, 1500).map(lambda ms: timedelta(milliseconds=ms)), max_size=120),
)
def test_no_period_holds_more_than_is_allowed(deliveries: int, pauses: list[timedelta]) -> None:
    gone = times(Rate(deliveries=deliveries), pauses)
    slack = timedelta(microseconds=deliveries + 1)  # a time has whole microseconds
    for first, beyond in zip(gone, gone[deliveries:], strict=False):
        assert beyond - first >= SECOND - slack


@given(deliveries=st.integers(1, 1000))
def test_what_is_allowed_is_nearly_used_up(deliveries: int) -> None:
    gone = times(Rate(deliveries=deliveries), [timedelta()] * 3 * deliveries)
    assert gone[-1] - gone[0] <= 3 * SECOND * (deliveries / (deliveries - max(1, deliveries // 10) + 1))


def test_a_few_go_at_once_where_nothing_went_for_long() -> None:
    gone = times(Rate(deliveries=100, period=60 * SECOND), [timedelta()] * 11)
    assert gone[:10] == [NOW] * 10
    assert gone[10] > NOW


def test_one_in_a_period_goes_once_in_it() -> None:
    gone = times(Rate(deliveries=1, period=5 * SECOND), [timedelta()] * 3)
    assert gone == [NOW, NOW + 5 * SECOND, NOW + 10 * SECOND]
