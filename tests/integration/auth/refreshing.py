"""Connections at a provider that rotates refresh tokens and punishes reuse, asked for at real replicas of auth."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import yaml
from penstock.auth.v1 import credentials_pb2, credentials_pb2_grpc

from services.auth.connections.domain import OAuth2Tokens
from services.auth.connections.sealing.data_key_store import MongoDataKeyStore
from services.auth.connections.sealing.data_keys import DataKeys
from services.auth.connections.sealing.vault import Vault
from services.auth.connections.store import MongoConnectionStore
from shared.clock import SystemClock
from shared.config import Secret
from shared.streams import CONNECTION_CHANGED_SIGNAL
from tests.fakes.oauth2_provider import Consent, oauth2_provider
from tests.fakes.refreshing import sealed_connection
from tests.service import channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from services.auth.config import Config
    from services.auth.connections.domain import Connection
    from shared.bus import Bus
    from shared.mongo import Client
    from tests.fakes.oauth2_provider import Provider
    from tests.identities import Identities

HOUR = timedelta(hours=1)


@dataclass
class Shop:
    """The provider, a connection to it, and the store that all replicas share."""

    provider: Provider
    config: Config
    mongo: Client
    bus: Bus
    identities: Identities
    store: MongoConnectionStore
    vault: Vault
    consent: Consent = field(default_factory=lambda: Consent(client_id="penstock", user="ada", scope="read"))

    async def connected(self, **fields: Any) -> Connection:
        """A connection whose tokens the provider has just given."""
        self.provider.consents.append(self.consent)
        self.consent.refresh_tokens.append(secrets.token_urlsafe(24))
        access_token = secrets.token_urlsafe(24)
        self.consent.access_tokens[access_token] = self.provider.now() + HOUR.total_seconds()
        tokens = OAuth2Tokens(
            access_token=access_token,
            refresh_token=self.consent.refresh_tokens[-1],
            expires_at=SystemClock().now() + HOUR,
        )
        given = {"provider": "shop", "upstream": "http", "hosts": (self.provider.url.removeprefix("http://"),)}
        return await sealed_connection(self.store, self.vault, tokens, SystemClock(), **given | fields)

    async def record(self, connection: Connection) -> Connection:
        found = await self.store.connection(connection.tenant, connection.id)
        assert found is not None
        return found

    async def expire(self, connection: Connection) -> None:
        """Has the token's time be over, at the provider and by what is known of it."""
        self.consent.access_tokens.clear()
        past = datetime.now(UTC) - timedelta(seconds=1)
        await self._documents().update_one({"_id": connection.id}, {"$set": {"expires_at": past}})
        await self.bus.signal(CONNECTION_CHANGED_SIGNAL, connection.id.encode())

    async def end_claim(self, connection: Connection) -> None:
        """Has the time of whoever claims its refresh be over."""
        past = datetime.now(UTC) - timedelta(seconds=1)
        await self._documents().update_one({"_id": connection.id}, {"$set": {"refresh.until": past}})

    async def claimed(self, connection: Connection) -> bool:
        """Whether somebody has a claim to its refresh."""
        document = await self._documents().find_one({"_id": connection.id})
        return document is not None and "until" in document.get("refresh", {})

    def works(self, token: str) -> bool:
        """Whether the provider's own API takes the token."""
        return self.provider.of_token(token) is not None

    async def token(self, address: str, connection: Connection) -> str:
        """What a replica gives to call with."""
        request = credentials_pb2.GetCredentialRequest(tenant=connection.tenant, connection_id=connection.id)
        async with self.asking(address) as stub:
            return (await stub.GetCredential(request, timeout=40)).bearer.token

    async def tokens(self, addresses: list[str], connection: Connection, workers: int = 50) -> set[str]:
        """What replicas give to so many workers at once."""
        request = credentials_pb2.GetCredentialRequest(tenant=connection.tenant, connection_id=connection.id)
        answers: list[credentials_pb2.Credential] = []
        for_each = workers // len(addresses) + 1

        async def ask(address: str) -> None:
            async with self.asking(address) as stub:
                answers.extend(
                    await asyncio.gather(*(stub.GetCredential(request, timeout=30) for _ in range(for_each)))
                )

        await asyncio.gather(*(ask(address) for address in addresses))
        assert len(answers) >= workers
        return {answer.bearer.token for answer in answers}

    @asynccontextmanager
    async def asking(self, address: str, service: str = "upstream") -> AsyncGenerator[Any]:
        """CredentialService, asked by a service."""
        async with channel(address, self.identities.service(service).token()) as connection:
            yield credentials_pb2_grpc.CredentialServiceStub(connection)

    def _documents(self) -> Any:
        return self.mongo.get_database("auth").get_collection("connections")


@asynccontextmanager
async def shop(config: Config, mongo: Client, bus: Bus, identities: Identities, folder: Path) -> AsyncGenerator[Shop]:
    """Runs the provider; `Shop.config` is of replicas that know it."""
    async with oauth2_provider() as provider:
        file = folder / "providers.yaml"
        file.write_text(yaml.safe_dump({"shop": provider.settings()}), encoding="utf-8")
        clients = {"shop": {"id": "penstock", "secret": provider.clients["penstock"]}}
        known = replace(config, providers_file=str(file), provider_clients=Secret(json.dumps(clients)))
        store = MongoConnectionStore(mongo)
        await store.prepare()
        key_store = MongoDataKeyStore(mongo)
        await key_store.prepare()
        key_providers = known.key_providers()
        keys = DataKeys(store=key_store, providers=key_providers, clock=SystemClock(), monotonic=time.monotonic)
        yield Shop(provider, known, mongo, bus, identities, store, Vault(keys))
        await key_providers.close()
