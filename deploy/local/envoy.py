"""Envoy before the local stack: its files, built anew at every start, and its command."""

from __future__ import annotations

import resource
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from deploy.local.errors import StackError
from deploy.local.layout import BIN, setting

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
    # It takes a third of a second, and most commands need it not.
    from gateway import GatewayError, GatewaySettings, build  # noqa: PLC0415  see above
    from gateway.settings import PREFIX  # noqa: PLC0415  see above

    services = {
        field.name: layout.address(port)
        for field in fields(GatewaySettings)
        if (port := field.name.removesuffix("_address")) in layout.ports
    }
    options = layout.options
    settings = GatewaySettings(
        address=layout.address("gateway"),
        admin_address=layout.address("gateway_admin"),
        docs_url=layout.docs_url,
        tls_certificate=options.tls_certificate,
        tls_key=options.tls_key,
        otlp_address=options.otlp_address,
    )
    settings = replace(settings, max_connections=max_connections(settings.max_connections))
    if options.gateway_address_rate:
        settings = replace(settings, address_rate=_address_rate(options.gateway_address_rate))
    try:
        build(replace(settings, **services), layout.gateway)
    except GatewayError as error:
        told = str(error).replace(f"{PREFIX}TLS_", setting("tls_"))  # by the names that were set here
        raise StackError(f"gateway: {told}") from error


def _address_rate(text: str) -> int:
    if not text.isdecimal():
        name = setting("gateway_address_rate")
        raise StackError(f"{name} is {text!r}; it takes a number of requests a second, or 0 for as many as come")
    return int(text)


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
