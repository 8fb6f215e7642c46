"""How connections are wired, into the process that auth is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.auth.v1 import connections_pb2_grpc, credentials_pb2_grpc, data_keys_pb2_grpc

from services.auth import holdings
from services.auth.connections.authorizing.store import MongoAuthorizationStore
from services.auth.connections.authorizing.wiring import Kept, authorizing
from services.auth.connections.connections import Connections
from services.auth.connections.credentials.claims import RefreshClaims
from services.auth.connections.credentials.credentials import Credentials
from services.auth.connections.credentials.known import KnownConnections
from services.auth.connections.credentials.refresher import ProviderRefresher
from services.auth.connections.credentials.refreshes import Refreshes
from services.auth.connections.credentials.servicer import CredentialServicer
from services.auth.connections.notices import Changes, UntoldConnections
from services.auth.connections.providers.http import ProviderHttp
from services.auth.connections.providers.oauth2 import OAuth2
from services.auth.connections.sealing.data_key_store import MongoDataKeyStore
from services.auth.connections.sealing.data_keys import DataKeys
from services.auth.connections.sealing.resealing import Resealing
from services.auth.connections.sealing.sealed_store import MongoSealedStore
from services.auth.connections.sealing.servicer import DataKeyServicer
from services.auth.connections.sealing.vault import Vault
from services.auth.connections.servicer import ConnectionServicer
from services.auth.connections.store import MongoConnectionStore
from shared.addresses import AddressGuard
from shared.errors import Unavailable
from shared.notices import Notices
from shared.retry import until_done
from shared.streams import CONNECTION_CHANGED_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import grpc

    from services.auth.config import Config
    from services.auth.connections.authorizing.callback import Holders
    from services.auth.connections.providers.domain import Providers
    from shared import kv, mongo
    from shared.bus import Bus
    from shared.clock import Clock
    from shared.lifecycle import Process
    from shared.paging import PageTokens

    Servicer = tuple[Callable[[Any, grpc.aio.Server], None], object, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What connections share with the rest of auth.

    Args:
        mongo: Keeps them.
        redis: Keeps what is counted of requests.
        bus: Tells of them.
        holders: Know who has begun an authorization.
        page_tokens: What pages are asked for by.
        clock: The time.
    """

    mongo: mongo.Client
    redis: kv.Client
    bus: Bus
    holders: Holders
    page_tokens: PageTokens
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What all of connections stand on."""

    store: MongoConnectionStore
    authorizations: MongoAuthorizationStore
    vault: Vault
    changes: Changes
    providers: Providers
    http: ProviderHttp
    guard: AddressGuard


async def wire(config: Config, process: Process, shared: Shared) -> Sequence[Servicer]:
    """Wires them, and answers with what the server is to answer by.

    Without a key provider it starts all the same: what seals or opens a secret waits for one, and nothing else does.
    """
    store, sealed_store = MongoConnectionStore(shared.mongo), MongoSealedStore(shared.mongo)
    key_store, authorizations = MongoDataKeyStore(shared.mongo), MongoAuthorizationStore(shared.mongo)
    for each in (store, sealed_store, key_store, authorizations):
        await until_done(each.prepare, retry_on=(Unavailable,))
    key_providers = config.key_providers()
    keys = process.lean_on(
        "key_provider",
        DataKeys(store=key_store, providers=key_providers, clock=shared.clock, monotonic=time.monotonic),
        check=DataKeys.check,
        close=lambda _: key_providers.close(),
    )
    vault = Vault(keys)
    resealing = Resealing(
        keys=keys,
        key_store=key_store,
        vault=vault,
        store=sealed_store,
        others=[authorizations],
        clock=shared.clock,
    )
    notices = Notices(UntoldConnections(store), shared.bus)
    guard = AddressGuard(allow_loopback=config.allow_loopback)
    http = ProviderHttp(guard)
    process.on_close(http.close)
    process.loop("connection notices", notices.run)
    process.loop("resealing", resealing.run)
    base = _Base(
        store=store,
        authorizations=authorizations,
        vault=vault,
        changes=Changes(signals=shared.bus, changed=notices.wake),
        providers=config.providers(),
        http=http,
        guard=guard,
    )
    data_keys = DataKeyServicer(keys=keys, store=sealed_store, resealing=resealing, page_tokens=shared.page_tokens)
    return (
        (
            connections_pb2_grpc.add_ConnectionServiceServicer_to_server,
            _connections(config, process, shared, base),
            "penstock.auth.v1.ConnectionService",
        ),
        (
            credentials_pb2_grpc.add_CredentialServiceServicer_to_server,
            CredentialServicer(await _credentials(process, shared, base)),
            "penstock.auth.v1.CredentialService",
        ),
        (
            data_keys_pb2_grpc.add_DataKeyServiceServicer_to_server,
            data_keys,
            "penstock.auth.v1.DataKeyService",
        ),
        holdings.servicer(shared.mongo, shared.redis, connections=store, changes=base.changes, clock=shared.clock),
    )


def _connections(config: Config, process: Process, shared: Shared, base: _Base) -> ConnectionServicer:
    """What tenants ask."""
    connections = Connections(
        store=base.store,
        vault=base.vault,
        changes=base.changes,
        guard=base.guard,
        limit=config.max_connections,
        clock=shared.clock,
    )
    answers = authorizing(
        Kept(
            authorizations=base.authorizations,
            connections=base.store,
            room=connections,
            vault=base.vault,
            changes=base.changes,
            holders=shared.holders,
        ),
        providers=base.providers,
        http=base.http,
        public_url=config.public_url,
        lifetime=config.authorization_lifetime,
        page_tokens=shared.page_tokens,
        audit=process.audit,
        clock=shared.clock,
    )
    process.on_drain(answers.drain)
    return ConnectionServicer(connections=connections, authorizations=answers, page_tokens=shared.page_tokens)


async def _credentials(process: Process, shared: Shared, base: _Base) -> Credentials:
    """What services ask, and hears from now on what has changed elsewhere."""
    known = KnownConnections(base.store, monotonic=time.monotonic)
    claims = RefreshClaims(base.store, monotonic=time.monotonic)
    refreshes = Refreshes(
        store=base.store,
        claims=claims,
        vault=base.vault,
        refresher=ProviderRefresher(base.providers, OAuth2(base.http, clock=shared.clock)),
        known=known,
        changes=base.changes,
        clock=shared.clock,
        monotonic=time.monotonic,
    )
    process.on_drain(refreshes.drain)

    async def changed(payload: bytes) -> None:
        connection_id = payload.decode(errors="replace")
        known.forget(connection_id)
        claims.changed(connection_id)

    def missed() -> None:
        known.forget_all()
        claims.wake_all()

    await shared.bus.on_signal(CONNECTION_CHANGED_SIGNAL, changed)
    shared.bus.on_reconnect(missed)
    return Credentials(known=known, vault=base.vault, refreshes=refreshes, providers=base.providers, clock=shared.clock)
