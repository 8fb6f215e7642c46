"""What every queue does by concurrency: how many leases are out at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.scheduler.domain import Lease, State
from tests.fakes.queue_bench import UPSTREAM, Driver, budget

SECOND = timedelta(seconds=1)
ONE = budget(concurrency=1)
SCOPES = [{"upstream": ONE}, {"classes": {"read": ONE}}, {"lane": ONE}, {"lane_classes": {"read": ONE}}]


async def one_leased(q: Driver, *, idempotent: bool = True) -> Lease:
    """The first of two jobs is leased, for the other there is no room."""
    await q.enqueue(q.job(idempotent=idempotent), q.job(idempotent=idempotent))
    (lease,) = await q.lease()
    assert await q.next_due_s() is None, "no time is known"
    return lease


@pytest.mark.parametrize("limits", SCOPES)
@pytest.mark.parametrize("outcome", [{"succeeded": True}, {"retryable": False}, {"retryable": True}])
async def test_an_outcome_makes_room(q: Driver, limits: dict[str, object], outcome: dict[str, bool]) -> None:
    await q.configure(**limits)
    lease = await one_leased(q)
    assert (await q.finished(lease.key, **outcome)).room
    (second,) = await q.lease()
    assert second.started.sequence == 2


@pytest.mark.parametrize("limits", SCOPES)
async def test_a_lost_lease_makes_room(q: Driver, limits: dict[str, object]) -> None:
    await q.configure(**limits)
    lease = await one_leased(q)
    await q.advance(15 * SECOND)
    assert (await q.sweep()).room
    assert await q.leased_ids() == [lease.key.job_id], "at its old place"


@pytest.mark.parametrize("limits", SCOPES)
async def test_a_cancel_before_the_call_makes_room(q: Driver, limits: dict[str, object]) -> None:
    await q.configure(**limits)
    lease = await one_leased(q, idempotent=False)
    await q.cancel(lease.key.job_id)
    (second,) = await q.lease()
    assert second.started.sequence == 2


@pytest.mark.parametrize("limits", SCOPES)
async def test_a_late_outcome_and_one_that_comes_again_make_no_room(q: Driver, limits: dict[str, object]) -> None:
    await q.configure(**limits)
    lost = await one_leased(q, idempotent=False)
    await q.advance(45 * SECOND)
    await q.sweep()
    (second,) = await q.lease()
    await q.finish(lost.key, succeeded=True)
    assert await q.lease() == []
    await q.finish(second.key, succeeded=True)
    (third,) = await q.lease()
    await q.finish(second.key, succeeded=True)
    await q.enqueued()
    assert await q.lease() == []
    assert (await q.finish(third.key, succeeded=True)).state is State.SUCCEEDED


async def test_a_limit_that_is_set_while_calls_run_counts_them(q: Driver) -> None:
    await q.enqueue(*(q.job() for _ in range(10)))
    running = await q.lease(3)
    await q.configure(lane=budget(concurrency=2), upstream=budget(concurrency=4))
    assert await q.lease() == []
    await q.finish(running[0].key, succeeded=True)
    assert await q.lease() == [], "two still run"
    await q.finish(running[1].key, succeeded=True)
    assert len(await q.lease()) == 1


async def test_a_limit_that_is_raised_or_dropped_while_calls_run_lets_others_go_at_once(q: Driver) -> None:
    await q.configure(lane=budget(concurrency=1))
    await q.enqueue(*(q.job() for _ in range(10)))
    assert len(await q.lease()) == 1
    assert await q.lease() == []
    await q.configure(lane=budget(concurrency=3))
    assert len(await q.lease()) == 2
    assert await q.lease() == []
    await q.configure()
    assert len(await q.lease()) == 7


async def test_the_calls_of_all_classes_count_in_the_lanes_limit(q: Driver) -> None:
    await q.configure(lane=budget(concurrency=2), lane_classes={"write": ONE})
    await q.enqueue(*(q.job(method_class=name) for name in ("write", "write", "read", "read")))
    leases = await q.lease()
    assert [lease.started.sequence for lease in leases] == [1, 3]
    await q.finish(leases[1].key, succeeded=True)
    assert [lease.started.sequence for lease in await q.lease()] == [4]
    await q.finish(leases[0].key, succeeded=True)
    assert [lease.started.sequence for lease in await q.lease()] == [2]


async def test_rate_and_concurrency_hold_together(q: Driver) -> None:
    await q.configure(lane=budget((2, 64), concurrency=1))
    await q.enqueue(*(q.job() for _ in range(5)))
    for _ in range(2):
        (lease,) = await q.lease()
        await q.finish(lease.key, succeeded=True)
    assert await q.next_due_s() == 65
    await q.advance(65 * SECOND)
    assert len(await q.lease()) == 1


async def test_a_waiting_job_holds_nothing(q: Driver) -> None:
    """Hatchet's deadlock: a job that waits for one budget takes nothing of the others."""
    await q.configure(lane=budget((1, 64)), upstream=budget(concurrency=2), classes={"read": budget((50, 64))})
    await q.enqueue(*(q.job(lane="full") for _ in range(10)))
    (lease,) = await q.lease()
    for _ in range(5):
        assert await q.lease() == []
    await q.finish(lease.key, succeeded=True)
    assert await q.lease() == []
    view = await q.view()
    assert [(use.scope, use.running) for use in view.budgets] == [("upstream", 0), ("upstream:read", 0)]
    assert view.budgets[1].used == (1,)
    await q.enqueue(*(q.job(lane=f"con_{n}") for n in range(4)))
    assert len(await q.lease()) == 2


async def test_what_comes_back_is_bounded_a_call_and_all_comes(q: Driver) -> None:
    await q.configure(lane=budget((1, 64)))
    await q.enqueue(*(q.job(lane=f"con_{n}") for n in range(100) for _ in range(2)))
    assert [len(await q.lease()) for _ in range(3)] == [64, 36, 0]
    await q.advance(65 * SECOND)
    leased = [await q.queue.lease(UPSTREAM, 64, worker="w") for _ in range(3)]
    assert sum(len(each.leases) for each in leased) == 100
    assert all(each.leases for each in leased[:2])
