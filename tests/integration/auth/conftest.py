"""Auth on real servers, in this process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.auth.v1 import auth_pb2_grpc
from penstock.gateway.v1 import external_auth_pb2, external_auth_pb2_grpc

from services.auth.__main__ import serve
from services.auth.config import Config
from services.auth.domain import Tenant
from services.auth.store import MongoStore
from shared.clock import SystemClock
from shared.config import Secret
from shared.identity import IDENTITY_HEADER
from tests.service import channel, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.mongo import Client
    from tests.identities import Identities

envoy: Any = external_auth_pb2


@dataclass
class Auth:
    """A replica of auth, asked as tenants and the gateway ask it."""

    address: str
    identities: Identities

    @asynccontextmanager
    async def keys(self, token: str | None) -> AsyncIterator[auth_pb2_grpc.KeyServiceStub]:
        """KeyService, called under an identity token or none."""
        async with channel(self.address, token) as connection:
            yield cast("auth_pb2_grpc.KeyServiceStub", auth_pb2_grpc.KeyServiceStub(connection))

    async def check(self, secret: str) -> Any:
        """What the gateway is answered about a request that carries this key."""
        request = envoy.CheckRequest()
        request.attributes.request.http.headers["authorization"] = f"Bearer {secret}"
        async with channel(self.address) as connection:
            return await cast("Any", external_auth_pb2_grpc).AuthorizationStub(connection).Check(request, timeout=5)


def identity_of(response: Any) -> str | None:
    """The identity token in the gateway's answer, or None where the request was refused."""
    for option in response.ok_response.headers:
        if option.header.key == IDENTITY_HEADER:
            return option.header.value
    return None


@pytest.fixture
async def store(mongo: Client) -> MongoStore:
    """An empty store with the tenants acme and globex."""
    store = MongoStore(mongo)
    await store.prepare()
    for name in ("acme", "globex"):
        await store.add_tenant(Tenant(name=name, created_at=SystemClock().now()))
    return store


@pytest.fixture
def config(mongo_url: str, nats_url: str, identities: Identities) -> Config:
    return Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("auth"),
        mongo_url=Secret(mongo_url),
        nats_url=Secret(nats_url),
        key_pepper=Secret(identities.key_pepper_file.read_text(encoding="utf-8").strip()),
        drain_timeout=timedelta(seconds=2),
    )


@pytest.fixture
async def auth(config: Config, store: MongoStore, identities: Identities) -> AsyncIterator[Auth]:
    async with running("auth", serve, config) as address:
        yield Auth(address, identities)


@pytest.fixture
async def other_replica(config: Config, store: MongoStore, identities: Identities) -> AsyncIterator[Auth]:
    async with running("auth", serve, replace(config)) as address:
        yield Auth(address, identities)
