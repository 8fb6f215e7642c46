"""What every store of statistics does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.history.jobs.domain import Mark
from services.history.jobs.store import HistoryStore, MongoHistory
from services.history.leases import TALLY, Lease, LeaseLostError, Leases
from services.history.stats.backfill import Backfill
from services.history.stats.counting import counted
from services.history.stats.domain import Figures, Group, Level, Rollup, Stretch
from services.history.stats.reader import StatsReader
from services.history.stats.store import MongoStatsStore, StatsStore
from services.history.stats.tally import LeaseHolder, Tally
from services.history.stats.tally_store import MongoTallyStore, TallyStore
from shared import ids
from shared.clock import SystemClock
from tests.fakes import history_jobs
from tests.fakes.history_stats import FakeLeases, FakeStats
from tests.fakes.history_store import FakeHistory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.history.stats.domain import MarkedJob
    from shared.mongo import Client

#: An hour before now, on the minute: what is counted is kept.
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
AT = HOUR + timedelta(minutes=20, seconds=10)
ONE, OTHER = ids.new_connection_id(), ids.new_connection_id()
ALL = Group(tenant="acme")
THE_HOUR = Stretch(Level.HOUR, HOUR, HOUR + timedelta(hours=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What writes jobs, counts them, and tells of them."""

    jobs: HistoryStore
    tally: TallyStore
    stats: StatsStore
    leases: LeaseHolder

    async def marked(self, mark: Mark) -> Sequence[MarkedJob]:
        return await self.tally.marked(mark, created_before=datetime.now(UTC) + timedelta(days=1), limit=5000)

    async def count_all(self) -> None:
        counting = Tally(self.tally, self.leases, clock=SystemClock(), idle=nothing_more, settled_after=timedelta())
        await counting.look()
        await counting.leave()

    async def figures(self, group: Group = ALL, stretch: Stretch = THE_HOUR) -> Figures:
        return (await StatsReader(self.stats).report(group, stretch)).total


async def nothing_more() -> bool:
    return False


@pytest.fixture
def fake_world() -> World:
    history, leases = FakeHistory(), FakeLeases()
    stats = FakeStats(history, leases)
    return World(jobs=history, tally=stats, stats=stats, leases=leases)


@pytest.fixture
async def mongo_world(mongo: Client) -> World:
    history, leases, stats = MongoHistory(mongo), Leases(mongo), MongoStatsStore(mongo)
    for _ in range(2):  # as the next replica does
        await history.prepare()
        await stats.prepare()
    return World(jobs=history, tally=MongoTallyStore(mongo, leases), stats=stats, leases=leases)


@pytest.fixture(params=["fake_world", "mongo_world"])
def world(request: pytest.FixtureRequest) -> World:
    return request.getfixturevalue(request.param)


async def held(world: World) -> Lease:
    lease = await world.leases.take(TALLY)
    assert lease is not None
    return lease


async def test_a_mark_is_taken_off_once_and_only_as_it_was_read(world: World) -> None:
    first, second = (history_jobs.submission(ids.new_job_id("http"), at=AT) for _ in range(2))
    await world.jobs.apply(history_jobs.entries(first, second))
    lease, submitted = await held(world), await world.marked(Mark.SUBMISSION)
    assert {each.uncounted for each in submitted} == {(Mark.SUBMISSION,)}
    figures = counted(submitted, now=datetime.now(UTC))
    await world.jobs.apply(history_jobs.entries(history_jobs.end(second)))
    assert not await world.tally.count(lease, submitted, figures), "one has ended since"
    assert (await world.figures()).submitted == 0, "neither the other"
    submitted = await world.marked(Mark.SUBMISSION)
    assert await world.tally.count(lease, submitted, counted(submitted, now=datetime.now(UTC)))
    assert not await world.tally.count(lease, submitted, counted(submitted, now=datetime.now(UTC)))
    assert await world.marked(Mark.SUBMISSION) == await world.marked(Mark.END) == []
    await world.jobs.apply(history_jobs.entries(first, second, history_jobs.end(second)))  # they come again
    await world.count_all()
    total = await world.figures()
    assert (total.submitted, total.ended) == (2, {"SUCCEEDED": 1})


async def test_who_has_lost_the_lease_counts_nothing(world: World) -> None:
    await world.jobs.apply(history_jobs.entries(history_jobs.submission(ids.new_job_id("http"), at=AT)))
    lost = await held(world)
    await world.leases.release(lost)
    await held(world)
    submitted = await world.marked(Mark.SUBMISSION)
    with pytest.raises(LeaseLostError):
        await world.tally.count(lost, submitted, counted(submitted, now=datetime.now(UTC)))
    assert await world.marked(Mark.SUBMISSION) == submitted
    assert (await world.figures()).submitted == 0


async def test_an_end_whose_submission_has_not_come_yet_waits_for_it(world: World) -> None:
    submission = history_jobs.submission(ids.new_job_id("http"), at=AT)
    await world.jobs.apply(history_jobs.entries(history_jobs.end(submission)))
    await world.count_all()
    assert (await world.figures()).ended == {}
    await world.jobs.apply(history_jobs.entries(submission))
    await world.count_all()
    total = await world.figures()
    assert (total.submitted, total.ended) == (1, {"SUCCEEDED": 1})


