from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.retry_after import MAX_PAUSE, parse

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("0", timedelta()),
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("007", timedelta(seconds=7)),
        ("Sun, 01 Mar 2026 12:01:00 GMT", timedelta(minutes=1)),
        ("Sunday, 01-Mar-26 12:01:00 GMT", timedelta(minutes=1)),
        ("Sun Mar  1 12:01:00 2026", timedelta(minutes=1)),
        ("Sun, 01 Mar 2026 11:00:00 GMT", timedelta()),
        ("86401", MAX_PAUSE),
        ("9" * 5000, MAX_PAUSE),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_PAUSE),
    ],
)
def test_seconds_and_http_dates_are_read(value: str, pause: timedelta) -> None:
    assert parse(value, NOW) == pause


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "1e3", "٣", "Sun, 99 Mar 2026 12:01:00 GMT", "12:00", "\0"])
def test_anything_else_says_nothing(value: str) -> None:
    assert parse(value, NOW) is None


@given(st.text())
def test_no_text_breaks_it_or_asks_for_more_than_the_most(value: str) -> None:
    pause = parse(value, NOW)
    assert pause is None or timedelta() <= pause <= MAX_PAUSE


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(-12, 12))  # noqa: DTZ001  the zone follows
def test_a_date_is_counted_from_now(until: datetime, offset_h: int) -> None:
    until = until.replace(microsecond=0, tzinfo=timezone(timedelta(hours=offset_h)))
    assert parse(format_datetime(until), NOW) == min(max(until - NOW, timedelta()), MAX_PAUSE)
