"""What every queue does by breakers: when they open, for how long, and how they close."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.scheduler.domain import Health, Opened
from services.scheduler.limits import BreakerPolicy

if TYPE_CHECKING:
    from services.scheduler.domain import Finished
    from tests.fakes.queue_bench import Driver

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
THROTTLED, FAILING, HEALTHY, NOTHING = Health.THROTTLED, Health.FAILING, Health.HEALTHY, Health.NOTHING
POLICY: dict[str, Any] = {
    "throttles": 3,
    "throttle_pause": 5 * MINUTE,
    "failure_ratio": 0.5,
    "min_calls": 4,
    "window": MINUTE,
    "failure_pause": 30 * SECOND,
    "max_pause": 60 * MINUTE,
}


async def rules(q: Driver, **changes: Any) -> None:
    await q.configure(breaker=BreakerPolicy(**POLICY | changes))


async def called(q: Driver, health: Health, *, jitter: float = 0.0, lane: str = "-", tenant: str = "acme") -> Finished:
    """How the next call of a lane comes out."""
    await q.enqueued(tenant, lane=lane)
    (lease,) = await q.lease(1)
    assert lease.started.tenant == tenant
    return await q.finished(lease.key, health=health, jitter=jitter)


async def opened(q: Driver, *, jitter: float = 0.0) -> Opened:
    """Opens the breaker of the lane "-" by throttling."""
    for _ in range(2):
        assert (await called(q, THROTTLED)).opened == ()
    (opening,) = (await called(q, THROTTLED, jitter=jitter)).opened
    return opening


async def test_three_throttled_answers_in_a_row_open_a_lane_and_no_other(q: Driver) -> None:
    await rules(q)
    opening = await opened(q)
    assert opening == Opened(tenant="acme", lane="-", cause="throttled", until_ms=q.now_ms + 300_000)
    held, other, foreign = await q.enqueued(), await q.enqueued(lane="b"), await q.enqueued("bolt")
    assert set(await q.leased_ids()) == {other.id, foreign.id}
    assert await q.next_due_s() == 300
    await q.advance(300 * SECOND)
    assert await q.leased_ids() == [held.id]


@pytest.mark.parametrize("between", [HEALTHY, FAILING])
async def test_throttled_answers_that_are_not_in_a_row_open_nothing(q: Driver, between: Health) -> None:
    await rules(q, min_calls=100)
    for _ in range(4):
        for health in (THROTTLED, THROTTLED, between):
            assert (await called(q, health)).opened == ()


async def test_an_answer_that_says_nothing_breaks_no_row(q: Driver) -> None:
    await rules(q)
    healths = [THROTTLED, NOTHING, THROTTLED, NOTHING, THROTTLED]
    assert [len((await called(q, health)).opened) for health in healths] == [0, 0, 0, 0, 1]


async def test_half_of_the_calls_failing_opens_a_lane(q: Driver) -> None:
    await rules(q)
    for health in (FAILING, HEALTHY, HEALTHY):
        assert (await called(q, health)).opened == ()
    (opening,) = (await called(q, FAILING)).opened
    assert opening == Opened(tenant="acme", lane="-", cause="failing", until_ms=q.now_ms + 30_000)


async def test_fewer_calls_than_are_wanted_open_nothing(q: Driver) -> None:
    await rules(q)
    assert [len((await called(q, FAILING)).opened) for _ in range(4)] == [0, 0, 0, 1]


async def test_only_a_failure_opens_by_the_ratio(q: Driver) -> None:
    await rules(q, failure_ratio=0.25)
    healths = [FAILING, FAILING, FAILING, HEALTHY, FAILING]
    assert [len((await called(q, health)).opened) for health in healths] == [0, 0, 0, 0, 1]


async def test_throttled_answers_are_calls_that_did_not_fail(q: Driver) -> None:
    await rules(q, throttles=100)
    healths = [FAILING, THROTTLED, THROTTLED, THROTTLED, FAILING, FAILING]
    assert [len((await called(q, health)).opened) for health in healths] == [0, 0, 0, 0, 0, 1], "three of six"


async def test_failures_out_of_the_window_are_forgotten(q: Driver) -> None:
    await rules(q)
    for _ in range(3):
        await called(q, FAILING)
    await q.advance(2 * MINUTE)
    assert (await called(q, FAILING)).opened == ()


@pytest.mark.parametrize(("jitter", "third_s"), [(0.0, 300), (0.5, 750), (1.0, 1200)])
async def test_a_pause_grows_from_its_base_to_its_double_by_jitter(q: Driver, jitter: float, third_s: int) -> None:
    await rules(q)
    first = await opened(q, jitter=1.0)
    assert first.until_ms == q.now_ms + 300_000, "exactly its base the first time"
    await q.advance(300 * SECOND)
    (second,) = (await called(q, THROTTLED, jitter=0.5)).opened
    assert second.until_ms == q.now_ms + 450_000
    await q.advance(450 * SECOND)
    (third,) = (await called(q, THROTTLED, jitter=jitter)).opened
    assert third.until_ms == q.now_ms + third_s * 1000


async def test_no_pause_is_longer_than_the_longest(q: Driver) -> None:
    await rules(q, max_pause=7 * MINUTE)
    await opened(q)
    await q.advance(5 * MINUTE)
    for _ in range(12):
        (opening,) = (await called(q, THROTTLED, jitter=1.0)).opened
        assert opening.until_ms == q.now_ms + 7 * 60_000
        await q.advance(7 * MINUTE)


async def test_a_first_pause_is_no_longer_than_the_longest_either(q: Driver) -> None:
    await rules(q, max_pause=MINUTE)
    assert (await opened(q, jitter=1.0)).until_ms == q.now_ms + 60_000


async def test_one_call_goes_as_a_probe_and_the_others_wait_for_it(q: Driver) -> None:
    await rules(q)
    await opened(q)
    await q.enqueue(*(q.job() for _ in range(5)))
    await q.advance(5 * MINUTE)
    (probe,) = await q.lease()
    assert await q.next_due_s() is None
    finished = await q.finished(probe.key, succeeded=True, health=HEALTHY)
    assert (finished.room, finished.opened) == (True, ())
    assert len(await q.lease()) == 4


@pytest.mark.parametrize(("health", "cause"), [(THROTTLED, "throttled"), (FAILING, "failing")])
async def test_a_probe_that_fails_opens_again_by_its_own_cause(q: Driver, health: Health, cause: str) -> None:
    await rules(q)
    await opened(q)
    await q.advance(5 * MINUTE)
    (opening,) = (await called(q, health)).opened
    assert opening.cause == cause
    await q.enqueued()
    assert await q.next_due_s() == {"throttled": 300, "failing": 30}[cause]


async def test_after_a_probe_that_succeeds_all_is_as_at_the_start(q: Driver) -> None:
    await rules(q)
    await opened(q, jitter=1.0)
    await q.advance(5 * MINUTE)
    await called(q, THROTTLED, jitter=1.0)
    await q.advance(10 * MINUTE)
    await called(q, HEALTHY)
    opening = await opened(q, jitter=1.0)
    assert opening.until_ms == q.now_ms + 300_000


async def test_a_probe_that_says_nothing_is_followed_by_another(q: Driver) -> None:
    await rules(q)
    await opened(q)
    await q.enqueue(*(q.job() for _ in range(3)))
    await q.advance(5 * MINUTE)
    (probe,) = await q.lease()
    assert (await q.finished(probe.key, health=NOTHING)).opened == ()
    assert len(await q.lease()) == 1


async def test_a_probe_whose_lease_is_lost_is_followed_by_another(q: Driver) -> None:
    await rules(q)
    await opened(q)
    await q.enqueue(*(q.job(idempotent=False) for _ in range(3)))
    await q.advance(5 * MINUTE)
    (probe,) = await q.lease()
    await q.begin(probe.key)
    await q.advance(45 * SECOND)
    assert (await q.sweep()).room
    (second,) = await q.lease()
    assert second.key.job_id != probe.key.job_id
    assert (await q.finished(probe.key, health=HEALTHY)).opened == (), "it is late"
    assert await q.lease() == [], "so the second is still the probe"
    assert len((await q.finished(second.key, health=FAILING)).opened) == 1


@pytest.mark.parametrize("force", [True, False])
async def test_a_probe_that_is_canceled_is_followed_by_another(q: Driver, *, force: bool) -> None:
    await rules(q)
    await opened(q)
    await q.enqueue(*(q.job(idempotent=False) for _ in range(3)))
    await q.advance(5 * MINUTE)
    (probe,) = await q.lease()
    if force:
        await q.begin(probe.key)
        await q.cancel(probe.key.job_id, force=True)
        assert await q.lease() == [], "its call is still under way"
        assert (await q.finished(probe.key, health=HEALTHY)).room
    else:
        await q.cancel(probe.key.job_id)
    assert len(await q.lease()) == 1, "a probe again"


async def test_what_runs_when_a_breaker_opens_changes_nothing_by_how_it_comes_out(q: Driver) -> None:
    await rules(q)
    await q.enqueue(*(q.job() for _ in range(9)))
    leases = await q.lease()
    for lease in leases[:3]:
        await q.finish(lease.key, health=THROTTLED)
    assert (await q.finished(leases[3].key, health=THROTTLED)).opened == ()
    assert (await q.finished(leases[4].key, health=HEALTHY)).opened == ()
    await q.enqueue(q.job(), q.job())
    assert await q.next_due_s() == 300
    await q.advance(300 * SECOND)
    for lease in leases[5:]:
        await q.queue.extend("http", [lease.key])
    assert (await q.finished(leases[5].key, health=THROTTLED)).opened == (), "half open, and it is not the probe"
    (probe,) = await q.lease()
    assert (await q.finished(leases[6].key, health=HEALTHY)).opened == ()
    assert await q.lease() == [], "it is not the probe, and closes nothing"
    await q.finish(probe.key, health=HEALTHY)
    assert (await q.finished(leases[7].key, health=THROTTLED)).opened == ()
    assert len(await q.lease()) == 1


async def test_a_late_outcome_says_nothing_to_a_breaker(q: Driver) -> None:
    await rules(q, throttles=1)
    lease = await q.begun()
    await q.advance(60 * SECOND)
    await q.sweep()
    assert (await q.finished(lease.key, health=THROTTLED)).opened == ()


async def test_an_outcome_that_comes_again_is_counted_once(q: Driver) -> None:
    await rules(q, throttles=2)
    await q.enqueued()
    (lease,) = await q.lease()
    for _ in range(5):
        assert (await q.finished(lease.key, health=THROTTLED)).opened == ()


async def test_the_upstreams_breaker_holds_every_lane_where_there_is_one(q: Driver) -> None:
    await rules(q, upstream=True)
    for lane in ("a", "b"):
        await called(q, THROTTLED, lane=lane)
    assert (await called(q, THROTTLED, lane="c")).opened == (
        Opened(tenant="", lane="", cause="throttled", until_ms=q.now_ms + 300_000),
    )
    await q.enqueue(q.job("bolt"), q.job("cask", method_class="write"))
    assert await q.next_due_s() == 300
    await q.advance(300 * SECOND)
    (probe,) = await q.lease()
    assert await q.lease() == []
    assert (await q.finished(probe.key, health=HEALTHY)).room
    assert len(await q.lease()) == 1


async def test_lanes_that_share_nothing_open_no_breaker_of_the_upstream(q: Driver) -> None:
    await rules(q, upstream=False)
    for number in range(10):
        assert (await called(q, THROTTLED, lane=f"host-{number}")).opened == ()


async def test_the_upstreams_breaker_is_taken_away_with_its_policy(q: Driver) -> None:
    await rules(q, upstream=True)
    for lane in ("a", "b", "c"):
        await called(q, THROTTLED, lane=lane)
    await q.enqueue(q.job(), q.job())
    assert await q.lease() == []
    await rules(q, upstream=False)
    assert len(await q.lease()) == 2


async def test_a_probe_that_ends_while_there_is_no_breaker_of_the_upstream_holds_up_no_later_one(q: Driver) -> None:
    await rules(q, upstream=True)
    for lane in ("a", "b", "c"):
        await called(q, THROTTLED, lane=lane)
    await q.enqueue(*(q.job() for _ in range(4)))
    await q.advance(300 * SECOND)
    (probe,) = await q.lease()
    await rules(q, upstream=False)
    await q.finish(probe.key, health=NOTHING)
    await rules(q, upstream=True)
    assert len(await q.lease()) == 1
