"""Who gives first when the hot view is too large, and that nothing is forgotten while the store is away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake import metrics
from services.intake.hot_view import Evicted, HotView, share
from shared.errors import Unavailable
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Collection

KEPT = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 10_000), min_size=1)


@given(KEPT, st.integers(1, 30_000))
def test_those_who_take_most_come_down_together_and_nobody_else_gives(before: dict[str, int], most: int) -> None:
    kept = dict(before)
    steps = 0
    while (excess := sum(kept.values()) - most) > 0:
        tenant, wanted = share(kept, kept, excess)
        assert kept[tenant] == max(kept.values())
        assert 1 <= wanted <= excess
        kept[tenant] -= wanted
        steps += 1
    assert steps < 200
    gave = {tenant for tenant in kept if kept[tenant] < before[tenant]}
    for tenant in gave:  # whoever gave took more than those who did not
        assert all(before[other] <= before[tenant] for other in kept.keys() - gave)


def test_of_those_who_have_nothing_to_give_none_is_asked() -> None:
    assert share({"a": 100, "b": 50}, ["b"], 30) == ("b", 30)
    assert share({"a": 100, "b": 50, "c": 40}, ["c", "b"], 30) == ("b", 15)


@dataclass
class Records:
    """What the tenants take; each job is one byte."""

    kept: dict[str, int] = field(default_factory=dict[str, int])
    noted: list[set[str]] = field(default_factory=list[set[str]])
    another_makes_room: bool = False
    away: bool = False

    async def by_tenant(self) -> dict[str, int]:
        return dict(self.kept)

    async def note(self, tenants: Collection[str]) -> int:
        if self.away:
            raise Unavailable("the store is away")
        self.noted.append(set(tenants))
        return sum(self.kept.values())

    async def claim(self) -> bool:
        return not self.another_makes_room

    async def leave(self) -> None:
        return

    async def evict(self, tenant: str, *, wanted: int, recorded: int, after: int) -> Evicted:
        jobs = min(wanted, recorded, self.kept[tenant])
        self.kept[tenant] -= jobs
        return Evicted(bytes_left=self.kept[tenant], jobs=jobs, passed_over=1 if not jobs and not after else 0)


def view(records: Records, *, recorded: int = 100) -> HotView:
    async def asked() -> int:
        return recorded

    return HotView(records, max_bytes=10, recorded=asked, interval=timedelta(milliseconds=1))


async def test_it_looks_when_jobs_have_ended_and_not_without() -> None:
    records = Records()
    watched = view(records)
    running = asyncio.create_task(watched.run())
    watched.ended([])
    await asyncio.sleep(0)
    assert records.noted == []
    watched.ended(["acme"])
    await eventually(lambda: records.noted == [{"acme"}])
    running.cancel()


async def test_what_could_not_be_noted_is_noted_when_the_store_is_back() -> None:
    records = Records(away=True)
    watched = view(records)
    watched.ended(["acme"])
    with pytest.raises(Unavailable):
        await watched.look()
    running = asyncio.create_task(watched.run())
    watched.ended(["globex"])
    await asyncio.sleep(0)
    records.away = False
    await eventually(lambda: any(noted >= {"acme", "globex"} for noted in records.noted))
    running.cancel()


async def test_it_makes_room_and_counts_what_went() -> None:
    before = metrics.EVICTED_JOBS._value.get()
    records = Records(kept={"acme": 15, "globex": 4})
    watched = view(records)
    assert await watched.look()
    assert records.kept == {"acme": 6, "globex": 4}
    assert metrics.EVICTED_JOBS._value.get() == before + 9
    assert metrics.HOT_VIEW_BYTES._value.get() == 10


async def test_while_another_replica_makes_room_this_one_does_not() -> None:
    records = Records(kept={"acme": 15}, another_makes_room=True)
    assert not await view(records).look()
    assert records.kept == {"acme": 15}


async def test_where_history_has_nothing_new_it_is_not_tried_again() -> None:
    records = Records(kept={"acme": 15})
    watched = view(records, recorded=0)
    assert not await watched.look()
    noted = len(records.noted)
    assert not await watched.look()
    assert len(records.noted) == noted + 1
    assert records.kept == {"acme": 15}
