"""What is the same for everyone as long as the site runs: made once, held in memory, told apart by its ETag."""

from __future__ import annotations

import gzip
import hashlib
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

HTML = "text/html; charset=utf-8"
#: Asked for again each time, and sent only if it has changed.
_REVALIDATED = "no-cache"
#: Never asked for again: another content has another path.
_IMMUTABLE = "public, max-age=31536000, immutable"
#: What is smaller fits into a packet or two as it is.
_WORTH_FOLDING_BYTES = 1024
#: `gzip` in an Accept-Encoding, unless with the weight 0.
_TAKES_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:;\s*q=(?:1(?:\.0*)?|0\.\d*[1-9]\d*)\s*)?(?:,|$)", re.IGNORECASE)


class Document:
    """A body, as it is and folded by gzip, with the headers that go with either.

    Args:
        body: Its bytes.
        media_type: Its type.
        policy: Its Content-Security-Policy; the gateway's own, which forbids all, where it has none.
        immutable: Whether its path is its own alone, so that nobody has to ask for it twice.
    """

    def __init__(self, body: bytes, media_type: str, *, policy: str = "", immutable: bool = False) -> None:
        self.digest = hashlib.sha256(body).hexdigest()[:16]
        self._headers = {
            "content-type": media_type,
            "cache-control": _IMMUTABLE if immutable else _REVALIDATED,
            **({"content-security-policy": policy} if policy else {}),
        }
        folded = gzip.compress(body, mtime=0) if len(body) >= _WORTH_FOLDING_BYTES else body
        #: By the content coding; one that saves nothing is left out.
        self._bodies = {"": body} | ({"gzip": folded} if len(folded) < len(body) else {})

    def answer(self, request: Request, status: HTTPStatus = HTTPStatus.OK) -> Response:
        """The document, or 304 where the client has it already (RFC 9110, 13.1.2).

        Args:
            request: Who asks.
            status: Another one for a page that stands in the place of what there is not.
        """
        takes_gzip = _TAKES_GZIP.search(request.headers.get("accept-encoding", "")) is not None
        coding = "gzip" if takes_gzip and "gzip" in self._bodies else ""
        etag = f'"{self.digest}-{coding}"' if coding else f'"{self.digest}"'
        headers = {**self._headers, "etag": etag}
        if len(self._bodies) > 1:
            headers["vary"] = "accept-encoding"
        if status == HTTPStatus.OK and _has(request.headers.get("if-none-match", ""), etag):
            del headers["content-type"]
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if coding:
            headers["content-encoding"] = coding
        return Response(self._bodies[coding], status, headers=headers)

    def at(self, path: str) -> Route:
        """The route that answers with it."""

        async def answer(request: Request) -> Response:
            return self.answer(request)

        return Route(path, answer)


def _has(if_none_match: str, etag: str) -> bool:
    """Whether a tag is among those of an If-None-Match; weak ones compare as strong ones do."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return bool(tags & {etag, "*"})
