"""What a window promises: no minute, wherever it begins, ever has more than the limit in it."""

from __future__ import annotations

import asyncio
from itertools import accumulate
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from services.auth import windows as windows_
from services.auth.windows import SPAN_S, LocalWindows, Window

if TYPE_CHECKING:
    import pytest

#: A minute, and how much later than an exact log a window may let a request pass.
MINUTE_MS, RESOLUTION_MS = 60_000, 1_000
#: Pauses between requests: bursts, and gaps about as long as the window and its seconds.
pauses_ms = st.one_of(
    st.integers(0, 50),
    st.sampled_from([0, 999, 1000, 1001, 59_000, 59_999, 60_000, 60_999, 61_000]),
    st.integers(0, 90_000),
)
histories = st.lists(pauses_ms, max_size=120).map(lambda pauses: list(accumulate(pauses)))


def admitted_of(times_ms: list[int], limit: int, *, start_ms: int = 0) -> list[int]:
    """When requests at these times were let pass."""
    now_ms = 0
    local = LocalWindows(monotonic=lambda: (start_ms + now_ms) / 1000)
    admitted: list[int] = []

    async def run() -> None:
        nonlocal now_ms
        for now_ms in times_ms:
            if (await local.take([Window("key", "k", limit)])).admitted:
                admitted.append(now_ms)

    asyncio.run(run())
    return admitted


@given(histories, st.integers(1, 8), st.integers(0, 999))
def test_no_minute_ever_has_more_than_the_limit(times_ms: list[int], limit: int, start_ms: int) -> None:
    admitted = admitted_of(times_ms, limit, start_ms=start_ms)
    for index, begin in enumerate(admitted):
        assert sum(1 for each in admitted[index:] if each < begin + MINUTE_MS) <= limit


@given(histories, st.integers(1, 8), st.integers(0, 999))
def test_a_request_is_refused_only_if_a_minute_and_a_second_before_it_were_full(
    times_ms: list[int], limit: int, start_ms: int
) -> None:
    admitted = admitted_of(times_ms, limit, start_ms=start_ms)
    for refused in set(times_ms) - set(admitted):
        before = [each for each in admitted if refused - MINUTE_MS - RESOLUTION_MS < each <= refused]
        assert len(before) >= limit


@given(st.lists(st.tuples(pauses_ms, st.integers(1, 5)), max_size=60))
def test_another_limit_loses_no_count(steps: list[tuple[int, int]]) -> None:
    now_ms = 0
    local = LocalWindows(monotonic=lambda: now_ms / 1000)
    admitted: list[int] = []

    async def run() -> None:
        nonlocal now_ms
        for pause, limit in steps:
            now_ms += pause
            counted = sum(1 for each in admitted if each // 1000 > now_ms // 1000 - SPAN_S)
            verdict = await local.take([Window("key", "k", limit)])
            assert verdict.admitted is (counted < limit)
            assert verdict.standings[0].remaining == max(0, limit - counted - verdict.admitted)
            if verdict.admitted:
                admitted.append(now_ms)

    asyncio.run(run())


@given(histories, st.integers(1, 4))
def test_who_waits_as_long_as_told_is_let_pass(times_ms: list[int], limit: int) -> None:
    now_ms = 0
    local = LocalWindows(monotonic=lambda: now_ms / 1000)

    async def run() -> None:
        nonlocal now_ms
        for time_ms in times_ms:
            now_ms = max(now_ms, time_ms)
            verdict = await local.take([Window("key", "k", limit)])
            if not verdict.admitted:
                now_ms += verdict.standings[0].more_in_s * 1000
                assert (await local.take([Window("key", "k", limit)])).admitted

    asyncio.run(run())


async def test_windows_that_nobody_uses_are_forgotten_before_those_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(windows_, "MAX_LOCAL_WINDOWS", 3)
    local = LocalWindows(monotonic=lambda: 0.0)
    for place in ("a", "b", "c", "a", "d"):
        await local.take([Window("key", place, 2)])
    assert not (await local.take([Window("key", "a", 2)])).admitted
    assert (await local.take([Window("key", "b", 2)])).standings[0].remaining == 1
