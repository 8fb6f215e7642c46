"""Which backups are kept, and what is said of the rest of the settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from deploy.backup.manifest import name_at, time_of
from deploy.backup.retention import kept

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
TIMES = st.lists(st.timedeltas(timedelta(0), timedelta(days=1000)).map(lambda age: NOW - age), unique=True, max_size=60)


def at(*texts: str) -> list[str]:
    return [name_at(datetime.fromisoformat(text).replace(tzinfo=UTC)) for text in texts]


def kept_of(names: list[str], *, daily: int = 30, monthly: int = 12) -> list[str]:
    return sorted(kept(names, now=NOW, daily=daily, monthly=monthly))


def test_all_of_the_last_day_are_kept() -> None:
    of_today = at("2026-11-26T13:00", "2026-11-26T18:00", "2026-11-27T00:10", "2026-11-27T11:59")
    assert kept_of(of_today) == of_today


def test_of_a_day_the_newest_is_kept_and_of_a_month_the_first() -> None:
    first, second, last = at("2026-11-03T01:00", "2026-11-03T02:00", "2026-11-03T03:00")
    other_morning, other = at("2026-11-04T01:00", "2026-11-04T23:00")
    assert kept_of([first, second, last, other_morning, other]) == [first, last, other]


def test_after_thirty_days_the_first_of_each_month_is_left_and_after_twelve_months_none() -> None:
    too_old, oldest, december = at("2025-11-01T02:00", "2025-12-01T02:00", "2025-12-20T02:00")
    gone, newest = at("2026-10-28T02:00", "2026-11-27T02:00")
    october = at("2026-10-01T02:00")
    assert kept_of([too_old, oldest, december, *october, gone, newest]) == [oldest, *october, newest]


def test_the_newest_is_kept_whatever_its_age() -> None:
    assert kept_of(at("2020-01-01T00:00", "2020-05-05T05:05")) == at("2020-05-05T05:05")
    assert kept_of([]) == []


@given(TIMES, st.integers(1, 60), st.integers(0, 24))
def test_what_is_kept_is_kept_again_and_every_day_has_its_newest(
    times: list[datetime], daily: int, monthly: int
) -> None:
    names = sorted({name_at(time) for time in times})
    left = kept(names, now=NOW, daily=daily, monthly=monthly)
    assert kept(left, now=NOW, daily=daily, monthly=monthly) == left
    for name in names:
        time = time_of(name)
        assert time is not None
        if time.date() > NOW.date() - timedelta(days=daily):
            assert max(other for other in names if other[:8] == name[:8]) in left
    assert not names or names[-1] in left


@given(TIMES)
def test_who_prunes_each_day_keeps_a_backup_of_each_of_the_last_days_and_months(times: list[datetime]) -> None:
    """Also where several were made on the first day of a month, of which the day's rule alone would keep the last."""
    left: set[str] = set()
    seen: list[datetime] = []
    for time in sorted({time.replace(microsecond=0) for time in times}):
        left = kept({*left, name_at(time)}, now=time, daily=30, monthly=12)
        seen.append(time)
    for month in {(time.year, time.month) for time in seen}:
        if month > (NOW.year - 1, NOW.month) and seen[-1].year * 12 + seen[-1].month < month[0] * 12 + month[1] + 12:
            first = min(time for time in seen if (time.year, time.month) == month)
            assert name_at(first) in left
