"""Refreshes of a secret: one at a time, whoever asks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.auth.connections.domain import Change, GivenSecret, Kind, Refreshed, State
from tests.fakes.connections import FRESH, LATER, MINUTE, NEEDS_REAUTH, SEALED, added, standing
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.auth.connections.domain import Claim, Connection
    from services.auth.connections.store import ConnectionStore


async def fence_of(store: ConnectionStore, connection: Connection, *, version: int = 1) -> int | None:
    """Claims a refresh; its fence, or None where somebody else has it."""
    claim = await store.claim_refresh("acme", connection.id, version=version, lasting=MINUTE)
    return claim.fence if claim is not None and claim.mine else None


async def test_one_of_many_at_once_claims_a_refresh_and_keeps_what_it_has_brought(store: ConnectionStore) -> None:
    connection = await added(store, kind=Kind.OAUTH2, provider="github", scopes=("a",))

    async def claim() -> Claim | None:
        return await store.claim_refresh("acme", connection.id, version=1, lasting=MINUTE)

    claims = [each for each in await asyncio.gather(*(claim() for _ in range(10))) if each is not None]
    assert [each.fence for each in claims] == [1] * 10
    assert [each.mine for each in claims].count(True) == 1
    assert all(MINUTE / 2 < each.left <= MINUTE for each in claims)
    refreshed = Refreshed(sealed=FRESH, at=LATER, expires_at=LATER + MINUTE)
    named = ("acme", connection.id, refreshed)
    assert await store.replace_secret(*named, version=1, fence=2) is None
    assert await store.replace_secret(*named, version=2, fence=1) is None
    assert await store.connection("acme", connection.id) == connection
    kept = await store.replace_secret(*named, version=1, fence=1)
    assert kept == replace(
        connection, sealed=FRESH, refreshed_at=LATER, updated_at=LATER, expires_at=LATER + MINUTE, version=2
    )
    assert await store.replace_secret(*named, version=1, fence=1) is None
    assert await claim() is None
    assert await fence_of(store, connection, version=2) == 2
    scoped = await store.replace_secret("acme", connection.id, replace(refreshed, scopes=()), version=2, fence=2)
    assert scoped is not None
    assert (scoped.scopes, scoped.version) == ((), 3)


async def test_a_claim_ends_with_its_time_or_is_given_back_and_the_fence_grows(store: ConnectionStore) -> None:
    connection = await added(store, kind=Kind.OAUTH2)

    async def claim(lasting: timedelta, over: int = 0) -> int | None:
        found = await store.claim_refresh("acme", connection.id, version=1, lasting=lasting, over=over)
        assert found is not None
        return found.fence if found.mine else None

    async def lapsed() -> bool:
        found = await store.claim_refresh("acme", connection.id, version=1, lasting=MINUTE)
        return found is not None and not found.mine and found.fence == 1 and found.left <= timedelta()

    assert await claim(timedelta(milliseconds=20)) == 1
    assert await eventually(lapsed)
    assert await claim(MINUTE, over=7) is None
    assert await claim(MINUTE, over=1) == 2
    assert await claim(MINUTE, over=2) is None, "it has not lapsed"
    refreshed = Refreshed(sealed=FRESH, at=LATER, expires_at=None)
    assert await store.replace_secret("acme", connection.id, refreshed, version=1, fence=1) is None
    await store.release_refresh("acme", connection.id, fence=1)
    assert await claim(MINUTE) is None
    await store.release_refresh("acme", connection.id, fence=2)
    assert await claim(MINUTE) == 3


async def test_a_secret_that_was_given_meanwhile_breaks_a_refresh_off(store: ConnectionStore) -> None:
    connection = await added(store, kind=Kind.OAUTH2)
    assert await fence_of(store, connection) == 1
    given = GivenSecret(kind=Kind.OAUTH2, sealed=FRESH)
    await store.change("acme", connection.id, Change(at=LATER, given=given))
    refreshed = Refreshed(sealed=SEALED, at=LATER, expires_at=None)
    assert await store.replace_secret("acme", connection.id, refreshed, version=1, fence=1) is None
    assert await fence_of(store, connection, version=2) == 2


async def test_what_needs_reauth_is_not_refreshed_and_a_refresh_under_way_restores_it(store: ConnectionStore) -> None:
    connection = await added(store, kind=Kind.OAUTH2)
    assert await fence_of(store, connection) == 1
    await store.mark_needs_reauth("acme", connection.id, version=1, **NEEDS_REAUTH)
    refreshed = Refreshed(sealed=FRESH, at=LATER, expires_at=None)
    kept = await store.replace_secret("acme", connection.id, refreshed, version=1, fence=1)
    assert kept is not None
    assert (kept.state, kept.state_reason, kept.version, kept.revision) == (State.ACTIVE, "", 2, 3)
    assert await store.untold(limit=10) == [standing(kept)]
    await store.mark_needs_reauth("acme", connection.id, version=2, **NEEDS_REAUTH)
    assert await store.claim_refresh("acme", connection.id, version=2, lasting=MINUTE) is None
