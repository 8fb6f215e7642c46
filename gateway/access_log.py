"""What is written down of a request: nothing that a client may have put a secret into.

Its query, its headers and its body are left out, and so is its path: ids of connections stand in it, and whatever
somebody has pasted into a URL. The path as the contract has it stands there instead, with the names of its variables; a
request's id and its trace lead to the services' logs, which name the job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.typed import EnvoyConfig, extension

if TYPE_CHECKING:
    from gateway.routes import RouteTable

#: Under which a route says what it is, and under which auth says who calls.
_ROUTE = "penstock"
_CALLER = "envoy.filters.http.ext_authz"
_PATH = f"%METADATA(ROUTE:{_ROUTE}:path)%"
_FIELDS = {
    "time": "%START_TIME%",
    "event": "request",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "trace_id": "%TRACE_ID%",
    "tenant": f"%DYNAMIC_METADATA({_CALLER}:tenant)%",
    "principal": f"%DYNAMIC_METADATA({_CALLER}:principal)%",
    "rpc": f"%METADATA(ROUTE:{_ROUTE}:rpc)%",
    "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
    "path": _PATH,
    "route": "%ROUTE_NAME%",
    "protocol": "%PROTOCOL%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "duration_ms": "%DURATION%",
    "service_ms": "%COMMON_DURATION(US_TX_BEG:US_RX_END:ms)%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "service": "%UPSTREAM_CLUSTER%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}


def told_of(*, path: str, rpc: str = "") -> EnvoyConfig:
    """What a route says of itself, for the log.

    Args:
        path: As the contract has it, with the names of its variables.
        rpc: Where it leads to one.
    """
    return {"metadata": {"filter_metadata": {_ROUTE: {"path": path} | ({"rpc": rpc} if rpc else {})}}}


def access_log(table: RouteTable) -> EnvoyConfig:
    """One line of JSON a request."""
    probes = [
        {"header_filter": {"header": {"name": ":path", "string_match": {"exact": page.path}, "invert_match": True}}}
        for page in table.pages
        if page.probe
    ]
    log = extension(
        "envoy.access_loggers.stdout",
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": _FIELDS},
    )
    return {**log, "filter": {"and_filter": {"filters": probes}}}


def traced_url() -> EnvoyConfig:
    """The same of spans, in the place of the URL that Envoy would write there."""
    return {"tag": "http.url", "value": f"%REQ(:SCHEME)%://%REQ(:AUTHORITY)%{_PATH}"}
