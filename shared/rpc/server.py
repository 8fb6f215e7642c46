"""The server builder: health, reflection, interceptors and drain come with it, so that no service can forget them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from shared import observability
from shared.audit import Audit
from shared.clock import SystemClock
from shared.rpc.interceptors import Interceptor
from shared.rpc.key_uses import KeyUses
from shared.rpc.open_streams import OpenStreams

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from shared.identity import TokenVerifier
    from shared.rpc.health import Health

log = observability.logger()

#: A REST body of 10 MiB, and room for what the transcoder makes of it; the same on both ends.
MAX_MESSAGE_BYTES = 11 * 1024 * 1024
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.so_reuseport", 0),  # a taken port is an error and not half of the traffic
)
#: Calls that have come and that the loop has not begun. Beyond 1,000 gRPC would refuse some of them, and beyond 3,000
#: all, UNAVAILABLE without details: thousands of clients that come back at the same time are as many for a moment.
_MAX_PENDING_CALLS = 50_000
_SERVER_OPTIONS = (
    *CHANNEL_OPTIONS,
    ("grpc.server.max_pending_requests", _MAX_PENDING_CALLS),
    ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING_CALLS),
)


class Server:
    """A gRPC server.

    Args:
        service: Its name in logs and metrics.
        address: Where it listens, `host:port`; port 0 takes a free one.
        verifier: Who may vouch for callers.
        health: What is asked for its health.
        streams: Where streams are known by who watches, to be ended by; of its own unless told.
        uses: Counts what keys do, to be told; of its own unless told.
        audit: Takes down what is audited, to be published; of its own unless told.
    """

    def __init__(
        self,
        service: str,
        *,
        address: str,
        verifier: TokenVerifier,
        health: Health,
        streams: OpenStreams | None = None,
        uses: KeyUses | None = None,
        audit: Audit | None = None,
    ) -> None:
        interceptor = Interceptor(
            service,
            verifier,
            streams or OpenStreams(),
            uses=uses or KeyUses(SystemClock()),
            audit=audit or Audit(service),
        )
        self._server = grpc.aio.server(interceptors=[interceptor], options=_SERVER_OPTIONS)
        self._address = address
        self._health = health
        self._names = [health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
        health_pb2_grpc.add_HealthServicer_to_server(health, self._server)

    def add(self, register: Callable[[Any, grpc.aio.Server], None], servicer: object, name: str) -> Server:
        """Adds a servicer by its generated `add_…Servicer_to_server`, under its full name in reflection."""
        register(servicer, self._server)
        self._names.append(name)
        return self

    async def start(self) -> int:
        """Listens; answers with the port.

        Raises:
            RuntimeError: The address cannot be bound.
        """
        reflection.enable_server_reflection(self._names, self._server)
        port = self._server.add_insecure_port(self._address)
        await self._server.start()
        log.info("server_started", address=self._address, port=port)
        return port

    async def drain(self, grace: timedelta) -> None:
        """Takes no new calls, lets begun ones finish for at most `grace`, then ends them."""
        self._health.drain()
        await self._server.stop(grace.total_seconds())
        log.info("server_drained")
