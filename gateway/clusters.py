"""Where requests go from here: a cluster a service, and how Envoy calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.typed import EnvoyConfig, duration, socket_address, typed

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings

_STREAM_WINDOW_BYTES = 1024 * 1024
_CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024
#: How much may be under way, on clients' connections and on those to services alike.
HTTP2 = {
    "initial_stream_window_size": _STREAM_WINDOW_BYTES,
    "initial_connection_window_size": _CONNECTION_WINDOW_BYTES,
}


def clusters(settings: GatewaySettings) -> list[EnvoyConfig]:
    """Every service that runs, the site, the collector of spans, and Envoy's own admin interface for its figures."""
    found = [_cluster(name, address, settings, http2=True) for name, address in settings.services.items()]
    found.append(_cluster("site", settings.site_address, settings, http2=False))
    found.append(
        _cluster("otlp", settings.otlp_address, settings, http2=True)
        if settings.otlp_address
        else {"name": "otlp", "type": "STATIC", "connect_timeout": "1s"}  # the tracer wants one; nobody is in it
    )
    if settings.metrics_address:
        found.append(_cluster("admin", settings.admin_address, settings, http2=False))
    return found


def _cluster(name: str, address: str, settings: GatewaySettings, *, http2: bool) -> EnvoyConfig:
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), settings.max_requests)
    protocol = {"http2_protocol_options": HTTP2} if http2 else {"http_protocol_options": {}}
    return {
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": duration(settings.connect_timeout),
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [{**limits, "max_retries": 1000}]},
        # gRPC servers end a connection that pings often; the kernel's keepalive finds a dead peer as well.
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 30, "keepalive_interval": 10}
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config=protocol,
                common_http_protocol_options={"idle_timeout": "300s"},
            )
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(address)}}]}],
        },
    }
