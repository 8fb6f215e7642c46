"""What every queue does with a lane that is held, because its connection needs to be authorized anew."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.scheduler.domain import Priority, State
from services.scheduler.views import Hold, HoldKind
from tests.fakes.queue_bench import UPSTREAM, Driver

SECOND = timedelta(seconds=1)
LANE = "con_1"


async def test_a_held_lane_is_given_no_lease_until_it_flows_and_other_lanes_are(q: Driver) -> None:
    before = [await q.enqueued(lane=LANE, method_class=name) for name in ("read", "write")]
    await q.suspend("acme", LANE)
    after = [await q.enqueued(lane=LANE, priority=Priority.HIGH), await q.enqueued(lane=LANE, method_class="upload")]
    others = [await q.enqueued(lane="con_2"), await q.enqueued("bolt", lane=LANE)]
    assert set(await q.leased_ids()) == {job.id for job in others}
    assert await q.next_due_s() is None
    await q.reinstate("acme", LANE)
    assert set(await q.leased_ids()) == {job.id for job in (*before, *after)}


@pytest.mark.parametrize("pause", [("", ""), ("acme", ""), ("acme", LANE)])
async def test_pauses_and_a_held_lane_leave_each_other_alone(q: Driver, pause: tuple[str, str]) -> None:
    job = await q.enqueued(lane=LANE)
    await q.pause(*pause)
    await q.suspend("acme", LANE)
    await q.resume(*pause)
    assert await q.lease() == []
    await q.pause(*pause)
    await q.reinstate("acme", LANE)
    assert await q.lease() == []
    await q.resume(*pause)
    assert await q.leased_ids() == [job.id]


@pytest.mark.parametrize("order", [("", LANE), (LANE, "")])
async def test_a_tenants_suspension_and_a_held_lane_are_lifted_each_by_its_own_word(
    q: Driver, order: tuple[str, str]
) -> None:
    job = await q.enqueued(lane=LANE)
    first, second = order
    await q.suspend("acme", first)
    await q.suspend("acme", second)
    await q.reinstate("acme", first)
    assert await q.lease() == []
    await q.reinstate("acme", second)
    assert await q.leased_ids() == [job.id]


async def test_a_word_that_comes_after_a_newer_one_changes_nothing(q: Driver) -> None:
    job = await q.enqueued(lane=LANE)
    await q.reinstate("acme", LANE, revision=7)
    await q.suspend("acme", LANE, revision=6)
    assert (await q.explain(job)).holds == ()
    await q.suspend("acme", LANE, reason="revoked", revision=8)
    await q.suspend("acme", LANE, reason="an older reason", revision=7)
    await q.reinstate("acme", LANE, revision=7)
    assert [hold.text for hold in (await q.explain(job)).holds] == ["revoked"]
    await q.reinstate("acme", LANE, revision=9)
    assert await q.leased_ids() == [job.id]


async def test_revisions_of_one_lane_say_nothing_about_another_nor_about_the_tenant(q: Driver) -> None:
    await q.suspend("acme", LANE, revision=50)
    await q.suspend("acme", "con_2", revision=2)
    await q.suspend("acme", revision=1)
    assert [each.revision for each in await q.queue.suspensions(UPSTREAM)] == [1, 50, 2]


async def test_a_call_under_way_goes_on_and_one_that_was_leased_may_begin(q: Driver) -> None:
    running = await q.begun(lane=LANE)
    await q.enqueued(lane=LANE, idempotent=False)
    (leased,) = await q.lease()
    await q.suspend("acme", LANE)
    assert (await q.finish(running.key, succeeded=True)).state is State.SUCCEEDED
    assert await q.begin(leased.key) is not None


async def test_what_waits_in_a_held_lane_expires_and_can_be_canceled(q: Driver) -> None:
    expiring = await q.enqueued(lane=LANE, expires_at_ms=q.now_ms + 60_000)
    canceled = await q.enqueued(lane=LANE)
    await q.suspend("acme", LANE)
    assert await q.lease() == []
    assert (await q.cancel(canceled.id)).state is State.CANCELED
    await q.advance(61 * SECOND)
    (fact,) = (await q.sweep()).facts
    assert (fact.job_id, fact.state) == (expiring.id, State.EXPIRED)
    await q.reinstate("acme", LANE)
    assert await q.lease() == []


async def test_explain_says_that_the_connection_needs_to_be_authorized_anew_and_why(q: Driver) -> None:
    job, other = await q.enqueued(lane=LANE), await q.enqueued(lane="con_2")
    await q.suspend("acme", LANE, reason="the token was revoked")
    await q.suspend("acme", reason="unpaid")
    await q.pause("acme", LANE, reason="maintenance")
    suspended = Hold(kind=HoldKind.SUSPENDED, scope="tenant", text="unpaid")
    assert (await q.explain(job)).holds == (
        suspended,
        Hold(kind=HoldKind.NEEDS_REAUTH, scope="lane", text="the token was revoked"),
        Hold(kind=HoldKind.PAUSED, scope="lane", text="maintenance"),
    )
    assert (await q.explain(other)).holds == (suspended,)


async def test_a_view_shows_the_held_lanes_among_those_that_it_shows(q: Driver) -> None:
    held = await q.suspend("acme", LANE, reason="revoked")
    await q.suspend("acme", "con_without_jobs")
    await q.enqueue(q.job(lane=LANE), q.job(lane="con_2"), q.job(lane="con_2"), q.job("bolt", lane=LANE))
    assert (await q.view()).suspensions == (held,)
    assert (await q.view("acme")).suspensions == (held,)
    assert (await q.view("acme", lanes=1)).suspensions == (), "its deepest lane is another one"
    assert (await q.view("bolt")).suspensions == ()


async def test_all_that_is_in_force_is_told_shown_or_not(q: Driver) -> None:
    assert await q.queue.suspensions(UPSTREAM) == []
    lane = await q.suspend("acme", LANE)
    tenant = await q.suspend("bolt")
    assert await q.queue.suspensions(UPSTREAM) == [lane, tenant]
    await q.reinstate("acme", LANE)
    assert await q.queue.suspensions(UPSTREAM) == [tenant]
