"""The hot view is counted to the byte and kept to its bound, whatever comes twice, late or out of order.

Two replicas of the store in Redis, and of what holds the view to its bound, are driven beside a plain model: of each
job the newest event, and whether it has expired or gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from services.intake.changes import Change, Record
from services.intake.layout import FINISHED_LIFETIME, MIN_LIFETIME, job_key, kept_keys, pending_key
from shared import ids
from tests.fakes.hot_view_bench import MAX_BYTES, Bench

TENANTS = ("acme", "globex", "initech")
END = 4
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
