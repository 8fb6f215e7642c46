"""Envoy's bootstrap: one listener, a cluster a service, the admin interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import local_replies
from gateway.http_filters import http_filters
from gateway.typed import EnvoyConfig, duration, extension, socket_address, typed
from gateway.virtual_host import virtual_host

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.routes import RouteTable
    from gateway.settings import GatewaySettings

#: Headers that are for the mesh alone, or that Envoy takes as orders (timeouts, retries); a client's are removed before
#: anything else happens.
_INTERNAL_PREFIXES = ("x-penstock-", "x-envoy-")
#: Headers that gRPC itself reads on the service's side, and that no client of ours has to send. One that it cannot read
#: stays in the table of header fields (HPACK) of a connection that all clients share, and spoils every later request
#: that names it (grpc/grpc#34721). Those that clients do send are looked at by `answers.lua`.
_READ_BY_GRPC = "grpc-(status|message|previous-rpc-attempts|retry-pushback-ms|internal-.*)|grpclb_client_stats|.*-bin"
_MAX_HEADERS_KB = 60
_MAX_HEADERS = 100
#: Requests that a client may have under way on one connection.
_MAX_STREAMS = 1000
#: Connections that the kernel holds until Envoy takes them: after a restart all clients come back at once.
_BACKLOG = 4096
_STREAM_WINDOW_BYTES = 1024 * 1024
_CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024
_HTTP2 = {
    "initial_stream_window_size": _STREAM_WINDOW_BYTES,
    "initial_connection_window_size": _CONNECTION_WINDOW_BYTES,
}
_LOG_FIELDS = {
    "time": "%START_TIME%",
    "event": "request",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "trace_id": "%TRACE_ID%",
    "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
    "path": "%PATH(NQ)%",
    "route": "%ROUTE_NAME%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "duration_ms": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "service": "%UPSTREAM_CLUSTER%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}


def bootstrap(table: RouteTable, settings: GatewaySettings, folder: Path) -> EnvoyConfig:
    """All of `envoy.yaml`.

    Args:
        table: What is routed.
        settings: Addresses, limits, times.
        folder: Where Envoy finds the descriptor set and the Lua.
    """
    clusters = [_cluster(name, address, settings, http2=True) for name, address in settings.services.items()]
    clusters.append(_cluster("site", settings.site_address, settings, http2=False))
    if settings.otlp_address:
        clusters.append(_cluster("otlp", settings.otlp_address, settings, http2=True))
    return {
        "node": {"id": "gateway", "cluster": "penstock"},
        "admin": {"address": socket_address(settings.admin_address)},
        "static_resources": {"listeners": [_listener(table, settings, folder)], "clusters": clusters},
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


def _listener(table: RouteTable, settings: GatewaySettings, folder: Path) -> EnvoyConfig:
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **_connection_manager(settings),
        access_log=[_access_log(table)],
        local_reply_config=local_replies(),
        route_config={"name": "api", "virtual_hosts": [virtual_host(table, settings)]},
        http_filters=http_filters(table, settings, folder),
    )
    return {
        "name": "api",
        "address": socket_address(settings.address),
        "tcp_backlog_size": _BACKLOG,
        "filter_chains": [{"filters": [manager]}],
    }


def _connection_manager(settings: GatewaySettings) -> EnvoyConfig:
    """Everything of the connection manager that is neither route nor filter."""
    manager: EnvoyConfig = {
        "stat_prefix": "api",
        "codec_type": "AUTO",
        "server_name": "penstock",
        "use_remote_address": True,
        "xff_num_trusted_hops": settings.trusted_hops,
        # Routes and transcoder read the same raw path, and Lua refuses what is malformed in it, in the one shape.
        "normalize_path": False,
        "max_request_headers_kb": _MAX_HEADERS_KB,
        "request_headers_timeout": duration(settings.headers_timeout),
        "request_timeout": duration(settings.request_timeout),
        "stream_idle_timeout": duration(settings.wait_timeout * 2),
        "common_http_protocol_options": {
            "idle_timeout": duration(settings.idle_timeout),
            "max_headers_count": _MAX_HEADERS,
        },
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "penstock"},
        # A refused request is no reason to end the connection; what breaks the protocol ends it all the same.
        "stream_error_on_invalid_http_message": True,
        "http2_protocol_options": {
            **_HTTP2,
            "max_concurrent_streams": _MAX_STREAMS,
            "connection_keepalive": {"interval": "60s", "timeout": "20s"},
        },
        # Ours are made with the shape that a client's have, and a client's own comes back to it unchanged.
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "request_id_extension": {
            "typed_config": typed(
                "extensions.request_id.uuid.v3.UuidRequestIdConfig",
                pack_trace_reason=False,
                use_request_id_for_trace_sampling=False,
            )
        },
        "early_header_mutation_extensions": [
            extension(
                "envoy.http.early_header_mutation.header_mutation",
                "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=[
                    *(
                        {"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}}
                        for prefix in _INTERNAL_PREFIXES
                    ),
                    {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": _READ_BY_GRPC}}}},
                ],
            )
        ],
    }
    if settings.otlp_address:
        manager["tracing"] = _tracing(settings)
    return manager


def _tracing(settings: GatewaySettings) -> EnvoyConfig:
    return {
        "provider": extension(
            "envoy.tracers.opentelemetry",
            "config.trace.v3.OpenTelemetryConfig",
            grpc_service={"envoy_grpc": {"cluster_name": "otlp"}, "timeout": "1s"},
            service_name="gateway",
        ),
        "random_sampling": {"value": settings.trace_sampling_percent},
        # Envoy's own value has the query, which may hold a secret.
        "custom_tags": [{"tag": "http.url", "value": "%REQ(:SCHEME)%://%REQ(:AUTHORITY)%%PATH(NQ:ORIG_OR_PATH)%"}],
    }


def _access_log(table: RouteTable) -> EnvoyConfig:
    """One line of JSON a request, without its query, its headers and its body, any of which may hold a secret."""
    pages = [
        {"header_filter": {"header": {"name": ":path", "string_match": {"exact": page.path}, "invert_match": True}}}
        for page in table.pages
    ]
    log = extension(
        "envoy.access_loggers.stdout",
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": _LOG_FIELDS},
    )
    return {**log, "filter": {"and_filter": {"filters": pages}}}


def _cluster(name: str, address: str, settings: GatewaySettings, *, http2: bool) -> EnvoyConfig:
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), settings.max_requests)
    protocol = {"http2_protocol_options": _HTTP2} if http2 else {"http_protocol_options": {}}
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
