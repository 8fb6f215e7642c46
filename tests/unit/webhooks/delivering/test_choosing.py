"""What of a receiver goes now, in which order, and what of it together."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.webhooks.deliveries.domain import Delivery, Reason, State
from services.webhooks.delivering import batches
from services.webhooks.delivering.choosing import Choice, Chooser
from services.webhooks.delivering.posts import Claim, Post
from services.webhooks.endpoints.domain import Batching, Endpoint, Order
from shared.errors import Unavailable
from tests.fakes.deliveries import NOW, SECOND, make_delivery
from tests.fakes.endpoints import make_endpoint

if TYPE_CHECKING:
    from datetime import datetime

    from tests.unit.webhooks.delivering.conftest import World

ORDERED = Order.BY_CONNECTION
THREE = Batching(max_events=3, max_wait=SECOND)


async def choose(world: World, endpoint: Endpoint | None, *, now: datetime = NOW, limit: int = 16) -> Choice:
    receiver = endpoint.id if endpoint is not None else "acme/client.example"
    chooser = Chooser(world.work, stored=world.stored)
    return await chooser.choose(
        receiver, endpoint, schedule=world.schedule, now=now, limit=limit, lines=endpoint is not None
    )


async def add(world: World, endpoint: Endpoint, *places: int, line: str = "con_1", **given: Any) -> list[Delivery]:
    made = [make_delivery(endpoint_id=endpoint.id, line=line, place=place, **given) for place in places]
    await world.store(*made)
    return made


def members(choice: Choice) -> list[list[str]]:
    return [list(post.ids) for post in choice.posts]


def ids_of(*deliveries: Delivery) -> list[str]:
    return [each.id for each in deliveries]


async def test_callbacks_go_one_by_one_the_longest_due_first(world: World) -> None:
    late, early = make_delivery(), make_delivery(at=NOW - SECOND)
    await world.store(late, early)
    choice = await choose(world, None)
    assert members(choice) == [[early.id], [late.id]]
    assert (choice.posts[0].webhook_id, choice.posts[0].body) == (early.webhook_id, early.payload)
    assert not choice.lines


async def test_of_each_line_the_head_goes_and_what_stands_in_none_beside_them(world: World) -> None:
    endpoint = make_endpoint(order=ORDERED)
    first, _ = await add(world, endpoint, 5, 6)
    (other,) = await add(world, endpoint, 7, line="con_2")
    (alone,) = await add(world, endpoint, 0, line="")
    choice = await choose(world, endpoint)
    assert sorted(members(choice)) == sorted([[first.id], [other.id], [alone.id]])
    assert choice.lines


async def test_a_head_waits_until_everything_before_it_is_stored(world: World) -> None:
    endpoint = make_endpoint(order=ORDERED)
    (head,) = await add(world, endpoint, 5)
    world.stored.up_to = 4
    choice = await choose(world, endpoint)
    assert choice.posts == []
    assert choice.again_at is not None
    assert NOW < choice.again_at < NOW + SECOND
    world.stored.up_to = 5
    assert members(await choose(world, endpoint)) == [[head.id]]


@pytest.mark.parametrize("batching", [None, THREE])
async def test_what_was_stored_before_a_head_since_it_was_read_goes_first(
    world: World, monkeypatch: pytest.MonkeyPatch, batching: Batching | None
) -> None:
    endpoint = make_endpoint(order=ORDERED, batching=batching)
    last = await add(world, endpoint, 2, 6)
    earlier: list[Delivery] = []

    async def passed(_: int) -> bool:
        if not earlier:  # a slower replica has stored it by now
            earlier.extend(await add(world, endpoint, 1, 5))
        return True

    monkeypatch.setattr(world.stored, "passed", passed)
    choice = await choose(world, endpoint, now=NOW + SECOND)
    assert choice.posts == []
    assert choice.again_at == NOW + SECOND
    first = (await choose(world, endpoint, now=NOW + SECOND)).posts[0]
    expected = [earlier[0]] if batching is None else [earlier[0], last[0], earlier[1]]
    assert [each.id for each in first.members] == [each.id for each in expected]


async def test_a_head_whose_turn_has_come_before_waits_for_nothing(world: World) -> None:
    endpoint = make_endpoint(order=ORDERED)
    (tried,) = await add(world, endpoint, 5, attempts=1)
    (replayed,) = await add(world, endpoint, 6, line="con_2", replays=1)
    world.stored.up_to = 0
    assert sorted(members(await choose(world, endpoint))) == sorted([[tried.id], [replayed.id]])
    assert world.stored.asked == []


async def test_where_the_log_cannot_be_asked_what_stands_in_no_line_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = make_endpoint(order=ORDERED)
    await add(world, endpoint, 5)
    (alone,) = await add(world, endpoint, 0, line="")

    async def away(_: int) -> bool:
        raise Unavailable("NATS does not answer")

    monkeypatch.setattr(world.stored, "passed", away)
    choice = await choose(world, endpoint)
    assert members(choice) == [[alone.id]]
    assert choice.again_at == NOW + SECOND


async def test_a_delivery_whose_last_attempt_was_lost_has_failed_and_is_not_sent(world: World) -> None:
    lost, exhausted, other = make_delivery(attempts=3, claim="gone"), make_delivery(attempts=3), make_delivery()
    await world.store(lost, replace(exhausted, last_reason=Reason.RECEIVER_STATUS), other)
    assert members(await choose(world, None)) == [[other.id]]
    assert (world.now(lost).state, world.now(lost).last_reason) == (State.FAILED, Reason.ATTEMPT_LOST)
    assert world.now(exhausted).last_reason == Reason.RECEIVER_STATUS
    assert world.now(lost).attempts == 3


async def test_a_full_batch_goes_at_once_and_the_rest_when_its_first_has_waited(world: World) -> None:
    endpoint = make_endpoint(batching=THREE)
    made = await add(world, endpoint, 1, 2, 3, 4, line="")
    choice = await choose(world, endpoint)
    assert members(choice) == [ids_of(*made[:3])]
    assert choice.again_at == NOW + SECOND
    later = await choose(world, endpoint, now=NOW + SECOND)
    assert members(later) == [ids_of(*made[:3]), ids_of(made[3])]
    assert not later.posts[1].is_batch  # a lone one goes as it would without batching
    assert later.again_at is None


async def test_a_batch_is_told_from_a_single_event_and_holds_each_as_it_would_be_by_itself(world: World) -> None:
    endpoint = make_endpoint(batching=THREE)
    await add(world, endpoint, 2, 1, 3, line="", payload=b'{"type":"job.failed","timestamp":"t","data":{"id":"1"}}')
    (post,) = (await choose(world, endpoint)).posts
    assert post.is_batch
    assert post.webhook_id.startswith("msg_")
    message = json.loads(post.body)
    assert (message["type"], message["timestamp"]) == ("events.batch", "2026-05-04T10:30:15.123Z")
    assert [each["id"] for each in message["data"]["events"]] == [each.webhook_id for each in post.members]
    assert [each.place for each in post.members] == [1, 2, 3]
    assert {key: value for key, value in message["data"]["events"][0].items() if key != "id"} == {
        "type": "job.failed",
        "timestamp": "t",
        "data": {"id": "1"},
    }


async def test_a_batch_that_was_sent_stays_as_it_was_whatever_has_come_since(world: World) -> None:
    endpoint = make_endpoint(batching=THREE)
    await add(world, endpoint, 1, 2, 3, line="")
    (post,) = (await choose(world, endpoint)).posts
    (begun,) = await world.work.begin([post], Claim(id="c", at=NOW, until=NOW + SECOND))
    await add(world, endpoint, 4, 5, 6, line="")
    choice = await choose(world, endpoint, now=NOW + SECOND, limit=4)  # fewer than there are
    again = choice.posts[0]
    assert (again.webhook_id, again.body, again.ids) == (begun.webhook_id, begun.body, begun.ids)
    assert len(choice.posts) == 2


async def test_a_batch_whose_last_attempt_was_lost_has_failed_whole(world: World) -> None:
    endpoint = make_endpoint(batching=THREE)
    made = await add(world, endpoint, 1, 2, 3, line="", batch_id="msg_1", attempts=3, claim="gone")
    assert (await choose(world, endpoint, limit=1)).posts == []
    assert {world.now(each).state for each in made} == {State.FAILED}


async def test_what_was_sent_or_replayed_by_itself_stays_by_itself(world: World) -> None:
    endpoint = make_endpoint(batching=THREE)
    sent, replayed = (
        await add(world, endpoint, 1, line="", attempts=1),
        await add(world, endpoint, 2, line="", replays=1),
    )
    assert sorted(members(await choose(world, endpoint))) == sorted([ids_of(*sent), ids_of(*replayed)])


async def test_in_a_line_a_batch_holds_what_stands_at_its_front(world: World) -> None:
    endpoint = make_endpoint(batching=THREE, order=ORDERED)
    front = await add(world, endpoint, 1, 2, 3)
    await add(world, endpoint, 4)
    (other,) = await add(world, endpoint, 9, line="con_2")
    choice = await choose(world, endpoint)
    assert members(choice) == [ids_of(*front)]
    assert choice.again_at == NOW + SECOND
    assert sorted(members(await choose(world, endpoint, now=NOW + SECOND))) == sorted([ids_of(*front), [other.id]])


async def test_a_batch_in_a_line_ends_before_one_that_was_sent_by_itself(world: World) -> None:
    endpoint = make_endpoint(batching=THREE, order=ORDERED)
    first = await add(world, endpoint, 1)
    await add(world, endpoint, 2, replays=1)
    await add(world, endpoint, 3)
    assert members(await choose(world, endpoint, now=NOW + SECOND)) == [ids_of(*first)]


async def test_a_batch_in_a_line_waits_until_everything_before_its_last_is_stored(world: World) -> None:
    endpoint = make_endpoint(batching=THREE, order=ORDERED)
    await add(world, endpoint, 1, 2, 5)
    world.stored.up_to = 3
    assert (await choose(world, endpoint)).posts == []


def test_a_batch_is_bounded_by_its_bytes_too_and_one_event_may_be_larger() -> None:
    large = [make_delivery(payload=b"{" + b" " * size + b"}") for size in (100_000, 100_000, 100_000, 300_000, 10)]
    made = batches.gathered(large, Batching(max_events=10, max_wait=timedelta()), now=NOW)
    assert [len(post.members) for post in made.posts] == [2, 1, 1, 1]


def test_the_same_members_make_the_same_bytes_in_whatever_order_they_are_read() -> None:
    made = [make_delivery(batch_id="msg_1", place=place) for place in range(4)]
    (one,), (other,) = batches.marked(made), batches.marked(made[::-1])
    assert one == other
    assert isinstance(one, Post)
