"""The site's pages, put together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from gateway.site import deprecation_page, docs, error_pages, faults, openapi, readiness
from gateway.site.frame import Frame

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from gateway.site.readiness import ReadyMesh


def make_app(connect: Callable[[], ReadyMesh], *, swagger_ui: Path) -> Starlette:
    """The application.

    Args:
        connect: Called once the event loop runs, to which the mesh's channels belong; closed when the application ends.
        swagger_ui: The folder of swagger-ui-dist.
    """
    frame = Frame()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[dict[str, ReadyMesh]]:
        del app
        mesh = connect()
        yield {"mesh": mesh}
        await mesh.close()

    app = Starlette(
        routes=[
            Route("/readyz", readiness.readyz),
            *frame.routes(),
            *docs.routes(frame, swagger_ui),
            *deprecation_page.routes(frame),
            *error_pages.routes(frame),
            *openapi.routes(),
        ],
        lifespan=lifespan,
        exception_handlers=faults.HANDLERS,
    )
    app.router.redirect_slashes = False  # it would lead to whatever host and scheme the request names
    return app
