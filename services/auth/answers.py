"""What the gateway is answered: a pass, or the error as the caller sees it; with how the caller's limits stand.

The headers are those of draft-ietf-httpapi-ratelimit-headers-11: structured fields (RFC 9651), each a list of limits by
name.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from google.protobuf import struct_pb2
from google.rpc import status_pb2
from penstock.gateway.v1 import external_auth_pb2 as envoy

from services.auth.credentials import HEADERS
from services.auth.windows import WINDOW
from shared.errors import RateLimited
from shared.identity import IDENTITY_HEADER, SIGNED_DIGEST_HEADER
from shared.rpc import status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.domain import Key
    from services.auth.windows import Verdict, Window
    from shared.errors import PenstockError
    from shared.identity import Principal

POLICY_HEADER = "ratelimit-policy"
LIMIT_HEADER = "ratelimit"
_OF_WHOM = {"key": "this API key makes", "tenant": "all API keys of this tenant make", "address": "this address makes"}


def policy(windows: Sequence[Window]) -> str:
    """The limits that hold, as `RateLimit-Policy` has them."""
    return ", ".join(f'"{window.name}";q={window.limit};w={WINDOW.seconds}' for window in windows)


def permission(principal: Principal, token: str, policy_field: str) -> envoy.CheckResponse:
    """What all passes of one caller have in common."""
    return envoy.CheckResponse(
        dynamic_metadata=_caller(principal.tenant, principal.id),
        ok_response=envoy.OkHttpResponse(
            headers=[_header(IDENTITY_HEADER, token)],
            headers_to_remove=HEADERS,
            response_headers_to_add=[_header(POLICY_HEADER, policy_field)],
        ),
    )


def with_standing(
    common: envoy.CheckResponse, verdict: Verdict, *, signed_digest: bytes | None = None
) -> envoy.CheckResponse:
    """A pass that tells how the limits stand; and to the gateway the SHA-256 that a signed request's body must have."""
    response = envoy.CheckResponse()
    response.CopyFrom(common)
    if signed_digest is not None:
        response.ok_response.headers.append(_header(SIGNED_DIGEST_HEADER, signed_digest.hex()))
    response.ok_response.response_headers_to_add.append(_header(LIMIT_HEADER, _limits(verdict)))
    return response


def of_nobody(verdict: Verdict) -> envoy.CheckResponse:
    """The pass of a request that asks for nobody: it carries no identity on, and nothing that could prove one."""
    windows = [standing.window for standing in verdict.standings]
    return envoy.CheckResponse(
        ok_response=envoy.OkHttpResponse(
            headers_to_remove=(*HEADERS, IDENTITY_HEADER),
            response_headers_to_add=[_header(POLICY_HEADER, policy(windows)), _header(LIMIT_HEADER, _limits(verdict))],
        )
    )


def over_limit(verdict: Verdict) -> RateLimited:
    """The error of a request that was not admitted."""
    last = max(verdict.full, key=lambda standing: standing.more_in_s)
    window, wait_s = last.window, max(1, last.more_in_s)
    return RateLimited(
        f"{_OF_WHOM[window.name]} more than {window.limit} requests a minute; try again in {wait_s} s",
        metadata={"scope": window.name, "limit": str(window.limit)},
        retry_after=timedelta(seconds=wait_s),
    )


def denial(
    error: PenstockError, *, grpc_call: bool, verdict: Verdict | None = None, caller: Key | None = None
) -> envoy.CheckResponse:
    """The error as the caller gets it: the one JSON shape, or a gRPC status with its details.

    Envoy makes a gRPC status of it where the caller speaks gRPC: its message from the body; the headers go along as
    trailers, the status among them, which Envoy would have to guess by HTTP's (429 as UNAVAILABLE). The gateway's log
    says whose key it was, where that is told.
    """
    http = status.http_status(error)
    rich = status.to_status(error)
    headers = dict(status.initial_metadata(error))
    if http == status.HTTP_BY_CODE["UNAUTHENTICATED"]:
        headers["www-authenticate"] = "Bearer"  # RFC 9110, 11.6.1
    if verdict is not None:
        headers[POLICY_HEADER] = policy([standing.window for standing in verdict.standings])
        headers[LIMIT_HEADER] = _limits(verdict)
    if grpc_call:
        headers["grpc-status"] = str(rich.code.value[0])
        for key, value in rich.trailing_metadata:
            headers[key] = (
                base64.b64encode(cast("bytes", value)).decode().rstrip("=")
            )  # binary metadata, as gRPC over HTTP/2 writes it
    else:
        headers["content-type"] = "application/json"
    return envoy.CheckResponse(
        dynamic_metadata=None if caller is None else _caller(caller.tenant, caller.id),
        status=status_pb2.Status(code=rich.code.value[0], message=error.message),
        denied_response=envoy.DeniedHttpResponse(
            status=envoy.HttpStatus(code=http),
            headers=[_header(key, value) for key, value in headers.items()],
            body=error.message if grpc_call else status.to_json(error),
        ),
    )


def _caller(tenant: str, principal: str) -> struct_pb2.Struct:
    """Who calls, as the gateway's log has it."""
    caller = struct_pb2.Struct()
    caller.update({"tenant": tenant, "principal": principal})
    return caller


def _limits(verdict: Verdict) -> str:
    return ", ".join(
        f'"{standing.window.name}";r={standing.remaining};t={standing.more_in_s}' for standing in verdict.standings
    )


def _header(key: str, value: str) -> envoy.HeaderValueOption:
    return envoy.HeaderValueOption(
        header=envoy.HeaderValue(key=key, value=value), append_action=envoy.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    )
