"""Endpoints over a store: what changes of them mean, and that they are told of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.webhooks.endpoints.changes import Changes
from services.webhooks.endpoints.domain import DisabledReason, Endpoint, EventFilter, ExponentialPauses, Order, Rate
from services.webhooks.endpoints.endpoints import Endpoints
from services.webhooks.endpoints.orders import ChangeOrder, EndpointOrder, Given, RetryOrder
from services.webhooks.endpoints.rules import Rules
from services.webhooks.errors import EndpointLimitReached, EndpointNotFound
from shared import ids
from shared.addresses import AddressGuard
from shared.errors import InvalidArgument, Unavailable
from shared.identity import Principal, PrincipalKind
from tests.fakes.endpoint_store import FakeEndpointStore
from tests.fakes.endpoints import NOW, SECOND, SECRET, endpoint_secrets
from tests.fakes.event_types import event_types

if TYPE_CHECKING:
    from collections.abc import Mapping

ANN = Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset())
URL = "https://client.example/hook"
CANARY = "canary-5b1f0c7d-canary"
GRACE = timedelta(hours=24)


@dataclass
class Time:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class FakeAnnouncer:
    """Keeps what it was told, and which signals were sent; can be away."""

    told: list[Mapping[str, datetime]] = field(default_factory=list)
    signals: list[tuple[str, bytes]] = field(default_factory=list)
    away: bool = False

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        self.signals.append((subject, payload))

    async def announce(self, due: Mapping[str, datetime]) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer")
        self.told.append(due)


@pytest.fixture
def store() -> FakeEndpointStore:
    return FakeEndpointStore()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def announcer() -> FakeAnnouncer:
    return FakeAnnouncer()


@pytest.fixture
def endpoints(store: FakeEndpointStore, time: Time, announcer: FakeAnnouncer) -> Endpoints:
    return Endpoints(
        store=store,
        secrets=endpoint_secrets(),
        rules=Rules(guard=AddressGuard(), event_types=event_types()),
        changes=Changes(announcer=announcer, signals=announcer, clock=time),
        limit=3,
        grace=GRACE,
        clock=time,
    )


async def make(endpoints: Endpoints, **fields: Any) -> Endpoint:
    return await endpoints.create(EndpointOrder(**{"url": URL, "secret": SECRET} | fields), maker=ANN)


async def test_an_endpoint_is_made_as_it_was_ordered(endpoints: Endpoints, store: FakeEndpointStore) -> None:
    pauses = ExponentialPauses(initial=SECOND, max_attempts=3)
    made = await make(
        endpoints,
        description="CRM",
        filter=EventFilter(event_types=("job.*",)),
        headers={"X-Key": CANARY, "authorization": "Bearer x"},
        order=Order.BY_CONNECTION,
        rate=Rate(deliveries=5),
        retry=RetryOrder(exponential=pauses),
    )
    assert ids.is_endpoint_id(made.id)
    assert (made.tenant, made.url, made.description, made.enabled) == ("acme", URL, "CRM", True)
    assert (made.header_names, made.order, made.rate) == (
        ("authorization", "x-key"),
        Order.BY_CONNECTION,
        Rate(deliveries=5),
    )
    assert (made.retry, made.exponential) == (pauses.schedule(), pauses)
    assert endpoint_secrets().headers(made) == {"X-Key": CANARY, "authorization": "Bearer x"}
    assert endpoints.secret(made) == SECRET
    assert store.by_id == {made.id: made}


async def test_an_endpoint_may_be_made_disabled(endpoints: Endpoints) -> None:
    made = await make(endpoints, enabled=False)
    assert (made.enabled, made.disabled_reason, made.disabled_at) == (False, DisabledReason.ASKED, NOW)


async def test_a_wrong_order_makes_nothing(endpoints: Endpoints, store: FakeEndpointStore) -> None:
    with pytest.raises(InvalidArgument, match="url: begins with http://"):
        await make(endpoints, url="http://client.example/")
    assert store.by_id == {}


async def test_no_more_are_made_than_a_tenant_may_have(endpoints: Endpoints) -> None:
    made = [await make(endpoints) for _ in range(3)]
    with pytest.raises(EndpointLimitReached) as refused:
        await make(endpoints)
    assert refused.value.metadata == {"tenant": "acme", "limit": "3"}
    await endpoints.delete(made[0].id, by=ANN)
    await make(endpoints)


async def test_what_is_given_takes_the_place_of_what_there_was_and_the_rest_stays(
    endpoints: Endpoints, time: Time, announcer: FakeAnnouncer
) -> None:
    made = await make(endpoints, description="before", headers={"x-key": CANARY}, rate=Rate(deliveries=5))
    time.at += SECOND
    pauses = RetryOrder(pauses=(SECOND, 2 * SECOND))
    changed = await endpoints.change(
        made.id, ChangeOrder(description="", order=Order.BY_CONNECTION, retry=pauses), by=ANN
    )
    assert (changed.description, changed.order, changed.retry) == ("", Order.BY_CONNECTION, pauses.schedule())
    assert (changed.rate, changed.header_names, changed.url, changed.keys) == (made.rate, ("x-key",), URL, made.keys)
    assert (changed.revision, changed.updated_at, changed.created_at) == (2, NOW + SECOND, NOW)
    assert announcer.told == [{made.id: NOW + SECOND}]
    ended = await endpoints.change(made.id, ChangeOrder(rate=Given(None), retry=RetryOrder()), by=ANN)
    assert (ended.rate, ended.retry, ended.exponential) == (None, None, None)


async def test_a_change_that_changes_nothing_has_no_new_revision(endpoints: Endpoints, time: Time) -> None:
    made = await make(endpoints, description="same")
    time.at += SECOND
    for order in (ChangeOrder(), ChangeOrder(description="same", enabled=True, url=URL, order=Order.NONE)):
        assert await endpoints.change(made.id, order, by=ANN) == made


async def test_another_url_takes_the_headers_away_and_what_was_held_against_the_old_one(
    endpoints: Endpoints, store: FakeEndpointStore
) -> None:
    made = await make(endpoints, headers={"x-key": CANARY})
    await store.note_health(made.id, failing_since=NOW)
    same = await endpoints.change(made.id, ChangeOrder(url=URL, description="x"), by=ANN)
    assert (same.header_names, same.failing_since) == (("x-key",), NOW)
    moved = await endpoints.change(made.id, ChangeOrder(url="https://other.example/"), by=ANN)
    assert (moved.header_names, moved.sealed_headers, moved.failing_since) == ((), b"", None)
    order = ChangeOrder(url="https://third.example/", headers={"x-new": "1"})
    third = await endpoints.change(made.id, order, by=ANN)
    assert third.header_names == ("x-new",)
    assert endpoint_secrets().headers(third) == {"x-new": "1"}
    bare = await endpoints.change(made.id, ChangeOrder(headers={}), by=ANN)
    assert (bare.header_names, bare.sealed_headers) == ((), b"")


async def test_disabling_and_enabling(
    endpoints: Endpoints, store: FakeEndpointStore, time: Time, announcer: FakeAnnouncer
) -> None:
    made = await make(endpoints)
    time.at += SECOND
    disabled = await endpoints.change(made.id, ChangeOrder(enabled=False), by=ANN)
    assert (disabled.enabled, disabled.disabled_reason, disabled.disabled_at) == (
        False,
        DisabledReason.ASKED,
        NOW + SECOND,
    )
    assert announcer.told == [{made.id: NOW + SECOND}]
    assert await store.untold(limit=1) == []
    enabled = await endpoints.enable(made.id, by=ANN)
    assert (enabled.enabled, enabled.disabled_reason, enabled.disabled_at) == (True, None, None)
    assert await endpoints.enable(made.id, by=ANN) == enabled


async def test_one_that_has_failed_too_long_starts_afresh_and_keeps_its_reason_until_then(
    endpoints: Endpoints, store: FakeEndpointStore
) -> None:
    made = await make(endpoints)
    await store.note_health(made.id, failing_since=NOW)
    await store.disable(made.id, reason=DisabledReason.FAILING, now=NOW)
    asked = await endpoints.change(made.id, ChangeOrder(enabled=False), by=ANN)
    assert (asked.disabled_reason, asked.failing_since) == (DisabledReason.FAILING, NOW)
    assert await store.untold(limit=1) == [asked]
    enabled = await endpoints.change(made.id, ChangeOrder(enabled=True), by=ANN)
    assert (enabled.enabled, enabled.failing_since) == (True, None)
    assert await store.untold(limit=1) == []


async def test_a_rotation_leaves_two_generations_and_ends_older_ones_at_once(
    endpoints: Endpoints, time: Time, announcer: FakeAnnouncer
) -> None:
    made = await make(endpoints)
    time.at += SECOND
    once = await endpoints.rotate(made.id, grace=None, secret="", by=ANN)
    assert [keys.expires_at for keys in once.keys] == [None, NOW + SECOND + GRACE]
    assert once.keys[1].public_key == made.keys[0].public_key
    assert endpoints.secret(once) != SECRET
    twice = await endpoints.rotate(made.id, grace=timedelta(hours=1), secret=SECRET, by=ANN)
    assert [keys.public_key for keys in twice.keys[1:]] == [once.keys[0].public_key]
    assert endpoints.secret(twice) == SECRET
    at_once = await endpoints.rotate(made.id, grace=timedelta(), secret="", by=ANN)
    assert len(at_once.keys) == 1
    assert len(announcer.told) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"grace": timedelta(days=7, seconds=1)}, "grace: is 604801s; it takes 0s to 604800s"),
        ({"grace": timedelta(seconds=-1)}, "grace: is -1s"),
        ({"secret": CANARY}, "secret: does not begin with whsec_"),
    ],
)
async def test_a_wrong_rotation_changes_nothing(
    endpoints: Endpoints, store: FakeEndpointStore, wrong: dict[str, Any], said: str
) -> None:
    made = await make(endpoints)
    with pytest.raises(InvalidArgument, match=said) as refused:
        await endpoints.rotate(made.id, **{"grace": None, "secret": ""} | wrong, by=ANN)
    assert CANARY not in refused.value.message
    assert store.by_id[made.id] == made


async def test_rotations_at_the_same_time_leave_the_newest_two(endpoints: Endpoints) -> None:
    made = await make(endpoints)
    rotated = await asyncio.gather(*(endpoints.rotate(made.id, grace=GRACE, secret="", by=ANN) for _ in range(4)))
    last = max(rotated, key=lambda each: each.revision)
    assert len(last.keys) == 2
    assert (await endpoints.endpoint("acme", made.id)).keys == last.keys


async def test_a_deleted_endpoint_is_answered_as_it_was_and_told_of(
    endpoints: Endpoints, announcer: FakeAnnouncer
) -> None:
    made = await make(endpoints)
    assert await endpoints.delete(made.id, by=ANN) == made
    assert announcer.told == [{made.id: NOW}]
    assert announcer.signals == [("signal.webhooks.endpoint_changed", made.id.encode())]
    with pytest.raises(EndpointNotFound):
        await endpoints.endpoint("acme", made.id)


async def test_a_change_stands_though_it_cannot_be_told(endpoints: Endpoints, announcer: FakeAnnouncer) -> None:
    made = await make(endpoints)
    announcer.away = True
    changed = await endpoints.change(made.id, ChangeOrder(enabled=False), by=ANN)
    assert await endpoints.endpoint("acme", made.id) == changed


async def test_another_tenants_endpoint_and_what_is_none_are_not_found(endpoints: Endpoints) -> None:
    made = await make(endpoints)
    theirs = Principal(kind=PrincipalKind.KEY, id="key_2", tenant="globex", scopes=frozenset())
    for action in (
        lambda named: endpoints.endpoint(theirs.tenant, named),
        lambda named: endpoints.change(named, ChangeOrder(enabled=False), by=theirs),
        lambda named: endpoints.enable(named, by=theirs),
        lambda named: endpoints.rotate(named, grace=None, secret="", by=theirs),
        lambda named: endpoints.delete(named, by=theirs),
    ):
        with pytest.raises(EndpointNotFound) as refused:
            await action(made.id)
        assert refused.value.metadata == {"endpoint": made.id}
        with pytest.raises(InvalidArgument, match="endpointId: 'ep_x' is no id"):
            await action("ep_x")
    assert await endpoints.endpoint("acme", made.id) == made


async def test_a_secret_that_does_not_open_is_unavailable_and_a_rotation_without_grace_mends_that(
    store: FakeEndpointStore, endpoints: Endpoints, time: Time, announcer: FakeAnnouncer
) -> None:
    made = await make(endpoints)
    other_key = Endpoints(
        store=store,
        secrets=endpoint_secrets(bytes(32)),
        rules=Rules(guard=AddressGuard(), event_types=event_types()),
        changes=Changes(announcer=announcer, signals=announcer, clock=time),
        limit=3,
        grace=GRACE,
        clock=time,
    )
    with pytest.raises(Unavailable, match="rotate the secret with a grace of 0s"):
        other_key.secret(made)
    rotated = await other_key.rotate(made.id, grace=timedelta(), secret="", by=ANN)
    assert other_key.secret(rotated).startswith("whsec_")
