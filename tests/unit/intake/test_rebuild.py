"""What a rebuild applies of the log: from the floor on, or what still matters of all of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.intake.batch_ends import BatchEnds
from services.intake.changes import Change
from services.intake.erased import ErasedThings
from services.intake.known_servers import KnownServers
from services.intake.rebuild import Rebuilder
from services.intake.rebuilds import Rebuilds
from shared import ids
from shared.bus import Stored
from shared.errors import Unavailable
from tests.fakes.intake_batches import FakeBatchStore
from tests.fakes.intake_bucket import FakeBucket
from tests.fakes.intake_requests import aged_job_id
from tests.fakes.intake_store import FakeJobStore
from tests.fakes.intake_tally import FakeCounts, Tally

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DAY = timedelta(days=1)


class Client:
    """A server as far as its id goes; a test may put another in its place."""

    server = "a1"

    async def info(self, section: str) -> dict[str, str]:
        return {"master_replid": self.server}


class Floor:
    """Notes what is noted."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at

    async def read(self) -> int | None:
        return self.at

    async def note(self, sequence: int, *, known: str) -> None:
        self.at = sequence


class Log:
    """The log of jobs: gives out a few events at a time, and fails between them."""

    def __init__(self) -> None:
        self.messages: list[Stored] = []
        self.asked_from: int | None = None
        self.failures = 0

    def add(
        self, job_id: str, revision: int, *, age: timedelta, ended: bool = False, payload: bytes | None = None
    ) -> None:
        state = jobs_pb2.Job.SUCCEEDED if ended else jobs_pb2.Job.QUEUED
        event = events_pb2.JobEvent(job_id=job_id, tenant="acme", upstream="http", revision=revision, state=state)
        at = datetime.now(UTC) - age
        event.time.FromDatetime(at)
        if ended:
            event.finished_at.FromDatetime(at)
        if revision == 1:
            event.submission.job.CopyFrom(jobs_pb2.Job(id=job_id, state=state, revision=1))
            event.submission.idempotency_key = f"key of {job_id}"
        self.messages.append(
            Stored(
                subject="jobs.x.http",
                payload=event.SerializeToString() if payload is None else payload,
                headers={},
                sequence=len(self.messages) + 1,
                time=at,
                pending=0,
            )
        )

    async def newest(self, stream: str, subject: str) -> int:
        return len(self.messages)

    @asynccontextmanager
    async def reader(self, stream: str, subject: str, *, start: int) -> AsyncIterator[Any]:
        self.asked_from = self._next = start
        yield self

    async def batch(self) -> list[Stored]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("away")
        found = self.messages[self._next - 1 : self._next + 1]
        self._next += len(found)
        return found


class Bench:
    """A rebuilder and all it works with."""

    def __init__(self, *, floor: int | None = None) -> None:
        self.client, self.servers, self.log, self.store = Client(), KnownServers(), Log(), FakeJobStore()
        self.bucket, self.floor, self.counts = FakeBucket(), Floor(floor), FakeCounts()
        self.batches, self.erased = FakeBatchStore(), ErasedThings(self.bucket)
        self.rebuilder = Rebuilder(
            client=cast("Any", self.client),
            servers=self.servers,
            rebuilds=Rebuilds(self.bucket),
            bus=cast("Any", self.log),
            store=self.store,
            batch_ends=BatchEnds(store=self.batches, publisher=cast("Any", None)),  # a rebuild tells of nothing
            erased=self.erased,
            floor=cast("Any", self.floor),
            tally=Tally(self.counts, cap=10),
        )

    async def rebuild(self) -> None:
        await self.rebuilder._settle()

    async def revision(self, job_id: str) -> int | None:
        record = await self.store.read("acme", job_id)
        return events_pb2.JobEvent.FromString(record.event).revision if record and record.event else None


def job_ids(count: int) -> list[str]:
    return [ids.new_job_id("http") for _ in range(count)]


