"""Whom the stack's own calls to its gateway trust, where that speaks TLS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deploy.local.layout import Layout


def context(layout: Layout) -> ssl.SSLContext | None:
    """The certificate that the gateway was given, and no other, whatever name it is for; None for plain HTTP.

    The calls go to this machine's loopback by its address, and certificates are for names.
    """
    if not layout.options.tls_certificate:
        return None
    found = ssl.create_default_context(cafile=layout.options.tls_certificate)
    found.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority's
    found.check_hostname = False
    return found
