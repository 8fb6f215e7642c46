"""What every store does with connections."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from services.auth.connections.domain import Account, Change, GivenSecret, Kind, ReauthPolicy, State
from services.auth.connections.store import MongoConnectionStore
from services.auth.store import DATABASE
from shared import ids
from shared.paging import Position
from tests.fakes.connections import FRESH, LATER, NEEDS_REAUTH, NOW, SECOND, added, standing

if TYPE_CHECKING:
    from services.auth.connections.sealing.sealed_store import SealedStore
    from services.auth.connections.store import ConnectionStore


async def test_a_connection_is_found_by_its_id_for_its_own_tenant_alone(store: ConnectionStore) -> None:
    connection = await added(
        store,
        provider="flickr",
        kind=Kind.OAUTH1,
        state=State.NEEDS_REAUTH,
        state_reason="revoked",
        needs_reauth_since=NOW,
        display_name="Photos",
        hosts=(),
        scopes=("read", "write"),
        account=Account(id="1@N00", name="Ann"),
        reauth_policy=ReauthPolicy.WAIT,
        version=3,
        revision=2,
        refreshed_at=NOW,
        expires_at=LATER,
    )
    assert await store.connection("acme", connection.id) == connection
    assert await store.connection("globex", connection.id) is None
    assert await store.connection("acme", ids.new_connection_id()) is None
    assert await store.untold(limit=10) == []


async def test_connections_are_listed_newest_first_page_by_page_and_by_upstream_and_state(
    store: ConnectionStore,
) -> None:
    upstreams = ["http", "flickr", "http", "flickr"]
    named_in_order = sorted(ids.new_connection_id() for _ in upstreams)
    made = [
        await added(store, id=named, upstream=upstream, created_at=NOW + index // 2 * SECOND)
        for index, (named, upstream) in enumerate(zip(named_in_order, upstreams, strict=True))
    ]
    await added(store, tenant="globex")
    await store.mark_needs_reauth("acme", made[2].id, version=1, **NEEDS_REAUTH)

    async def listed(**filters: Any) -> list[int]:
        seen: list[str] = []
        after: Position | None = None
        while page := await store.connections("acme", limit=1, after=after, **filters):
            seen += [each.id for each in page]
            after = Position(created_at=page[-1].created_at, id=page[-1].id)
        return [[each.id for each in made].index(each) for each in seen]

    assert await listed() == [3, 2, 1, 0]
    assert await listed(upstream="flickr") == [3, 1]
    assert await listed(state=State.NEEDS_REAUTH) == [2]
    assert await listed(state=State.ACTIVE, upstream="http") == [0]
    assert [await store.count(tenant, limit=3) for tenant in ("acme", "globex", "none")] == [3, 1, 0]


@pytest.mark.parametrize("text", ["$name", "$$NOW", "{$ne: 1}", "Grüße, 世界", ""])
async def test_what_is_not_given_of_a_change_stays_and_texts_are_kept_as_they_are(
    store: ConnectionStore, text: str
) -> None:
    connection = await added(store, display_name="before")
    changed = await store.change("acme", connection.id, Change(at=LATER, display_name=text))
    assert changed == replace(connection, display_name=text, updated_at=LATER)
    hosts = ("$a.example", "b.example:8443")
    given = GivenSecret(kind=Kind.BASIC, sealed=FRESH, scopes=("$s",), account=Account(id="$1"), expires_at=LATER)
    changed = await store.change("acme", connection.id, Change(at=LATER, hosts=hosts, given=given))
    assert changed == await store.connection("acme", connection.id)
    assert changed == replace(
        connection,
        display_name=text,
        hosts=hosts,
        kind=Kind.BASIC,
        sealed=FRESH,
        scopes=("$s",),
        account=Account(id="$1"),
        expires_at=LATER,
        updated_at=LATER,
        version=2,
    )
    assert await store.untold(limit=10) == []


async def test_a_change_is_of_the_connections_that_it_may_be_of_alone(store: ConnectionStore) -> None:
    connection = await added(store, provider="flickr", kind=Kind.OAUTH1)
    change = Change(at=LATER, display_name="x")
    assert await store.change("acme", connection.id, change, kinds=[Kind.BEARER]) is None
    assert await store.change("acme", connection.id, change, provider="other") is None
    assert await store.change("globex", connection.id, change) is None
    assert await store.connection("acme", connection.id) == connection
    assert await store.change("acme", connection.id, change, kinds=[Kind.OAUTH1], provider="flickr") is not None


async def test_one_that_needs_reauth_is_active_with_another_secret_and_each_is_told(store: ConnectionStore) -> None:
    connection = await added(store)
    needs = await store.mark_needs_reauth("acme", connection.id, version=1, **NEEDS_REAUTH)
    assert needs == replace(
        connection,
        state=State.NEEDS_REAUTH,
        state_reason="$revoked",
        needs_reauth_since=NOW + SECOND,
        updated_at=NOW + SECOND,
        revision=2,
    )
    again = await store.mark_needs_reauth("acme", connection.id, version=1, reason="other", at=LATER)
    assert again == needs
    assert await store.untold(limit=10) == [standing(needs)]
    given = GivenSecret(kind=Kind.BEARER, sealed=FRESH)
    restored = await store.change("acme", connection.id, Change(at=LATER, given=given))
    assert restored == replace(connection, sealed=FRESH, updated_at=LATER, version=2, revision=3)
    assert await store.mark_needs_reauth("acme", connection.id, version=1, **NEEDS_REAUTH) is None
    await store.note_told(standing(needs))  # too late: it has changed since
    assert await store.untold(limit=10) == [standing(restored)]
    await store.note_told(standing(restored))
    assert await store.untold(limit=10) == []


async def test_another_policy_is_told_of_where_jobs_wait_or_would(store: ConnectionStore) -> None:
    connection = await added(store)
    waits = Change(at=LATER, reauth_policy=ReauthPolicy.WAIT)
    changed = await store.change("acme", connection.id, waits)
    assert changed == replace(connection, reauth_policy=ReauthPolicy.WAIT, updated_at=LATER)
    assert await store.untold(limit=10) == []
    needs = await store.mark_needs_reauth("acme", connection.id, version=1, **NEEDS_REAUTH)
    assert needs is not None
    assert await store.untold(limit=10) == [standing(needs, jobs_wait=True)]
    await store.note_told(standing(needs))
    assert await store.change("acme", connection.id, waits) == replace(needs, updated_at=LATER)
    assert await store.untold(limit=10) == []
    fails = await store.change("acme", connection.id, replace(waits, reauth_policy=ReauthPolicy.FAIL))
    assert fails is not None
    assert fails.revision == needs.revision + 1
    assert await store.untold(limit=10) == [standing(fails, jobs_wait=False)]


async def test_of_a_deleted_connection_nothing_is_left_but_what_is_told(
    store: ConnectionStore, sealed_store: SealedStore, request: pytest.FixtureRequest
) -> None:
    connection = await added(store, display_name="Photos", scopes=("read",))
    assert await store.delete("globex", connection.id, LATER) is None
    assert await store.delete("acme", connection.id, LATER) == connection
    assert await store.delete("acme", connection.id, LATER) is None
    assert await store.connection("acme", connection.id) is None
    assert await store.connections("acme", limit=10) == []
    assert await store.change("acme", connection.id, Change(at=LATER, display_name="x")) is None
    assert await store.mark_needs_reauth("acme", connection.id, version=1, **NEEDS_REAUTH) is None
    assert await sealed_store.count_sealed_under("dk_1") == 0
    if isinstance(store, MongoConnectionStore):
        left = await request.getfixturevalue("mongo")[DATABASE]["connections"].find_one({"_id": connection.id})
        assert left.keys() == {
            "_id",
            "tenant",
            "upstream",
            "provider",
            "created_at",
            "revision",
            "deleted_at",
            "untold",
        }
    deleted = standing(connection, state=None, since=LATER, revision=2)
    assert await store.untold(limit=10) == [deleted]
    await store.note_told(replace(deleted, revision=1))
    assert await store.untold(limit=10) == [deleted]
    await store.note_told(deleted)
    assert await store.untold(limit=10) == []
    assert await store.count("acme", limit=10) == 0
