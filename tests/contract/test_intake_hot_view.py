"""The hot view is counted to the byte and kept to its bound, whatever comes twice, late or out of order.

Two replicas of the store in Redis, and of what holds the view to its bound, are driven beside a plain model: of each
job the newest event, and whether it has expired or gone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from services.intake.changes import Change, Record
from services.intake.hot_view import HotView, RedisKeptRecords
from services.intake.known_servers import KnownServers
from services.intake.layout import FINISHED_LIFETIME, MIN_LIFETIME, job_key, kept_keys, pending_key
from services.intake.store import RedisJobStore, server_id
from shared import ids, kv
from shared.config import Secret

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

CLOCK = Path(__file__).parents[1] / "fakes" / "intake_clock.lua"
TENANTS = ("acme", "globex", "initech")
END = 4
MAX_BYTES = 2500
#: As `lua/kept.lua` has them.
RECORD_BYTES, FIELD_BYTES = 640, 48
NEAR = st.integers(0, 9)
REVISIONS = st.lists(st.sampled_from([1, 2, 3, 3, END, END, END]), min_size=1, max_size=4)
AGES = st.sampled_from([timedelta(0), timedelta(0), timedelta(hours=5), FINISHED_LIFETIME])
SIZES = st.sampled_from([10, 300, 2500])
WAITS = st.sampled_from([timedelta(seconds=1), timedelta(minutes=5), timedelta(minutes=50), timedelta(hours=20)])
LATELY = timedelta(minutes=10)


@dataclass(eq=False)
class Job:
    """What the model knows of a job.

    Args:
        size: Of the event that ends it.
        age: How long ago it has ended when that event comes.
        log: The sequence at which the log showed each of its revisions first.
        expires: When its record does; None where it has not ended.
        gone: Since when it is evicted.
    """

    tenant: str
    size: int
    age: timedelta
    id: str = field(default_factory=lambda: ids.new_job_id("http"))
    log: dict[int, int] = field(default_factory=dict)
    newest: int = 0
    expires: datetime | None = None
    gone: datetime | None = None

    def event(self, revision: int) -> bytes:
        return str(revision).encode() * (self.size if revision == END else 50)

    @property
    def record(self) -> Record:
        return Record(job=b"job" if 1 in self.log else None, event=self.event(self.newest))


class Bench:
    """Two replicas on one Redis, and a hand on its clock and on how far history is."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.client = self.runner.run(kv.connect(Secret(url)))
        self.runner.run(self.client.flushall())
        servers = KnownServers(self.runner.run(server_id(self.client)))
        self.recorded = 0
        self.views = [
            HotView(RedisKeptRecords(self.client, clock=CLOCK), max_bytes=MAX_BYTES, recorded=self.acknowledged)
            for _ in range(2)
        ]
        self.stores = [RedisJobStore(self.client, servers, clock=CLOCK, ended=view.ended) for view in self.views]

    async def acknowledged(self) -> int:
        return self.recorded

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(call)

    def set_clock(self, now: datetime) -> None:
        self.run(self.client.set("intake-test-clock", round(now.timestamp() * 1000)))

    def close(self) -> None:
        self.run(kv.close(self.client))
        self.runner.close()


