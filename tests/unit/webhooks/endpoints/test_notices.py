"""That an endpoint is disabled is told until it is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import notices_pb2

from services.webhooks.endpoints.domain import DisabledReason
from services.webhooks.endpoints.notices import UntoldEndpoints
from shared.errors import Unavailable
from shared.notices import Notices
from tests.fakes.endpoint_store import FakeEndpointStore
from tests.fakes.endpoints import LATER, NOW, SECOND, make_endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.webhooks.endpoints.domain import Endpoint
    from shared.bus import Outgoing


class Publisher:
    """Notes what is published; its acknowledgement can be lost."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []
        self.loses = False

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self.taken += messages
        if self.loses:
            raise Unavailable("NATS does not answer")


@pytest.fixture
def store() -> FakeEndpointStore:
    return FakeEndpointStore()


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def notices(store: FakeEndpointStore, publisher: Publisher) -> Notices[Endpoint]:
    return Notices(UntoldEndpoints(store), publisher)


async def disabled(store: FakeEndpointStore, reason: DisabledReason = DisabledReason.GONE) -> Endpoint:
    endpoint = make_endpoint(url="https://client.example/hook?token=canary")
    await store.add(endpoint)
    await store.note_health(endpoint.id, failing_since=NOW)
    assert await store.disable(endpoint.id, reason=reason, now=LATER)
    return store.by_id[endpoint.id]


@pytest.mark.parametrize("reason", [DisabledReason.GONE, DisabledReason.FAILING])
async def test_it_is_told_once_with_all_that_there_is_to_say_and_no_secret(
    store: FakeEndpointStore, publisher: Publisher, notices: Notices[Endpoint], reason: DisabledReason
) -> None:
    endpoint = await disabled(store, reason)
    await notices.tell()
    await notices.tell()
    (outgoing,) = publisher.taken
    assert (outgoing.subject, outgoing.message_id) == ("notices.endpoint_disabled", f"{endpoint.id}:2")
    notice = notices_pb2.Notice.FromString(outgoing.payload)
    assert (notice.id, notice.tenant) == (outgoing.message_id, "acme")
    assert notice.time.ToDatetime(tzinfo=LATER.tzinfo) == LATER
    fact = notice.endpoint_disabled
    assert (fact.endpoint_id, fact.url, fact.reason) == (endpoint.id, "https://client.example", reason.value)
    assert fact.disabled_at.ToDatetime(tzinfo=LATER.tzinfo) == LATER
    assert fact.failing_since.ToDatetime(tzinfo=NOW.tzinfo) == NOW
    assert fact.revision == 2
    assert b"canary" not in outgoing.payload


async def test_what_is_not_acknowledged_is_told_again_under_the_same_id(
    store: FakeEndpointStore, publisher: Publisher, notices: Notices[Endpoint]
) -> None:
    await disabled(store)
    publisher.loses = True
    with pytest.raises(Unavailable):
        await notices.tell()
    publisher.loses = False
    await notices.tell()
    assert len({each.message_id for each in publisher.taken}) == 1
    assert store.untold_ids == set()


async def test_one_that_is_disabled_anew_while_it_is_told_is_told_once_more(
    store: FakeEndpointStore, publisher: Publisher, notices: Notices[Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await disabled(store)
    publish = publisher.publish

    async def overtaken(messages: Sequence[Outgoing]) -> None:
        if not publisher.taken:
            enabled = make_endpoint(id=endpoint.id, revision=endpoint.revision + 1)
            store.by_id[endpoint.id] = enabled
            await store.disable(endpoint.id, reason=DisabledReason.FAILING, now=LATER + SECOND)
        await publish(messages)

    monkeypatch.setattr(publisher, "publish", overtaken)
    await notices.tell()
    assert [each.message_id for each in publisher.taken] == [f"{endpoint.id}:2", f"{endpoint.id}:4"]
    assert store.untold_ids == set()


async def test_one_that_is_enabled_or_deleted_before_it_is_told_is_not_told_of(
    store: FakeEndpointStore, publisher: Publisher, notices: Notices[Endpoint]
) -> None:
    enabled, gone = await disabled(store), await disabled(store)
    await store.change("acme", enabled.id, lambda _: make_endpoint(id=enabled.id))
    await store.delete("acme", gone.id)
    await notices.tell()
    assert publisher.taken == []
