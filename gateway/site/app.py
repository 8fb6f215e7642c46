"""The site's pages."""

from __future__ import annotations

from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared import errors
from shared.rpc import status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from starlette.requests import Request

    from gateway.site.readiness import ServiceReadiness


class ReadyMesh(Protocol):
    """What the site asks how the mesh stands."""

    async def readiness(self) -> Mapping[str, ServiceReadiness]:
        """How each service stands."""
        ...

    async def close(self) -> None:
        """Ends what it holds."""
        ...


def make_app(connect: Callable[[], ReadyMesh]) -> Starlette:
    """The application.

    Args:
        connect: Called once the event loop runs, to which the mesh's channels belong; closed when the application ends.
    """

    async def readyz(request: Request) -> Response:
        services = await request.state.mesh.readiness()
        ready = all(service.ready for service in services.values())
        body = {
            "status": "ready" if ready else "not ready",
            "services": {name: service.to_json() for name, service in services.items()},
        }
        return JSONResponse(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[dict[str, ReadyMesh]]:
        del app
        mesh = connect()
        yield {"mesh": mesh}
        await mesh.close()

    return Starlette(
        routes=[Route("/readyz", readyz)],
        lifespan=lifespan,
        exception_handlers={HTTPStatus.NOT_FOUND: _not_found, Exception: _internal},
    )


async def _not_found(request: Request, exception: Exception) -> Response:
    del exception
    path = request.url.path
    return _answer(errors.NotFound(f"no page of the site has the path {path}", metadata={"path": path}))


async def _internal(request: Request, exception: Exception) -> Response:
    """Says nothing of what went wrong; the server logs it."""
    del request, exception
    return _answer(errors.Internal("an internal error occurred; report it with the X-Request-Id of this answer"))


def _answer(error: errors.PenstockError) -> Response:
    code = error.http_status or status.HTTP_BY_CODE[error.code]
    return Response(status.to_json(error), code, media_type="application/json")
