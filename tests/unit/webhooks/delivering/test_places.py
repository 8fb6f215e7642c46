"""Places: first come, first served, and a quarter for those that do not answer in time."""

from __future__ import annotations

import asyncio

import pytest

from services.webhooks.delivering.places import Places


async def waiting(places: Places, *, slow: bool = False) -> asyncio.Task[bool]:
    """Somebody who has asked for a place."""
    task = asyncio.create_task(places.take(slow=slow))
    await asyncio.sleep(0)
    return task


async def test_places_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    places = Places(1)
    assert await places.take(slow=False)
    first, second = await waiting(places), await waiting(places)
    assert not places.take_free(slow=False)
    places.give_back(slow=False)
    assert await first
    assert not second.done()
    places.give_back(slow=False)
    assert await second
    assert places.taken == 1


async def test_slow_ones_have_a_quarter_and_hold_up_no_other() -> None:
    places = Places(8)
    assert [places.take_free(slow=True) for _ in range(3)] == [True, True, False]
    slow = await waiting(places, slow=True)
    assert all(places.take_free(slow=False) for _ in range(6))
    fast = await waiting(places)
    places.give_back(slow=False)
    assert await fast
    assert not slow.done()
    places.give_back(slow=True)
    assert await slow


async def test_a_call_that_hangs_makes_way_for_the_others_as_often_as_there_are_places() -> None:
    places = Places(4)
    assert all(places.take_free(slow=False) for _ in range(4))
    fast, slow = await waiting(places), await waiting(places, slow=True)
    assert places.slow_down()
    assert not fast.done(), "the slow ones have their quarter now, which is taken from the others' places"
    assert places.slow_down()
    assert await fast
    assert not slow.done()
    for _ in range(2):
        assert places.slow_down()
        assert places.take_free(slow=False)
    assert not places.slow_down(), "as many calls hang as there are places"
    for _ in range(4):
        places.give_back(slow=True)
    assert await slow
    assert places.taken == 4


async def test_a_slow_one_is_given_its_turn_among_the_others() -> None:
    places = Places(4)
    assert all(places.take_free(slow=False) for _ in range(4))
    slow, fast = await waiting(places, slow=True), await waiting(places)
    places.give_back(slow=False)
    assert await slow
    assert not fast.done()


async def test_with_one_place_there_is_one_for_everybody() -> None:
    places = Places(1)
    assert places.take_free(slow=True)
    assert not places.has_free(slow=False)


async def test_whoever_leaves_while_waiting_takes_no_place() -> None:
    places = Places(1)
    assert await places.take(slow=False)
    leaving, staying = await waiting(places), await waiting(places)
    leaving.cancel()
    await asyncio.wait({leaving})
    places.give_back(slow=False)
    assert await staying
    assert places.taken == 1


async def test_whoever_leaves_as_a_place_is_given_gives_it_back() -> None:
    places = Places(1)
    assert await places.take(slow=False)
    leaving, staying = await waiting(places), await waiting(places)
    places.give_back(slow=False)
    leaving.cancel()  # the place is its already
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await staying
    assert places.taken == 1


async def test_when_they_are_closed_whoever_waits_leaves_and_nobody_is_given_one() -> None:
    places = Places(2)
    assert await places.take(slow=False)
    assert await places.take(slow=False)
    one = await waiting(places)
    places.close()
    assert not await one
    places.give_back(slow=False)
    assert not await places.take(slow=False)
    assert places.taken == 1
