"""What is answered in the place of a page, in the shape of every error."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from shared import errors
from shared.rpc import status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request


async def _not_found(request: Request, exception: Exception) -> Response:
    del exception
    path = request.url.path
    return _answer(errors.NotFound(f"no page of the site has the path {path}", metadata={"path": path}))


async def _internal(request: Request, exception: Exception) -> Response:
    """Says nothing of what went wrong; the server logs it."""
    del request, exception
    return _answer(errors.Internal("an internal error occurred; report it with the X-Request-Id of this answer"))


def _answer(error: errors.PenstockError) -> Response:
    return Response(status.to_json(error), status.http_status(error), media_type="application/json")


#: By the status, or by the exception that nothing else caught.
HANDLERS: Mapping[int | type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPStatus.NOT_FOUND: _not_found,
    Exception: _internal,
}
