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
from services.auth.servicer import KeyServicer
from services.auth.store import MongoStore
from shared import bus as bus_
from shared import mongo as mongo_
from shared.bus import Bus
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.identity import AUTH_ISSUER, TokenSigner
from shared.lifecycle import run
from shared.paging import PageTokens
from shared.retry import until_done
from shared.streams import AUTH_CHANGED_SIGNAL

if TYPE_CHECKING:
    from shared.lifecycle import Process


async def serve(config: Config, process: Process) -> None:
    """Wires the service and runs it until the process is told to stop."""
    mongo = await process.depend_on(
        "mongodb", lambda: mongo_.connect(config.mongo_url), check=mongo_.ping, close=mongo_.close
    )
    bus = await process.depend_on(
        "nats", lambda: bus_.connect(config.nats_url, "auth"), check=Bus.check, close=Bus.close
    )
    store = MongoStore(mongo)
    await until_done(store.prepare, retry_on=(Unavailable,))

    clock = SystemClock()
    hasher = KeyHasher(config.key_pepper)
    known_keys = KnownKeys[Pass](store, monotonic=time.monotonic)
    keys = KeyServicer(
        keyring=Keyring(store=store, hasher=hasher, signals=bus, clock=clock),
        page_tokens=PageTokens(config.key_pepper.reveal().encode()),
    )
    authorization = AuthorizationServicer(
        known_keys=known_keys,
        hasher=hasher,
        signer=TokenSigner(AUTH_ISSUER, config.service_key.reveal()),
        clock=clock,
    )

    async def forget(prefix: bytes) -> None:
        known_keys.forget(prefix.decode(errors="replace"))

    await bus.on_signal(AUTH_CHANGED_SIGNAL, forget)
    await process.serve(
        (auth_pb2_grpc.add_KeyServiceServicer_to_server, keys, "penstock.auth.v1.KeyService"),
        (
            external_auth_pb2_grpc.add_AuthorizationServicer_to_server,
            authorization,
            "envoy.service.auth.v3.Authorization",
        ),
    )


if __name__ == "__main__":
    run("auth", Config, serve)
