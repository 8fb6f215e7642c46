"""Secrets that are sealed anew, while others change them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.auth.connections.domain import Change, GivenSecret, Kind, Sealed
from tests.fakes.connections import FRESH, LATER, SEALED, added

if TYPE_CHECKING:
    from services.auth.connections.sealing.sealed_store import SealedStore
    from services.auth.connections.store import ConnectionStore


async def test_secrets_are_sealed_anew_where_nobody_has_come_in_between(
    store: ConnectionStore, sealed_store: SealedStore
) -> None:
    made = [await added(store, tenant=tenant) for tenant in ("acme", "globex", "initech")]
    await added(store, sealed=Sealed(data_key_id="dk_2", text=b"x"))
    assert await sealed_store.count_sealed_under("dk_1") == 3
    first_two = await sealed_store.sealed_under("dk_1", limit=2)
    kept = [*first_two, *await sealed_store.sealed_under("dk_1", limit=10, after=first_two[-1].connection_id)]
    assert [each.connection_id for each in kept] == sorted(each.id for each in made)
    assert {(each.connection_id, each.tenant, each.sealed) for each in kept} == {
        (each.id, each.tenant, SEALED) for each in made
    }
    given = GivenSecret(kind=Kind.BEARER, sealed=FRESH)
    await store.change("acme", made[0].id, Change(at=LATER, given=given))
    await store.delete("globex", made[1].id, LATER)
    anew = Sealed(data_key_id="dk_2", text=b"anew")
    assert await sealed_store.reseal([(each, anew) for each in kept]) == 1
    assert await store.connection("initech", made[2].id) == replace(made[2], sealed=anew)
    first = await store.connection("acme", made[0].id)
    assert first is not None
    assert first.sealed == FRESH
    assert [await sealed_store.count_sealed_under(each) for each in ("dk_1", "dk_2")] == [1, 2]
