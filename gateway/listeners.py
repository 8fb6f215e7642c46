"""Where Envoy listens: to clients, and to who collects its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import tls
from gateway.connection_manager import connection_manager
from gateway.typed import EnvoyConfig, extension, socket_address

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.routes import RouteTable
    from gateway.settings import GatewaySettings

#: Connections that the kernel holds until Envoy takes them: after a restart all clients come back at once.
_BACKLOG = 4096
#: What of the admin interface is no order, and holds nothing of clients.
_FIGURES = ("/stats/prometheus", "/ready")


def listeners(table: RouteTable, settings: GatewaySettings, folder: Path) -> list[EnvoyConfig]:
    """The API's, and that of the figures where it was asked for."""
    found = [_api(table, settings, folder)]
    if settings.metrics_address:
        found.append(_metrics(settings))
    return found


def _api(table: RouteTable, settings: GatewaySettings, folder: Path) -> EnvoyConfig:
    chain: EnvoyConfig = {"filters": [connection_manager(table, settings, folder)]}
    if settings.tls_certificate:
        chain["transport_socket"] = tls.transport_socket(folder)
    return {
        "name": "api",
        "address": socket_address(settings.address),
        "tcp_backlog_size": _BACKLOG,
        "filter_chains": [chain],
    }


def _metrics(settings: GatewaySettings) -> EnvoyConfig:
    reads = [{"name": ":method", "string_match": {"exact": "GET"}}]
    routes = [{"match": {"path": path, "headers": reads}, "route": {"cluster": "admin"}} for path in _FIGURES]
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="metrics",
        route_config={"name": "metrics", "virtual_hosts": [{"name": "metrics", "domains": ["*"], "routes": routes}]},
        http_filters=[extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")],
    )
    return {
        "name": "metrics",
        "address": socket_address(settings.metrics_address),
        "ignore_global_conn_limit": True,  # whoever watches comes in when clients do not any more
        "filter_chains": [{"filters": [manager]}],
    }
