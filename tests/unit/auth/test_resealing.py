from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from services.auth.connections.domain import BearerToken, Change, GivenSecret, Kind, Sealed
from services.auth.connections.sealing import resealing as resealing_
from services.auth.connections.sealing.data_keys import DataKeys
from services.auth.connections.sealing.key_providers import KeyProviders
from services.auth.connections.sealing.resealing import MARGIN, Resealing
from services.auth.connections.sealing.vault import Vault
from shared.errors import Unavailable
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.connections import LATER, make
from tests.fakes.data_key_store import FakeDataKeyStore
from tests.fakes.key_provider import FakeKeyProvider
from tests.unit.auth.conftest import Time
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.connections.domain import Connection, Kept


@dataclass
class Authorizations:
    """Seals something, or does not."""

    sealed: dict[str, int] = field(default_factory=dict)

    async def count_sealed_under(self, data_key_id: str) -> int:
        return self.sealed.get(data_key_id, 0)


class World:
    """Connections under data keys, and what seals them anew."""

    def __init__(self) -> None:
        self.time = Time()
        self.store, self.key_store = FakeConnectionStore(), FakeDataKeyStore()
        self.provider, self.authorizations = FakeKeyProvider(), Authorizations()
        self.keys, self.vault, self.resealing = self.replica()

    def replica(self) -> tuple[DataKeys, Vault, Resealing]:
        keys = DataKeys(
            store=self.key_store,
            providers=KeyProviders([self.provider]),
            clock=self.time,
            monotonic=self.time.monotonic,
        )
        vault = Vault(keys)
        resealing = Resealing(
            keys=keys,
            key_store=self.key_store,
            vault=vault,
            store=self.store,
            others=[self.authorizations],
            clock=self.time,
        )
        return keys, vault, resealing

    async def add(self, token: str = "token") -> Connection:
        connection = make()
        sealed = await self.vault.seal(BearerToken(token=token), tenant=connection.tenant, connection_id=connection.id)
        await self.store.add(replace(connection, sealed=sealed))
        return connection

    async def token(self, connection: Connection) -> str:
        """The token of a connection, and that it is sealed under the current key."""
        kept = self.store.by_id[connection.id]
        assert kept.sealed.data_key_id == (await self.keys.current())[0]
        secret = await self.vault.open(kept.sealed, tenant=kept.tenant, connection_id=kept.id)
        assert isinstance(secret, BearerToken)
        return secret.token

    @property
    def numbers(self) -> list[int]:
        return sorted(self.key_store.by_number)


@pytest.fixture
async def world() -> World:
    return World()


async def test_everything_is_sealed_anew_and_the_key_is_destroyed_after_the_margin(world: World) -> None:
    made = [await world.add(f"token {number}") for number in range(250)]
    await world.keys.rotate()
    await world.resealing.reseal()
    assert [await world.token(each) for each in made] == [f"token {number}" for number in range(250)]
    assert world.numbers == [1, 2]
    world.time.advance(seconds=MARGIN.total_seconds() - 1)
    await world.resealing.reseal()
    assert world.numbers == [1, 2]
    world.time.advance(seconds=1)
    await world.resealing.reseal()
    assert world.numbers == [2]


async def test_what_a_slow_writer_seals_under_the_old_key_is_sealed_anew_before_that_is_destroyed(world: World) -> None:
    _, slow, _ = world.replica()
    late = make()
    named = {"tenant": late.tenant, "connection_id": late.id}
    sealed = await slow.seal(BearerToken(token="late"), **named)
    await world.keys.rotate()
    await world.resealing.reseal()
    await world.store.add(replace(late, sealed=sealed))
    world.time.advance(seconds=MARGIN.total_seconds())
    await world.resealing.reseal()
    assert await world.token(late) == "late"
    assert world.numbers == [2]


async def test_a_key_is_kept_for_what_an_authorization_seals(world: World) -> None:
    await world.add()
    before, _ = await world.keys.current()
    world.authorizations.sealed[before] = 1
    await world.keys.rotate()
    world.time.advance(seconds=MARGIN.total_seconds())
    await world.resealing.reseal()
    assert world.numbers == [1, 2]
    del world.authorizations.sealed[before]
    await world.resealing.reseal()
    assert world.numbers == [2]


async def test_a_secret_that_was_given_meanwhile_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await world.add("old")
    await world.keys.rotate()
    reseal = world.store.reseal

    async def overtaken(resealed: Sequence[tuple[Kept, Sealed]]) -> int:
        named = {"tenant": connection.tenant, "connection_id": connection.id}
        given = GivenSecret(kind=Kind.BEARER, sealed=await world.vault.seal(BearerToken(token="new"), **named))
        await world.store.change(connection.tenant, connection.id, Change(at=LATER, given=given))
        return await reseal(resealed)

    monkeypatch.setattr(world.store, "reseal", overtaken)
    await world.resealing.reseal()
    assert await world.token(connection) == "new"


async def test_any_number_of_replicas_work_side_by_side(world: World) -> None:
    made = [await world.add(f"token {number}") for number in range(120)]
    await world.keys.rotate()
    await asyncio.gather(*(world.replica()[2].reseal() for _ in range(4)))
    assert [await world.token(each) for each in made] == [f"token {number}" for number in range(120)]


async def test_rotations_one_after_the_other_leave_the_last_key_alone(world: World) -> None:
    connection = await world.add("one")
    await world.keys.rotate()
    other = await world.add("two")
    await world.keys.rotate()
    world.time.advance(seconds=MARGIN.total_seconds())
    await world.resealing.reseal()
    assert (await world.token(connection), await world.token(other)) == ("one", "two")
    assert world.numbers == [3]


async def test_a_secret_that_does_not_open_is_left_with_its_key_and_holds_up_no_other(world: World) -> None:
    broken = [make(sealed=Sealed(data_key_id=(await world.keys.current())[0], text=b"broken")) for _ in range(150)]
    for each in broken:
        await world.store.add(each)
    connection = await world.add("whole")
    await world.keys.rotate()
    world.time.advance(seconds=MARGIN.total_seconds())
    await world.resealing.reseal()
    assert await world.token(connection) == "whole"
    assert [world.store.by_id[each.id] for each in broken] == broken
    assert world.numbers == [1, 2]


async def test_it_goes_on_when_what_was_away_is_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing_, "_BACKOFF", resealing_.Backoff(initial=MARGIN / 60_000, maximum=MARGIN / 60_000))
    connection = await world.add("token")
    await world.keys.rotate()
    _, _, resealing = world.replica()
    world.provider.away = True
    with pytest.raises(Unavailable):
        await resealing.reseal()
    running = asyncio.create_task(resealing.run())
    world.provider.away = False
    world.time.advance(seconds=5)

    def is_sealed_anew() -> bool:
        return world.store.by_id[connection.id].sealed.data_key_id == world.key_store.by_number[2].id

    await eventually(is_sealed_anew)
    await world.keys.rotate()
    resealing.wake()
    await eventually(lambda: world.store.by_id[connection.id].sealed.data_key_id == world.key_store.by_number[3].id)
    running.cancel()
    await asyncio.wait({running})
    assert await world.token(connection) == "token"
