"""Which records of ended jobs go when they take too much, and which stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.intake.changes import Change
from services.intake.hot_view import RedisKeptRecords
from services.intake.layout import MIN_LIFETIME, job_key, kept_keys
from shared import ids
from tests.fakes.hot_view_bench import CLOCK, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bench(redis_url: str) -> Iterator[Bench]:
    bench = Bench(redis_url)
    bench.set_clock(datetime.now(UTC))
    yield bench
    bench.close()


async def end(bench: Bench, tenant: str, sequence: int, *, size: int = 1000, age: timedelta = timedelta(0)) -> str:
    """A job that the log has shown, the end of it at this sequence."""
    job_id, at = ids.new_job_id("http"), datetime.now(UTC)
    changes = [
        Change(tenant=tenant, job_id=job_id, revision=1, event=b"1", at=at, job=b"job", sequence=sequence - 1),
        Change(
            tenant=tenant,
            job_id=job_id,
            revision=2,
            event=b"e" * size,
            at=at,
            finished_at=at - age,
            sequence=sequence,
        ),
    ]
    await bench.stores[0].apply(changes)
    return job_id


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
