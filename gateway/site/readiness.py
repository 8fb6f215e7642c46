"""Whether the mesh is ready: each service is asked for its own health and that of each dependency."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.responses import JSONResponse, Response

from shared.rpc.health import DEPENDENCY_PREFIX, READINESS
from shared.rpc.server import CHANNEL_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from starlette.requests import Request

# The stubs know no `List` yet.
_health: Any = health_pb2
_health_grpc: Any = health_pb2_grpc
_SERVING = health_pb2.HealthCheckResponse.SERVING
#: A service that comes back is seen within a second.
_RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReadiness:
    """How one service stands."""

    ready: bool
    #: Whether each dependency is there, by name.
    dependencies: Mapping[str, bool] = field(default_factory=dict)
    #: Why nothing is known, or empty.
    error: str = ""

    def to_json(self) -> dict[str, object]:
        """As `/readyz` has it."""
        body: dict[str, object] = {"ready": self.ready, "dependencies": dict(self.dependencies)}
        return body | ({"error": self.error} if self.error else {})


class ReadyMesh(Protocol):
    """What the page asks how the mesh stands."""

    async def readiness(self) -> Mapping[str, ServiceReadiness]:
        """How each service stands."""
        ...

    async def close(self) -> None:
        """Ends what it holds."""
        ...


async def readyz(request: Request) -> Response:
    """The page: 200 when every service is ready, and else 503, with how each stands."""
    mesh: ReadyMesh = request.state.mesh
    services = await mesh.readiness()
    ready = all(service.ready for service in services.values())
    body = {
        "status": "ready" if ready else "not ready",
        "services": {name: service.to_json() for name, service in services.items()},
    }
    return JSONResponse(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


class Mesh:
    """The services of the mesh, as far as their health goes.

    Args:
        addresses: `host:port` of each, by name.
        timeout: How long each may take to answer.
    """

    def __init__(self, addresses: Mapping[str, str], timeout: timedelta) -> None:
        self._timeout_s = timeout.total_seconds()
        self._channels = {
            name: grpc.aio.insecure_channel(address, options=(*CHANNEL_OPTIONS, *_RECONNECT))
            for name, address in addresses.items()
        }

    async def readiness(self) -> dict[str, ServiceReadiness]:
        """How each service stands, all asked at the same time."""
        found = await asyncio.gather(*(self._ask(channel) for channel in self._channels.values()))
        return dict(zip(self._channels, found, strict=True))

    async def close(self) -> None:
        """Closes every channel."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    async def _ask(self, channel: grpc.aio.Channel) -> ServiceReadiness:
        stub = _health_grpc.HealthStub(channel)
        try:
            answer = await stub.List(_health.HealthListRequest(), timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:  # the answer says that the service is away
            late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return ServiceReadiness(ready=False, error="does not answer in time" if late else "is not reachable")
        well = {name: status.status == _SERVING for name, status in answer.statuses.items()}
        return ServiceReadiness(
            ready=well.get(READINESS, False),
            dependencies={
                name.removeprefix(DEPENDENCY_PREFIX): there
                for name, there in well.items()
                if name.startswith(DEPENDENCY_PREFIX)
            },
        )
