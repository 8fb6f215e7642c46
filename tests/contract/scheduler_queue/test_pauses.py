"""What every queue does with what is paused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.scheduler.domain import State
from services.scheduler.limits import Pause
from tests.fakes.queue_bench import UPSTREAM, Driver, budget

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("tenant", "lane"), [("", ""), ("acme", ""), ("acme", "a")])
async def test_what_is_paused_is_given_no_lease_until_it_is_resumed(q: Driver, tenant: str, lane: str) -> None:
    await q.enqueue(*(q.job(lane="a", method_class=name) for name in ("read", "write", "read")))
    await q.pause(tenant, lane)
    assert await q.next_due_s() is None
    await q.enqueue(*(q.job(lane="a", method_class=name) for name in ("upload", "read")))
    assert await q.next_due_s() is None
    await q.resume(tenant, lane)
    assert [lease.started.sequence for lease in await q.lease()] == [1, 2, 3, 4, 5]


async def test_a_pause_holds_nothing_else(q: Driver) -> None:
    await q.pause("acme", "a")
    await q.pause("bolt")
    jobs = [await q.enqueued(tenant, lane=lane) for tenant in ("acme", "bolt", "cask") for lane in ("a", "b")]
    assert set(await q.leased_ids()) == {jobs[1].id, jobs[4].id, jobs[5].id}


async def test_calls_under_way_go_on(q: Driver) -> None:
    lease = await q.begun()
    await q.pause()
    assert await q.queue.extend(UPSTREAM, [lease.key]) == []
    assert (await q.finish(lease.key, succeeded=True)).state is State.SUCCEEDED


async def test_a_lease_that_was_given_before_the_pause_may_begin(q: Driver) -> None:
    await q.enqueued(idempotent=False)
    (lease,) = await q.lease()
    await q.pause("acme")
    assert await q.begin(lease.key) is not None


@pytest.mark.parametrize("wider", [("", ""), ("acme", "")])
async def test_a_wider_pause_stays_when_a_narrower_one_is_taken_back(q: Driver, wider: tuple[str, str]) -> None:
    job = await q.enqueued(lane="a")
    await q.pause("acme", "a")
    await q.pause(*wider)
    await q.resume("acme", "a")
    assert await q.lease() == []
    await q.resume(*wider)
    assert await q.leased_ids() == [job.id]


async def test_a_narrower_pause_stays_when_a_wider_one_is_taken_back(q: Driver) -> None:
    await q.enqueued(lane="a")
    other = await q.enqueued(lane="b")
    for pause in (("acme", "a"), ("acme", ""), ("", "")):
        await q.pause(*pause)
    assert await q.lease() == []
    await q.resume()
    assert await q.lease() == []
    await q.resume("acme")
    assert await q.leased_ids() == [other.id]


async def test_resuming_what_is_not_paused_changes_nothing(q: Driver) -> None:
    await q.configure(lane=budget((1, 64)))
    await q.enqueue(*(q.job(lane="a") for _ in range(3)))
    assert len(await q.lease()) == 1
    for pause in (("acme", "a"), ("acme", ""), ("", ""), ("nobody", "nothing")):
        await q.resume(*pause)
    assert await q.lease() == []


@pytest.mark.parametrize(("tenant", "lane"), [("", ""), ("acme", ""), ("acme", "a")])
async def test_delayed_jobs_that_come_due_while_it_is_paused_go_when_it_is_resumed(
    q: Driver, tenant: str, lane: str
) -> None:
    await q.pause(tenant, lane)
    delayed = [await q.enqueued(lane="a", not_before_ms=q.now_ms + 5000) for _ in range(3)]
    await q.advance(5 * SECOND)
    assert await q.lease() == []
    late = await q.enqueued(lane="a")
    await q.advance(5 * SECOND)
    await q.resume(tenant, lane)
    assert await q.leased_ids() == [*(job.id for job in delayed), late.id]


@pytest.mark.parametrize(("tenant", "lane"), [("", ""), ("acme", ""), ("acme", "a")])
async def test_what_is_paused_expires_and_is_canceled_as_ever(q: Driver, tenant: str, lane: str) -> None:
    await q.enqueued(lane="a", expires_at_ms=q.now_ms + 5000)
    canceled, kept = await q.enqueued(lane="a"), await q.enqueued(lane="a")
    await q.pause(tenant, lane)
    assert await q.lease() == []
    assert (await q.cancel(canceled.id)).state is State.CANCELED
    await q.advance(5 * SECOND)
    (fact,) = (await q.sweep()).facts
    assert fact.state is State.EXPIRED
    await q.resume(tenant, lane)
    assert await q.leased_ids() == [kept.id]


async def test_a_retry_into_a_paused_lane_waits(q: Driver) -> None:
    lease = await q.begun(lane="a")
    await q.enqueued(lane="a")
    await q.pause("acme", "a")
    await q.finish(lease.key, retryable=True, jitter=0.0)
    assert await q.lease() == []
    await q.resume("acme", "a")
    assert [each.started.sequence for each in await q.lease()] == [1, 2]


async def test_a_paused_lane_that_has_run_empty_is_paused_still(q: Driver) -> None:
    job = await q.enqueued(lane="a")
    await q.pause("acme", "a")
    assert await q.lease() == []
    await q.cancel(job.id)
    await q.enqueued(lane="a")
    assert await q.lease() == []


async def test_a_tenant_that_was_paused_has_saved_no_credit(q: Driver) -> None:
    await q.enqueue(*(q.job(tenant) for tenant in ("acme", "bolt") for _ in range(60)))
    await q.pause("acme")
    assert len(await q.lease(40)) == 40
    await q.resume("acme")
    tenants = [lease.started.tenant for lease in await q.lease(20)]
    assert tenants.count("acme") in {10, 11}


async def test_pauses_are_shown_with_why_and_since_when(q: Driver) -> None:
    await q.pause(reason="maintenance")
    await q.advance(SECOND)
    await q.pause("acme", "a:8443", reason="their wish")
    await q.pause("bolt")
    everything = (await q.view()).pauses
    upstream = Pause(reason="maintenance", paused_at_ms=q.now_ms - 1000)
    lane = Pause(tenant="acme", lane="a:8443", reason="their wish", paused_at_ms=q.now_ms)
    assert sorted(everything, key=str) == sorted([upstream, lane, Pause(tenant="bolt", paused_at_ms=q.now_ms)], key=str)
    assert set((await q.view("acme")).pauses) == {upstream, lane}
    await q.resume("acme", "a:8443")
    await q.queue.pause(UPSTREAM, Pause(reason="longer than thought", paused_at_ms=upstream.paused_at_ms))
    assert (await q.view("acme")).pauses == (replace(upstream, reason="longer than thought"),), "since when it was set"
    await q.pause(reason="longer than thought")
    assert [pause.reason for pause in (await q.view("acme")).pauses] == ["longer than thought"]


async def test_many_paused_tenants_do_not_hide_the_others(q: Driver) -> None:
    for number in range(100):
        await q.pause(f"paused-{number:03}")
    await q.enqueue(*(q.job(f"paused-{number:03}") for number in range(100)), *(q.job("zest") for _ in range(3)))
    leased: list[str] = []
    for _ in range(3):
        answer = await q.queue.lease(UPSTREAM, 64, worker="w")
        leased += [lease.started.tenant for lease in answer.leases]
        if not answer.again:
            break
    assert leased == ["zest"] * 3
