"""What every queue shows: why a job waits, and how the queue stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.domain import Health, Priority, State
from services.scheduler.limits import BreakerPolicy, Pause, Quota, QuotaScope
from services.scheduler.views import BreakerView, Hold, HoldKind
from shared.errors import JobNotFound
from tests.fakes.queue_bench import Driver, budget

SECOND = timedelta(seconds=1)


async def test_a_job_that_only_waits_for_its_turn_has_no_holds(q: Driver) -> None:
    await q.enqueue(*(q.job() for _ in range(3)))
    job = await q.enqueued(lane="-")
    explanation = await q.explain(job)
    assert (explanation.state, explanation.leased, explanation.worker, explanation.holds) == (
        State.QUEUED,
        False,
        "",
        (),
    )
    assert (explanation.lane, explanation.ahead_in_lane, explanation.waiting_of_tenant) == ("-", 3, 4)
    assert explanation.now_ms == q.now_ms


async def test_only_those_before_it_in_its_own_line_stand_ahead(q: Driver) -> None:
    await q.enqueue(q.job(lane="b"), q.job(priority=Priority.HIGH), q.job(method_class="write"), q.job("bolt"), q.job())
    job = await q.enqueued()
    await q.enqueued()
    explanation = await q.explain(job)
    assert (explanation.ahead_in_lane, explanation.waiting_of_tenant) == (1, 6)


async def test_shares_are_told_by_weight_of_those_with_work(q: Driver) -> None:
    await q.configure(weights={"gold": 3, "absent": 50})
    gold = await q.enqueued("gold")
    plain = await q.enqueued("plain")
    await q.enqueue(q.job("third", lane="a"), q.job("third", lane="b"))
    assert (await q.explain(gold)).share == pytest.approx(0.6)
    assert (await q.explain(plain)).share == pytest.approx(0.2)
    assert (await q.explain(plain)).tenants == 3


async def test_a_job_is_explained_to_its_tenant_alone(q: Driver) -> None:
    job = await q.enqueued("acme")
    for job_id, tenant in ((job.id, "bolt"), (q.job().id, "acme")):
        with pytest.raises(JobNotFound):
            await q.queue.explain("http", job_id, tenant=tenant)


async def test_a_job_that_is_leased_tells_by_whom_and_has_no_holds(q: Driver) -> None:
    await q.configure(lane=budget(concurrency=1))
    job = await q.enqueued()
    await q.lease()
    leased = await q.explain(job)
    assert (leased.state, leased.leased, leased.worker, leased.holds) == (State.QUEUED, True, "w", ())


async def test_a_job_that_has_ended_has_no_holds(q: Driver) -> None:
    job = await q.enqueued(not_before_ms=q.now_ms + 5000)
    await q.pause()
    await q.cancel(job.id)
    ended = await q.explain(job)
    assert (ended.state, ended.holds, ended.ahead_in_lane, ended.waiting_of_tenant) == (State.CANCELED, (), 0, 0)


async def test_a_delayed_job_tells_its_time(q: Driver) -> None:
    job = await q.enqueued(not_before_ms=q.now_ms + 5000)
    assert (await q.explain(job)).holds == (Hold(kind=HoldKind.NOT_BEFORE, scope="job", until_ms=q.now_ms + 5000),)
    await q.advance(5 * SECOND)
    assert (await q.explain(job)).holds == ()


async def test_all_pauses_that_hold_a_job_are_told(q: Driver) -> None:
    job = await q.enqueued(lane="a:8443")
    await q.pause(reason="one")
    await q.pause("acme", reason="two")
    await q.pause("acme", "a:8443", reason="three")
    await q.pause("acme", "b", reason="not this")
    assert set((await q.explain(job)).holds) == {
        Hold(kind=HoldKind.PAUSED, scope="upstream", text="one"),
        Hold(kind=HoldKind.PAUSED, scope="tenant", text="two"),
        Hold(kind=HoldKind.PAUSED, scope="lane", text="three"),
    }


@pytest.mark.parametrize(
    ("scope", "limits"),
    [
        ("upstream", {"upstream": budget((1, 64), concurrency=1)}),
        ("upstream:read", {"classes": {"read": budget((1, 64), concurrency=1)}}),
        ("lane", {"lane": budget((1, 64), concurrency=1)}),
        ("lane:read", {"lane_classes": {"read": budget((1, 64), concurrency=1)}}),
    ],
)
async def test_budgets_without_room_are_told_by_their_scope(q: Driver, scope: str, limits: dict[str, Any]) -> None:
    await q.configure(**limits)
    await q.enqueued()
    job, write = await q.enqueued(), await q.enqueued(lane="b", method_class="write")
    (lease, *_) = await q.lease()
    rate = Hold(kind=HoldKind.RATE, scope=scope, until_ms=q.now_ms + 65_000, limit=1, window_ms=64_000)
    assert set((await q.explain(job)).holds) == {rate, Hold(kind=HoldKind.CONCURRENCY, scope=scope, limit=1)}
    await q.finish(lease.key, succeeded=True)
    assert (await q.explain(job)).holds == (rate,)
    assert bool((await q.explain(write)).holds) == (scope == "upstream")
    await q.advance(65 * SECOND)
    assert (await q.explain(job)).holds == ()


async def test_each_rate_without_room_is_told(q: Driver) -> None:
    await q.configure(lane=budget((1, 64), (9, 6.4), (1, 640)))
    await q.enqueued()
    job = await q.enqueued()
    await q.lease()
    assert [(hold.window_ms, hold.until_ms - q.now_ms) for hold in (await q.explain(job)).holds] == [
        (64_000, 65_000),
        (640_000, 650_000),
    ]


async def test_quotas_are_told_by_their_scope(q: Driver) -> None:
    lease = await q.begun()
    job = await q.enqueued()
    quotas = tuple(Quota(scope=scope, remaining=0, reset_after_ms=9000) for scope in QuotaScope)
    await q.finish(lease.key, succeeded=True, quotas=quotas)
    assert set((await q.explain(job)).holds) == {
        Hold(kind=HoldKind.QUOTA, scope=scope, until_ms=q.now_ms + 9000) for scope in ("upstream", "lane", "lane:read")
    }


async def test_breakers_are_told_with_why_and_until_when(q: Driver) -> None:
    await q.configure(breaker=BreakerPolicy(throttles=1, throttle_pause=30 * SECOND, upstream=True))
    lease = await q.begun()
    job, other = await q.enqueued(), await q.enqueued()
    await q.finish(lease.key, health=Health.THROTTLED)
    places = ("upstream", "lane")
    until_ms = q.now_ms + 30_000
    assert set((await q.explain(job)).holds) == {
        Hold(kind=HoldKind.BREAKER, scope=place, until_ms=until_ms, text="throttled") for place in places
    }
    view = await q.view()
    opened = BreakerView(half_open=False, until_ms=until_ms, opened=1, cause="throttled")
    assert (view.breaker, view.lanes[0].breaker) == (opened, opened)
    await q.advance(30 * SECOND)
    assert (await q.explain(job)).holds == ()
    (probe,) = await q.lease()
    assert set((await q.explain(other)).holds) == {
        Hold(kind=HoldKind.BREAKER, scope=place, text="throttled") for place in places
    }
    view = await q.view()
    assert view.breaker is not None
    assert view.breaker.half_open
    await q.finish(probe.key, health=Health.HEALTHY)
    view = await q.view()
    assert (view.breaker, view.lanes[0].breaker) == (None, None)


async def test_an_empty_queue_shows_nothing(q: Driver) -> None:
    view = await q.view()
    assert (view.ready, view.delayed, view.leased, view.by_priority) == (0, 0, 0, (0, 0, 0))
    assert (view.oldest_ready_ms, view.drain_rate, view.tenants, view.lanes) == (0, 0, 0, ())
    assert (view.budgets, view.breaker, view.pauses) == ((), None, ())


async def test_jobs_are_counted_by_tenant_and_priority(q: Driver) -> None:
    await q.enqueue(*(q.job("acme", priority=Priority.HIGH) for _ in range(3)))
    await q.enqueue(q.job("acme", priority=Priority.LOW, not_before_ms=q.now_ms + 5000))
    await q.enqueue(*(q.job("bolt") for _ in range(5)))
    assert len(await q.lease(3)) == 3
    view, acme, nobody = await q.view(), await q.view("acme"), await q.view("nobody")
    assert (view.ready, view.delayed, view.leased, view.by_priority) == (5, 1, 3, (1, 4, 1))
    assert (acme.ready, acme.delayed, acme.leased, acme.by_priority) == (1, 1, 2, (1, 0, 1))
    assert (nobody.ready, nobody.leased, nobody.lanes) == (0, 0, ())
    assert view.tenants == acme.tenants == 2


async def test_the_oldest_job_is_told_to_the_second(q: Driver) -> None:
    await q.enqueued("acme", not_before_ms=q.now_ms + 60_000)
    assert (await q.view()).oldest_ready_ms == 0, "it cannot be called yet"
    await q.advance(2.7 * SECOND)
    first = await q.enqueued("bolt")
    second_ms = q.now_ms // 1000 * 1000
    await q.advance(10 * SECOND)
    await q.enqueued("acme", lane="b")
    assert (await q.view()).oldest_ready_ms == second_ms
    assert (await q.view("acme")).oldest_ready_ms == second_ms + 10_000
    await q.cancel(first.id, "bolt")
    assert (await q.view()).oldest_ready_ms == second_ms + 10_000


async def test_jobs_that_ended_within_the_last_minute_make_the_drain_rate(q: Driver) -> None:
    await q.enqueue(*(q.job() for _ in range(30)))
    for lease in await q.lease():
        await q.finish(lease.key, succeeded=True)
    await q.enqueue(*(q.job(expires_at_ms=q.now_ms + 1) for _ in range(6)))
    await q.advance(SECOND)
    await q.sweep()
    assert (await q.view()).drain_rate == pytest.approx(0.6)
    assert (await q.view("nobody")).drain_rate == pytest.approx(0.6)
    await q.advance(75 * SECOND)
    assert (await q.view()).drain_rate == 0


async def test_the_deepest_lanes_are_shown_first_and_no_more_than_asked_for(q: Driver) -> None:
    depths = {("acme", "a"): 3, ("acme", "b"): 5, ("bolt", "a"): 4, ("cask", "-"): 1}
    for (tenant, lane), depth in depths.items():
        await q.enqueue(*(q.job(tenant, lane=lane) for _ in range(depth)))
    await q.enqueue(*(q.job("cask", not_before_ms=q.now_ms + 9000) for _ in range(5)))
    lanes = (await q.view(lanes=3)).lanes
    assert [(lane.tenant, lane.lane, lane.waiting) for lane in lanes] == [
        ("cask", "-", 6),
        ("acme", "b", 5),
        ("bolt", "a", 4),
    ]
    assert [lane.waiting for lane in (await q.view("acme")).lanes] == [5, 3]
    assert (await q.view(lanes=0)).lanes == ()


async def test_budgets_are_shown_with_what_is_used_of_them(q: Driver) -> None:
    limits: dict[str, Any] = {
        "upstream": budget((10, 64), (99, 640)),
        "classes": {"write": budget(concurrency=7)},
        "lane": budget((5, 64)),
        "lane_classes": {"read": budget((3, 64))},
    }
    await q.configure(**limits)
    await q.enqueue(*(q.job(method_class=name) for name in ("read", "read", "write", "upload", "read")))
    leases = await q.lease(4)
    quota = Quota(scope=QuotaScope.LANE_CLASS, remaining=11, reset_after_ms=9000)
    await q.finish(leases[3].key, succeeded=True, quotas=(quota,))
    view = await q.view()
    upstream = [(use.scope, use.used, use.running, use.remaining) for use in view.budgets]
    assert upstream == [("upstream", (4, 4), 3, None), ("upstream:write", (), 1, None)]
    assert view.budgets[0].budget == limits["upstream"]
    lane = [(use.scope, use.used, use.running, use.remaining, use.resets_at_ms) for use in view.lanes[0].budgets]
    assert lane == [
        ("lane", (4,), 3, None, 0),
        ("lane:read", (2,), 2, None, 0),
        ("lane:upload", (), 0, 11, q.now_ms + 9000),
    ]
    await q.advance(65 * SECOND)
    assert [use.used for use in (await q.view()).budgets] == [(0, 4), ()]


async def test_pauses_change_no_count(q: Driver) -> None:
    await q.enqueue(*(q.job() for _ in range(3)))
    await q.pause("acme", reason="why")
    assert await q.lease() == []
    view = await q.view("acme")
    assert (view.ready, view.by_priority, view.tenants) == (3, (0, 3, 0), 1)
    assert view.pauses == (Pause(tenant="acme", reason="why", paused_at_ms=q.now_ms),)