class HotViewMachine(RuleBasedStateMachine):
    """Drives the view, and knows what each record must be and take."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.jobs: list[Job] = []
        self.log: list[tuple[Job, Change]] = []
        self.now = datetime.now(UTC)
        self.turn = 0

    @initialize()
    def begin(self) -> None:
        self.bench.set_clock(self.now)

    @rule(jobs=st.lists(st.builds(Job, tenant=st.sampled_from(TENANTS), size=SIZES, age=AGES), min_size=1, max_size=4))
    def end(self, jobs: list[Job]) -> None:
        self.jobs += jobs
        for job in jobs:
            self.show(job, [1, 2, END])

    @rule(tenant=st.sampled_from(TENANTS), size=SIZES, age=AGES, revisions=REVISIONS)
    def submit(self, tenant: str, size: int, age: timedelta, revisions: list[int]) -> None:
        self.jobs.append(Job(tenant, size, age))
        self.show(self.jobs[-1], revisions)

    @rule(near=NEAR, revisions=REVISIONS)
    def show_more(self, near: int, revisions: list[int]) -> None:
        """Events come on, again, or late; long after a job has left nothing of it comes again."""
        for job in self.jobs[-1 - near : len(self.jobs) - near]:
            if (job.expires is None or job.expires > self.now) and (job.gone or self.now) >= self.now - LATELY:
                self.show(job, revisions)

    def show(self, job: Job, revisions: list[int]) -> None:
        changes: list[Change] = []
        for revision in revisions:
            changes.append(self.change(job, revision, sequence=len(self.log) + 1))
            self.log.append((job, changes[-1]))
            job.log.setdefault(revision, len(self.log))
        self.apply(job, changes)

    @rule(near=NEAR)
    def end_before_the_log_shows_it(self, near: int) -> None:
        """As a cancel does; the log shows it later, or never."""
        for job in self.jobs[-1 - near : len(self.jobs) - near]:
            if job.newest < END:
                self.apply(job, [self.change(job, END, sequence=0)])

    def change(self, job: Job, revision: int, *, sequence: int) -> Change:
        at = datetime.now(UTC)
        return Change(
            tenant=job.tenant,
            job_id=job.id,
            revision=revision,
            event=job.event(revision),
            at=at,
            job=b"job" if revision == 1 else None,
            finished_at=at - job.age if revision == END else None,
            sequence=sequence,
        )

    def apply(self, job: Job, changes: list[Change]) -> None:
        self.turn += 1
        self.bench.run(self.bench.stores[self.turn % 2].apply(changes))
        newest = max(change.revision for change in changes)
        if newest == END and job.newest < END:
            job.expires = self.now + max(FINISHED_LIFETIME - job.age, MIN_LIFETIME)
        job.newest = max(job.newest, newest)

    @rule(history_catches_up=st.sampled_from([True, True, False]))
    def look(self, *, history_catches_up: bool) -> None:
        if history_catches_up:
            self.bench.recorded = len(self.log)
        self.turn += 1
        within = self.bench.run(self.bench.views[self.turn % 2].look())
        there = self.records()
        for job in self.jobs:
            if self.is_kept(job) and b"event" not in there[job.id]:
                assert 0 < job.log.get(END, 0) <= self.bench.recorded  # ended, and history has it
                job.gone = self.now
        assert within is (self.noted() <= MAX_BYTES)
        if not within:  # only what history does not have is more than the bound
            assert not any(0 < job.log.get(END, 0) <= self.bench.recorded for job in self.jobs if self.is_counted(job))

    @rule()
    def look_at_everything(self) -> None:
        for view in self.bench.views:
            view.ended(TENANTS)
            self.look(history_catches_up=True)
        there = self.records()
        assert self.noted() == sum(size_of(there[job.id]) for job in self.jobs if self.is_counted(job)) <= MAX_BYTES

    @rule(wait=WAITS)
    def wait(self, wait: timedelta) -> None:
        """Time goes on; Redis, which has another clock, is told what expires."""
        self.now += wait
        self.bench.set_clock(self.now)
        for job in self.jobs:
            if (job.expires or self.now) < self.now or (job.gone or self.now) + MIN_LIFETIME < self.now:
                self.bench.run(self.bench.client.delete(job_key(job.tenant, job.id)))

    @rule()
    def lose_redis(self) -> None:
        """All of it, and rebuild it from the log as it was, without what has expired."""
        self.bench.run(self.bench.client.flushall())
        self.bench.set_clock(self.now)
        kept = [job for job in self.jobs if job.expires is None or job.expires > self.now]
        for job in kept:
            job.newest, job.expires, job.gone = 0, None, None
        for job, change in self.log:
            if job in kept:
                self.apply(job, [change])

    def is_kept(self, job: Job) -> bool:
        return job.newest > 0 and job.gone is None and (job.expires is None or job.expires > self.now)

    def is_counted(self, job: Job) -> bool:
        return self.is_kept(job) and job.newest == END

    def records(self) -> dict[str, dict[bytes, bytes]]:
        """What is there of each job."""
        pipeline = self.bench.client.pipeline(transaction=False)
        for job in self.jobs:
            pipeline.hgetall(job_key(job.tenant, job.id))
        return dict(zip((job.id for job in self.jobs), self.bench.run(pipeline.execute()), strict=True))

    def noted(self) -> int:
        return int(self.bench.run(self.bench.client.get("{intake}:kept_sum")) or 0)

    @invariant()
    def what_is_counted_is_what_is_there(self) -> None:
        there = self.records()
        for tenant in TENANTS:
            ended, sizes = kept_keys(tenant)
            counted = {name.decode(): text for name, text in self.bench.run(self.bench.client.hgetall(sizes)).items()}
            total = int(counted.pop("sum", 0))
            each = {name: int(text.split(b" ")[0]) for name, text in counted.items()}
            assert total == sum(each.values())
            times = self.bench.run(self.bench.client.zrange(ended, 0, -1, withscores=True))
            expires = {name.decode(): at / 1000 for name, at in times}
            assert expires.keys() == each.keys()
            live = {name: size for name, size in each.items() if expires[name] > self.now.timestamp()}
            jobs = [job for job in self.jobs if job.tenant == tenant and self.is_counted(job)]
            assert live == {job.id: size_of(there[job.id]) for job in jobs}

    @invariant()
    def jobs_are_shown_as_they_are(self) -> None:
        for job in self.jobs[-4:]:
            found = self.bench.run(self.bench.stores[0].read(job.tenant, job.id))
            assert found == (job.record if self.is_kept(job) else None)
            if not self.is_kept(job):
                assert self.bench.run(self.bench.stores[0].events(job.tenant, job.id)) == []

    @invariant()
    def unfinished_ones_alone_are_pending_and_none_has_gone(self) -> None:
        there = self.records()
        for tenant in TENANTS:
            pending = {each.decode() for each in self.bench.run(self.bench.client.zrange(pending_key(tenant), 0, -1))}
            assert pending == {job.id for job in self.jobs if job.tenant == tenant and 0 < job.newest < END}
            assert all(b"event" in there[job_id] for job_id in pending)
        assert all(there[job.id].keys() <= {b"revision", b"end"} for job in self.jobs if job.gone)

    def teardown(self) -> None:
        self.bench.close()


def size_of(record: dict[bytes, bytes]) -> int:
    return RECORD_BYTES + sum(FIELD_BYTES + len(value) for value in record.values())


def test_the_view_is_counted_to_the_byte_and_kept_to_its_bound(redis_url: str) -> None:
    run_state_machine_as_test(
        lambda: HotViewMachine(Bench(redis_url)),
        settings=settings(
            max_examples=15,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,  # the same run for everyone; another seed is tried by hand
            database=None,
            phases=[Phase.generate],  # as it happened
        ),
    )


@pytest.fixture
def bench(redis_url: str) -> Iterator[Bench]:
    bench = Bench(redis_url)
    bench.set_clock(datetime.now(UTC))
    yield bench
    bench.close()


async def end(bench: Bench, tenant: str, sequence: int, *, size: int = 1000, age: timedelta = timedelta(0)) -> str:
    """A job that the log has shown, the end of it at this sequence."""
    job, at = Job(tenant, size, age), datetime.now(UTC)
    changes = [
        Change(tenant=tenant, job_id=job.id, revision=1, event=b"1", at=at, job=b"job", sequence=sequence - 1),
        Change(
            tenant=tenant,
            job_id=job.id,
            revision=2,
            event=b"e" * size,
            at=at,
            finished_at=at - age,
            sequence=sequence,
        ),
    ]
    await bench.stores[0].apply(changes)
    return job.id


def test_who_takes_most_gives_first_and_its_oldest_ones(bench: Bench) -> None:
    async def check() -> None:
        small = await end(bench, "globex", 2, size=200)
        large = [await end(bench, "acme", 10 + number, age=timedelta(hours=8 - number)) for number in range(8)]
        bench.recorded = 100
        assert await bench.views[0].look()
        left = [each for each in large if await bench.stores[0].read("acme", each) is not None]
        assert left == large[len(large) - len(left) :]
        assert len(left) < len(large)
        assert await bench.stores[0].read("globex", small) is not None

    bench.run(check())


def test_what_history_does_not_have_stays_however_much_it_is(bench: Bench) -> None:
    async def check() -> None:
        jobs = [await end(bench, "acme", number) for number in range(1, 9)]
        bench.recorded = 3
        assert not await bench.views[0].look()
        found = [await bench.stores[0].read("acme", each) for each in jobs]
        assert [record is None for record in found] == [True] * 3 + [False] * 5
        bench.recorded = 8
        assert await bench.views[0].look()

    bench.run(check())


def test_of_what_went_stays_which_event_was_the_newest_for_an_hour(bench: Bench) -> None:
    async def check() -> None:
        jobs = [await end(bench, "acme", number) for number in range(1, 5)]
        bench.recorded = 8
        assert await bench.views[0].look()
        left = await bench.client.hgetall(job_key("acme", jobs[0]))
        assert left == {b"revision": b"2"}
        assert 0 < await bench.client.pttl(job_key("acme", jobs[0])) <= MIN_LIFETIME.total_seconds() * 1000

    bench.run(check())


def test_an_end_that_was_known_before_the_log_showed_it_goes_when_history_has_that(bench: Bench) -> None:
    async def check() -> None:
        jobs = [await end(bench, "acme", 0) for _ in range(4)]
        bench.recorded = 10
        assert not await bench.views[0].look()
        assert all([await bench.stores[0].read("acme", each) for each in jobs])
        shown = Change(
            tenant="acme",
            job_id=jobs[3],
            revision=2,
            event=b"e",
            at=datetime.now(UTC),
            finished_at=datetime.now(UTC),
            sequence=11,
        )
        await bench.stores[0].apply([shown])
        bench.recorded = 11
        assert not await bench.views[0].look()
        assert [await bench.stores[0].read("acme", each) is None for each in jobs] == [False] * 3 + [True]

    bench.run(check())


def test_a_replica_does_not_double_what_another_one_does(bench: Bench) -> None:
    async def check() -> None:
        for number in range(1, 9):
            await end(bench, "acme", number)
        bench.recorded = 8
        one, other = (RedisKeptRecords(bench.client, clock=CLOCK) for _ in range(2))
        assert await one.claim()
        assert not await other.claim()
        assert await one.claim()
        assert not await bench.views[0].look()
        await one.leave()
        assert await bench.views[0].look()

    bench.run(check())


def test_more_of_a_tenant_than_one_script_takes_are_counted_off_and_evicted(bench: Bench) -> None:
    async def check() -> None:
        records = RedisKeptRecords(bench.client, clock=CLOCK)
        for number in range(1, 301):
            await end(bench, "acme", number, size=10)
        assert (await records.evict("acme", wanted=10**9, recorded=1000, after=0)).jobs == 64
        bench.recorded = 1000
        assert await bench.views[0].look()
        for number in range(1, 301):
            await end(bench, "acme", number, size=10)
        await bench.client.set("intake-test-clock", round((datetime.now(UTC) + timedelta(days=2)).timestamp() * 1000))
        assert await records.note({"acme"}) == 0
        assert await bench.client.zcard(kept_keys("acme")[0]) == 0

    bench.run(check())
