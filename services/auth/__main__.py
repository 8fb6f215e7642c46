"""How auth is wired."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from penstock.auth.v1 import auth_pb2_grpc
from penstock.gateway.v1 import external_auth_pb2_grpc

from services.auth.authorization import AuthorizationServicer, Pass
from services.auth.config import Config
from services.auth.domain import KeyHasher
from services.auth.keyring import Keyring
from services.auth.known_keys import KnownKeys
from services.auth.limiter import Guesses, Limiter
from services.auth.servicer import KeyServicer
from services.auth.store import MongoStore
from services.auth.usage import RedisUsage, Usage
from services.auth.windows import LocalWindows, RedisWindows
from shared import bus as bus_
from shared import kv
from shared import mongo as mongo_
from shared.bus import Bus
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.identity import AUTH_ISSUER, TokenSigner
from shared.lifecycle import run
from shared.paging import PageTokens
from shared.retry import until_done
from shared.streams import AUTH_CHANGED_SIGNAL, StreamLimits

if TYPE_CHECKING:
    from shared.lifecycle import Process


async def serve(config: Config, process: Process) -> None:
    """Wires the service and runs it until the process is told to stop."""
    mongo = await process.depend_on(
        "mongodb", lambda: mongo_.connect(config.mongo_url), check=mongo_.ping, close=mongo_.close
    )
    # without it each replica holds its share of the limits by itself
    redis = process.lean_on("redis", kv.client(config.redis_url), check=kv.ping, close=kv.close)
    bus = await process.depend_on(
        "nats",
        lambda: bus_.connect(config.nats_url, "auth", StreamLimits.of(config)),
        check=Bus.check,
        close=Bus.close,
    )
    store = MongoStore(mongo)
    await until_done(store.prepare, retry_on=(Unavailable,))

    clock = SystemClock()
    hasher = KeyHasher(config.key_pepper)
    known_keys = KnownKeys[Pass](store, monotonic=time.monotonic)
    usage_store = RedisUsage(redis)
    usage = Usage(store=usage_store, keys=store)
    limiter = Limiter(
        shared=RedisWindows(redis),
        local=LocalWindows(monotonic=time.monotonic),
        share=config.limit_share_without_redis,
        monotonic=time.monotonic,
    )
    keys = KeyServicer(
        keyring=Keyring(store=store, hasher=hasher, signals=bus, clock=clock),
        usage=usage_store,
        clock=clock,
        page_tokens=PageTokens(config.key_pepper.reveal().encode()),
    )
    authorization = AuthorizationServicer(
        known_keys=known_keys,
        hasher=hasher,
        signer=TokenSigner(AUTH_ISSUER, config.service_key.reveal()),
        limits=config.rate_limits,
        limiter=limiter,
        guesses=Guesses(limiter=limiter, limits=config.rate_limits, monotonic=time.monotonic),
        usage=usage,
        audit=process.audit,
        clock=clock,
    )

    async def forget(prefix: bytes) -> None:
        known_keys.forget(prefix.decode(errors="replace"))

    await bus.on_signal(AUTH_CHANGED_SIGNAL, forget)
    process.loop("usage", usage.run)
    process.on_close(usage.flush)
    await process.serve(
        (auth_pb2_grpc.add_KeyServiceServicer_to_server, keys, "penstock.auth.v1.KeyService"),
        (
            external_auth_pb2_grpc.add_AuthorizationServicer_to_server,
            authorization,
            "envoy.service.auth.v3.Authorization",
        ),
        audit_to=bus,
    )


if __name__ == "__main__":
    run("auth", Config, serve)
