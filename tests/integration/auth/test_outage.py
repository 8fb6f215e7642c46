"""MongoDB goes and comes back under a running auth."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from penstock.auth.v1 import auth_pb2

from services.auth import known_keys
from services.auth.__main__ import serve
from shared.config import Secret
from shared.streams import AUTH_CHANGED_SIGNAL
from tests.integration.auth.conftest import Auth, identity_of
from tests.service import channel, running
from tests.waiting import eventually
from tests.wires import Wire, wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.auth.config import Config
    from services.auth.store import MongoStore
    from shared.bus import Bus
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


@pytest.fixture
async def wire(mongo_url: str) -> AsyncIterator[Wire]:
    server = urlsplit(mongo_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


@pytest.fixture
def severable(config: Config, wire: Wire, mongo_url: str) -> Config:
    through = wire.on_the_way_to(mongo_url).replace("replicaSet=penstock", "directConnection=true")
    return replace(config, mongo_url=Secret(through))


@pytest.fixture
async def severed_auth(severable: Config, wire: Wire, store: MongoStore, identities: Identities) -> AsyncIterator[Auth]:
    async with running("auth", serve, severable) as address:
        yield Auth(address, identities)
        await wire.mend()  # or the driver takes its time to say goodbye


async def make_secret(auth: Auth) -> tuple[str, str]:
    """A key's prefix and its secret."""
    async with auth.keys(auth.identities.mint("acme")) as keys:
        made = await keys.CreateKey(auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read"]))
    return made.key.prefix, made.secret


async def is_ready(auth: Auth, name: str = "") -> bool:
    async with channel(auth.address) as connection:
        answer = await health_pb2_grpc.HealthStub(connection).Check(
            health_pb2.HealthCheckRequest(service=name), timeout=5
        )
    return answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_readiness_follows_the_database_without_a_restart(severed_auth: Auth, wire: Wire) -> None:
    async def unready() -> bool:
        return not await is_ready(severed_auth) and not await is_ready(severed_auth, "dependency/mongodb")

    assert await is_ready(severed_auth)
    await wire.cut()
    await eventually(unready, within=150, what="unreadiness")
    assert await is_ready(severed_auth, "liveness")
    await wire.mend()
    await eventually(lambda: is_ready(severed_auth), within=150, what="readiness")
    await make_secret(severed_auth)


async def test_known_keys_go_on_while_the_database_is_away_and_others_are_told_to_try_again(
    severed_auth: Auth, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys, "TIME_TO_LIVE", known_keys.timedelta())  # a key's time is over at once
    _, known = await make_secret(severed_auth)
    _, never_used = await make_secret(severed_auth)
    assert identity_of(await severed_auth.check(known)) is not None
    await wire.cut()
    for _ in range(5):
        assert identity_of(await severed_auth.check(known)) is not None
    response = await severed_auth.check(never_used)
    assert response.denied_response.status.code == 503
    assert json.loads(response.denied_response.body)["error"]["status"] == "UNAVAILABLE"
    assert any(option.header.key == "retry-after" for option in response.denied_response.headers)
    await wire.mend()

    async def works() -> bool:
        return identity_of(await severed_auth.check(never_used)) is not None

    await eventually(works, within=150, what="a lookup after the database is back")


async def test_a_signal_revokes_even_while_the_database_is_away(
    severed_auth: Auth, wire: Wire, empty_nats: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys, "TIME_TO_LIVE", known_keys.timedelta())
    prefix, secret = await make_secret(severed_auth)
    assert identity_of(await severed_auth.check(secret)) is not None
    await wire.cut()
    assert identity_of(await severed_auth.check(secret)) is not None
    await empty_nats.signal(AUTH_CHANGED_SIGNAL, prefix.encode())

    async def is_refused() -> bool:
        return identity_of(await severed_auth.check(secret)) is None

    await eventually(is_refused, within=15, what="the refusal of a revoked key")


async def test_a_call_that_needs_the_database_is_told_to_try_again(severed_auth: Auth, wire: Wire) -> None:
    await wire.cut()
    async with severed_auth.keys(severed_auth.identities.mint("acme")) as keys:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await keys.ListKeys(auth_pb2.ListKeysRequest(), timeout=30)
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    assert dict(failure.value.initial_metadata())["retry-after"] == "1"


async def test_a_rotation_that_the_database_breaks_off_leaves_a_secret_that_works(
    severed_auth: Auth, wire: Wire
) -> None:
    async with severed_auth.keys(severed_auth.identities.mint("acme")) as keys:
        made = await keys.CreateKey(auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read"]))
        rotation = asyncio.ensure_future(keys.RotateKey(auth_pb2.RotateKeyRequest(key_id=made.key.id), timeout=30))
        await wire.cut()
        outcome = (await asyncio.gather(rotation, return_exceptions=True))[0]
        await wire.mend()
        secret = made.secret if isinstance(outcome, grpc.aio.AioRpcError) else outcome.secret

        async def works() -> bool:
            return identity_of(await severed_auth.check(secret)) is not None

        await eventually(works, within=150, what="the key's secret after the database is back")
        again = await keys.RotateKey(auth_pb2.RotateKeyRequest(key_id=made.key.id))
    assert identity_of(await severed_auth.check(again.secret)) is not None


async def test_auth_waits_at_its_start_for_a_database_that_is_not_there_yet(
    severable: Config, wire: Wire, identities: Identities, store: MongoStore
) -> None:
    await wire.cut()
    tries: list[asyncio.StreamWriter] = []

    def turn_away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(writer)
        writer.transport.abort()

    async def mend_once_tried() -> None:
        async with await asyncio.start_server(turn_away, "127.0.0.1", wire.port):
            await eventually(lambda: len(tries) >= 2, what="a second try to reach the database")
        await wire.mend()

    mending = asyncio.create_task(mend_once_tried())
    async with running("auth", serve, severable) as address:
        assert mending.done()
        await make_secret(Auth(address, identities))
