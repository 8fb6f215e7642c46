"""Health: liveness apart from readiness, and each dependency by name (`grpc.health.v1`).

`liveness` is SERVING as long as the process answers. The empty name is readiness: SERVING while every dependency that
cannot be spared is there and the server is not draining. `dependency/<name>` is one dependency.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shared import observability
from shared.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

log = observability.logger()

LIVENESS = "liveness"
READINESS = ""
DEPENDENCY_PREFIX = "dependency/"
#: Between two looks at the dependencies; a broken one is noticed by the calls that need it at once.
CHECK_INTERVAL_S = 2.0
#: A dependency that takes longer to answer is away.
CHECK_TIMEOUT_S = 1.5

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

#: Tries a dependency, and raises when it is away.
Check = Callable[[], Awaitable[object]]


class Health(health_pb2_grpc.HealthServicer):
    """Knows which dependencies are there, and answers for it.

    Args:
        checks: How each dependency is tried; a check that raises or takes too long says that it is away.
        spared: Those on which readiness does not hang.
    """

    def __init__(self, checks: Mapping[str, Check], *, spared: Collection[str] = ()) -> None:
        self._checks = dict(checks)
        self._spared = frozenset(spared)
        self._away = set(checks)
        self._draining = False
        self._changed = asyncio.Event()

    async def watch_dependencies(self) -> None:
        """Tries every dependency again and again, until canceled."""
        while True:
            await self.check_dependencies()
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def check_dependencies(self) -> None:
        """Tries every dependency once, all at the same time."""
        await asyncio.gather(*(self._check(name, check) for name, check in self._checks.items()))

    async def _check(self, name: str, check: Check) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await check()
        except (PenstockError, OSError, TimeoutError) as error:  # what is lost is said by the status itself
            if name not in self._away:
                log.warning("dependency_lost", dependency=name, error=str(error) or type(error).__name__)
            self._set_away(self._away | {name})
        else:
            if name in self._away:
                log.info("dependency_ready", dependency=name)
            self._set_away(self._away - {name})

    def drain(self) -> None:
        """Says from now on that the service is not ready."""
        self._draining = True
        self._notify()

    @property
    def ready(self) -> bool:
        """Whether every dependency is there that cannot be spared, and the server takes calls."""
        return not self._away - self._spared and not self._draining

    def statuses(self) -> dict[str, bool]:
        """Every name that is answered for, and whether it is well."""
        return {
            LIVENESS: True,
            READINESS: self.ready,
            **{f"{DEPENDENCY_PREFIX}{name}": name not in self._away for name in self._checks},
        }

    async def Check(  # noqa: N802  gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        """One status; NOT_FOUND for a name that is not answered for."""
        well = self.statuses().get(request.service)
        if well is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"{request.service!r} is not answered for here")
        return _response(well)

    async def List(  # noqa: N802  gRPC's name
        self, request: object, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:  # the stubs are older than the RPC and know neither of its messages
        """Every status."""
        del request, context
        statuses = {name: _response(well) for name, well in self.statuses().items()}
        return cast("Any", health_pb2).HealthListResponse(statuses=statuses)

    async def Watch(  # noqa: N802  gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """One status now, and again whenever it changes."""
        del context
        last: object = ()
        while True:
            changed = self._changed
            well = self.statuses().get(request.service)
            if well != last:
                last = well
                unknown = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
                yield unknown if well is None else _response(well)
            await changed.wait()

    def _set_away(self, away: set[str]) -> None:
        if away != self._away:
            self._away = away
            self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _response(well: bool | None) -> health_pb2.HealthCheckResponse:  # noqa: FBT001  a map's value
    return health_pb2.HealthCheckResponse(status=_SERVING if well else _NOT_SERVING)
