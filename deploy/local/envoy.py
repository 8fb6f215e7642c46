"""Envoy before the local stack: its files, built anew at every start, and its command."""

from __future__ import annotations

import resource
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from deploy.local.errors import StackError
from deploy.local.layout import BIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.local.layout import Layout

#: Files that Envoy opens for other things than clients' connections: services, logs, its own.
_OTHER_FILES = 1000


def prepare(layout: Layout) -> None:
    """Builds Envoy's files.

    Raises:
        StackError: Envoy refuses them.
    """
    from gateway import GatewayError, GatewaySettings, build  # noqa: PLC0415  it takes a third of a second, and most commands need it not

    services = {
        field.name: layout.address(port)
        for field in fields(GatewaySettings)
        if (port := field.name.removesuffix("_address")) in layout.ports
    }
    settings = GatewaySettings(
        address=layout.address("gateway"),
        admin_address=layout.address("gateway_admin"),
        otlp_address=layout.options.otlp_address,
    )
    settings = replace(settings, max_connections=max_connections(settings.max_connections))
    try:
        build(replace(settings, **services), layout.gateway)
    except GatewayError as error:
        raise StackError(f"gateway: {error}") from error


def max_connections(wanted: int) -> int:
    """As many connections of clients as are wanted, or as the files that a process may open here leave room for."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return wanted if files == resource.RLIM_INFINITY else min(wanted, max(1, files - _OTHER_FILES))


def command(layout: Layout) -> Sequence[str]:
    """Starts Envoy; another one on this machine is no matter to it."""
    return (
        str(BIN / "envoy"),
        *("--config-path", str(layout.gateway / "envoy.yaml"), "--concurrency", layout.options.envoy_concurrency),
        *("--disable-hot-restart", "--log-level", "warning"),
    )
