"""Data keys are rotated while connections are used, whoever dies or is away meanwhile."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.auth.v1 import connections_pb2, data_keys_pb2

from services.auth.__main__ import serve
from services.auth.connections.authorizing.store import MongoAuthorizationStore
from services.auth.connections.sealing.data_key_store import MongoDataKeyStore
from services.auth.connections.sealing.data_keys import DataKeys
from services.auth.connections.sealing.resealing import MARGIN, Resealing
from services.auth.connections.sealing.sealed_store import MongoSealedStore
from services.auth.connections.sealing.vault import Vault
from shared import errors
from shared.clock import SystemClock
from shared.crash_points import CrashPoint
from shared.permissions import Scope
from tests.integration.auth.conftest import Auth
from tests.integration.auth.test_connections import bearer, create, credential, delete, update
from tests.integration.auth.test_process import environment, started  # noqa: F401  a fixture is asked for by its name
from tests.integration.auth.test_tenants import refused
from tests.service import channel, running
from tests.waiting import eventually

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from services.auth.config import Config
    from shared.mongo import Client
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")

State = data_keys_pb2.DataKey.State


async def rotate(auth: Auth) -> data_keys_pb2.DataKey:
    async with auth.data_keys() as keys:
        return await keys.RotateDataKey(data_keys_pb2.RotateDataKeyRequest(), timeout=30)


async def listed(auth: Auth, **wanted: Any) -> list[data_keys_pb2.DataKey]:
    async with auth.data_keys() as keys:
        answer = await keys.ListDataKeys(data_keys_pb2.ListDataKeysRequest(**wanted), timeout=30)
    return list(answer.data_keys)


async def until_resealed(auth: Auth, count: int) -> list[data_keys_pb2.DataKey]:
    """The data keys, when the newest seals all."""

    async def resealed() -> list[data_keys_pb2.DataKey]:
        keys = await listed(auth)
        assert [key.connections for key in keys] == [count] + [0] * (len(keys) - 1)
        return keys

    return await eventually(resealed, within=150, what="that all is sealed anew")


class Later:
    """A clock that is ahead by more than the margin."""

    def now(self) -> datetime:
        return SystemClock().now() + MARGIN + timedelta(minutes=1)


def later(config: Config, mongo: Client) -> Resealing:
    """What a replica does some minutes from now."""
    store = MongoDataKeyStore(mongo)
    keys = DataKeys(store=store, providers=config.key_providers(), clock=SystemClock(), monotonic=lambda: 0.0)
    return Resealing(
        keys=keys,
        key_store=store,
        vault=Vault(keys),
        store=MongoSealedStore(mongo),
        others=[MongoAuthorizationStore(mongo)],
        clock=Later(),
    )


async def test_a_rotation_seals_everything_anew_and_in_the_end_destroys_the_key(
    auth: Auth, config: Config, mongo: Client
) -> None:
    made = [await create(auth, secret=bearer(f"token {number}")) for number in range(5)]
    (first,) = await listed(auth)
    assert (first.state, first.key_provider, first.connections) == (State.CURRENT, "file", 5)
    rotated = await rotate(auth)
    assert rotated.state == State.CURRENT
    keys = await until_resealed(auth, 5)
    assert [(key.id, key.state) for key in keys] == [(rotated.id, State.CURRENT), (first.id, State.RETIRING)]
    assert [(await credential(auth, each)).bearer.token for each in made] == [f"token {n}" for n in range(5)]
    await later(config, mongo).reseal()
    assert [key.id for key in await listed(auth)] == [rotated.id]
    assert await mongo["auth"]["data_keys"].count_documents({}) == 1


async def test_data_keys_are_for_operators_and_listed_page_by_page(auth: Auth, identities: Identities) -> None:
    keys = [await rotate(auth) for _ in range(3)]
    async with auth.data_keys() as stub:
        page = await stub.ListDataKeys(data_keys_pb2.ListDataKeysRequest(page_size=2))
        rest = await stub.ListDataKeys(data_keys_pb2.ListDataKeysRequest(page_size=2, page_token=page.next_page_token))
    assert [key.id for key in page.data_keys] == [keys[2].id, keys[1].id]
    assert [key.state for key in [*page.data_keys, *rest.data_keys]] == [State.CURRENT, *[State.RETIRING] * 3]
    async with channel(auth.address, identities.mint("acme", set(Scope) - {Scope.OPERATOR})) as connection:
        for name, request in (
            ("RotateDataKey", data_keys_pb2.RotateDataKeyRequest()),
            ("ListDataKeys", data_keys_pb2.ListDataKeysRequest()),
        ):
            call = connection.unary_unary(
                f"/penstock.auth.v1.DataKeyService/{name}", request_serializer=type(request).SerializeToString
            )
            assert isinstance(await refused(call(request)), errors.PermissionDenied)


async def test_two_replicas_rotate_at_once_while_secrets_are_given_and_used(auth: Auth, other_replica: Auth) -> None:
    replicas = [auth, other_replica]
    made = [await create(auth, secret=bearer("token 0")) for _ in range(24)]
    newest: dict[str, str] = {}

    async def use(index: int, connection: connections_pb2.Connection) -> None:
        for turn in range(1, 6):
            token = f"token {turn}"
            await update(replicas[(index + turn) % 2], connection, secret=bearer(token))
            newest[connection.id] = token
            found = await credential(replicas[index % 2], connection)
            assert found.bearer.token.startswith("token ")

    async def turn_keys() -> None:
        for _ in range(3):
            one, other = await asyncio.gather(*(rotate(each) for each in replicas))
            assert one.id
            assert other.id

    await asyncio.gather(turn_keys(), *(use(*each) for each in enumerate(made)))
    keys = await until_resealed(auth, len(made))
    assert [key.state for key in keys] == [State.CURRENT] + [State.RETIRING] * (len(keys) - 1)
    for replica in replicas:

        async def newest_everywhere(replica: Auth = replica) -> bool:
            tokens = {each.id: (await credential(replica, each)).bearer.token for each in made}
            return tokens == newest

        await eventually(newest_everywhere)


@pytest.mark.usefixtures("store")
async def test_a_replica_that_is_killed_at_it_is_gone_on_for_by_another(
    environment: dict[str, str],  # noqa: F811  the fixture
    config: Config,
    identities: Identities,
    mongo: Client,
    tmp_path: Path,
) -> None:
    armed = tmp_path / "crash-points"
    armed.mkdir()
    environment |= {
        "PENSTOCK_ENVIRONMENT": "test",
        "PENSTOCK_CRASH_POINTS": str(armed),
        "PENSTOCK_ALLOW_LOOPBACK": "true",
    }
    async with started(environment, tmp_path / "log") as (process, address):
        auth = Auth(address, identities)
        made = []
        for _ in range(13):
            made += await asyncio.gather(*(create(auth, secret=bearer("token")) for _ in range(10)))
        (armed / CrashPoint.AUTH_RESEALING).touch()
        await rotate(auth)
        async with asyncio.timeout(150):
            assert await process.wait() == -signal.SIGKILL
    sealed = await mongo["auth"]["connections"].distinct("sealed.data_key_id")
    assert len(sealed) == 2, "it has died in the middle"
    async with running("auth", serve, config) as address:
        auth = Auth(address, identities)
        await until_resealed(auth, len(made))
        for each in made[::10]:
            assert (await credential(auth, each)).bearer.token == "token"
    assert not list(armed.iterdir())


async def test_an_authorization_keeps_the_key_that_seals_it(auth: Auth, config: Config, mongo: Client) -> None:
    await create(auth)
    (first,) = await listed(auth)
    ends_at = SystemClock().now() + timedelta(minutes=5)
    pending = {"_id": b"digest", "ends_at": ends_at, "sealed": {"data_key_id": first.id, "text": b"x"}}
    await mongo["auth"]["authorizations"].insert_one(pending)
    await rotate(auth)
    await until_resealed(auth, 1)
    await later(config, mongo).reseal()
    assert first.id in [key.id for key in await listed(auth)]
    await mongo["auth"]["authorizations"].delete_one({"_id": b"digest"})
    await later(config, mongo).reseal()
    assert first.id not in [key.id for key in await listed(auth)]


async def test_a_deleted_connection_is_sealed_under_no_key(auth: Auth) -> None:
    made = await create(auth)
    await rotate(auth)
    await until_resealed(auth, 1)
    await delete(auth, made)
    assert [key.connections for key in await listed(auth)] == [0, 0]