async def test_without_a_floor_all_that_still_matters_is_applied() -> None:
    bench = Bench()
    waits, over, long_over, fresh = (aged_job_id(age * DAY) for age in (6, 3, 6, 0))
    bench.log.add(waits, 1, age=6 * DAY)
    bench.log.add(long_over, 1, age=6 * DAY)
    bench.log.add(over, 1, age=3 * DAY)
    bench.log.add(waits, 2, age=3 * DAY)
    bench.log.add(long_over, 2, age=2 * DAY, ended=True)
    bench.log.add(over, 2, age=DAY / 2, ended=True)
    bench.log.add("", 1, age=DAY / 2, payload=b"\xff")
    bench.log.add(fresh, 1, age=timedelta(0))
    bench.log.failures = 1
    await bench.rebuild()
    assert [await bench.revision(each) for each in (waits, over, long_over, fresh)] == [2, 2, None, 1]
    assert set(bench.store._tenants["acme"].pending) == {waits, fresh}
    assert set(bench.store._tenants["acme"].keys) == {f"key of {fresh}"}  # the others' window is over
    assert bench.log.asked_from == 1
    assert bench.floor.at == len(bench.log.messages)
    assert "acme" in bench.counts.noted  # counted before anything is admitted
    assert "a1" in bench.servers


async def test_what_was_erased_is_not_brought_back_and_the_note_of_it_outlives_the_rebuild() -> None:
    bench = Bench()
    erased, later = aged_job_id(DAY), aged_job_id(timedelta(0))
    await bench.erased.note("acme", "", before=datetime.now(UTC) - DAY / 2)
    for number in range(20):  # more servers than are remembered
        await bench.bucket.put(f"a{number + 2}", b"rebuilt")
    bench.log.add(erased, 1, age=DAY)
    bench.log.add(later, 1, age=timedelta(0))
    bench.log.add(erased, 2, age=timedelta(0), ended=True)
    await bench.rebuild()
    assert [await bench.revision(each) for each in (erased, later)] == [None, 1]
    after = ErasedThings(bench.bucket)
    await after.load()
    change = Change(tenant="acme", job_id=erased, revision=3, event=b"", at=datetime.now(UTC))
    assert after.left([change]) == []


async def test_a_log_that_ended_long_ago_leaves_its_unfinished_jobs() -> None:
    bench = Bench()
    waits, long_over = job_ids(2)
    bench.log.add(waits, 1, age=3 * DAY)
    bench.log.add(long_over, 1, age=3 * DAY)
    bench.log.add(long_over, 2, age=2 * DAY, ended=True)
    await bench.rebuild()
    assert [await bench.revision(each) for each in (waits, long_over)] == [1, None]


async def test_behind_a_floor_everything_is_applied_whatever_its_age() -> None:
    bench = Bench(floor=1)
    before, over = job_ids(2)
    bench.log.add(before, 1, age=3 * DAY)
    bench.log.add(over, 1, age=3 * DAY)
    bench.log.add(over, 2, age=2 * DAY, ended=True)
    await bench.rebuild()
    assert [await bench.revision(each) for each in (before, over)] == [None, 2]
    assert bench.log.asked_from == 2


@pytest.mark.parametrize("floor", [None, 7])
async def test_an_empty_log_takes_no_reading_and_a_floor_of_another_log_counts_for_nothing(floor: int | None) -> None:
    bench = Bench(floor=floor)
    await bench.rebuild()
    assert bench.floor.at == 0
    assert "a1" in bench.servers


async def test_a_server_that_changes_meanwhile_is_rebuilt_from_the_beginning() -> None:
    bench = Bench()
    [job_id] = job_ids(1)
    bench.log.add(job_id, 1, age=timedelta(0))
    apply = bench.store.apply

    async def apply_and_fail_over(changes: Any) -> list[bool]:
        ended = await apply(changes)
        if bench.client.server == "a1":
            bench.client.server = "b2"
            bench.store._tenants.clear()
        return ended

    bench.store.apply = apply_and_fail_over  # type: ignore[method-assign]  the moment of the failover
    await bench.rebuild()
    assert await bench.revision(job_id) == 1
    assert "b2" in bench.servers
    assert "a1" not in bench.servers


async def test_at_the_start_a_server_is_known_where_another_replica_has_rebuilt_it_or_the_log_is_empty() -> None:
    known, empty, unknown = Bench(), Bench(), Bench()
    await known.bucket.put("a1", b"rebuilt")
    known.log.add(*job_ids(1), 1, age=timedelta(0))
    unknown.log.add(*job_ids(1), 1, age=timedelta(0))
    for bench in (known, empty, unknown):
        await bench.rebuilder.look()
    assert ["a1" in bench.servers for bench in (known, empty, unknown)] == [True, True, False]
    assert await Rebuilds(empty.bucket).is_done("a1")
    await unknown.servers.stranger()
