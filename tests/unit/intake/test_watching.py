"""What a watcher is told, in which order, and when its watch ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.intake.contract import change_of
from services.intake.domain import MAX_WATCH
from services.intake.reader import JobReader
from services.intake.recorded import RecordedJobs
from services.intake.waiters import Waiters
from services.intake.watching import GAP_PATIENCE, Watcher, due
from shared import ids
from shared.clock import SystemClock
from shared.errors import JobNotFound, Unavailable
from tests.fakes.intake_store import FakeJobStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from services.intake.watching import Watch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB = ids.new_job_id("http")
LONG_AGO = timedelta(hours=1)


def event(revision: int, state: str = "RUNNING", *, age: timedelta = timedelta(0), now: datetime = NOW) -> Any:
    found = events_pb2.JobEvent(job_id=JOB, tenant="acme", revision=revision, state=jobs_pb2.Job.State.Value(state))
    found.time.FromDatetime(now - age)
    return found


def told(events: list[events_pb2.JobEvent], *, after: int = 1) -> tuple[list[int], timedelta | None]:
    found, held = due(events, after=after, now=NOW)
    return [each.revision for each in found], held


def test_what_follows_without_a_gap_is_told() -> None:
    assert told([event(2), event(3), event(4)]) == ([2, 3, 4], None)
    assert told([event(2), event(3), event(4)], after=3) == ([4], None)
    assert told([event(2)], after=2) == ([], None)
    assert told([event(2)], after=9) == ([], None)
    assert told([]) == ([], None)


def test_what_is_behind_a_gap_is_held_back_until_it_is_old_enough() -> None:
    assert told([event(2), event(4)]) == ([2], GAP_PATIENCE)
    assert told([event(2), event(4, age=GAP_PATIENCE / 4)]) == ([2], GAP_PATIENCE * 3 / 4)
    assert told([event(2), event(4, age=GAP_PATIENCE), event(5)]) == ([2, 4, 5], None)
    assert told([event(3, age=LONG_AGO), event(5)]) == ([3], GAP_PATIENCE)


@given(st.permutations(range(2, 10)), st.integers(1, 10))
def test_whatever_the_order_of_arrival_each_is_told_once_and_in_order(arrivals: list[int], after: int) -> None:
    there: list[events_pb2.JobEvent] = []
    heard: list[int] = []
    last = after
    for revision in arrivals:
        there = sorted([*there, event(revision)], key=lambda each: each.revision)
        found, _ = told(there, after=last)
        heard += found
        last = heard[-1] if heard else after
    assert heard == list(range(after + 1, 10))


@given(st.sets(st.integers(2, 30)), st.integers(1, 30))
def test_a_revision_that_was_left_out_holds_up_nobody_for_ever(revisions: set[int], after: int) -> None:
    there = [event(revision, age=LONG_AGO) for revision in sorted(revisions)]
    assert told(there, after=after) == ([each for each in sorted(revisions) if each > after], None)


class History:
    """Has no job."""

    async def GetRecordedJob(self, request: object) -> jobs_pb2.Job:
        raise JobNotFound("there is none")


class Bench:
    """A watcher over a store in memory."""

    def __init__(self) -> None:
        self.store = FakeJobStore()
        self.waiters = Waiters()

    async def submit(self) -> None:
        submitted = event(1, "QUEUED", now=datetime.now(UTC))
        submitted.submission.job.CopyFrom(jobs_pb2.Job(id=JOB, state=jobs_pb2.Job.QUEUED, revision=1))
        await self.store.apply([change_of(submitted)])

    async def happens(self, revision: int, state: str = "RUNNING", *, age: timedelta = timedelta(0)) -> None:
        await self.store.apply([change_of(event(revision, state, age=age, now=datetime.now(UTC)))])
        self.waiters.wake([JOB])

    async def watch(self, *, after: int = 0, longest: timedelta = MAX_WATCH, remaining_s: float | None = None) -> Watch:
        reader = JobReader(store=self.store, recorded=RecordedJobs(cast("Any", History())), waiters=self.waiters)
        watcher = Watcher(reader=reader, store=self.store, waiters=self.waiters, clock=SystemClock(), longest=longest)
        return await watcher.watch("acme", JOB, after=after, remaining_s=remaining_s)


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    await bench.submit()
    return bench


async def all_of(jobs: AsyncGenerator[jobs_pb2.Job | None]) -> list[int]:
    return [job.revision if job is not None else 0 async for job in jobs]


async def some(jobs: AsyncGenerator[jobs_pb2.Job | None], count: int) -> list[int]:
    found = [await asyncio.wait_for(anext(jobs), 30) for _ in range(count)]
    return [job.revision if job is not None else 0 for job in found]


async def test_each_event_is_told_as_the_job_that_it_left(bench: Bench) -> None:
    async with aclosing((await bench.watch()).jobs()) as jobs:
        first = await anext(jobs)
        await bench.happens(2)
        second = await anext(jobs)
        await bench.happens(3, "SUCCEEDED")
        last = await anext(jobs)
        assert await all_of(jobs) == []
    found = [(job.id, jobs_pb2.Job.State.Name(job.state), job.revision) for job in (first, second, last) if job]
    assert found == [(JOB, "QUEUED", 1), (JOB, "RUNNING", 2), (JOB, "SUCCEEDED", 3)]
    assert len(bench.waiters) == 0


async def test_an_event_behind_a_gap_waits_for_the_missing_one(bench: Bench) -> None:
    async with aclosing((await bench.watch()).jobs()) as jobs:
        assert await some(jobs, 1) == [1]
        await bench.happens(3)
        waiting = asyncio.create_task(some(jobs, 2))
        await asyncio.sleep(0)
        await bench.happens(2)
        assert await waiting == [2, 3]


async def test_an_event_behind_a_gap_does_not_wait_for_ever_and_nothing_is_told_after_a_higher_one(
    bench: Bench,
) -> None:
    await bench.happens(3, age=GAP_PATIENCE - timedelta(milliseconds=50))
    async with aclosing((await bench.watch()).jobs()) as jobs:
        assert await some(jobs, 2) == [1, 3]
        await bench.happens(2)
        await bench.happens(4, "FAILED")
        assert await all_of(jobs) == [4]
    assert await all_of((await bench.watch()).jobs()) == [1, 2, 3, 4]


async def test_the_end_is_told_behind_a_gap_too(bench: Bench) -> None:
    await bench.happens(5, "SUCCEEDED", age=GAP_PATIENCE - timedelta(milliseconds=50))
    assert await all_of((await bench.watch()).jobs()) == [1, 5]


async def test_silence_is_told_again_and_again(bench: Bench) -> None:
    async with aclosing((await bench.watch()).jobs(silence=timedelta(milliseconds=5))) as jobs:
        assert await some(jobs, 4) == [1, 0, 0, 0]


@pytest.mark.parametrize(
    "limit", [{"longest": timedelta(milliseconds=20)}, {"remaining_s": 0.52}, {"remaining_s": 0.1}]
)
async def test_a_watch_ends_when_its_time_is_up(bench: Bench, limit: dict[str, Any]) -> None:
    assert await asyncio.wait_for(all_of((await bench.watch(**limit)).jobs()), 30) == [1]
    assert len(bench.waiters) == 0


async def test_a_watch_of_an_ended_job_is_over_for_who_saw_the_end(bench: Bench) -> None:
    await bench.happens(2, "CANCELED")
    for after, over, revisions in ((0, False, [1, 2]), (1, False, [2]), (2, True, []), (9, True, [])):
        watch = await bench.watch(after=after)
        assert await watch.is_over() is over
        assert await all_of(watch.jobs()) == revisions


async def test_a_replica_that_stops_tells_what_is_there_and_lets_go(bench: Bench) -> None:
    watch = await bench.watch()
    async with aclosing(watch.jobs()) as jobs:
        assert await some(jobs, 1) == [1]
        rest = asyncio.create_task(all_of(jobs))
        await asyncio.sleep(0)
        await bench.happens(2)
        await bench.waiters.release()
        assert await asyncio.wait_for(rest, 30) == [2]


async def test_a_store_that_goes_away_ends_the_watch_with_an_error(bench: Bench) -> None:
    watch = await bench.watch()
    bench.store.away = True
    with pytest.raises(Unavailable):
        await all_of(watch.jobs())
    assert len(bench.waiters) == 0
