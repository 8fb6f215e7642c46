"""Errors as `google.rpc.Status` and back (AIP-193)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from shared import errors
from shared.rpc import help_pages

if TYPE_CHECKING:
    from datetime import timedelta

    from shared.errors import PenstockError

DOMAIN = "penstock.dev"
#: Initial metadata with which the gateway answers a status that gRPC does not have.
HTTP_STATUS_HEADER = "x-penstock-http-status"
RETRY_AFTER_HEADER = "retry-after"
CONTENT_RANGE_HEADER = "content-range"

_BY_REASON = {error.reason: error for error in errors.every_error()}
_BY_CODE = {error.code: error for error in reversed(errors.every_error())}


def to_status(error: PenstockError, *, docs_url: str | None = None) -> grpc.Status:
    """The error as gRPC sends it.

    Args:
        error: It.
        docs_url: Where the page on it is, if not where this process was told.
    """
    details: list[any_pb2.Any] = [
        _any(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))
    ]
    if isinstance(error, errors.InvalidArgument) and error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in error.violations
        ]
        details.append(_any(error_details_pb2.BadRequest(field_violations=violations)))
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_after)
        details.append(_any(retry))
    details.append(_any(help_pages.help_on(error.reason, docs_url=docs_url)))
    code = grpc.StatusCode[error.code]
    return rpc_status.to_status(status_pb2.Status(code=code.value[0], message=error.message, details=details))


def initial_metadata(error: PenstockError) -> tuple[tuple[str, str], ...]:
    """What the gateway needs beside the status."""
    pairs: list[tuple[str, str]] = []
    if error.http_status is not None:
        pairs.append((HTTP_STATUS_HEADER, str(error.http_status)))
    if error.retry_after is not None:
        seconds = max(1, -int(-error.retry_after.total_seconds() // 1))  # whole seconds, rounded up (RFC 9110, 10.2.3)
        pairs.append((RETRY_AFTER_HEADER, str(seconds)))
    if isinstance(error, errors.RangeNotSatisfiable) and "size" in error.metadata:
        pairs.append((CONTENT_RANGE_HEADER, f"bytes */{error.metadata['size']}"))  # RFC 9110, 14.4
    return tuple(pairs)


def from_rpc_error(failure: grpc.aio.AioRpcError) -> PenstockError:
    """The error that a failed call carries, of the class it was raised as."""
    message = failure.details() or failure.code().name
    status = rpc_status.from_call(failure)  # pyright: ignore[reportArgumentType]  an AioRpcError has what is read of a Call
    info, retry_after, violations = _details(status)
    error_class = _BY_REASON.get(info.reason) if info is not None else None
    if error_class is None:
        error_class = _BY_CODE.get(failure.code().name, errors.Internal)
    metadata = dict(info.metadata) if info is not None else {}
    if issubclass(error_class, errors.InvalidArgument):
        return error_class(message, violations, metadata=metadata)
    return error_class(message, metadata=metadata, retry_after=retry_after)


def http_status(error: PenstockError | type[PenstockError]) -> int:
    """The HTTP status of an error."""
    return error.http_status or HTTP_BY_CODE[error.code]


def to_json(error: PenstockError, *, docs_url: str | None = None) -> str:
    """The error as the gateway's one JSON shape, for what answers HTTP without the transcoder.

    Args:
        error: It.
        docs_url: Where the page on it is, if not where this process was told.
    """
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.reason,
        "domain": DOMAIN,
        "metadata": error.metadata,
    }
    link = {"description": help_pages.DESCRIPTION, "url": help_pages.page_of(error.reason, docs_url=docs_url)}
    help_ = {"@type": "type.googleapis.com/google.rpc.Help", "links": [link]}
    shape = {
        "code": http_status(error),
        "status": error.code,
        "message": error.message,
        "details": [info, help_],
    }
    return json.dumps({"error": shape})


#: As `google/rpc/code.proto` maps them.
HTTP_BY_CODE = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}


def _any(
    message: error_details_pb2.ErrorInfo
    | error_details_pb2.BadRequest
    | error_details_pb2.RetryInfo
    | error_details_pb2.Help,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _details(
    status: status_pb2.Status | None,
) -> tuple[error_details_pb2.ErrorInfo | None, timedelta | None, list[errors.FieldViolation]]:
    info: error_details_pb2.ErrorInfo | None = None
    retry_after: timedelta | None = None
    violations: list[errors.FieldViolation] = []
    for detail in status.details if status is not None else ():
        found = error_details_pb2.ErrorInfo()
        retry = error_details_pb2.RetryInfo()
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(found):
            info = found
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta()
        elif detail.Unpack(bad_request):
            violations = [errors.FieldViolation(each.field, each.description) for each in bad_request.field_violations]
    return info, retry_after, violations