def jobs_of(method: str, connection_id: str, count: int, *, at: datetime = AT, **ended: object) -> list:
    """So many jobs of an upstream that the method's name begins with, which have ended."""
    events = []
    for _ in range(count):
        job_id = ids.new_job_id(method.partition(".")[0])
        submission = history_jobs.submission(job_id, method=method, connection_id=connection_id, at=at)
        events += [submission, history_jobs.end(submission, **ended)]
    return history_jobs.entries(*events)


async def write(world: World) -> None:
    await world.jobs.apply(jobs_of("http.get", "", 4, from_cache=True))
    await world.jobs.apply(jobs_of("flickr.photos.search", ONE, 3, state="FAILED", reason="UPSTREAM_STATUS"))
    await world.jobs.apply(jobs_of("flickr.photos.search", OTHER, 2))
    await world.jobs.apply(jobs_of("flickr.test.$x%", ONE, 1, state="EXPIRED", wait=None, reason="a.b/$c"))
    await world.jobs.apply(jobs_of("http.get", "", 1, at=AT + timedelta(minutes=1)))
    theirs = history_jobs.submission(ids.new_job_id("http"), tenant="acme.other", at=AT)
    await world.jobs.apply(history_jobs.entries(theirs))
    await world.count_all()


@pytest.mark.parametrize(
    ("asked", "ended", "methods", "connections"),
    [
        ({}, 11, {"http.get": 5, "flickr.photos.search": 5, "flickr.test.$x%": 1}, {ONE: 4, OTHER: 2}),
        ({"upstream": "flickr"}, 6, {"flickr.photos.search": 5, "flickr.test.$x%": 1}, {ONE: 4, OTHER: 2}),
        ({"method": "flickr.photos.search"}, 5, {"flickr.photos.search": 5}, {ONE: 3, OTHER: 2}),
        ({"connection_id": ONE}, 4, {"flickr.photos.search": 3, "flickr.test.$x%": 1}, {ONE: 4}),
        ({"connection_id": ONE, "method": "flickr.test.$x%"}, 1, {"flickr.test.$x%": 1}, {ONE: 1}),
        ({"connection_id": ONE, "upstream": "http"}, 0, {}, {}),
        ({"method": "http.get", "upstream": "flickr"}, 0, {}, {}),
    ],
)
async def test_every_filter_has_its_figures_and_its_heaviest(
    world: World, asked: dict[str, str], ended: int, methods: dict[str, int], connections: dict[str, int]
) -> None:
    await write(world)
    for stretch in (THE_HOUR, Stretch(Level.MINUTE, HOUR, HOUR + timedelta(hours=1))):
        report = await StatsReader(world.stats).report(Group(tenant="acme", **asked), stretch)
        assert report.total.submitted == report.total.ended.total() == report.total.total.count == ended
        assert {name: each.ended.total() for name, each in report.top_methods.items()} == methods
        assert {name: each.ended.total() for name, each in report.top_connections.items()} == connections
        upstreams = {method.partition(".")[0] for method in methods}
        assert set(report.top_upstreams) == upstreams


async def test_a_bucket_has_all_that_was_counted(world: World) -> None:
    await write(world)
    report = await StatsReader(world.stats).report(ALL, Stretch(Level.MINUTE, HOUR, HOUR + timedelta(hours=1)))
    minute = Level.MINUTE.start(AT)
    assert list(report.series) == [minute, minute + timedelta(minutes=1)]
    first = report.series[minute]
    assert first.ended == {"SUCCEEDED": 6, "FAILED": 3, "EXPIRED": 1}
    assert first.errors == {"UPSTREAM_STATUS": 3, "a.b/$c": 1}
    assert (first.cache_hits, first.attempts, first.wait.count, first.run.count) == (4, 9, 9, 9)
    assert (first.wait.longest, first.run.longest, first.total.longest) == tuple(map(seconds, (1, 2, 3)))
    day = Level.DAY.start(HOUR)
    whole_day = Stretch(Level.DAY, day, day + timedelta(days=1))
    assert await world.figures(stretch=whole_day) == report.total == await world.figures()
    assert list(report.top_methods) == ["flickr.photos.search", "http.get", "flickr.test.$x%"]


def seconds(number: int) -> timedelta:
    return timedelta(seconds=number)


async def test_of_many_parts_the_heaviest_are_told(world: World) -> None:
    heavy, light = (ids.new_connection_id() for _ in range(2))
    many = [job for _ in range(120) for job in jobs_of("http.get", ids.new_connection_id(), 1)]
    await world.jobs.apply(jobs_of("http.get", heavy, 3) + many + jobs_of("http.post", light, 2))
    await world.count_all()
    shares = await world.stats.shares(ALL, Rollup.CONNECTION, [THE_HOUR], limit=2)
    assert {bucket.group.connection_id: figures.ended.total() for bucket, figures in shares} == {heavy: 3, light: 2}


