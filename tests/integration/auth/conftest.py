"""Auth on real servers, in this process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.auth.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    auth_pb2_grpc,
    connections_pb2_grpc,
    data_keys_pb2_grpc,
    tenants_pb2_grpc,
)
from penstock.gateway.v1 import external_auth_pb2, external_auth_pb2_grpc

from services.auth.__main__ import serve
from services.auth.config import Config
from services.auth.domain import Tenant
from services.auth.store import MongoStore
from shared.clock import SystemClock
from shared.config import Environment, Secret
from shared.identity import CLIENT_ADDRESS_HEADER, IDENTITY_HEADER
from shared.permissions import Scope
from tests.integration.auth.connecting import desk
from tests.service import channel, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from penstock.events.v1.audit_pb2 import AuditEntry

    from shared import kv
    from shared.mongo import Client
    from tests.identities import Identities
    from tests.integration.auth.connecting import Desk

envoy: Any = external_auth_pb2
#: What the gateway asks about.
METHOD, TARGET = "GET", "/api/v1/jobs?pageSize=5"


@dataclass
class Auth:
    """A replica of auth, asked as tenants and the gateway ask it."""

    address: str
    identities: Identities

    @asynccontextmanager
    async def keys(
        self, token: str | None, *, metadata: Mapping[str, str] | None = None
    ) -> AsyncIterator[auth_pb2_grpc.KeyServiceStub]:
        """KeyService, called under an identity token or none."""
        async with channel(self.address, token, metadata=metadata) as connection:
            yield cast("auth_pb2_grpc.KeyServiceStub", auth_pb2_grpc.KeyServiceStub(connection))

    @asynccontextmanager
    async def tenants(self, token: str | None) -> AsyncIterator[tenants_pb2_grpc.TenantServiceStub]:
        """TenantService in the same way."""
        async with channel(self.address, token) as connection:
            yield cast("tenants_pb2_grpc.TenantServiceStub", tenants_pb2_grpc.TenantServiceStub(connection))

    @asynccontextmanager
    async def connections(self, tenant: str = "acme") -> AsyncIterator[connections_pb2_grpc.ConnectionServiceStub]:
        """ConnectionService, called by a key of this tenant."""
        async with channel(self.address, self.identities.mint(tenant)) as connection:
            stub = connections_pb2_grpc.ConnectionServiceStub(connection)
            yield cast("connections_pb2_grpc.ConnectionServiceStub", stub)

    @asynccontextmanager
    async def data_keys(self) -> AsyncIterator[data_keys_pb2_grpc.DataKeyServiceStub]:
        """DataKeyService, called by an operator's key."""
        async with channel(self.address, self.identities.mint("staff", frozenset(Scope))) as connection:
            yield cast("data_keys_pb2_grpc.DataKeyServiceStub", data_keys_pb2_grpc.DataKeyServiceStub(connection))

    async def audit(self, token: str, **wanted: Any) -> list[AuditEntry]:
        """The audit entries that the token's principal is shown, the newest of them."""
        request = audit_pb2.ListAuditEntriesRequest(**wanted)
        async with channel(self.address, token) as connection:
            listed = await audit_pb2_grpc.AuditServiceStub(connection).ListAuditEntries(request, timeout=30)
        return list(listed.entries)

    async def check(self, secret: str | Mapping[str, str], **told: Any) -> Any:
        """What the gateway is answered about a request that carries this key, or the headers of a signed one."""
        async with self.gateway() as ask:
            return await ask(secret, **told)

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[Any]:
        """The same over one connection: `ask(secret, source=…, rpc=…)`, or with the headers of a signed request."""
        async with channel(self.address) as connection:
            stub = cast("Any", external_auth_pb2_grpc).AuthorizationStub(connection)

            async def ask(
                secret: str | Mapping[str, str], *, source: str = "192.0.2.1", rpc: str = "", request_id: str = ""
            ) -> Any:
                request = envoy.CheckRequest()
                request.attributes.request.http.method = METHOD
                request.attributes.request.http.path = TARGET
                shown = {"authorization": f"Bearer {secret}"} if isinstance(secret, str) else secret
                request.attributes.request.http.headers.update(shown)
                request.attributes.request.http.headers[CLIENT_ADDRESS_HEADER] = source
                if request_id:
                    request.attributes.request.http.headers["x-request-id"] = request_id
                if rpc:
                    request.attributes.context_extensions["rpc"] = rpc
                return await stub.Check(request, timeout=30)

            yield ask


def headers_of(response: Any) -> Mapping[str, str]:
    """The headers that the caller is answered with beside the service's, or with a refusal."""
    ok = response.WhichOneof("http_response") == "ok_response"
    options = response.ok_response.response_headers_to_add if ok else response.denied_response.headers
    return {option.header.key: option.header.value for option in options}


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
def config(mongo_url: str, redis_url: str, redis: kv.Client, nats_url: str, identities: Identities) -> Config:
    return Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("auth"),
        mongo_url=Secret(mongo_url),
        redis_url=Secret(redis_url),
        nats_url=Secret(nats_url),
        key_pepper=Secret(identities.key_pepper_file.read_text(encoding="utf-8").strip()),
        sealing_key=Secret(identities.signing_seal_file.read_text(encoding="utf-8").strip()),
        master_keys=Secret(identities.master_keys_file.read_text(encoding="utf-8")),
        allow_loopback=True,
        environment=Environment.TEST,
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


@pytest.fixture
async def at_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as made:
        yield made
