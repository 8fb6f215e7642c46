"""The connection manager: what Envoy makes of clients' bytes before any filter sees a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.access_log import access_log, traced_url
from gateway.clusters import HTTP2
from gateway.errors import local_replies
from gateway.http_filters import http_filters
from gateway.typed import EnvoyConfig, duration, extension, typed
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
#: Names that HTTP allows and gRPC's metadata does not (gRPC over HTTP/2, "Custom-Metadata"): a call with one fails.
_UNNAMED_IN_GRPC = "[^:0-9a-z_.-].*|[^:].*[^0-9a-z_.-].*"
_MAX_HEADERS_KB = 60
_MAX_HEADERS = 100
#: Requests that a client may have under way on one connection.
_MAX_STREAMS = 1000


def connection_manager(table: RouteTable, settings: GatewaySettings, folder: Path) -> EnvoyConfig:
    """The one network filter of the API's listener.

    Args:
        table: What is routed.
        settings: Limits, times.
        folder: Where Envoy finds the descriptor set and the Lua.
    """
    return extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **_protocol(settings),
        tracing=_tracing(settings),
        access_log=[access_log(table)],
        local_reply_config=local_replies(),
        route_config={"name": "api", "virtual_hosts": [virtual_host(table, settings)]},
        http_filters=http_filters(table, settings, folder),
    )


def _protocol(settings: GatewaySettings) -> EnvoyConfig:
    """What holds for every request, whatever its route."""
    return {
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
            **HTTP2,
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
                    *(
                        {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": names}}}}
                        for names in (_READ_BY_GRPC, _UNNAMED_IN_GRPC)
                    ),
                ],
            )
        ],
    }


def _tracing(settings: GatewaySettings) -> EnvoyConfig:
    """Every request has a trace, whose id leads from this log to those of services; spans may have nowhere to go."""
    return {
        "provider": extension(
            "envoy.tracers.opentelemetry",
            "config.trace.v3.OpenTelemetryConfig",
            grpc_service={"envoy_grpc": {"cluster_name": "otlp"}, "timeout": "1s"},
            service_name="gateway",
        ),
        "random_sampling": {"value": settings.trace_sampling_percent if settings.otlp_address else 0.0},
        "custom_tags": [traced_url()],
    }