async def test_of_an_erased_connection_its_tenants_sums_stay(world: World) -> None:
    await write(world)
    assert await erased(world, ONE) == 3 * len(Level)
    assert (await world.figures(Group(tenant="acme", connection_id=ONE))).submitted == 0
    assert (await world.figures(Group(tenant="acme", connection_id=OTHER))).submitted == 2
    assert (await world.figures()).submitted == 11
    await erased(world, "")
    assert (await world.figures()).submitted == 0
    assert (await world.figures(Group(tenant="acme.other"))).submitted == 1


async def erased(world: World, connection_id: str) -> int:
    removed = 0
    while count := await world.stats.erase("acme", connection_id):
        removed += count
    return removed


async def test_two_tallies_count_thousands_of_jobs_once_though_one_is_killed(mongo: Client) -> None:
    history, stats = MongoHistory(mongo), MongoStatsStore(mongo)
    await history.prepare()
    await stats.prepare()
    events = [history_jobs.submission(ids.new_job_id("http"), at=AT) for _ in range(2000)]
    ends = [history_jobs.end(event) for event in events]
    leases = Leases(mongo, lifetime=timedelta(milliseconds=100))  # so short that each takes it from the other
    tallies = [
        Tally(MongoTallyStore(mongo, leases), leases, clock=SystemClock(), idle=nothing_more, settled_after=timedelta())
        for _ in range(2)
    ]

    async def keep_counting(tally: Tally) -> None:
        while True:
            await tally.look()
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(keep_counting(tally)) for tally in tallies]
    for start in range(0, len(events), 200):
        await history.apply(history_jobs.entries(*events[start : start + 200]))
        await history.apply(history_jobs.entries(*ends[start // 2 : start // 2 + 100]))
        if start == len(events) // 2:
            await killed(tasks[0])
    await killed(tasks[1])
    await history.apply(history_jobs.entries(*ends[len(ends) // 2 :]))
    await leases._leases.delete_many({})
    world = World(jobs=history, tally=MongoTallyStore(mongo, leases), stats=stats, leases=leases)
    await world.count_all()
    total = await world.figures()
    assert (total.submitted, total.ended, total.total.count) == (2000, {"SUCCEEDED": 2000}, 2000)
    assert await world.marked(Mark.SUBMISSION) == await world.marked(Mark.END) == []


async def killed(task: asyncio.Task[None]) -> None:
    """Cancels it wherever it is, and until it ends: a driver may lose a cancel."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
    assert task.cancelled()


async def test_what_the_version_before_has_written_is_counted_once(mongo: Client) -> None:
    history, stats = MongoHistory(mongo), MongoStatsStore(mongo)
    await history.prepare()
    await stats.prepare()
    events = [history_jobs.submission(ids.new_job_id("http"), at=AT) for _ in range(4)]
    await history.apply(history_jobs.entries(*events, history_jobs.end(events[0])))
    jobs = mongo["history"]["jobs"]
    await jobs.update_many({}, {"$unset": {"uncounted": ""}})  # as that version writes them
    backfill = Backfill(mongo, clock=SystemClock(), second_after=timedelta())
    leases = Leases(mongo)
    tally = Tally(MongoTallyStore(mongo, leases), leases, clock=SystemClock(), idle=backfill.step)
    await tally.look()
    # a replica of that version ends two while this one runs, before the second pass
    await mongo["history"]["upgrades"].update_one({"_id": "uncounted"}, {"$set": {"passes": 1}})
    await history.apply(history_jobs.entries(history_jobs.end(events[1]), history_jobs.end(events[2])))
    await jobs.update_many({}, {"$unset": {"uncounted": ""}})
    again = Backfill(mongo, clock=SystemClock(), second_after=timedelta())
    tally = Tally(MongoTallyStore(mongo, leases), leases, clock=SystemClock(), idle=again.step)
    await leases._leases.delete_many({})
    await tally.look()
    world = World(jobs=history, tally=MongoTallyStore(mongo, leases), stats=stats, leases=leases)
    total = await world.figures()
    assert (total.submitted, total.ended) == (4, {"SUCCEEDED": 3})


async def test_figures_end_by_themselves_and_are_found_by_indexes(mongo: Client, mongo_world: World) -> None:
    await write(mongo_world)
    stats = mongo["history"]["stats"]
    assert (await stats.index_information())["retention"]["expireAfterSeconds"] == 0
    kept = {each["_id"].split("/")[3]: each["expires_at"] async for each in stats.find({"rollup": "all"})}
    day = Level.DAY.start(HOUR)
    assert kept["h"].replace(tzinfo=UTC) == HOUR + timedelta(days=92)
    assert kept["d"].replace(tzinfo=UTC) == day + timedelta(days=92)
    wanted = {"uncounted": Mark.END, "created_at": {"$gte": AT, "$lt": AT + timedelta(days=1)}}
    plan = await mongo["history"]["jobs"].find(wanted, hint="uncounted").sort("created_at").explain()
    assert "SORT" not in str(plan["queryPlanner"]["winningPlan"]).replace("sortPattern", "")
