"""What every queue does with a tenant that is suspended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.scheduler.domain import State
from services.scheduler.views import Hold, HoldKind
from tests.fakes.queue_bench import UPSTREAM, Driver

SECOND = timedelta(seconds=1)


async def test_a_suspended_tenant_is_given_no_lease_until_it_is_reinstated_and_others_are(q: Driver) -> None:
    before = [await q.enqueued("acme", lane=lane, method_class="read") for lane in ("a", "b")]
    await q.suspend("acme")
    after = [await q.enqueued("acme", lane="a", method_class=name) for name in ("write", "upload", "read")]
    other = await q.enqueued("bolt", lane="a")
    assert await q.leased_ids() == [other.id]
    assert await q.next_due_s() is None
    await q.reinstate("acme")
    assert set(await q.leased_ids()) == {job.id for job in (*before, *after)}


@pytest.mark.parametrize("pause", [("", ""), ("acme", ""), ("acme", "a")])
async def test_pauses_and_a_suspension_leave_each_other_alone(q: Driver, pause: tuple[str, str]) -> None:
    job = await q.enqueued("acme", lane="a")
    await q.pause(*pause)
    await q.suspend("acme")
    await q.resume(*pause)
    assert await q.lease() == []
    await q.pause(*pause)
    await q.reinstate("acme")
    assert await q.lease() == []
    await q.resume(*pause)
    assert await q.leased_ids() == [job.id]


async def test_resuming_all_that_can_be_paused_lifts_no_suspension(q: Driver) -> None:
    await q.enqueued("acme", lane="a")
    await q.suspend("acme")
    for pause in (("", ""), ("acme", ""), ("acme", "a")):
        await q.resume(*pause)
        assert await q.lease() == []


async def test_reinstating_who_is_not_suspended_changes_nothing(q: Driver) -> None:
    job = await q.enqueued("acme")
    await q.pause("acme")
    await q.reinstate("acme")
    await q.reinstate("nobody")
    assert await q.lease() == []
    await q.resume("acme")
    assert await q.leased_ids() == [job.id]


async def test_a_call_under_way_goes_on_and_one_that_was_leased_may_begin(q: Driver) -> None:
    running = await q.begun()
    await q.enqueued(idempotent=False)
    (leased,) = await q.lease()
    await q.suspend("acme")
    assert await q.queue.extend(UPSTREAM, [running.key]) == []
    assert (await q.finish(running.key, succeeded=True)).state is State.SUCCEEDED
    assert await q.begin(leased.key) is not None


async def test_a_job_that_is_tried_again_waits_for_its_tenant(q: Driver) -> None:
    lease = await q.begun()
    await q.suspend("acme")
    assert (await q.finish(lease.key, retryable=True, jitter=0.0)).state is State.RETRYING
    await q.advance(10 * SECOND)
    assert await q.lease() == []
    await q.reinstate("acme")
    assert await q.leased_ids() == [lease.key.job_id]


async def test_a_delayed_job_comes_due_and_waits(q: Driver) -> None:
    job = await q.enqueued(not_before_ms=q.now_ms + 5000)
    await q.suspend("acme")
    await q.advance(6 * SECOND)
    assert await q.lease() == []
    view = await q.view("acme")
    assert (view.ready, view.delayed) == (1, 0)
    await q.reinstate("acme")
    assert await q.leased_ids() == [job.id]


async def test_a_job_of_a_suspended_tenant_expires_in_its_time(q: Driver) -> None:
    job = await q.enqueued(expires_at_ms=q.now_ms + 60_000)
    await q.suspend("acme")
    await q.advance(61 * SECOND)
    (fact,) = (await q.sweep()).facts
    assert (fact.job_id, fact.state) == (job.id, State.EXPIRED)
    await q.reinstate("acme")
    assert await q.lease() == []


async def test_a_tenant_that_comes_back_has_saved_nothing_up(q: Driver) -> None:
    for _ in range(4):
        await q.enqueued("acme")
    await q.suspend("acme")
    for _ in range(8):
        await q.enqueued("bolt")
    assert {lease.started.tenant for lease in await q.lease(4)} == {"bolt"}
    await q.reinstate("acme")
    tenants = [lease.started.tenant for lease in await q.lease(8)]
    assert tenants == ["acme", "acme", "bolt", "acme", "bolt", "acme", "bolt", "bolt"]  # turn by turn, but for a tie


async def test_a_word_that_comes_after_a_newer_one_changes_nothing(q: Driver) -> None:
    job = await q.enqueued("acme")
    await q.suspend("acme", revision=7)
    await q.reinstate("acme", revision=6)
    assert await q.lease() == []
    await q.suspend("acme", reason="an older reason", revision=5)
    assert [suspension.reason for suspension in (await q.view("acme")).suspensions] == ["unpaid"]
    await q.reinstate("acme", revision=8)
    await q.suspend("acme", revision=7)
    assert await q.leased_ids() == [job.id]


async def test_the_same_word_may_come_again(q: Driver) -> None:
    job = await q.enqueued("acme")
    for _ in range(2):
        await q.suspend("acme", revision=3)
        assert await q.lease() == []
    await q.reinstate("acme", revision=4)
    assert await q.leased_ids() == [job.id]
    await q.reinstate("acme", revision=4)


async def test_explain_tells_a_suspension_from_a_pause_and_says_why(q: Driver) -> None:
    job = await q.enqueued("acme", lane="a")
    other = await q.enqueued("bolt", lane="a")
    await q.pause("acme", reason="maintenance")
    await q.suspend("acme", reason="unpaid")
    assert (await q.explain(job)).holds == (
        Hold(kind=HoldKind.SUSPENDED, scope="tenant", text="unpaid"),
        Hold(kind=HoldKind.PAUSED, scope="tenant", text="maintenance"),
    )
    assert (await q.explain(other)).holds == ()


async def test_a_suspension_is_shown_to_its_tenant_and_to_whoever_sees_all(q: Driver) -> None:
    since_ms = q.now_ms
    acme = await q.suspend("acme", reason="unpaid")
    await q.advance(SECOND)
    bolt = await q.suspend("bolt", reason="")
    assert (acme.suspended_at_ms, bolt.suspended_at_ms) == (since_ms, since_ms + 1000)
    assert (await q.view("acme")).suspensions == (acme,)
    assert (await q.view("cask")).suspensions == ()
    assert (await q.view()).suspensions == (acme, bolt)
    await q.suspend("acme", reason="abuse")
    assert [suspension.reason for suspension in (await q.view("acme")).suspensions] == ["abuse"]
    await q.reinstate("bolt")
    assert [suspension.tenant for suspension in (await q.view()).suspensions] == ["acme"]
