"""The HTTP filters, outermost first: a request passes them downwards, its answer upwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.address_limit import address_limit
from gateway.compression import compression
from gateway.security import security_headers
from gateway.typed import EnvoyConfig, duration, extension, header
from gateway.virtual_host import BODIES_READ
from shared.identity import CLIENT_ADDRESS_HEADER
from shared.rpc.status import HTTP_STATUS_HEADER

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.routes import RouteTable
    from gateway.settings import GatewaySettings

#: Results come inline up to 256 KiB, and JSON may make six bytes of one; a page of a list holds many.
_MAX_RESPONSE_BYTES = 32 * 1024 * 1024


def http_filters(table: RouteTable, settings: GatewaySettings, folder: Path) -> list[EnvoyConfig]:
    """The chain.

    headers      outermost, so that every answer has them, Envoy's own too, and auth is told where a request comes from
    compression  of what all others have made of an answer
    answers      sees every answer after all else, and gives errors their shape
    cors         answers preflights, which carry no key
    limit        before anything that costs more than it does; browsers may read what it says
    ext_authz    before anything that reads what the client sent
    requests     refuses what is malformed, and what the transcoder would drop silently
    transcoder
    router
    """
    return [
        _headers(),
        *compression(),
        _lua("answers", folder),
        extension("envoy.filters.http.cors", "extensions.filters.http.cors.v3.Cors"),
        *address_limit(settings),
        _ext_authz(settings),
        _lua("requests", folder),
        _transcoder(table, settings, folder),
        extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
    ]


def _headers() -> EnvoyConfig:
    echo = {**header("api-version", "%REQ(API-VERSION)%"), "keep_empty_value": False}
    mutations = [{"append": each} for each in (*security_headers(), echo)]
    internal = [{"remove": HTTP_STATUS_HEADER}]  # what services say to the gateway alone
    # As `use_remote_address` and the trusted hops have it; `source` in the question to auth is the connection's peer.
    client = header(CLIENT_ADDRESS_HEADER, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
    return extension(
        "envoy.filters.http.header_mutation",
        "extensions.filters.http.header_mutation.v3.HeaderMutation",
        mutations={"request_mutations": [{"append": client}], "response_mutations": [*mutations, *internal]},
    )


def _lua(name: str, folder: Path) -> EnvoyConfig:
    return extension(
        f"penstock.lua.{name}",
        "extensions.filters.http.lua.v3.Lua",
        default_source_code={"filename": str(folder / f"{name}.lua")},
        stat_prefix=name,
    )


def _ext_authz(settings: GatewaySettings) -> EnvoyConfig:
    return extension(
        "envoy.filters.http.ext_authz",
        "extensions.filters.http.ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        grpc_service={"envoy_grpc": {"cluster_name": "auth"}, "timeout": duration(settings.auth_timeout)},
        failure_mode_allow=False,
        status_on_error={"code": "ServiceUnavailable"},
        stat_prefix="auth",
    )


def _transcoder(table: RouteTable, settings: GatewaySettings, folder: Path) -> EnvoyConfig:
    return extension(
        "envoy.filters.http.grpc_json_transcoder",
        "extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(folder / "penstock.binpb"),
        services=list(table.services),
        match_incoming_request_route=True,
        convert_grpc_status=True,
        case_insensitive_enum_parsing=True,
        query_param_unescape_plus=True,
        request_validation_options={"reject_unknown_method": True, "reject_unknown_query_parameters": True},
        max_request_body_size=settings.max_body_bytes * BODIES_READ,
        max_response_body_size=_MAX_RESPONSE_BYTES,
    )
