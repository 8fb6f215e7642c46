"""An attempt from its claim to its outcome."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from services.webhooks.deliveries.domain import Delivery, Outcome, Reason, RetrySchedule, State
from services.webhooks.delivering.posts import Claim, Post
from services.webhooks.delivering.targets import Targets
from shared.errors import PermissionDenied
from shared.sealing import SealBrokenError
from tests.fakes.deliveries import NOW, SECOND, make_delivery
from tests.unit.webhooks.delivering.conftest import PAUSE
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.webhooks.delivering.attempts import Attempts
    from tests.unit.webhooks.delivering.conftest import World

URL = "https://client.example/hook?token=canary"
CLAIM = Claim(id="a claim", at=NOW, until=NOW + 20 * SECOND)


@pytest.fixture
def attempts(world: World) -> Attempts:
    return world.tools().attempts


async def begun(world: World, claim: Claim = CLAIM, **given: Any) -> Post:
    delivery = make_delivery(**given)
    await world.store(delivery)
    (post,) = await world.work.begin([Post.of(delivery)], claim)
    return post


def now(world: World, post: Post) -> Delivery:
    return world.now(post.first)


async def test_what_was_taken_has_been_delivered(world: World, attempts: Attempts) -> None:
    post = await begun(world)
    made = await attempts.make(post, CLAIM, None)
    assert (made.outcome.reason, made.next_attempt_at) == (Reason.OK, None)
    assert [(each.url, each.body) for each in world.far_side.sent] == [(URL, post.body)]
    after = now(world, post)
    assert (after.state, after.claim, after.finished_at) == (State.DELIVERED, "", NOW)
    (row,) = after.log
    assert (row.number, row.started_at, row.outcome) == (1, NOW, Outcome.of_status(200))


async def test_what_failed_is_due_again_by_the_meshs_schedule(world: World, attempts: Attempts) -> None:
    world.far_side.answers[URL].append(Outcome.of_status(500))
    post = await begun(world)
    made = await attempts.make(post, CLAIM, None)
    assert made.next_attempt_at == now(world, post).next_attempt_at
    assert NOW + 0.8 * PAUSE <= now(world, post).next_attempt_at <= NOW + 1.2 * PAUSE


async def test_an_endpoints_own_schedule_goes_before_that(world: World, attempts: Attempts) -> None:
    endpoint = await world.endpoint(retry=RetrySchedule((60 * SECOND,)))
    world.far_side.answers[endpoint.url].append(Outcome.of_status(500))
    post = await begun(world, endpoint_id=endpoint.id)
    await attempts.make(post, CLAIM, endpoint)
    assert NOW + 48 * SECOND <= now(world, post).next_attempt_at <= NOW + 72 * SECOND
    assert attempts.schedule(endpoint).attempts == 2
    assert world.tally.noted == [(endpoint.id, Reason.RECEIVER_STATUS)]


async def test_callbacks_are_counted_for_no_endpoint(world: World, attempts: Attempts) -> None:
    await attempts.make(await begun(world), CLAIM, None)
    assert world.tally.noted == []


async def test_nothing_is_sent_where_what_signs_does_not_open(
    world: World, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise SealBrokenError("the sealed text does not open")

    monkeypatch.setattr(Targets, "target", broken)
    post = await begun(world)
    await attempts.make(post, CLAIM, None)
    assert not world.far_side.sent
    after = now(world, post)
    assert (after.state, after.last_reason) == (State.PENDING, Reason.SECRET_UNREADABLE)
    assert after.next_attempt_at > NOW


async def test_a_fault_of_the_sender_is_an_outcome_and_the_last_one_ends_the_delivery(
    world: World, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Outcome:
        raise ZeroDivisionError

    monkeypatch.setattr(world.far_side, "send", fail)
    post = await begun(world)
    await attempts.make(post, CLAIM, None)
    after = now(world, post)
    assert (after.state, after.last_reason, after.attempts) == (State.PENDING, Reason.INTERNAL, 1)
    last = await begun(world, attempts=2)
    await attempts.make(last, CLAIM, None)
    assert now(world, last).state is State.FAILED


async def test_an_outcome_is_kept_once_the_store_is_back(world: World, attempts: Attempts) -> None:
    post = await begun(world)
    world.work.away = True
    making = asyncio.create_task(attempts.make(post, CLAIM, None))
    await eventually(lambda: world.far_side.sent)
    assert not making.done()
    world.work.away = False
    await making
    assert now(world, post).state is State.DELIVERED
    assert len(world.far_side.sent) == 1


async def test_an_outcome_that_no_longer_counts_is_in_the_log_alone(world: World, attempts: Attempts) -> None:
    world.far_side.answers[URL].append(Outcome.of_status(500))
    post = await begun(world)
    newer = Claim(id="newer", at=CLAIM.until, until=CLAIM.until + SECOND)
    (other,) = await world.work.begin([post], newer)
    made = await attempts.make(post, CLAIM, None)
    assert made.next_attempt_at == CLAIM.until
    after = now(world, post)
    assert replace(after, log=()) == other.first
    assert [row.outcome is not None for row in after.log] == [True, False]


@pytest.mark.parametrize("fault", [ZeroDivisionError(), PermissionDenied("not yours")])
async def test_a_store_with_a_fault_costs_no_more_than_the_claim(
    world: World, attempts: Attempts, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def fail(*_: Any) -> bool:
        raise fault

    monkeypatch.setattr(world.work, "record", fail)
    post = await begun(world)
    assert (await attempts.make(post, CLAIM, None)).next_attempt_at == CLAIM.until
    assert now(world, post).claim == CLAIM.id


async def test_a_batch_comes_out_as_one(world: World, attempts: Attempts) -> None:
    endpoint = await world.endpoint()
    members = tuple(make_delivery(endpoint_id=endpoint.id) for _ in range(3))
    await world.store(*members)
    (post,) = await world.work.begin([Post(members=members, webhook_id="msg_1", body=b"{}")], CLAIM)
    await attempts.make(post, CLAIM, endpoint)
    assert [each.webhook_id for each in world.far_side.sent] == ["msg_1"]
    assert {(world.now(each).state, world.now(each).last_status) for each in members} == {(State.DELIVERED, 200)}
    assert world.tally.noted == [(endpoint.id, Reason.OK)]


async def test_no_line_of_the_log_holds_the_urls_query(world: World, attempts: Attempts) -> None:
    with capture_logs() as lines:
        await attempts.make(await begun(world), CLAIM, None)
    assert [line["event"] for line in lines] == ["attempt_made"]
    assert "canary" not in str(lines)
