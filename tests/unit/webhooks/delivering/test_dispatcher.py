"""Who is worked, by which replica, at how many places; and what happens when something is away."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from services.webhooks.deliveries.domain import Outcome, Reason, State
from services.webhooks.delivering import dispatcher as dispatcher_
from services.webhooks.endpoints.domain import DisabledReason
from tests.fakes.deliveries import NOW, SECOND
from tests.unit.webhooks.delivering.conftest import CLAIM, HOLD
from tests.waiting import eventually

if TYPE_CHECKING:
    import pytest

    from tests.unit.webhooks.delivering.conftest import World

SHORT = timedelta(milliseconds=200)


async def test_all_that_is_due_is_attempted_once_within_the_limits(world: World) -> None:
    for number in range(7):
        await world.due(15, host=f"{number}.example")
    async with world.replica():
        await eventually(lambda: world.count() == 105)
    assert len({each.webhook_id for each in world.far_side.sent}) == len(world.far_side.sent) == 105
    assert world.far_side.most["all"] <= 8
    assert {each.attempts for each in world.work.by_id.values()} == {1}


async def test_one_that_keeps_its_callers_waiting_takes_one_place_and_holds_up_no_other(world: World) -> None:
    dead = await world.endpoint()
    world.far_side.held.add(dead.url)
    await world.due(50, to=dead, at=NOW - timedelta(hours=1))
    await world.due(20)
    async with world.replica():
        await eventually(lambda: world.count() == 20)
        assert world.far_side.at_work[dead.url] == 1
        world.far_side.release.set()
        await eventually(lambda: world.count() == 70)


async def test_those_that_did_not_answer_in_time_have_a_quarter_of_the_places_together(world: World) -> None:
    dead = [await world.endpoint() for _ in range(6)]
    for endpoint in dead:
        await world.due(3, to=endpoint)
        kept = world.receivers.by_id[endpoint.id]
        kept.receiver = replace(kept.receiver, slow=True)
        world.far_side.held.add(endpoint.url)
    async with world.replica(concurrency=8) as dispatcher:
        await eventually(lambda: world.far_side.at_work["all"] == 2)
        deliveries = await world.due(40)
        dispatcher.wake([deliveries[0].receiver])
        await eventually(lambda: world.count() == 40)
        assert sum(world.far_side.at_work[endpoint.url] for endpoint in dead) == 2


async def test_a_receiver_bears_one_more_with_each_quick_success_and_one_after_a_silence(world: World) -> None:
    endpoint = await world.endpoint()
    await world.due(60, to=endpoint)
    async with world.replica(concurrency=64) as dispatcher:
        await eventually(lambda: world.count() == 60)
        await eventually(lambda: not world.receivers.by_id[endpoint.id].holder)
        assert 8 <= world.far_side.most[endpoint.url] <= 32
        assert world.receivers.by_id[endpoint.id].receiver.window == 32
        world.far_side.answers[endpoint.url].append(Outcome(reason=Reason.RECEIVER_TIMEOUT))
        await world.due(1, to=endpoint)
        dispatcher.wake([endpoint.id])
        await eventually(lambda: len(world.far_side.sent) == 61)
        await eventually(lambda: not world.receivers.by_id[endpoint.id].holder)
    after = world.receivers.by_id[endpoint.id].receiver
    assert (after.window, after.slow) == (1, True)


async def test_with_one_place_there_is_one_for_every_receiver(world: World) -> None:
    for number in range(3):
        await world.due(5, host=f"{number}.example")
    async with world.replica(concurrency=1):
        await eventually(lambda: world.count() == 15)
    assert world.far_side.most["all"] == 1


async def test_a_claim_outlasts_the_attempts_time(world: World) -> None:
    (delivery,) = await world.due()
    world.far_side.held.add(delivery.url)
    async with world.replica():
        await eventually(lambda: world.far_side.sent)
        assert world.now(delivery).next_attempt_at == NOW + CLAIM


async def test_what_is_new_is_begun_at_once_when_told_of(world: World) -> None:
    async with world.replica() as dispatcher:
        await eventually(lambda: world.receivers.looks >= 2)
        (first,) = await world.due()
        assert list(dispatcher.wake([first.receiver])) == [first.receiver]
        await eventually(lambda: world.count() == 1)
        await world.due()
        assert list(dispatcher.wake([first.receiver])) == []  # it is held here
        await eventually(lambda: world.count() == 2)


async def test_what_another_replica_has_stored_for_a_receiver_held_here_is_begun_when_heard_of(world: World) -> None:
    (first,) = await world.due()
    world.far_side.held.add(first.url)
    async with world.replica() as dispatcher:
        await eventually(lambda: world.far_side.sent)
        world.far_side.held.clear()
        await world.due(host="client.example")
        dispatcher.hear([first.receiver, "unheard/of"])
        world.far_side.release.set()
        await eventually(lambda: world.count() == 2)


async def test_what_nobody_has_told_of_is_found_by_looking(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher_, "LONGEST_WAIT", SHORT)
    async with world.replica():
        await eventually(lambda: world.receivers.looks >= 2)
        await world.due()
        await eventually(lambda: world.count() == 1)


async def test_what_is_due_later_waits_for_its_time(world: World) -> None:
    (delivery,) = await world.due(at=NOW + timedelta(minutes=5))
    async with world.replica() as dispatcher:
        await eventually(lambda: world.receivers.looks >= 2)
        world.time.advance(minutes=4)
        looks = world.receivers.looks
        dispatcher.wake([delivery.receiver])
        await eventually(lambda: world.receivers.looks >= looks + 2)
        assert not world.far_side.sent
        world.time.advance(minutes=1)
        dispatcher.wake([delivery.receiver])
        await eventually(lambda: world.count() == 1)


async def test_it_goes_on_when_the_stores_are_back(world: World) -> None:
    await world.due(5)
    world.receivers.away = world.work.away = True
    with capture_logs() as lines:
        async with world.replica():
            await eventually(lambda: "dispatch_interrupted" in {line["event"] for line in lines})
            world.receivers.away = False
            await eventually(lambda: "receiver_interrupted" in {line["event"] for line in lines})
            world.work.away = False
            await eventually(lambda: world.count() == 5)


async def test_two_replicas_never_make_the_same_attempt(world: World) -> None:
    for number in range(20):
        await world.due(10, host=f"{number}.example")
    async with world.replica(), world.replica():
        await eventually(lambda: world.count() == 200)
    assert len(world.far_side.sent) == 200
    assert Counter(each.webhook_id for each in world.far_side.sent).most_common(1)[0][1] == 1


async def test_when_a_replica_has_died_another_takes_its_receivers_when_the_hold_is_over(world: World) -> None:
    (first,) = await world.due()
    world.far_side.held.add(first.url)
    async with world.replica():
        await eventually(lambda: world.far_side.sent)
    await world.due(3)  # canceled, as if it were killed
    world.far_side.held.clear()
    async with world.replica() as dispatcher:
        await eventually(lambda: world.receivers.looks >= 2)
        assert len(world.far_side.sent) == 1
        world.time.advance(seconds=HOLD.total_seconds())
        dispatcher.wake([first.receiver])
        await eventually(lambda: world.count() == 3)
        assert world.now(first).state is State.PENDING
        world.time.advance(seconds=CLAIM.total_seconds())
        dispatcher.wake([first.receiver])
        await eventually(lambda: world.count() == 4)
    assert world.now(first).attempts == 2


async def test_holds_are_kept_while_they_are_worked(world: World) -> None:
    (delivery,) = await world.due()
    world.far_side.held.add(delivery.url)
    async with world.replica(hold=SHORT):
        await eventually(lambda: world.far_side.sent)
        world.time.advance(seconds=0.1)
        await eventually(lambda: world.receivers.by_id[delivery.receiver].take_at == world.time.now() + SHORT)


async def test_whoever_loses_a_hold_begins_nothing_more_of_it(world: World) -> None:
    deliveries = await world.due(5)
    world.far_side.held.add(deliveries[0].url)
    async with world.replica(hold=SHORT):
        await eventually(lambda: world.far_side.sent)
        world.receivers.by_id[deliveries[0].receiver].holder = "somebody else"
        keeps = world.receivers.keeps
        await eventually(lambda: world.receivers.keeps >= keeps + 2)
        world.far_side.release.set()
        await eventually(lambda: world.count() == 1)
        assert len(world.far_side.sent) == 1
        assert world.receivers.by_id[deliveries[0].receiver].holder == "somebody else"


async def test_whoever_cannot_keep_a_hold_begins_nothing_after_its_time(world: World) -> None:
    deliveries = await world.due(5)
    world.far_side.held.add(deliveries[0].url)
    async with world.replica():
        await eventually(lambda: world.far_side.sent)
        world.time.advance(seconds=HOLD.total_seconds())
        world.receivers.away = True
        world.far_side.release.set()
        await eventually(lambda: world.count() == 1)
    assert len(world.far_side.sent) == 1


async def test_a_draining_one_finishes_what_is_begun_and_lets_everything_go(world: World) -> None:
    slow = await world.endpoint()
    world.far_side.held.add(slow.url)
    (begun,) = await world.due(to=slow)
    async with world.replica() as dispatcher:
        await eventually(lambda: world.far_side.sent)
        draining = asyncio.create_task(dispatcher.drain())
        (new,) = await world.due()
        dispatcher.wake([new.receiver])
        await asyncio.wait({draining}, timeout=0.05)
        assert not draining.done()
        world.far_side.release.set()
        await draining
    assert world.now(begun).state is State.DELIVERED
    assert world.now(new).state is State.PENDING
    assert not any(each.holder for each in world.receivers.by_id.values())


async def test_one_that_waits_for_the_stores_drains_at_once(world: World) -> None:
    world.receivers.away = True
    async with world.replica() as dispatcher:
        await eventually(lambda: world.receivers.looks >= 1)
        await asyncio.wait_for(dispatcher.drain(), 20)


async def test_a_broken_receiver_ends_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (broken,) = await world.due(host="broken.example")
    due = world.work.due

    async def fail(receiver: str, **given: Any) -> Any:
        if receiver == broken.receiver:
            raise ZeroDivisionError
        return await due(receiver, **given)

    monkeypatch.setattr(world.work, "due", fail)
    with capture_logs() as lines:
        async with world.replica() as dispatcher:
            await eventually(lambda: "receiver_broken" in {line["event"] for line in lines})
            (whole,) = await world.due()
            dispatcher.wake([whole.receiver])
            await eventually(lambda: world.count() == 1)


async def test_an_endpoint_that_changes_is_called_as_it_is_now(world: World) -> None:
    endpoint = await world.endpoint()
    world.far_side.held.add(endpoint.url)
    await world.due(3, to=endpoint)
    async with world.replica() as dispatcher:
        await eventually(lambda: world.far_side.sent)
        moved = "https://moved.example/hook"
        await world.endpoints.change(endpoint.tenant, endpoint.id, lambda each: replace(each, url=moved))
        await dispatcher.hear_of_endpoint(endpoint.id.encode())
        world.far_side.release.set()
        await eventually(lambda: world.count() == 3)
    assert [each.url for each in world.far_side.sent] == [endpoint.url, moved, moved]


async def test_an_endpoint_that_is_disabled_is_not_called_and_what_waits_is_skipped(world: World) -> None:
    endpoint = await world.endpoint()
    world.far_side.held.add(endpoint.url)
    world.far_side.answers[endpoint.url].append(Outcome.of_status(500))
    await world.due(3, to=endpoint)
    await world.due(1, to=endpoint, at=NOW, next_attempt_at=NOW + 60 * SECOND)
    async with world.replica(hold=SHORT):  # which looks at it every while, told of it or not
        await eventually(lambda: world.far_side.sent)
        fields: dict[str, Any] = {"enabled": False, "disabled_reason": DisabledReason.ASKED}
        await world.endpoints.change(endpoint.tenant, endpoint.id, lambda each: replace(each, **fields))
        await eventually(lambda: world.count(State.SKIPPED) == 3)
        world.far_side.release.set()
        await eventually(lambda: world.count(State.SKIPPED) == 4)  # whose attempt was under way, and failed
    assert len(world.far_side.sent) == 1


async def test_what_waits_for_an_endpoint_that_is_gone_has_failed(world: World) -> None:
    endpoint = await world.endpoint()
    await world.endpoints.delete(endpoint.tenant, endpoint.id)
    await world.due(3, to=endpoint)
    async with world.replica():
        await eventually(lambda: world.count(State.FAILED) == 3)
    assert not world.far_side.sent
    assert {each.last_reason for each in world.work.by_id.values()} == {Reason.ENDPOINT_DELETED}


async def test_an_endpoint_that_says_it_is_gone_is_called_no_more(world: World) -> None:
    endpoint = await world.endpoint()
    world.far_side.answers[endpoint.url].append(Outcome.of_status(410))
    await world.due(5, to=endpoint)
    async with world.replica():
        await eventually(lambda: world.count(State.SKIPPED) == 4)
    assert len(world.far_side.sent) == 1
    assert world.count(State.FAILED) == 1
    assert world.endpoints.by_id[endpoint.id].disabled_reason is DisabledReason.GONE
