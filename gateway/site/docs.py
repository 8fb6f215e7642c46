"""`/docs`: the API as a page on which it can be called, drawn by Swagger UI from our own files."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.site.assets import Assets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from gateway.site.frame import Frame

PATH = "/docs"
_STATIC = Path(__file__).parent / "static"
#: What of swagger-ui-dist is served: no other file of it is needed, nor reached.
_SWAGGER_STYLE, _SWAGGER_SCRIPT = "swagger-ui.css", "swagger-ui-bundle.js"
_OWN_STYLE, _OWN_SCRIPT = "docs.css", "docs.js"
#: Swagger UI has small pictures in its stylesheet, and calls the API. It sets styles by script, which needs no leave.
_POLICY = {"script-src": "'self'", "connect-src": "'self'", "img-src": "'self' data:"}
_log = structlog.get_logger(__name__)


def routes(frame: Frame, swagger_ui: Path) -> Sequence[Route]:
    """The page with what it loads, and the way to it from the root.

    Args:
        frame: How pages look.
        swagger_ui: The folder of swagger-ui-dist.
    """
    roots = [Route("/", _to_docs), Route(f"{PATH}/", _to_docs)]
    first_steps = _read("first_steps.html")
    try:
        theirs = Assets(swagger_ui, [_SWAGGER_STYLE, _SWAGGER_SCRIPT])
    except OSError as error:  # the page says what to do, and everything else works
        _log.warning("swagger_ui_missing", file=error.filename, reason=error.strerror)
        page = frame.page(title="API", main=first_steps + _read("no_swagger_ui.html"), path=PATH)
        return [page.at(PATH), *roots]
    ours = Assets(_STATIC, [_OWN_STYLE, _OWN_SCRIPT])
    page = frame.page(
        title="API",
        main=first_steps + _read("swagger_ui.html"),
        path=PATH,
        stylesheets=[theirs.url(_SWAGGER_STYLE), ours.url(_OWN_STYLE)],
        scripts=[theirs.url(_SWAGGER_SCRIPT), ours.url(_OWN_SCRIPT)],
        policy=_POLICY,
    )
    return [page.at(PATH), *theirs.routes(), *ours.routes(), *roots]


def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


async def _to_docs(request: Request) -> Response:
    """Who opens the root in a browser wants to read; the API has nothing there."""
    del request
    return RedirectResponse(PATH, HTTPStatus.FOUND)
