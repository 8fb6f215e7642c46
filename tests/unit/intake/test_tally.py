"""The tally: how a replica knows whether there is room for more jobs of all tenants."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.intake.tally import Tally
from shared.errors import Unavailable
from tests.fakes.intake_tally import FakeCounts
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def running(tally: Tally) -> AsyncIterator[None]:
    task = asyncio.create_task(tally.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def tally_of(counts: FakeCounts, *, cap: int = 10) -> Tally:
    return Tally(counts, cap=cap, interval=timedelta(milliseconds=1))


async def test_a_replica_counts_what_it_admits_itself_at_once() -> None:
    tally = tally_of(FakeCounts(), cap=3)
    for _ in range(2):
        tally.admitted("acme")
    assert not tally.is_full()
    tally.admitted("globex")
    assert tally.is_full()


async def test_what_others_have_noted_is_learnt_before_anything_is_admitted() -> None:
    counts = FakeCounts()
    counts.pending = counts.noted = {"acme": 10}
    tally = tally_of(counts)
    async with running(tally):
        await eventually(tally.is_full)


async def test_whoever_is_refused_is_admitted_when_jobs_have_ended_elsewhere() -> None:
    counts = FakeCounts()
    counts.pending = {"acme": 10}
    tally = tally_of(counts)
    tally.admitted("acme")
    async with running(tally):
        await eventually(tally.is_full)
        counts.pending = {"acme": 9}
        counts.noted = {"acme": 9}  # another replica has seen it
        await eventually(lambda: not tally.is_full())


async def test_what_was_admitted_here_is_not_counted_twice() -> None:
    counts = FakeCounts()
    tally = tally_of(counts, cap=4)
    for _ in range(2):
        tally.admitted("acme")
    counts.pending = {"acme": 2}
    await tally.look()
    assert not tally.is_full()
    tally.admitted("acme")
    assert not tally.is_full()
    tally.admitted("acme")
    assert tally.is_full()


async def test_only_tenants_that_have_changed_are_counted_between_two_counts_of_all() -> None:
    counts = FakeCounts()
    counts.pending = {"acme": 1, "globex": 1, "initech": 1}
    counts.noted = {"initech": 1}
    tally = tally_of(counts)
    tally.admitted("acme")
    await tally.look()
    tally.applied(["globex"], ended=2)
    await tally.look()
    await tally.look()
    assert counts.asked == [{"acme", "initech"}, {"globex"}, set()]
    assert counts.ended == 2
    assert tally.drain.ended == 2


async def test_nothing_is_asked_while_nothing_happens() -> None:
    counts = FakeCounts()
    tally = tally_of(counts)
    async with running(tally):
        await eventually(lambda: len(counts.asked) == 1)
        tally.admitted("acme")
        await eventually(lambda: len(counts.asked) == 2)
        tally.is_full()
        tally.applied(["globex"], ended=1)
        await eventually(lambda: len(counts.asked) == 3)
    assert counts.asked == [set(), {"acme"}, {"globex"}]


async def test_a_store_that_is_away_loses_nothing_of_it() -> None:
    counts = FakeCounts()
    tally = tally_of(counts)
    counts.away = True
    tally.applied(["acme"], ended=3)
    with pytest.raises(Unavailable):
        await tally.look()
    async with running(tally):
        counts.pending = {"acme": 4}
        counts.away = False
        await eventually(lambda: counts.ended == 3)
    assert counts.noted == {"acme": 4}
