"""What every store of deliveries keeps and lists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from services.webhooks.deliveries.domain import Reason, State
from services.webhooks.deliveries.filters import DeliveryFilter
from shared import ids
from shared.paging import Position
from tests.fakes.deliveries import NOW, SECOND, added, failed, kept, make_delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.deliveries.store import DeliveryStore

ANY = DeliveryFilter()
ONE, OTHER = ids.new_endpoint_id(), ids.new_endpoint_id()
FILTERS = [
    (ANY, [4, 3, 2, 1, 0]),
    (DeliveryFilter(endpoint_id=ONE), [3, 2, 1]),
    (DeliveryFilter(states=(State.FAILED,)), [3, 1]),
    (DeliveryFilter(states=(State.FAILED, State.SKIPPED)), [4, 3, 1]),
    (DeliveryFilter(event_type="job.failed"), [2, 1]),
    (DeliveryFilter(about="job-2"), [2]),
    (DeliveryFilter(created_after=NOW + 2 * SECOND), [4, 3, 2]),
    (DeliveryFilter(created_before=NOW + 2 * SECOND), [1, 0]),
    (DeliveryFilter(created_after=NOW + SECOND, created_before=NOW + 2 * SECOND), [1]),
    (DeliveryFilter(endpoint_id=ONE, states=(State.FAILED,)), [3, 1]),
    (DeliveryFilter(endpoint_id=ONE, event_type="job.failed"), [2, 1]),
    (DeliveryFilter(endpoint_id=ONE, event_type="job.failed", states=(State.PENDING,)), [2]),
    (DeliveryFilter(event_type="job.failed", states=(State.FAILED,)), [1]),
    (DeliveryFilter(endpoint_id=OTHER, about="job-4"), [4]),
    (DeliveryFilter(endpoint_id=ONE, about="job-4"), []),
    (DeliveryFilter(about="job-1", states=(State.FAILED,)), [1]),
    (DeliveryFilter(about="job-1", event_type="job.succeeded"), []),
]


def listed(deliveries: Sequence[Delivery]) -> list[str]:
    return [each.id for each in deliveries]


async def test_a_delivery_comes_back_as_it_was_added(store: DeliveryStore) -> None:
    callback = await added(store)
    plain = await added(store, sealed_secret=b"", traceparent="")
    to_endpoint = await added(store, endpoint_id=ONE, line="con_1", place=7)
    for delivery in (callback, plain, to_endpoint):
        assert await kept(store, delivery) == delivery


async def test_a_delivery_is_no_other_tenants(store: DeliveryStore) -> None:
    delivery = await added(store)
    assert await store.delivery("other", delivery.id) is None
    assert await store.deliveries("other", ANY, limit=10) == []
    assert await store.count("other", ANY, limit=10) == 0
    assert await store.put_back("other", delivery.id, now=NOW) is None
    assert await store.put_back_for("rpl_1", "other", [delivery.id], ANY, now=NOW) == 0
    assert await kept(store, delivery) == delivery


async def test_what_is_added_again_stays_as_it_is_and_the_rest_is_added(store: DeliveryStore) -> None:
    first, second, third = failed(), make_delivery(), make_delivery()
    await store.add([first, second])
    back = await store.put_back("acme", first.id, now=NOW)
    assert await store.add([first, third, second]) == 1
    assert (await kept(store, first)).state is State.PENDING
    assert back is not None
    assert await kept(store, third) == third


async def test_a_list_is_newest_first_and_without_content(store: DeliveryStore) -> None:
    old, new = await added(store), await added(store, at=NOW + SECOND)
    found = await store.deliveries("acme", ANY, limit=10)
    assert list(found) == [replace(each, payload=b"", sealed_secret=b"") for each in (new, old)]


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_pages_lead_over_deliveries_of_one_time(store: DeliveryStore, *, oldest_first: bool) -> None:
    made = [make_delivery(at=NOW + number // 4 * SECOND) for number in range(13)]
    await store.add(made)
    seen: list[str] = []
    after = None
    while page := await store.deliveries("acme", ANY, limit=3, after=after, oldest_first=oldest_first):
        seen += listed(page)
        after = Position(created_at=page[-1].created_at, id=page[-1].id)
        await added(store, at=NOW + (-SECOND if oldest_first else 9 * SECOND))  # what comes before changes no page
    ordered = sorted(made, key=lambda each: (each.created_at, each.id), reverse=not oldest_first)
    assert seen == listed(ordered)


async def test_each_filter_lets_what_fits_pass(store: DeliveryStore) -> None:
    made = [
        make_delivery(),
        failed(at=NOW + SECOND, endpoint_id=ONE, event_type="job.failed", about="job-1"),
        make_delivery(at=NOW + 2 * SECOND, endpoint_id=ONE, event_type="job.failed", about="job-2"),
        failed(at=NOW + 3 * SECOND, endpoint_id=ONE),
        make_delivery(at=NOW + 4 * SECOND, endpoint_id=OTHER, state=State.SKIPPED, finished_at=NOW, about="job-4"),
    ]
    await store.add([*made, make_delivery(tenant="other", event_type="job.failed", about="job-2")])
    for wanted, numbers in FILTERS:
        found = await store.deliveries("acme", wanted, limit=10)
        assert listed(found) == listed([made[number] for number in numbers]), wanted
        assert await store.count("acme", wanted, limit=10) == len(numbers), wanted


async def test_a_count_goes_no_further_than_its_limit(store: DeliveryStore) -> None:
    await store.add([make_delivery() for _ in range(5)])
    assert await store.count("acme", ANY, limit=3) == 3


@pytest.mark.parametrize("state", [State.FAILED, State.SKIPPED, State.DELIVERED])
async def test_what_has_ended_is_put_back(store: DeliveryStore, state: State) -> None:
    ended = failed(endpoint_id=ONE, state=state, batch_id="msg_1", line="con_1", place=7, replays=2)
    await store.add([ended])
    later = NOW + 60 * SECOND
    back = replace(
        ended,
        state=State.PENDING,
        attempts=0,
        replays=3,
        batch_id="",
        next_attempt_at=later,
        last_reason="",
        last_status=0,
        finished_at=None,
    )
    assert await store.put_back("acme", ended.id, now=later) == replace(back, payload=b"", sealed_secret=b"")
    assert await kept(store, ended) == back


async def test_what_waits_for_its_next_attempt_is_due_at_once(store: DeliveryStore) -> None:
    waiting = await added(store, attempts=2, next_attempt_at=NOW + 9 * SECOND, last_reason=Reason.RECEIVER_TIMEOUT)
    back = await store.put_back("acme", waiting.id, now=NOW)
    assert back is not None
    assert (back.attempts, back.replays, back.next_attempt_at) == (0, 1, NOW)


async def test_what_is_being_attempted_is_not_put_back_until_its_claim_has_run_out(store: DeliveryStore) -> None:
    claimed = await added(store, attempts=1, claim="somebody", next_attempt_at=NOW + 9 * SECOND)
    assert await store.put_back("acme", claimed.id, now=NOW) is None
    assert await store.put_back_for("rpl_1", "acme", [claimed.id], ANY, now=NOW) == 0
    assert await kept(store, claimed) == claimed
    back = await store.put_back("acme", claimed.id, now=NOW + 9 * SECOND)
    assert back is not None
    assert (back.attempts, back.claim) == (0, "")


async def test_nothing_is_taken_out_of_a_batch_that_is_not_over(store: DeliveryStore) -> None:
    member = await added(store, endpoint_id=ONE, batch_id="msg_1")
    assert await store.put_back("acme", member.id, now=NOW) is None
    assert await store.put_back_for("rpl_1", "acme", [member.id], ANY, now=NOW) == 0
    assert await kept(store, member) == member


async def test_one_replay_puts_each_back_once_and_repeats_its_answer(store: DeliveryStore) -> None:
    dead, gone, waiting = failed(), failed(state=State.DELIVERED), make_delivery()
    await store.add([dead, gone, waiting])
    wanted = DeliveryFilter(states=(State.FAILED,))
    named = [dead.id, gone.id, waiting.id, "dlv_unheard_of"]
    for _ in range(2):
        assert await store.put_back_for("rpl_1", "acme", named, wanted, now=NOW) == 1
    back = await kept(store, dead)
    assert (back.state, back.replays) == (State.PENDING, 1)
    assert await kept(store, gone) == gone
    assert await kept(store, waiting) == waiting


async def test_another_replay_puts_it_back_once_more(store: DeliveryStore) -> None:
    dead = await added(store, state=State.FAILED)
    for replay_id in ("rpl_1", "rpl_2", "rpl_1"):
        assert await store.put_back_for(replay_id, "acme", [dead.id], ANY, now=NOW) == 1
    assert (await kept(store, dead)).replays == 2
