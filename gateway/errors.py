"""The errors that Envoy answers by itself; Lua gives them their shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.typed import EnvoyConfig, header
from shared.rpc.status import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Envoy's own words of a service that is away (`upstream connect error … connect error: 111`) are for no client.
_AWAY_FLAGS = ["UH", "UF", "UO", "UC", "UR", "URX", "LR", "NC", "UPE", "DF"]
_AWAY = "a part of Penstock is away; try again in a moment"
_LATE_FLAGS = ["UT", "UMSDR", "DT"]
_LATE = "the call took longer than its deadline; try again"


def error(code: int, status: str, reason: str, message: str, metadata: Mapping[str, str] | None = None) -> EnvoyConfig:
    """The body of an error."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": DOMAIN,
        "metadata": dict(metadata or {}),
    }
    return {"error": {"code": code, "status": status, "message": message, "details": [info]}}


def local_replies() -> EnvoyConfig:
    """What Envoy says of services that are away or late: to a gRPC client as the status's message, to others by Lua."""
    return {
        "mappers": [
            {**_words(_AWAY_FLAGS, _AWAY), "headers_to_add": [header("retry-after", "1")]},
            _words(_LATE_FLAGS, _LATE),
        ]
    }


def _words(flags: list[str], message: str) -> EnvoyConfig:
    return {
        "filter": {"response_flag_filter": {"flags": flags}},
        "body_format_override": {"text_format_source": {"inline_string": message}},
    }
