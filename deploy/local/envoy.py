"""Envoy before the local stack: its files, built anew at every start, and its command."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from deploy.local.errors import StackError
from deploy.local.layout import BIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.local.layout import Layout


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
    try:
        build(replace(settings, **services), layout.gateway)
    except GatewayError as error:
        raise StackError(f"gateway: {error}") from error


def command(layout: Layout) -> Sequence[str]:
    """Starts Envoy; another one on this machine is no matter to it."""
    return (
        str(BIN / "envoy"),
        *("--config-path", str(layout.gateway / "envoy.yaml"), "--concurrency", layout.options.envoy_concurrency),
        *("--disable-hot-restart", "--log-level", "warning"),
    )
