"""The routes as Envoy has them: each path with its verbs, then 405 for the other verbs, and 404 for all other paths."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.access_log import told_of
from gateway.compression import uncompressed
from gateway.typed import EnvoyConfig, duration, header, typed
from shared.errors import MethodNotAllowed, PermissionDenied
from shared.rpc.status import http_status, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.routes import Binding, Page, RouteTable
    from gateway.settings import GatewaySettings
    from shared.errors import PenstockError

#: A service answers with an error of its own before Envoy gives up on it.
_MARGIN = timedelta(seconds=1)
#: A body is read up to so many times its limit before it is refused: a client that still sends when Envoy closes the
#: connection sees a reset and not the answer.
BODIES_READ = 3
#: What Envoy itself tells from other types as gRPC.
_GRPC = {"name": "content-type", "string_match": {"safe_regex": {"regex": r"application/grpc(\+.*)?"}}}
#: gRPC knows no other, and fails on one in a way of its own.
_POST = {"name": ":method", "string_match": {"exact": "POST"}}
_READS = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
_NOT_GRPC = {**_GRPC, "invert_match": True, "treat_missing_header_as_empty": True}
#: For routes that Envoy or the site answers: the transcoder would refuse their paths.
_NOT_TRANSCODED = {"envoy.filters.http.grpc_json_transcoder": typed("config.route.v3.FilterConfig", disabled=True)}
#: Only what never reached a service is tried again: a call that did might have had its effect.
_RETRIES: EnvoyConfig = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 3,
    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
}
_CORS_HEADERS = (
    "authorization, content-type, x-api-key, signature, signature-input, content-digest, idempotency-key, "
    "x-idempotency-key, x-request-id, api-version, traceparent, last-event-id, range, if-range, if-none-match"
)
#: What scripts of listed origins may read of an answer.
EXPOSED_HEADERS = (
    "x-request-id, api-version, retry-after, ratelimit, ratelimit-policy, deprecation, sunset, link, location, allow, "
    "etag, accept-ranges, content-range, content-disposition"
)


def virtual_host(table: RouteTable, settings: GatewaySettings) -> EnvoyConfig:
    """Every route, in the order in which Envoy tries them."""
    host: EnvoyConfig = {
        "name": "api",
        "domains": ["*"],
        "request_body_buffer_limit": settings.max_body_bytes * BODIES_READ,
        "routes": [
            *(_page(page) for page in table.pages),
            *(_wrong_verb(page.name, page.match, "GET, HEAD", settings) for page in table.pages),
            *_rest(table, settings),
            *(_native_stream(rpc, cluster, settings) for rpc, cluster in table.streams.items()),
            *(
                _native(binding, settings)
                for bindings in table.services.values()
                for binding in bindings
                if binding.rpc not in table.streams
            ),
            _unknown_rpc(),
            _tunnel(settings),
            _unknown_path(),
        ],
    }
    if settings.cors_origins:
        host["routes"].insert(0, _preflight(settings.cors_origins))
        host["typed_per_filter_config"] = {"envoy.filters.http.cors": _cors(settings.cors_origins)}
    return host


def _cors(origins: Sequence[str]) -> EnvoyConfig:
    return typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[{"exact": origin} for origin in origins],
        allow_methods="GET, POST, PUT, PATCH, DELETE",
        allow_headers=_CORS_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age="600",
    )


def _preflight(origins: Sequence[str]) -> EnvoyConfig:
    """The filter answers a preflight only on a route that leads to a cluster; none ever gets there."""
    listed = "|".join(re.escape(origin) for origin in origins)
    return {
        "name": "preflight",
        "match": {
            "prefix": "/",
            "headers": [
                {"name": ":method", "string_match": {"exact": "OPTIONS"}},
                {"name": "origin", "string_match": {"safe_regex": {"regex": listed}}},
                {"name": "access-control-request-method", "present_match": True},
            ],
        },
        "route": {"cluster": "site"},
    }


def _page(page: Page) -> EnvoyConfig:
    route: EnvoyConfig = {
        "name": page.name,
        "match": {**page.match, "headers": [_READS]},
        **told_of(path=page.name),
        "typed_per_filter_config": {
            "envoy.filters.http.ext_authz": typed(
                "extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", disabled=True
            ),
            **_NOT_TRANSCODED,
        },
    }
    if page.cluster:
        route["route"] = {"cluster": page.cluster, "timeout": "10s"}
    else:
        route["direct_response"] = {"status": 200, "body": {"inline_string": page.body}}
        route["response_headers_to_add"] = [header("content-type", "application/json")]
    return route


def _rest(table: RouteTable, settings: GatewaySettings) -> Iterator[EnvoyConfig]:
    for template, bindings in table.paths.items():
        path = {"safe_regex": {"regex": template.regex}} if template.variables else {"path": template.text}
        for binding in bindings:
            yield _binding(binding, path, settings)
        yield _wrong_verb(template.text, path, ", ".join(sorted(binding.verb for binding in bindings)), settings)


def _binding(binding: Binding, path: EnvoyConfig, settings: GatewaySettings) -> EnvoyConfig:
    timeout = settings.wait_timeout if binding.waits else settings.call_timeout
    if binding.streams:
        timeout = settings.stream_timeout
    method = {"name": ":method", "string_match": {"exact": binding.verb}}
    return {
        "name": binding.name,
        "match": {**path, "headers": [method, _NOT_GRPC]},
        **_told(binding.rpc, binding.template.text, compressed=not binding.exact),
        "route": _route(binding.cluster, timeout, streams=binding.streams),
        # The service's deadline, as gRPC tells it; the client's own has no say over HTTP.
        "request_headers_to_add": [header("grpc-timeout", _grpc_timeout(timeout - _MARGIN))],
    }


def _route(cluster: str, timeout: timedelta, *, streams: bool = False) -> EnvoyConfig:
    route: EnvoyConfig = {"cluster": cluster, "timeout": duration(timeout), "retry_policy": _RETRIES}
    if streams:
        route["idle_timeout"] = duration(timeout)  # a stream is silent for as long as nothing happens
    return route


def _wrong_verb(text: str, path: Mapping[str, object], allow: str, settings: GatewaySettings) -> EnvoyConfig:
    message = f"this path does not take this method; it takes {allow}"
    error = MethodNotAllowed(message, metadata={"allow": allow})
    return {
        "name": f"405 {text}",
        "match": {**path, "headers": [_NOT_GRPC]},
        **told_of(path=text),
        "typed_per_filter_config": _NOT_TRANSCODED,
        "direct_response": _answer(error, settings),
        "response_headers_to_add": [header("content-type", "application/json"), header("allow", allow)],
    }


def _answer(error: PenstockError, settings: GatewaySettings) -> EnvoyConfig:
    body = to_json(error, docs_url=settings.docs_url)
    return {"status": http_status(error), "body": {"inline_string": body}}


def _native(binding: Binding, settings: GatewaySettings) -> EnvoyConfig:
    timeout = settings.wait_timeout
    return {
        "name": binding.rpc,
        "match": _native_path(binding.rpc),
        **_told(binding.rpc, _grpc_path(binding.rpc)),
        "route": _route(binding.cluster, timeout),
        "request_headers_to_add": [header("grpc-timeout", _grpc_timeout(timeout - _MARGIN), "ADD_IF_ABSENT")],
    }


def _native_stream(rpc: str, cluster: str, settings: GatewaySettings) -> EnvoyConfig:
    timeout = settings.stream_timeout
    return {
        "name": rpc,
        "match": _native_path(rpc),
        **_told(rpc, _grpc_path(rpc)),
        "route": _route(cluster, timeout, streams=True),
        "request_headers_to_add": [header("grpc-timeout", _grpc_timeout(timeout - _MARGIN), "ADD_IF_ABSENT")],
    }


def _told(rpc: str, path: str, *, compressed: bool = True) -> EnvoyConfig:
    """What auth and the log are told beside the request: which RPC it is, whatever its path looks like."""
    told = typed(
        "extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", check_settings={"context_extensions": {"rpc": rpc}}
    )
    left = {} if compressed else uncompressed()
    return {**told_of(path=path, rpc=rpc), "typed_per_filter_config": {"envoy.filters.http.ext_authz": told, **left}}


def _native_path(rpc: str) -> EnvoyConfig:
    return {"path": _grpc_path(rpc), "headers": [_GRPC, _POST]}


def _grpc_path(rpc: str) -> str:
    service, _, method = rpc.rpartition(".")
    return f"/{service}/{method}"


def _unknown_rpc() -> EnvoyConfig:
    """A gRPC client takes a 404 as UNIMPLEMENTED, and its body as the message."""
    message = "this method is not offered here; see the list of public services"
    return {
        "name": "unknown rpc",
        "match": {"prefix": "/", "headers": [_GRPC]},
        "direct_response": {"status": 404, "body": {"inline_string": message}},
    }


def _tunnel(settings: GatewaySettings) -> EnvoyConfig:
    """CONNECT has no path, so that no other route is its own; one that has none at all would pass ext_authz by."""
    error = PermissionDenied("this is no proxy; call the API by its paths")
    return {
        "name": "CONNECT",
        "match": {"connect_matcher": {}},
        # Envoy refuses a tunnel that no route opens before any filter sees it, in the same way.
        "direct_response": _answer(error, settings),
    }


def _unknown_path() -> EnvoyConfig:
    """Catches all, so that no path is without a route: ext_authz would not be asked about one."""
    return {
        "name": "unknown path",
        "match": {"prefix": "/"},
        "typed_per_filter_config": _NOT_TRANSCODED,
        "direct_response": {
            "status": 404,
            # Lua gives it its shape, and takes the path from it.
            "body_format": {"text_format_source": {"inline_string": "no route of the API has the path %PATH(NQ)%"}},
        },
    }


def _grpc_timeout(timeout: timedelta) -> str:
    """In milliseconds, as gRPC over HTTP/2 has it."""
    return f"{round(timeout.total_seconds() * 1000)}m"
