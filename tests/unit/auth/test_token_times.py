"""When tokens are refreshed."""

from __future__ import annotations

import bisect
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.auth.connections.credentials import token_times
from services.auth.connections.domain import Kind
from tests.fakes.connections import NOW, make

SECOND = timedelta(seconds=1)
LIVES = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=90))


@given(life=LIVES, version=st.integers(1, 10**6))
def test_a_token_is_due_in_the_last_part_of_its_life_and_usable_well_after(life: timedelta, version: int) -> None:
    connection = make(kind=Kind.OAUTH2, created_at=NOW, expires_at=NOW + life, version=version)
    ahead = min(life / 5, timedelta(minutes=10))
    assert not token_times.is_due(connection, NOW + life - ahead - SECOND / 1000)
    assert token_times.is_due(connection, NOW + life - ahead / 2)
    until = token_times.usable_until(connection)
    assert until is not None
    assert NOW + life - ahead / 2 <= until < NOW + life, "it is tried for a while before the token ends"
    assert token_times.is_usable(connection, until - SECOND / 1000)
    assert not token_times.is_usable(connection, until)


def test_a_thousand_connections_made_together_are_not_refreshed_together() -> None:
    hour = timedelta(hours=1)
    made = [make(kind=Kind.OAUTH2, expires_at=NOW + hour) for _ in range(1000)]
    due_at = [
        bisect.bisect_left(range(3600), 1, key=lambda second: token_times.is_due(each, NOW + second * SECOND))
        for each in made
    ]
    busiest = max(due_at.count(second) for second in set(due_at))
    assert max(due_at) - min(due_at) > 250
    assert busiest < 30


def test_a_token_whose_end_is_not_told_is_called_with_until_it_is_refused() -> None:
    connection = make(kind=Kind.OAUTH2)
    later = NOW + timedelta(days=365)
    assert not token_times.is_due(connection, later)
    assert token_times.is_usable(connection, later)


def test_a_token_that_ended_before_it_was_made_is_due_and_of_no_use() -> None:
    connection = make(kind=Kind.OAUTH2, expires_at=NOW - timedelta(hours=1))
    assert token_times.is_due(connection, NOW)
    assert not token_times.is_usable(connection, NOW)


def test_a_token_is_young_for_a_minute_by_whichever_clock() -> None:
    connection = make(kind=Kind.OAUTH2, refreshed_at=NOW)
    assert token_times.is_young(connection, NOW + 59 * SECOND)
    assert token_times.is_young(connection, NOW - 59 * SECOND)
    assert not token_times.is_young(connection, NOW + 60 * SECOND)
    assert not token_times.is_young(make(kind=Kind.OAUTH2), NOW)
