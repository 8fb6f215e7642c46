"""What every answer tells browsers, whoever made it."""

from __future__ import annotations

from gateway.typed import EnvoyConfig, header

_SECURITY_HEADERS = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}
#: Answers may differ: a page has its own policy, and what may be cached says so.
_DEFAULT_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


def security_headers() -> list[EnvoyConfig]:
    """What every answer carries."""
    return [
        *(header(name, value) for name, value in _SECURITY_HEADERS.items()),
        *(header(name, value, "ADD_IF_ABSENT") for name, value in _DEFAULT_HEADERS.items()),
    ]
