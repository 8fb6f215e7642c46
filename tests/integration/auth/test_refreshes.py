"""Refreshes by three real replicas of auth, at a provider that rotates refresh tokens and punishes reuse."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
import pytest
from penstock.auth.v1 import credentials_pb2
from penstock.events.v1 import notices_pb2

from services.auth.__main__ import serve
from services.auth.connections.domain import State
from shared import streams
from shared.config import Secret
from shared.crash_points import CrashPoint
from shared.errors import ConnectionNeedsReauth, Unavailable
from shared.rpc.status import from_rpc_error
from tests.integration.auth.refreshing import Shop, shop
from tests.integration.auth.test_process import started
from tests.service import channel, running
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from services.auth.config import Config
    from services.auth.connections.domain import Connection
    from shared.bus import Bus
    from shared.mongo import Client
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


@pytest.fixture
async def scene(config: Config, mongo: Client, bus: Bus, identities: Identities, tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop(config, mongo, bus, identities, tmp_path) as scene:
        yield scene


@asynccontextmanager
async def replicas(scene: Shop, count: int = 3) -> AsyncGenerator[list[str]]:
    """So many, by their addresses."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running("auth", serve, scene.config)) for _ in range(count)]


async def refusal(asked: asyncio.Task[str]) -> Exception:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked
    return from_rpc_error(caught.value)


@pytest.mark.usefixtures("uncounted")
async def test_the_connection_lives_through_twenty_expiries_under_fifty_workers_of_three_replicas(scene: Shop) -> None:
    connection = await scene.connected()
    async with replicas(scene) as addresses:
        for round_ in range(20):
            await scene.expire(connection)

            async def all_fresh() -> bool:
                tokens = await scene.tokens(addresses, connection)
                return all(scene.works(token) for token in tokens)  # once the signal has come to all

            await eventually(all_fresh)
            assert len(await scene.tokens(addresses, connection)) == 1
            assert scene.provider.calls("/token") == round_ + 1, "one refresh for all"
    assert scene.provider.punished == 0
    record = await scene.record(connection)
    assert (record.state, record.version, record.scopes) == (State.ACTIVE, 21, ("read",))


