"""Envoy's bootstrap: listeners, clusters, the admin interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.clusters import clusters
from gateway.listeners import listeners
from gateway.typed import EnvoyConfig, extension, socket_address

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.routes import RouteTable
    from gateway.settings import GatewaySettings


def bootstrap(table: RouteTable, settings: GatewaySettings, folder: Path) -> EnvoyConfig:
    """All of `envoy.yaml`.

    Args:
        table: What is routed.
        settings: Addresses, limits, times.
        folder: Where Envoy finds the descriptor set, the Lua, and where certificate and key are.
    """
    return {
        "node": {"id": "gateway", "cluster": "penstock"},
        "admin": {"address": socket_address(settings.admin_address)},
        "static_resources": {"listeners": listeners(table, settings, folder), "clusters": clusters(settings)},
        "overload_manager": {
            "resource_monitors": [
                extension(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=settings.max_connections,
                )
            ]
        },
    }
