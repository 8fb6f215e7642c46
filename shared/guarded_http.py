"""HTTP to hosts that tenants name: guarded, pooled, and without a memory of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from shared.addresses import guarded_connector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.abc import AbstractResolver

    from shared.addresses import AddressGuard

USER_AGENT = "penstock/0.1"
CONNECT_TIMEOUT_S = 10.0
#: Shorter than the 5 s after which the commonest servers hang up: a request that meets a connection as it closes is
#: lost, and one that is not idempotent may not be sent again.
_KEEPALIVE_S = 4.0
#: Of a URL that needs no quoting and is sent as it was given: a signature may hang on every character of it.
_QUOTED_URL = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")


def guarded_session(
    guard: AddressGuard,
    *,
    limit: int,
    resolver: AbstractResolver | None = None,
    trace_configs: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """A session none of whose connections leads where the guard forbids; the caller bounds the time of a request.

    A URL that names its host by an address is for the caller to check: `AddressGuard.check_url`.

    Args:
        guard: Decides which addresses may be called.
        limit: Connections in use at a time.
        resolver: Asks the name server; the machine's own unless told.
        trace_configs: Told of each request's steps.
    """
    return aiohttp.ClientSession(
        connector=guarded_connector(guard, limit=limit, keepalive_s=_KEEPALIVE_S, resolver=resolver),
        cookie_jar=aiohttp.DummyCookieJar(),  # what one tenant's call is given must not go out with another's
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        headers={"User-Agent": USER_AGENT, "Accept": "*/*"},
        auto_decompress=False,  # it has no bound that fits
        trust_env=False,
        trace_configs=list(trace_configs),
    )


def url_as_given(text: str) -> URL:
    """The URL, quoted only where it must be, and without its fragment, which is not sent.

    Raises:
        ValueError: It is none.
    """
    return URL(text, encoded=_QUOTED_URL.fullmatch(text) is not None).with_fragment(None)
