"""Media types that others have named, as far as they may be said again in headers of ours."""

from __future__ import annotations

import re

#: What content is of which nothing is known (RFC 2046, 4.5.1).
UNTYPED = "application/octet-stream"
_MAX_CHARACTERS = 255
#: RFC 9110, 8.3.1, with parameters of whatever is visible.
_MEDIA_TYPE = re.compile(r"(?P<type>[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[\t\x20-\x7e]*)?")
#: Would have a gateway take the content for a message of gRPC's own.
_GRPC = "application/grpc"


def media_type(given: str) -> str:
    """The `Content-Type` that was given, or, where it is none that a header of ours may hold, `UNTYPED`."""
    match = _MEDIA_TYPE.fullmatch(given)
    if match is None or len(given) > _MAX_CHARACTERS or match["type"].lower().startswith(_GRPC):
        return UNTYPED
    return given
