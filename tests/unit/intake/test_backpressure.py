"""When callers are told to come again, by how fast jobs end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.intake.backpressure import all_full, retry_after, tenant_full
from services.intake.domain import Drain

MINUTE = timedelta(minutes=1)


def told(drain: Drain) -> set[float]:
    return {retry_after(drain).total_seconds() for _ in range(300)}


@pytest.mark.parametrize(
    ("ended", "earliest", "latest"), [(6000, 1, 2), (60, 1, 2), (30, 2, 3), (6, 10, 15), (2, 30, 45), (1, 40, 60)]
)
def test_it_is_the_time_until_one_job_ends_spread_out(ended: int, earliest: int, latest: int) -> None:
    seconds = told(Drain(ended=ended, window=MINUTE))
    assert (min(seconds), max(seconds)) == (earliest, latest)
    assert len(seconds) > 1


@pytest.mark.parametrize(
    ("silence_s", "earliest", "latest"), [(None, 30, 45), (60, 30, 45), (76, 38, 57), (120, 40, 60), (86400, 40, 60)]
)
def test_where_nothing_ended_it_grows_with_the_silence(silence_s: float | None, earliest: int, latest: int) -> None:
    silence = timedelta(seconds=silence_s) if silence_s is not None else None
    seconds = told(Drain(ended=0, window=MINUTE, silence=silence))
    assert (min(seconds), max(seconds)) == (earliest, latest)


def test_a_tenant_is_told_its_own_figures() -> None:
    error = tenant_full(1000, 1000, Drain(ended=15, window=MINUTE))
    assert error.metadata == {"scope": "tenant", "pending": "1000", "limit": "1000", "drain_per_s": "0.25"}
    assert "1000 unfinished jobs, of 1000 allowed" in error.message


def test_nobody_is_told_figures_of_all() -> None:
    error = all_full(Drain(ended=60, window=MINUTE))
    assert error.metadata == {"scope": "all_tenants"}
    assert not any(character.isdigit() for character in error.message)
    assert error.retry_after is not None
