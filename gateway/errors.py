"""The errors that Envoy answers by itself; Lua gives them their shape."""

from __future__ import annotations

from gateway.typed import EnvoyConfig, header

#: Envoy's own words of a service that is away (`upstream connect error … connect error: 111`) are for no client.
_AWAY_FLAGS = ["UH", "UF", "UO", "UC", "UR", "URX", "LR", "NC", "UPE", "DF"]
_AWAY = "a part of Penstock is away; try again in a moment"
_LATE_FLAGS = ["UT", "UMSDR", "DT"]
_LATE = "the call took longer than its deadline; try again"
_FLOODED_FLAGS = ["RL"]
FLOODED = "this address makes more requests than are taken from one; make fewer at a time, and try again in 1 s"


def local_replies() -> EnvoyConfig:
    """What Envoy says of what is away, late or too much: to a gRPC client as the status's message, to others by Lua."""
    return {
        "mappers": [
            {**_words(_AWAY_FLAGS, _AWAY), "headers_to_add": [header("retry-after", "1")]},
            _words(_LATE_FLAGS, _LATE),
            _words(_FLOODED_FLAGS, FLOODED),
        ]
    }


def _words(flags: list[str], message: str) -> EnvoyConfig:
    return {
        "filter": {"response_flag_filter": {"flags": flags}},
        "body_format_override": {"text_format_source": {"inline_string": message}},
    }
