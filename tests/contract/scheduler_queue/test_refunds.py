"""What every queue gives back of its budgets when no call went out: an answer came from the cache, as an example."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.scheduler.domain import Health, Late, Outcome, State
from services.scheduler.limits import BreakerPolicy, Quota, QuotaScope
from tests.fakes.queue_bench import UPSTREAM, Driver, budget

if TYPE_CHECKING:
    from services.scheduler.domain import Finished, Lease

SECOND = timedelta(seconds=1)
#: Where a rate of two calls within a minute may stand.
BUDGETS = [
    {"upstream": budget((2, 60))},
    {"classes": {"read": budget((2, 60))}},
    {"lane": budget((2, 60))},
    {"lane_classes": {"read": budget((2, 60))}},
]


async def cached(q: Driver, lease: Lease, **fields: Any) -> Finished:
    """Answers a call from the cache."""
    return await q.finished(lease.key, succeeded=True, unspent=True, **fields)


async def lined_up(q: Driver, *, leased: int, waiting: int) -> list[Lease]:
    """So many leases are out, and so many jobs wait in the same lane."""
    await q.enqueue(*(q.job() for _ in range(leased)))
    leases = await q.lease()
    assert len(leases) == leased
    await q.enqueue(*(q.job() for _ in range(waiting)))
    return leases


@pytest.mark.parametrize("limits", BUDGETS, ids=lambda limits: next(iter(limits)))
async def test_a_cached_answer_gives_back_what_its_lease_took_of_each_rate(q: Driver, limits: dict[str, Any]) -> None:
    await q.configure(**limits)
    leases = await lined_up(q, leased=2, waiting=5)
    assert await q.lease() == []
    finished = await cached(q, leases[0])
    assert finished.room, "somebody waits for it"
    assert len(await q.lease()) == 1
    await q.finish(leases[1].key, succeeded=True)
    assert await q.lease() == []


async def test_cached_reads_cost_no_quota_however_many_there_are(q: Driver) -> None:
    await q.configure(upstream=budget((3, 3600)), lane=budget((2, 3600)), lane_classes={"read": budget((2, 60))})
    for _ in range(50):
        await cached(q, await q.begun())
        await q.advance(SECOND)
    assert [use.used for use in (await q.view()).budgets] == [(0,)]
    await q.enqueue(*(q.job() for _ in range(5)))
    assert len(await q.lease()) == 2


@pytest.mark.parametrize("after_s", [0.5, 20.0, 59.0])
async def test_it_is_given_back_though_the_sub_window_of_its_lease_is_over(q: Driver, after_s: float) -> None:
    await q.configure(lane=budget((2, 60)))
    first, second = await lined_up(q, leased=2, waiting=5)
    await q.advance(after_s * SECOND)
    await cached(q, first)
    (third,) = await q.lease()
    assert await q.lease() == []
    await cached(q, third)
    await cached(q, second)
    assert len(await q.lease()) == 2


async def test_what_counts_no_more_is_not_given_back_out_of_what_others_took(q: Driver) -> None:
    await q.configure(lane=budget((2, 60)))
    await q.enqueued(timeout_ms=600_000)
    (slow,) = await q.lease()
    await q.begin(slow.key)
    await q.advance(62 * SECOND)
    await lined_up(q, leased=2, waiting=5)
    await cached(q, slow)
    assert await q.lease() == []


async def test_a_redelivered_outcome_gives_nothing_back_again(q: Driver) -> None:
    await q.configure(lane=budget((2, 60)))
    first, _ = await lined_up(q, leased=2, waiting=5)
    for _ in range(3):
        await cached(q, first)
    assert len(await q.lease()) == 1


async def test_one_outcome_twice_in_a_batch_gives_back_once(q: Driver) -> None:
    await q.configure(lane=budget((2, 60)))
    first, _ = await lined_up(q, leased=2, waiting=5)
    await q.queue.finish(UPSTREAM, [Outcome(key=first.key, succeeded=True, unspent=True)] * 2)
    assert len(await q.lease()) == 1


async def test_an_outcome_that_comes_too_late_gives_nothing_back(q: Driver) -> None:
    await q.configure(lane=budget((2, 600)))
    first, _ = await lined_up(q, leased=2, waiting=5)
    await q.begin(first.key)
    await q.advance(50 * SECOND)
    assert (await q.sweep()).lost == 2
    (answer,) = (await cached(q, first)).answers
    assert answer == Late(state=State.RETRYING)
    assert await q.lease() == []


async def test_one_of_a_job_that_was_canceled_meanwhile_does(q: Driver) -> None:
    await q.configure(lane=budget((2, 600)))
    first, _ = await lined_up(q, leased=2, waiting=5)
    await q.begin(first.key)
    await q.cancel(first.key.job_id, force=True)
    await cached(q, first)
    assert len(await q.lease()) == 1


async def test_concurrency_is_given_back_once(q: Driver) -> None:
    await q.configure(lane=budget((100, 60), concurrency=2))
    first, _ = await lined_up(q, leased=2, waiting=5)
    await cached(q, first)
    assert len(await q.lease()) == 1


async def test_under_other_rules_than_those_of_the_lease_it_goes_on_to_count(q: Driver) -> None:
    (early,) = await lined_up(q, leased=1, waiting=0)  # nothing limits it, so it counts nowhere
    await q.configure(lane=budget((2, 60)))
    first, second = await lined_up(q, leased=2, waiting=5)
    await cached(q, early)
    assert await q.lease() == [], "it has taken nothing of these"
    await q.configure(lane=budget((2, 50)))
    await cached(q, first)
    assert await q.lease() == []
    await q.configure(lane=budget((2, 60)))
    await cached(q, second)
    assert await q.lease() == [], "they are the same again, and what was counted meanwhile is not"


async def test_the_same_rules_set_once_more_are_those_of_the_lease(q: Driver) -> None:
    await q.configure(lane=budget((2, 60)), weights={"acme": 2})
    first, _ = await lined_up(q, leased=2, waiting=5)
    await q.configure(lane=budget((2, 60)), weights={"acme": 3})
    await cached(q, first)
    assert len(await q.lease()) == 1


@pytest.mark.parametrize("scope", list(QuotaScope))
async def test_a_quota_that_stood_at_its_lease_is_not_reduced_by_it(q: Driver, scope: QuotaScope) -> None:
    (lease,) = await lined_up(q, leased=1, waiting=9)
    await q.finish(lease.key, succeeded=True, quotas=(Quota(scope=scope, remaining=2, reset_after_ms=600_000),))
    first, _ = await q.lease()
    assert await q.lease() == []
    assert (await cached(q, first)).room
    assert len(await q.lease()) == 1


async def test_a_quota_that_was_told_while_it_was_under_way_is_not_reduced_by_it(q: Driver) -> None:
    leases = await lined_up(q, leased=5, waiting=9)
    word = Quota(scope=QuotaScope.LANE, remaining=2, reset_after_ms=600_000)
    await q.finish(leases[0].key, succeeded=True, quotas=(word,))
    given: list[int] = []
    for lease in leases[1:]:  # four were under way, and the upstream had room for two
        await cached(q, lease)
        given.append(len(await q.lease()))
    assert given == [0, 0, 1, 1]


async def test_a_probe_that_was_answered_from_the_cache_says_nothing_and_the_next_one_goes(q: Driver) -> None:
    await q.configure(breaker=BreakerPolicy(throttles=1, throttle_pause=10 * SECOND))
    leases = await lined_up(q, leased=1, waiting=5)
    await q.finish(leases[0].key, succeeded=True, health=Health.THROTTLED)
    await q.advance(10 * SECOND)
    (probe,) = await q.lease()
    assert (await cached(q, probe)).room
    (probe,) = await q.lease()
    await q.finish(probe.key, succeeded=True, health=Health.HEALTHY)
    assert len(await q.lease()) == 3


async def test_what_comes_back_uncounted_gives_back_too(q: Driver) -> None:
    await q.configure(lane=budget((1, 3600)))
    lease = await q.begun()
    await q.finish(lease.key, retryable=True, uncounted=True, unspent=True, jitter=0.0)
    await q.advance(SECOND)
    assert await q.leased_ids() == [lease.key.job_id]
