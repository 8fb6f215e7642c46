"""How auth is wired."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from penstock.auth.v1 import audit_pb2_grpc, auth_pb2_grpc, tenants_pb2_grpc
from penstock.gateway.v1 import external_auth_pb2_grpc

from services.auth import audit_trail
from services.auth.audit_servicer import AuditServicer
from services.auth.audit_store import MongoAuditStore
from services.auth.audit_trail import AuditTrail
from services.auth.authorization import AuthorizationServicer, Pass
from services.auth.callers import Callers
from services.auth.config import Config
from services.auth.connections.wiring import Shared, wire
from services.auth.domain import KeyHasher
from services.auth.keyring import Keyring
from services.auth.known_keys import KnownKeys
from services.auth.limiter import Guesses, Limiter
from services.auth.servicer import KeyServicer
from services.auth.signing_keys import SigningKeys
from services.auth.store import MongoStore
from services.auth.tenant_notices import UntoldTenants
from services.auth.tenant_servicer import TenantServicer
from services.auth.tenants import Tenants
from services.auth.usage import Usage
from services.auth.usage_store import RedisUsage
from services.auth.windows import LocalWindows, RedisWindows
from shared import kv
from shared import mongo as mongo_
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.lifecycle import run
from shared.notices import Notices
from shared.paging import PageTokens
from shared.retentions import told_retentions
from shared.retry import until_done
from shared.streams import AUDIT, AUTH_CHANGED_SIGNAL, KEY_USES_SIGNAL, TENANT_RESUMED_SIGNAL, TENANT_SUSPENDED_SIGNAL

if TYPE_CHECKING:
    from shared.bus import Bus
    from shared.lifecycle import Process
    from shared.retentions import ToldRetentions


async def serve(config: Config, process: Process) -> None:
    """Wires the service and runs it until the process is told to stop."""
    mongo = await process.depend_on(
        "mongodb", lambda: mongo_.connect(config.mongo_url), check=mongo_.ping, close=mongo_.close
    )
    # without it each replica holds its share of the limits by itself
    redis = process.lean_on("redis", kv.client(config.redis_url), check=kv.ping, close=kv.close)
    bus = await process.connect_bus(config.nats_url)
    retentions = told_retentions(process, config.history_address)
    store, audit_store = await _stores(mongo, retentions)
    clock = SystemClock()
    hasher = KeyHasher(config.key_pepper)
    signing_keys = SigningKeys(config.sealing_key)
    known_keys = KnownKeys[Pass](store, monotonic=time.monotonic)
    usage_store = RedisUsage(redis)
    usage = Usage(store=usage_store, keys=store)
    limiter = _limiter(config, redis)
    page_tokens = PageTokens(config.key_pepper.reveal().encode())
    keys = KeyServicer(
        keyring=Keyring(store=store, hasher=hasher, signing_keys=signing_keys, signals=bus, clock=clock),
        callers=Callers(usage=usage_store, keys=store, clock=clock),
        page_tokens=page_tokens,
    )
    notices = Notices(UntoldTenants(store), bus)
    tenants = TenantServicer(
        tenants=Tenants(store=store, signals=bus, clock=clock, changed=notices.wake), page_tokens=page_tokens
    )
    audit = AuditServicer(store=audit_store, page_tokens=page_tokens)
    authorization = AuthorizationServicer(
        known_keys=known_keys,
        hasher=hasher,
        signing_keys=signing_keys,
        signer=process.signer,
        limits=config.rate_limits,
        limiter=limiter,
        guesses=Guesses(limiter=limiter, limits=config.rate_limits, monotonic=time.monotonic),
        usage=usage,
        audit=process.audit,
        clock=clock,
    )
    trail = AuditTrail(audit_store)
    await _hear(bus, known_keys, usage)
    connections = await wire(
        config,
        process,
        Shared(mongo=mongo, redis=redis, bus=bus, holders=store, page_tokens=page_tokens, clock=clock),
    )
    process.loop("usage", usage.run)
    process.loop("retentions", retentions.run)
    process.loop("trail", lambda: _keep(trail, bus, retentions))
    process.loop("notices", notices.run)
    process.on_close(usage.flush)
    await process.serve(
        (auth_pb2_grpc.add_KeyServiceServicer_to_server, keys, "penstock.auth.v1.KeyService"),
        (tenants_pb2_grpc.add_TenantServiceServicer_to_server, tenants, "penstock.auth.v1.TenantService"),
        (audit_pb2_grpc.add_AuditServiceServicer_to_server, audit, "penstock.auth.v1.AuditService"),
        (
            external_auth_pb2_grpc.add_AuthorizationServicer_to_server,
            authorization,
            "envoy.service.auth.v3.Authorization",
        ),
        *connections,
    )


async def _stores(mongo: mongo_.Client, retentions: ToldRetentions) -> tuple[MongoStore, MongoAuditStore]:
    """What is kept of tenants and keys, and the audit, with their indexes."""
    store, audit_store = MongoStore(mongo), MongoAuditStore(mongo, retentions=retentions)
    for each in (store, audit_store):
        await until_done(each.prepare, retry_on=(Unavailable,))
    return store, audit_store


async def _keep(trail: AuditTrail, bus: Bus, retentions: ToldRetentions) -> None:
    """Keeps audit entries, from when it is known for how long."""
    await retentions.first_answer()
    await bus.consumer(AUDIT, audit_trail.CONSUMER).run(trail.handle)


def _limiter(config: Config, redis: kv.Client) -> Limiter:
    """What counts requests in Redis, and by itself where that is away."""
    return Limiter(
        shared=RedisWindows(redis),
        local=LocalWindows(monotonic=time.monotonic),
        share=config.limit_share_without_redis,
        monotonic=time.monotonic,
    )


async def _hear(bus: Bus, known_keys: KnownKeys[Pass], usage: Usage) -> None:
    """Forgets what has changed elsewhere, and counts what services report, from now on."""

    async def forget(prefix: bytes) -> None:
        known_keys.forget(prefix.decode(errors="replace"))

    async def forget_tenant(name: bytes) -> None:
        known_keys.forget_tenant(name.decode(errors="replace"))

    await bus.on_signal(AUTH_CHANGED_SIGNAL, forget)
    await bus.on_signal(KEY_USES_SIGNAL, usage.reported, one_of="auth")
    for changed in (TENANT_SUSPENDED_SIGNAL, TENANT_RESUMED_SIGNAL):
        await bus.on_signal(changed, forget_tenant)


if __name__ == "__main__":
    run("auth", Config, serve)
