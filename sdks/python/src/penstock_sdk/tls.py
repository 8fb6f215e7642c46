"""Whom the client trusts over TLS."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import ssl


@cache
def trusted() -> ssl.SSLContext:
    """The usual authorities, or those that SSL_CERT_FILE names; made once, for that takes longer than a call."""
    return httpx.create_ssl_context()
