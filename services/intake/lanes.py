"""Lanes: where a job stands in line within its tenant."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from shared.guarded_http import url_as_given

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The longest name that the DNS has (RFC 1035, 2.3.4), and so the longest host that can be called.
_MAX_HOST_CHARACTERS = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
#: The common lane.
_NONE = ""


def lane_of(params: Mapping[str, Any], *, connection: str, lane_param: str) -> str:
    """The lane of a job: its connection, or the host that it calls, or the common one (an empty text).

    Args:
        params: Of the job.
        connection: Its connection's id; empty for none.
        lane_param: The param that holds the URL to call; empty where the upstream has none.
    """
    if connection:
        return connection
    url = params.get(lane_param) if lane_param else None
    return _host_lane(url) if isinstance(url, str) else _NONE


def _host_lane(text: str) -> str:
    """The host of a URL, one spelling for one host: as the call is made, in lower case, without the root's dot.

    A port is kept where it is not the scheme's own. What is no host that can be called shares the common lane.
    """
    try:
        url = url_as_given(text)
        port = url.explicit_port
    except ValueError:  # judged elsewhere; a job with such a URL is refused
        return _NONE
    host = _canonical(url.raw_host or "")
    if host is None:
        return _NONE
    return host if port is None or port == _DEFAULT_PORTS.get(url.scheme) else f"{host}:{port}"


def _canonical(host: str) -> str | None:
    """The host in its one spelling, an IPv6 address in brackets; None where it is none."""
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host.partition('%')[0])}]"
        except ValueError:
            return None
    name = host.lower().removesuffix(".")
    return name if len(name) <= _MAX_HOST_CHARACTERS and _NAME.fullmatch(name) else None
