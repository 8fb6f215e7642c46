"""What every queue does with lanes that wait for room, while their jobs come and go."""

from __future__ import annotations

from datetime import timedelta

from services.scheduler.domain import Priority, State
from tests.fakes.queue_bench import UPSTREAM, Driver, budget

SECOND = timedelta(seconds=1)


async def without_room(q: Driver) -> None:
    """The lane has used its rate up for 65 s."""
    await q.configure(lane=budget((1, 64)))
    await q.enqueued()
    (lease,) = await q.lease()
    await q.finish(lease.key, succeeded=True)


async def test_a_lane_whose_last_job_is_canceled_waits_for_nothing(q: Driver) -> None:
    await without_room(q)
    job = await q.enqueued()
    assert await q.next_due_s() == 65
    await q.cancel(job.id)
    assert await q.next_due_s() is None
    later = await q.enqueued()
    assert await q.next_due_s() == 65
    await q.advance(65 * SECOND)
    assert await q.leased_ids() == [later.id]


async def test_a_lane_whose_last_job_expires_waits_for_nothing(q: Driver) -> None:
    await without_room(q)
    await q.enqueued(expires_at_ms=q.now_ms + 5000)
    assert await q.next_due_s() == 65
    await q.advance(5 * SECOND)
    (fact,) = (await q.sweep()).facts
    assert fact.state is State.EXPIRED
    assert await q.next_due_s() is None


async def test_of_a_lane_that_waits_the_first_job_may_be_canceled(q: Driver) -> None:
    await without_room(q)
    first, second = await q.enqueued(), await q.enqueued()
    assert await q.next_due_s() == 65
    await q.cancel(first.id)
    await q.advance(65 * SECOND)
    assert await q.leased_ids() == [second.id]


async def test_a_job_that_was_accepted_before_goes_first_though_it_comes_while_the_lane_waits(q: Driver) -> None:
    await without_room(q)
    early, late = q.job(), q.job()
    await q.enqueue(late)
    assert await q.next_due_s() == 65
    await q.enqueue(early)
    await q.advance(65 * SECOND)
    assert await q.leased_ids() == [early.id]


async def test_delayed_jobs_come_due_in_a_lane_that_waits(q: Driver) -> None:
    await without_room(q)
    delayed = await q.enqueued(not_before_ms=q.now_ms + 5000)
    assert await q.next_due_s() == 5
    waiting = await q.enqueued()
    assert await q.next_due_s() == 5
    await q.advance(5 * SECOND)
    assert await q.next_due_s() == 60
    await q.advance(60 * SECOND)
    assert await q.leased_ids() == [delayed.id]
    await q.advance(65 * SECOND)
    assert await q.leased_ids() == [waiting.id]


async def test_a_retry_into_a_lane_without_room_waits_with_it(q: Driver) -> None:
    await q.configure(lane=budget((1, 64)))
    lease = await q.begun()
    await q.enqueued()
    await q.finish(lease.key, retryable=True, jitter=0.0)
    assert await q.next_due_s() == 65
    await q.advance(65 * SECOND)
    assert await q.leased_ids() == [lease.key.job_id], "it stands where it stood"


async def test_what_expires_without_room_is_found_by_the_sweep(q: Driver) -> None:
    await without_room(q)
    await q.enqueue(*(q.job(expires_at_ms=q.now_ms + 5000) for _ in range(3)))
    assert await q.lease() == []
    await q.advance(5 * SECOND)
    assert len((await q.sweep()).facts) == 3
    assert (await q.sweep()).depth.ready == 0


async def test_every_priority_and_class_of_a_lane_comes_back_when_it_has_room(q: Driver) -> None:
    await q.configure(lane=budget(concurrency=1))
    running = await q.begun()
    jobs = [
        await q.enqueued(priority=priority, method_class=name)
        for priority in (Priority.LOW, Priority.NORMAL, Priority.HIGH)
        for name in ("read", "write", "upload")
    ]
    assert await q.lease() == []
    given: list[str] = []
    await q.finish(running.key, succeeded=True)
    while leases := await q.lease():
        (lease,) = leases
        given.append(lease.key.job_id)
        await q.finish(lease.key, succeeded=True)
    assert given == [job.id for job in (*jobs[6:], *jobs[3:6], *jobs[:3])]


async def test_the_next_time_is_the_earliest_of_all_that_wait(q: Driver) -> None:
    await q.configure(
        lane_classes={"write": budget((1, 64)), "read": budget((1, 640))}, classes={"upload": budget((1, 6.4))}
    )
    for name in ("write", "read", "upload"):
        await q.enqueue(q.job(method_class=name), q.job(method_class=name))
    assert len(await q.lease()) == 3
    assert await q.next_due_s() == 6.5
    await q.enqueued(not_before_ms=q.now_ms + 2000)
    assert await q.next_due_s() == 2


async def test_a_closed_class_in_which_nothing_waits_has_no_time(q: Driver) -> None:
    await q.configure(upstream=budget((1, 64)))
    await q.enqueued()
    assert len(await q.lease()) == 1
    assert await q.next_due_s() is None


async def test_asking_again_gives_what_one_call_did_not_reach(q: Driver) -> None:
    """The bound on what one call passes over is said in its answer, and never ends the search."""
    await q.configure(lane=budget((1, 640)))
    await q.enqueue(*(q.job(lane=f"con_{n:03}") for n in range(150)))
    while await q.lease():
        pass
    await q.enqueue(*(q.job(lane=f"con_{n:03}") for n in range(150)))
    last = await q.enqueued(lane="free")
    answers = [await q.queue.lease(UPSTREAM, 64, worker="w")]
    while answers[-1].again:
        answers.append(await q.queue.lease(UPSTREAM, 64, worker="w"))
    assert [lease.key.job_id for answer in answers for lease in answer.leases] == [last.id]
    assert len(answers) == 3