async def test_fresh_tokens_that_come_while_mongodb_is_away_are_kept_and_nobody_presents_the_spent_one(
    scene: Shop, mongo_url: str
) -> None:
    connection = await scene.connected()
    server = urlsplit(mongo_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        through = wire.on_the_way_to(mongo_url).replace("replicaSet=penstock", "directConnection=true")
        scene.config = replace(scene.config, mongo_url=Secret(through))
        async with replicas(scene) as addresses:
            await scene.expire(connection)
            scene.provider.held.add("/token")
            asked = [asyncio.create_task(scene.token(address, connection)) for address in addresses]
            await eventually(lambda: scene.provider.calls("/token") == 1)
            await wire.cut()
            scene.provider.release.set()
            await scene.end_claim(connection)  # it was away for that long
            await eventually(lambda: len(scene.consent.refresh_tokens) == 2)
            done, _ = await asyncio.wait(asked, timeout=1)
            assert not [each for each in done if each.exception() is None], "nobody is given what is not kept"
            await wire.mend()

            async def kept() -> set[str] | None:
                try:
                    return await scene.tokens(addresses, connection, workers=9)
                except grpc.aio.AioRpcError:
                    return None

            (token,) = await eventually(kept, within=150)
            assert scene.works(token)
            await asyncio.gather(*asked, return_exceptions=True)
    assert scene.provider.calls("/token") == 1
    assert scene.provider.punished == 0
    assert (await scene.record(connection)).version == 2


@pytest.mark.parametrize(("point", "lives"), [(CrashPoint.AUTH_REFRESHING, True), (CrashPoint.AUTH_REFRESHED, False)])
async def test_a_replica_that_dies_as_it_refreshes_is_succeeded(
    scene: Shop, point: CrashPoint, tmp_path: Path, *, lives: bool
) -> None:
    connection = await scene.connected()
    await scene.expire(connection)
    armed = tmp_path / "armed"
    armed.mkdir()
    (armed / point).touch()
    environment = environment_of(scene, armed)
    async with replicas(scene, 1) as (address,), started(environment, tmp_path / "log") as (process, dying):
        with pytest.raises(grpc.aio.AioRpcError):
            await scene.token(dying, connection)
        await process.wait()
        assert not (armed / point).exists()
        assert await scene.claimed(connection)
        await scene.end_claim(connection)
        if lives:
            assert scene.works(await scene.token(address, connection))
            assert scene.provider.punished == 0
        else:  # what the provider gave died with the replica, and the token before is spent
            asked = asyncio.create_task(scene.token(address, connection))
            assert isinstance(await refusal(asked), ConnectionNeedsReauth)
            assert (await scene.record(connection)).state is State.NEEDS_REAUTH


def environment_of(scene: Shop, armed: Path) -> dict[str, str]:
    """The settings of a replica that is a process of its own."""
    config, identities = scene.config, scene.identities
    others = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return others | {
        "PENSTOCK_GRPC_ADDRESS": "127.0.0.1:0",
        "PENSTOCK_IDENTITY_KEYS_FILE": str(identities.keys_file),
        "PENSTOCK_SERVICE_KEY_FILE": str(identities.private_key_file("auth")),
        "PENSTOCK_MONGO_URL": config.mongo_url.reveal(),
        "PENSTOCK_REDIS_URL": config.redis_url.reveal(),
        "PENSTOCK_NATS_URL": config.nats_url.reveal(),
        "PENSTOCK_KEY_PEPPER_FILE": str(identities.key_pepper_file),
        "PENSTOCK_SEALING_KEY_FILE": str(identities.signing_seal_file),
        "PENSTOCK_MASTER_KEYS_FILE": str(identities.master_keys_file),
        "PENSTOCK_PROVIDERS_FILE": config.providers_file,
        "PENSTOCK_PROVIDER_CLIENTS": config.provider_clients.reveal(),
        "PENSTOCK_ALLOW_LOOPBACK": "true",
        "PENSTOCK_ENVIRONMENT": "test",
        "PENSTOCK_CRASH_POINTS": str(armed),
    }


async def test_a_consent_that_was_taken_back_is_found_once_and_told(scene: Shop) -> None:
    connection = await scene.connected()
    await scene.expire(connection)
    scene.provider.revoke_all()
    async with replicas(scene) as addresses:
        asked = [asyncio.create_task(scene.token(address, connection)) for address in addresses]
        for each in asked:
            error = await refusal(each)
            assert isinstance(error, ConnectionNeedsReauth)
            assert error.metadata == {"connection": connection.id, "jobs_wait": "false"}
        assert scene.provider.calls("/token") == 1

        async def told() -> notices_pb2.Notice | None:
            payload = await scene.bus.read(streams.NOTICES, 1)
            return notices_pb2.Notice.FromString(payload) if payload is not None else None

        notice = await eventually(told)
        assert notice is not None
        assert notice.connection_needs_reauth.connection_id == connection.id
        assert "invalid_grant" in notice.connection_needs_reauth.reason
        assert "secret-in" not in str(notice)


async def test_a_provider_that_is_away_revokes_nothing(scene: Shop) -> None:
    connection = await scene.connected()
    await scene.expire(connection)
    scene.provider.broken["/token"] = ["503"]
    async with replicas(scene, 1) as (address,):
        assert isinstance(await refusal(asyncio.create_task(scene.token(address, connection))), Unavailable)
        assert (await scene.record(connection)).state is State.ACTIVE
        scene.provider.broken.clear()

        async def refreshed() -> bool:
            try:
                return scene.works(await scene.token(address, connection))
            except grpc.aio.AioRpcError:
                return False

        await eventually(refreshed)
    assert scene.provider.punished == 0


async def test_a_refused_token_is_reported_and_a_fresh_one_answered(scene: Shop) -> None:
    connection = await scene.connected()
    async with replicas(scene, 2) as addresses:
        (before,) = await scene.tokens(addresses, connection, workers=2)
        scene.consent.access_tokens.clear()
        report = credentials_pb2.ReportRefusedCredentialRequest(
            tenant="acme", connection_id=connection.id, version=1, reason="the API answered 401"
        )

        async def reported(address: str) -> str:
            async with scene.asking(address) as stub:
                return (await stub.ReportRefusedCredential(report, timeout=30)).bearer.token

        tokens = set(await asyncio.gather(*(reported(address) for address in addresses * 10)))
        (fresh,) = tokens
        assert fresh != before
        assert scene.works(fresh)
        assert scene.provider.calls("/token") == 1
        assert await scene.tokens(addresses, connection, workers=2) == tokens


async def test_only_the_services_that_need_them_are_given_credentials(scene: Shop) -> None:
    connection = await scene.connected()
    request = credentials_pb2.GetCredentialRequest(tenant="acme", connection_id=connection.id)
    facts = credentials_pb2.DescribeConnectionRequest(tenant="acme", connection_id=connection.id)
    async with replicas(scene, 1) as (address,):
        for service in ("intake", "scheduler", "webhooks", "history"):
            async with scene.asking(address, service) as stub:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await stub.GetCredential(request, timeout=30)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        async with channel(address, scene.identities.mint("acme")) as tenants:
            ask = tenants.unary_unary(
                "/penstock.auth.v1.CredentialService/GetCredential",
                request_serializer=credentials_pb2.GetCredentialRequest.SerializeToString,
            )
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(request, timeout=30)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        async with scene.asking(address, "intake") as stub:
            assert (await stub.DescribeConnection(facts, timeout=30)).upstream == "http"


async def test_a_connection_that_is_deleted_gives_nothing_at_any_replica(scene: Shop) -> None:
    connection = await scene.connected()
    async with replicas(scene, 2) as addresses:
        await scene.tokens(addresses, connection, workers=2)
        await delete(scene, connection)

        async def gone() -> bool:
            answers = await asyncio.gather(
                *(scene.token(address, connection) for address in addresses), return_exceptions=True
            )
            return all(
                isinstance(answer, grpc.aio.AioRpcError) and answer.code() is grpc.StatusCode.NOT_FOUND
                for answer in answers
            )

        await eventually(gone, within=15)


async def delete(scene: Shop, connection: Connection) -> None:
    await scene.store.delete("acme", connection.id, connection.created_at)
    await scene.bus.signal(streams.CONNECTION_CHANGED_SIGNAL, connection.id.encode())
