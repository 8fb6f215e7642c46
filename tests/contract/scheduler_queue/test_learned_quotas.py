"""What every queue does by what the upstream itself says of its quotas."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.scheduler.limits import Quota, QuotaScope
from tests.fakes.queue_bench import UPSTREAM, Driver

if TYPE_CHECKING:
    from services.scheduler.domain import Lease

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def quota(remaining: int, reset_s: float, scope: QuotaScope = QuotaScope.LANE) -> Quota:
    return Quota(scope=scope, remaining=remaining, reset_after_ms=int(reset_s * 1000))


async def lined_up(q: Driver, *, running: int = 1, waiting: int = 10) -> list[Lease]:
    """So many leases are out, and so many jobs wait in the same lane."""
    await q.enqueue(*(q.job() for _ in range(running)))
    leases = await q.lease()
    await q.enqueue(*(q.job() for _ in range(waiting)))
    return leases


async def report(q: Driver, lease: Lease, *quotas: Quota) -> None:
    await q.finish(lease.key, succeeded=True, quotas=quotas)


async def test_an_empty_quota_holds_its_lane_until_it_is_reset(q: Driver) -> None:
    (lease,) = await lined_up(q)
    other = await q.enqueued(lane="other")
    await report(q, lease, quota(0, 30))
    assert await q.leased_ids() == [other.id]
    assert await q.next_due_s() == 30
    await q.advance(29.999 * SECOND)
    assert await q.lease() == []
    await q.advance(0.001 * SECOND)
    assert len(await q.lease()) == 10


async def test_no_more_calls_go_than_are_left(q: Driver) -> None:
    (lease,) = await lined_up(q)
    await report(q, lease, quota(3, 30))
    assert len(await q.lease()) == 3
    assert await q.next_due_s() == 30


async def test_calls_under_way_are_taken_off_what_is_left(q: Driver) -> None:
    leases = await lined_up(q, running=4)
    await report(q, leases[0], quota(5, 30))
    assert len(await q.lease()) == 2, "three run, and may not be in what the upstream counted"


async def test_a_quota_smaller_than_what_runs_is_empty(q: Driver) -> None:
    leases = await lined_up(q, running=4)
    await report(q, leases[0], quota(2, 30))
    assert await q.lease() == []


async def test_of_two_words_about_the_same_window_the_smaller_counts(q: Driver) -> None:
    leases = await lined_up(q, running=3)
    await report(q, leases[0], quota(3, 30))  # two run: one is left
    await q.advance(10 * SECOND)
    await report(q, leases[1], quota(9, 21))  # it resets 1,000 ms later: the same window, by an older answer
    assert len(await q.lease()) == 1
    await report(q, leases[2], quota(9, 20))
    assert await q.lease() == []


@pytest.mark.parametrize("reset_s", [21.001, 18.999])
async def test_a_word_about_another_window_replaces_what_stood(q: Driver, reset_s: float) -> None:
    leases = await lined_up(q, running=2)
    await report(q, leases[0], quota(1, 30))
    assert await q.lease() == []
    await q.advance(10 * SECOND)
    await report(q, leases[1], quota(4, reset_s))
    assert len(await q.lease()) == 4


async def test_a_quota_that_goes_up_lets_what_waits_go_at_once(q: Driver) -> None:
    leases = await lined_up(q, running=2)
    await report(q, leases[0], quota(0, 3600))
    assert await q.next_due_s() == 3600
    finished = await q.queue.finish(UPSTREAM, [])
    assert not finished.room
    finished = await q.finished(leases[1].key, succeeded=True, quotas=(quota(2, 10),))
    assert finished.room, "somebody has to ask"
    assert len(await q.lease()) == 2
    assert await q.next_due_s() == 10


async def test_a_quota_that_is_over_says_nothing(q: Driver) -> None:
    leases = await lined_up(q, running=2)
    await report(q, leases[0], quota(0, 30))
    await q.advance(30 * SECOND)
    await report(q, leases[1], quota(7, 0.5))
    assert len(await q.lease()) == 7, "what stood is over, however near its end was"


async def test_a_quota_that_is_reset_at_once_takes_one_away(q: Driver) -> None:
    leases = await lined_up(q, running=2)
    await report(q, leases[0], quota(0, 30))
    await report(q, leases[1], quota(0, 0))
    assert len(await q.lease()) == 10


async def test_no_quota_holds_for_longer_than_a_day(q: Driver) -> None:
    lease = await q.begun()
    await q.enqueue(q.job(expires_at_ms=q.now_ms + 10**9))
    await report(q, lease, quota(0, 40 * 24 * 3600))
    assert await q.next_due_s() == DAY.total_seconds()
    await q.advance(DAY)
    assert len(await q.lease()) == 1


async def test_the_upstreams_quota_holds_every_lane(q: Driver) -> None:
    (lease,) = await lined_up(q, waiting=3)
    await q.enqueue(*(q.job("bolt", method_class="write") for _ in range(3)))
    await report(q, lease, quota(2, 30, QuotaScope.UPSTREAM))
    assert len(await q.lease()) == 2
    assert await q.next_due_s() == 30
    await q.advance(30 * SECOND)
    assert len(await q.lease()) == 4


async def test_the_quota_of_a_lanes_class_holds_that_class_alone(q: Driver) -> None:
    (lease,) = await lined_up(q, waiting=3)
    write = await q.enqueued(method_class="write")
    await report(q, lease, quota(0, 30, QuotaScope.LANE_CLASS))
    assert await q.leased_ids() == [write.id]


async def test_several_quotas_of_one_answer_all_hold(q: Driver) -> None:
    (lease,) = await lined_up(q)
    await report(q, lease, quota(5, 30), quota(3, 10, QuotaScope.UPSTREAM), quota(4, 20, QuotaScope.LANE_CLASS))
    assert len(await q.lease()) == 3
    await q.advance(10 * SECOND)
    assert len(await q.lease()) == 1
    await q.advance(10 * SECOND)
    assert len(await q.lease()) == 1
    await q.advance(10 * SECOND)
    assert len(await q.lease()) == 5


async def test_what_a_late_outcome_says_of_quotas_is_not_heeded(q: Driver) -> None:
    (lease,) = await lined_up(q)
    await q.advance(60 * SECOND)
    await q.sweep()
    await report(q, lease, quota(0, 30))
    assert len(await q.lease()) == 11


async def test_a_lost_lease_gives_nothing_back_to_a_quota(q: Driver) -> None:
    (lease,) = await lined_up(q)
    await report(q, lease, quota(1, 300))
    assert len(await q.lease()) == 1
    await q.advance(60 * SECOND)
    assert (await q.sweep()).lost == 1
    assert await q.lease() == []


@pytest.mark.parametrize("word", [quota(5, 10, QuotaScope.UPSTREAM), quota(0, 0, QuotaScope.UPSTREAM)])
async def test_an_upstreams_quota_that_goes_up_has_whoever_waits_ask_again(q: Driver, word: Quota) -> None:
    leases = await lined_up(q, running=2, waiting=0)
    await q.enqueue(*(q.job("bolt", lane="other") for _ in range(3)))
    await report(q, leases[0], quota(0, 3600, QuotaScope.UPSTREAM))
    assert await q.next_due_s() == 3600
    finished = await q.finished(leases[1].key, succeeded=True, quotas=(word,))
    assert len(await q.lease()) == 3
    assert finished.room, "somebody has to ask, or they wait for an hour"


async def test_an_upstreams_empty_quota_that_is_reset_sooner_has_whoever_waits_ask_again(q: Driver) -> None:
    leases = await lined_up(q, running=2, waiting=0)
    await q.enqueue(*(q.job("bolt", lane="other") for _ in range(3)))
    await report(q, leases[0], quota(0, 3600, QuotaScope.UPSTREAM))
    assert await q.next_due_s() == 3600
    finished = await q.finished(leases[1].key, succeeded=True, quotas=(quota(0, 10, QuotaScope.UPSTREAM),))
    assert finished.room, "somebody has to ask, or they wait for an hour"
    assert await q.next_due_s() == 10
    await q.advance(10 * SECOND)
    assert len(await q.lease()) == 3
