"""Waiters are woken by what concerns them, and leave nothing behind."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from services.intake.waiters import Waiters
from tests.stalls import watching_for_stalls


def is_woken(waiting: asyncio.Task[bool]) -> bool:
    return waiting.done()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_signal_wakes_who_waits_for_one_of_its_jobs_and_nobody_else() -> None:
    waiters = Waiters()
    with waiters.waiting_for("a") as one, waiters.waiting_for("a") as two, waiters.waiting_for("b") as other:
        tasks = [asyncio.create_task(waiter.woken()) for waiter in (one, two, other)]
        await waiters.jobs_changed(b"x\na\n\xff")
        await settle()
        assert [is_woken(task) for task in tasks] == [True, True, False]
        tasks[2].cancel()


async def test_a_signal_between_register_and_wait_is_not_lost() -> None:
    waiters = Waiters()
    with waiters.waiting_for("a") as waiter:
        waiters.wake(["a"])
        await asyncio.wait_for(waiter.woken(), 30)


async def test_a_wake_is_good_for_one_time() -> None:
    waiters = Waiters()
    with waiters.waiting_for("a") as waiter:
        waiters.wake(["a"])
        await waiter.woken()
        again = asyncio.create_task(waiter.woken())
        await settle()
        assert not again.done()
        again.cancel()


async def test_a_sleep_ends_when_its_time_is_up_and_says_so() -> None:
    waiters = Waiters()
    now = asyncio.get_running_loop().time
    with waiters.waiting_for("a") as waiter:
        assert not await asyncio.wait_for(waiter.woken(now() + 0.01), 30)
        assert not await asyncio.wait_for(waiter.woken(now() - 1), 30)
        waiters.wake(["a"])
        assert await waiter.woken(now() - 1)
        sleeping = asyncio.create_task(waiter.woken(now() + 60))
        await settle()
        waiters.wake(["a"])
        assert await asyncio.wait_for(sleeping, 30)


async def test_after_a_reconnect_everyone_is_woken() -> None:
    waiters = Waiters()
    with waiters.waiting_for("a") as one, waiters.waiting_for("b") as other:
        waiters.wake_all()
        await asyncio.wait_for(asyncio.gather(one.woken(), other.woken()), 30)


async def test_nothing_is_left_of_waiters_however_they_end() -> None:
    waiters = Waiters()
    with waiters.waiting_for("a"), waiters.waiting_for("a"), waiters.waiting_for("b"):
        assert len(waiters) == 3
        with pytest.raises(RuntimeError), waiters.waiting_for("c"):
            raise RuntimeError
        assert len(waiters) == 3
    assert len(waiters) == 0
    assert waiters._waiting == {}


async def test_a_stop_lets_everyone_go() -> None:
    waiters = Waiters()
    with waiters.waiting_for("a") as waiter:
        assert not waiters.released
        await waiters.release()
        await asyncio.wait_for(waiter.woken(), 30)
        assert waiters.released


async def test_thousands_of_waiters_are_woken_in_many_steps_and_none_is_left_out() -> None:
    waiters, step, woken = Waiters(), 0, []

    async def caller() -> None:
        with waiters.waiting_for("a") as waiter:
            await waiter.woken()
            woken.append(step)

    callers = [asyncio.create_task(caller()) for _ in range(10_000)]
    await settle()
    with watching_for_stalls():
        waiters.wake(["a"])
        waiters.wake(["a"])
        while not all(caller.done() for caller in callers):
            step += 1
            await asyncio.sleep(0)
    assert max(Counter(woken).values()) <= 64
    assert len(waiters) == 0


async def test_who_leaves_before_it_is_its_turn_holds_up_nobody() -> None:
    waiters = Waiters()

    async def caller() -> None:
        with waiters.waiting_for("a") as waiter:
            await waiter.woken()

    callers = [asyncio.create_task(caller()) for _ in range(1000)]
    await settle()
    waiters.wake(["a"])
    for each in callers[::2]:
        each.cancel()
    await asyncio.wait_for(asyncio.gather(*callers[1::2]), 30)
    await asyncio.gather(*callers[::2], return_exceptions=True)
    assert len(waiters) == 0
