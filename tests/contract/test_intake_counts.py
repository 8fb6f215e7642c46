"""What keeps the count of all tenants' unfinished jobs: the fake in memory and the real one in Redis."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import pytest

from services.intake.layout import pending_key
from services.intake.tally import RedisCounts
from tests.fakes.intake_tally import FakeCounts

if TYPE_CHECKING:
    from services.intake.tally import Counts
    from shared import kv

FAR_AHEAD_MS = 4_000_000_000_000


class Bench(Protocol):
    counts: Counts

    async def set_pending(self, tenant: str, number: int) -> None:
        """So many unfinished jobs the tenant has now."""
        ...


class FakeBench:
    def __init__(self) -> None:
        self._fake = FakeCounts()
        self.counts: Counts = self._fake

    async def set_pending(self, tenant: str, number: int) -> None:
        self._fake.pending[tenant] = number


class RedisBench:
    def __init__(self, client: kv.Client) -> None:
        self._client = client
        self.counts: Counts = RedisCounts(client)

    async def set_pending(self, tenant: str, number: int) -> None:
        await self._client.delete(pending_key(tenant))
        if number:
            entries = {f"job {each}": FAR_AHEAD_MS for each in range(number)}
            await self._client.zadd(pending_key(tenant), entries | {"one that has lapsed": 1})


@pytest.fixture(params=["fake", "real"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return FakeBench() if request.param == "fake" else RedisBench(request.getfixturevalue("redis"))


async def test_all_is_the_sum_of_what_was_noted_last_of_each(bench: Bench) -> None:
    await bench.set_pending("acme", 3)
    await bench.set_pending("globex", 4)
    assert (await bench.counts.note({"acme"}, ended=0))[0] == 3
    assert (await bench.counts.note({"globex"}, ended=0))[0] == 7
    await bench.set_pending("acme", 1)
    assert (await bench.counts.note(set(), ended=0))[0] == 7
    assert (await bench.counts.note({"acme", "globex"}, ended=0))[0] == 5


async def test_tenants_are_those_who_have_any(bench: Bench) -> None:
    assert await bench.counts.tenants() == set()
    await bench.set_pending("acme", 2)
    await bench.counts.note({"acme", "idle"}, ended=0)
    assert await bench.counts.tenants() == {"acme"}
    await bench.set_pending("acme", 0)
    assert (await bench.counts.note({"acme"}, ended=0))[0] == 0
    assert await bench.counts.tenants() == set()


async def test_it_tells_how_fast_the_jobs_of_all_end(bench: Bench) -> None:
    _, nothing = await bench.counts.note(set(), ended=0)
    assert (nothing.ended, nothing.silence) == (0, None)
    await bench.counts.note({"acme"}, ended=5)
    _, drain = await bench.counts.note({"globex"}, ended=2)
    assert drain.ended == 7
    assert drain.silence is not None
    assert drain.silence < timedelta(seconds=30)


async def test_more_tenants_than_one_round_trip_takes_are_counted_too(bench: Bench) -> None:
    tenants = [f"tenant-{number}" for number in range(600)]
    for tenant in tenants[::60]:
        await bench.set_pending(tenant, 2)
    unfinished, drain = await bench.counts.note(tenants, ended=3)
    assert (unfinished, drain.ended) == (20, 3)
