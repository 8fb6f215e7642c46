"""Where a redirect leads, and what goes along (RFC 9110, 15.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from multidict import CIMultiDict
from yarl import URL

if TYPE_CHECKING:
    from services.upstream.http_client import HttpRequest

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: What goes along to another origin; anything else may be a credential under a name of its own.
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})


class BadRedirectError(Exception):
    """`Location` is not a URL reference; the message says why."""


def is_redirect(status: int) -> bool:
    """Whether the status asks for another call."""
    return status in _REDIRECTS


def is_performed(verb: str, status: int) -> bool:
    """Whether the redirect says that the call has been carried out, and only its answer is elsewhere."""
    return _verb(verb, status) != verb


def follow(request: HttpRequest, status: int, location: str) -> HttpRequest:
    """The call that a redirect asks for.

    303 is read with GET, and so is what 301 and 302 answer to a POST; any other verb stays, and its body with it.

    Raises:
        BadRedirectError: The location cannot be read.
    """
    try:
        url = request.url.join(URL(location)).with_fragment(None)
        same_origin = _origin(url) == _origin(request.url) or _upgrades(request.url, url)
    except ValueError as error:
        raise BadRedirectError(str(error)) from error
    verb = _verb(request.verb, status)
    headers = CIMultiDict(
        (name, value)
        for name, value in request.headers.items()
        if (same_origin or name.lower() in _HARMLESS_HEADERS)
        and (verb == request.verb or not name.lower().startswith("content-"))
    )
    return replace(request, verb=verb, url=url, headers=headers, body=request.body if verb == request.verb else None)


def _verb(verb: str, status: int) -> str:
    if status == 303 and verb != "HEAD":  # noqa: PLR2004  See Other
        return "GET"
    if status in {301, 302} and verb == "POST":
        return "GET"
    return verb


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _upgrades(old: URL, new: URL) -> bool:
    """Whether the same host, on the usual ports, is called by https instead of http."""
    return (
        (old.scheme, new.scheme) == ("http", "https")
        and old.raw_host == new.raw_host
        and old.is_default_port()
        and new.is_default_port()
    )
