"""How one receiver is worked: in order, together, as fast as it may be, again and again until it is done."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import Outcome, RetrySchedule, State
from services.webhooks.endpoints.domain import Batching, Order, Rate
from tests.fakes.deliveries import NOW, SECOND, make_delivery
from tests.unit.webhooks.delivering.conftest import World
from tests.virtual_time import VirtualClock
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.endpoints.domain import Endpoint

AT_ONCE = RetrySchedule((timedelta(), timedelta()))
REFUSED = Outcome.of_status(500)


async def line(world: World, endpoint: Endpoint, name: str, *places: int) -> list[Delivery]:
    made = [make_delivery(endpoint_id=endpoint.id, line=name, place=place) for place in places]
    await world.store(*made)
    return made


def sent(world: World) -> list[str]:
    return [each.webhook_id for each in world.far_side.sent]


async def test_what_failed_is_attempted_again_and_ends_with_its_last_attempt(world: World) -> None:
    endpoint = await world.endpoint(retry=AT_ONCE)
    (delivery,) = await world.due(to=endpoint)
    world.far_side.answers[endpoint.url] += [REFUSED] * 5
    async with world.replica():
        await eventually(lambda: world.now(delivery).state is State.FAILED)
    assert sent(world) == [delivery.webhook_id] * 3
    assert [each.number for each in world.now(delivery).log] == [1, 2, 3]


async def test_a_line_goes_in_its_order_and_waits_for_a_head_that_fails(world: World) -> None:
    endpoint = await world.endpoint(order=Order.BY_CONNECTION, retry=AT_ONCE)
    made = await line(world, endpoint, "con_1", 3, 1, 2)
    first, second, third = (each.webhook_id for each in sorted(made, key=lambda each: each.place))
    world.far_side.answers[endpoint.url] += [REFUSED, REFUSED]
    async with world.replica():
        await eventually(lambda: world.count() == 3)
    assert sent(world) == [first, first, first, second, third]


async def test_a_dead_head_lets_its_line_move_on_and_other_lines_wait_for_none_of_it(world: World) -> None:
    endpoint = await world.endpoint(order=Order.BY_CONNECTION, retry=RetrySchedule((60 * SECOND,)))
    dead, behind = await line(world, endpoint, "con_1", 1, 2)
    world.far_side.answers[endpoint.url].append(REFUSED)
    async with world.replica() as dispatcher:
        await eventually(lambda: world.far_side.sent)
        others = await line(world, endpoint, "con_2", 3, 4)
        dispatcher.wake([endpoint.id])
        await eventually(lambda: world.count() == 2)
        assert sent(world) == [each.webhook_id for each in (dead, *others)]
        world.far_side.answers[endpoint.url].append(REFUSED)
        world.time.advance(seconds=80)
        dispatcher.wake([endpoint.id])
        await eventually(lambda: world.count() == 3)
    assert (world.now(dead).state, world.now(behind).state) == (State.FAILED, State.DELIVERED)


async def test_one_that_stands_in_line_though_the_endpoint_orders_nothing_any_more_goes_too(world: World) -> None:
    endpoint = await world.endpoint(order=Order.NONE, revision=2)  # it had lines before it was changed
    made = await line(world, endpoint, "con_1", 1, 2)
    async with world.replica():
        await eventually(lambda: world.count() == 2)
    assert sent(world) == [each.webhook_id for each in made]


async def test_a_head_goes_as_soon_as_everything_before_it_is_stored(world: World) -> None:
    endpoint = await world.endpoint(order=Order.BY_CONNECTION)
    world.stored.up_to = 1
    later = await line(world, endpoint, "con_1", 7)
    async with world.replica() as dispatcher:
        await eventually(lambda: len(world.stored.asked) >= 2)
        assert not world.far_side.sent
        earlier = await line(world, endpoint, "con_1", 6)
        dispatcher.wake([endpoint.id])
        world.stored.up_to = 7
        world.time.advance(seconds=1)
        await eventually(lambda: world.count() == 2)
    assert sent(world) == [each.webhook_id for each in (*earlier, *later)]


async def test_a_batch_goes_again_as_it_went(world: World) -> None:
    endpoint = await world.endpoint(batching=Batching(max_events=3, max_wait=timedelta()), retry=AT_ONCE)
    world.far_side.answers[endpoint.url].append(REFUSED)
    await world.due(3, to=endpoint)
    async with world.replica() as dispatcher:
        await eventually(lambda: world.far_side.sent)
        await world.due(2, to=endpoint)
        dispatcher.wake([endpoint.id])
        await eventually(lambda: world.count() == 5)
    first, again = [each for each in world.far_side.sent if each.webhook_id == world.far_side.sent[0].webhook_id]
    assert first.body == again.body
    assert len(world.far_side.sent) == 3


async def test_what_waits_for_others_goes_when_it_has_waited(world: World) -> None:
    endpoint = await world.endpoint(batching=Batching(max_events=10, max_wait=30 * SECOND))
    await world.due(2, to=endpoint)
    async with world.replica() as dispatcher:
        await eventually(lambda: world.receivers.by_id[endpoint.id].take_at == NOW + 30 * SECOND)
        await world.due(1, to=endpoint, at=NOW + SECOND)
        assert not world.far_side.sent
        world.time.advance(seconds=30)
        dispatcher.wake([endpoint.id])
        await eventually(lambda: world.count() == 3)
    assert len(world.far_side.sent) == 1


async def test_no_more_goes_out_than_the_rate_allows_whoever_works_it(world: World) -> None:
    endpoint = await world.endpoint(rate=Rate(deliveries=2, period=10 * SECOND))
    await world.due(3, to=endpoint)
    for expected in (1, 2, 3):
        async with world.replica() as dispatcher:
            dispatcher.wake([endpoint.id])
            await eventually(lambda expected=expected: world.count() == expected)
            await eventually(lambda: not world.receivers.by_id[endpoint.id].holder)
            assert len(world.far_side.sent) == expected
        world.time.advance(seconds=5)
    assert [each.at for each in world.far_side.sent] == [NOW, NOW + 5 * SECOND, NOW + 10 * SECOND]


async def test_a_rate_holds_though_whoever_kept_to_it_was_killed(world: World) -> None:
    endpoint = await world.endpoint(rate=Rate(deliveries=1, period=60 * SECOND))
    world.far_side.held.add(endpoint.url)
    await world.due(2, to=endpoint)
    async with world.replica():
        await eventually(lambda: world.far_side.sent)
    world.time.advance(seconds=30)  # its hold and its claim are over
    world.far_side.release.set()
    async with world.replica():
        await eventually(lambda: world.receivers.by_id[endpoint.id].take_at == NOW + 60 * SECOND)
    assert len(world.far_side.sent) == 1


def test_receivers_that_begin_to_hang_all_at_once_keep_no_place_of_the_others() -> None:
    clock = VirtualClock()
    with asyncio.Runner(loop_factory=lambda: clock.loop) as runner:
        runner.run(_many_that_hang(World(clock)))


async def _many_that_hang(world: World) -> None:
    """Each of them bears many at a time, as it has shown, and hangs from now on."""
    hanging = [await world.endpoint() for _ in range(4)]
    healthy = await world.endpoint()
    async with world.replica(concurrency=16) as dispatcher:
        for endpoint in hanging:
            await world.due(40, to=endpoint)
        await eventually(lambda: world.count() == 160)
        await eventually(lambda: not any(kept.holder for kept in world.receivers.by_id.values()))
        world.far_side.held |= {endpoint.url for endpoint in hanging}
        for endpoint in hanging:
            await world.due(40, to=endpoint)
        dispatcher.wake([endpoint.id for endpoint in hanging])
        await eventually(lambda: world.far_side.at_work["all"] == 16, what="every place taken by what hangs")
        begun = world.time.now()
        await world.due(20, to=healthy)
        dispatcher.wake([healthy.id])
        await eventually(lambda: len(world.far_side.to(healthy.url)) == 20)
        assert world.time.now() - begun < 2 * SECOND
        assert world.far_side.at_work["all"] <= 2 * 16
        world.far_side.release.set()
        await eventually(lambda: world.count() == 340)
