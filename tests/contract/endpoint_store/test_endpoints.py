"""What every store does with endpoints."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.webhooks.deliveries.domain import RetrySchedule
from services.webhooks.endpoints.domain import (
    Batching,
    DisabledReason,
    EventFilter,
    ExponentialPauses,
    Order,
    Rate,
)
from shared import ids
from shared.paging import Position
from tests.fakes.endpoints import LATER, NOW, SECOND, endpoint_secrets, make_endpoint

if TYPE_CHECKING:
    from services.webhooks.endpoints.domain import Endpoint
    from services.webhooks.endpoints.store import EndpointStore

EXPONENTIAL = ExponentialPauses(initial=SECOND, factor=2.5, maximum=timedelta(hours=1), max_attempts=4)


async def kept(store: EndpointStore, endpoint: Endpoint) -> Endpoint:
    found = await store.endpoint(endpoint.tenant, endpoint.id)
    assert found is not None
    return found


async def test_an_endpoint_is_found_by_its_id_for_its_own_tenant_alone(store: EndpointStore) -> None:
    secrets = endpoint_secrets()
    named = ids.new_endpoint_id()
    keys = [secrets.make_keys("acme", named, now=NOW) for _ in range(2)]
    endpoint = make_endpoint(
        id=named,
        description="Grüße, 世界",
        filter=EventFilter(
            event_types=("job.*", "batch.finished"),
            upstreams=("flickr",),
            methods=("flickr.photos.*",),
            metadata={"$set": "$name", "a.b": "", "": "x"},
        ),
        header_names=("x-key",),
        sealed_headers=secrets.seal_headers("acme", named, {"x-key": "1"}),
        order=Order.BY_CONNECTION,
        rate=Rate(deliveries=5, period=timedelta(seconds=1.5)),
        batching=Batching(max_events=10, max_wait=timedelta()),
        retry=EXPONENTIAL.schedule(),
        exponential=EXPONENTIAL,
        keys=(keys[0], replace(keys[1], expires_at=LATER)),
        enabled=False,
        disabled_reason=DisabledReason.FAILING,
        disabled_at=LATER,
        failing_since=NOW,
        revision=7,
        updated_at=LATER,
    )
    assert await store.add(endpoint)
    assert await store.endpoint("acme", named) == endpoint
    assert await store.endpoint("globex", named) is None
    assert await store.endpoint("acme", ids.new_endpoint_id()) is None
    assert await store.untold(limit=10) == []


async def test_endpoints_are_listed_newest_first_page_by_page_and_by_whether_they_are_enabled(
    store: EndpointStore,
) -> None:
    named_in_order = sorted(ids.new_endpoint_id() for _ in range(4))
    made = [
        make_endpoint(id=named, created_at=NOW + index // 2 * SECOND, enabled=index != 2)
        for index, named in enumerate(named_in_order)
    ]
    for endpoint in (*made, make_endpoint(tenant="globex")):
        await store.add(endpoint)

    async def listed(*, enabled: bool | None = None) -> list[int]:
        seen: list[str] = []
        after: Position | None = None
        while page := await store.endpoints("acme", limit=1, after=after, enabled=enabled):
            seen += [each.id for each in page]
            after = Position(created_at=page[-1].created_at, id=page[-1].id)
        return [named_in_order.index(each) for each in seen]

    assert await listed() == [3, 2, 1, 0]
    assert await listed(enabled=True) == [3, 1, 0]
    assert await listed(enabled=False) == [2]


@pytest.mark.parametrize("limit", [1, 3])
async def test_of_many_that_are_added_at_once_no_more_stay_than_a_tenant_may_have(
    store: EndpointStore, limit: int
) -> None:
    made = [make_endpoint() for _ in range(12)]
    had_room = await asyncio.gather(*(store.add(each, limit=limit) for each in made))
    assert had_room.count(True) == limit
    listed = await store.endpoints("acme", limit=20)
    assert {each.id for each in listed} == {each.id for each, fits in zip(made, had_room, strict=True) if fits}
    assert await store.add(make_endpoint(tenant="globex"), limit=limit)
    await store.delete("acme", listed[0].id)
    assert await store.add(make_endpoint(), limit=limit)
    assert not await store.add(make_endpoint(), limit=limit)


async def test_a_lower_limit_takes_nothing_away_and_lets_nothing_in(store: EndpointStore) -> None:
    made = [make_endpoint() for _ in range(4)]
    for each in made:
        await store.add(each, limit=4)
    await store.delete("acme", made[0].id)
    assert not await store.add(make_endpoint(), limit=3)
    assert len(await store.endpoints("acme", limit=10)) == 3


async def test_whom_events_may_reach_is_read_for_many_tenants_at_once_without_secrets(store: EndpointStore) -> None:
    secrets = endpoint_secrets()
    named = ids.new_endpoint_id()
    rich = make_endpoint(
        id=named, header_names=("x-key",), sealed_headers=secrets.seal_headers("acme", named, {"x-key": "1"})
    )
    disabled, other = make_endpoint(enabled=False), make_endpoint(tenant="globex")
    for each in (rich, disabled, other, make_endpoint(tenant="initech")):
        await store.add(each)
    found = await store.of_tenants({"acme", "globex", "nobody"})
    assert set(found) == {"acme", "globex"}
    assert {each.id: each for each in found["acme"]} == {
        rich.id: replace(rich, keys=(), sealed_headers=b""),
        disabled.id: replace(disabled, keys=()),
    }
    assert found["globex"] == [replace(other, keys=())]


async def test_endpoints_are_read_whole_by_their_ids_at_once(store: EndpointStore) -> None:
    made = [make_endpoint(), make_endpoint(tenant="globex")]
    for each in made:
        await store.add(each)
    assert await store.by_ids([*(each.id for each in made), ids.new_endpoint_id()]) == {each.id: each for each in made}
    assert await store.by_ids([]) == {}


@pytest.mark.parametrize("text", ["$name", "$$NOW", "{$ne: 1}", ""])
async def test_a_change_raises_the_revision_and_keeps_texts_as_they_are(store: EndpointStore, text: str) -> None:
    endpoint = make_endpoint(description="before", rate=Rate(deliveries=5))
    await store.add(endpoint)
    changed = await store.change(
        "acme", endpoint.id, lambda each: replace(each, description=text, rate=None, updated_at=LATER)
    )
    assert changed == replace(endpoint, description=text, rate=None, updated_at=LATER, revision=2)
    assert await kept(store, endpoint) == changed
    assert await store.change("globex", endpoint.id, lambda each: replace(each, description="theirs")) is None
    assert await kept(store, endpoint) == changed


async def test_what_a_change_leaves_as_it_is_has_no_new_revision(store: EndpointStore) -> None:
    endpoint = make_endpoint()
    await store.add(endpoint)
    assert await store.change("acme", endpoint.id, lambda each: each) == endpoint
    assert await kept(store, endpoint) == endpoint


async def test_of_changes_at_the_same_time_none_is_lost(store: EndpointStore) -> None:
    endpoint = make_endpoint(description="")
    await store.add(endpoint)

    async def write(letter: str) -> None:
        await store.change("acme", endpoint.id, lambda each: replace(each, description=each.description + letter))

    await asyncio.gather(*(write(letter) for letter in "abcdefgh"))
    found = await kept(store, endpoint)
    assert sorted(found.description) == list("abcdefgh")
    assert found.revision == 9


async def test_a_deleted_endpoint_is_gone_and_answered_as_it_was(store: EndpointStore) -> None:
    endpoint = make_endpoint()
    await store.add(endpoint)
    assert await store.delete("globex", endpoint.id) is None
    assert await store.delete("acme", endpoint.id) == endpoint
    assert await store.delete("acme", endpoint.id) is None
    assert await store.endpoint("acme", endpoint.id) is None
    assert await store.change("acme", endpoint.id, lambda each: replace(each, description="x")) is None
    assert not await store.disable(endpoint.id, reason=DisabledReason.GONE, now=LATER)
    assert await store.note_health(endpoint.id, failing_since=NOW) is None


async def test_an_endpoint_is_disabled_once_and_untold_until_that_was_told(store: EndpointStore) -> None:
    endpoint = make_endpoint()
    await store.add(endpoint)
    assert await store.disable(endpoint.id, reason=DisabledReason.GONE, now=LATER)
    assert not await store.disable(endpoint.id, reason=DisabledReason.FAILING, now=LATER + SECOND)
    disabled = replace(
        endpoint,
        enabled=False,
        disabled_reason=DisabledReason.GONE,
        disabled_at=LATER,
        updated_at=LATER,
        revision=2,
    )
    assert await store.untold(limit=10) == [disabled]
    described = await store.change("acme", endpoint.id, lambda each: replace(each, description="since changed"))
    assert described is not None
    await store.note_told(disabled)
    assert await store.untold(limit=10) == [described]
    await store.note_told(described)
    assert await store.untold(limit=10) == []
    assert await kept(store, endpoint) == described


async def test_an_endpoint_that_is_enabled_again_or_deleted_has_nothing_untold(store: EndpointStore) -> None:
    enabled, deleted = make_endpoint(), make_endpoint()
    for each in (enabled, deleted):
        await store.add(each)
        await store.disable(each.id, reason=DisabledReason.FAILING, now=LATER)
    assert len(await store.untold(limit=1)) == 1
    await store.change(
        "acme", enabled.id, lambda each: replace(each, enabled=True, disabled_reason=None, disabled_at=None)
    )
    await store.delete("acme", deleted.id)
    assert await store.untold(limit=10) == []


async def test_the_first_failure_since_a_success_is_noted_and_raises_no_revision(store: EndpointStore) -> None:
    endpoint = make_endpoint()
    await store.add(endpoint)
    assert await store.note_health(endpoint.id, failing_since=NOW) == NOW
    assert await store.note_health(endpoint.id, failing_since=LATER) == NOW
    assert await kept(store, endpoint) == replace(endpoint, failing_since=NOW)
    assert await store.note_health(endpoint.id, failing_since=None) is None
    assert await kept(store, endpoint) == endpoint
    assert await store.note_health(endpoint.id, failing_since=LATER) == LATER


async def test_health_that_is_noted_during_a_change_stays(store: EndpointStore) -> None:
    endpoint = make_endpoint(retry=RetrySchedule((SECOND,)))
    await store.add(endpoint)
    noted = asyncio.Event()

    def change(each: Endpoint) -> Endpoint:
        noted.set()
        return replace(each, description="changed")

    async def note() -> None:
        await noted.wait()
        await store.note_health(endpoint.id, failing_since=NOW)

    await asyncio.gather(store.change("acme", endpoint.id, change), note())
    found = await kept(store, endpoint)
    assert (found.description, found.failing_since) == ("changed", NOW)
