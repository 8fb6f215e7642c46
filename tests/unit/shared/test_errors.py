"""Every error of the tree can be sent, and is the same when it arrives."""

from __future__ import annotations

import json
from datetime import timedelta

import grpc
import pytest
from grpc_status import rpc_status
from penstock.errors.v1 import errors_pb2

from shared import errors
from shared.errors import FieldViolation, InvalidArgument, PenstockError
from shared.rpc import status

CONCRETE = [
    error for error in errors.every_error() if not error.__subclasses__() and not issubclass(error, InvalidArgument)
]


def arrived(error: PenstockError) -> PenstockError:
    """The error after its way over the wire."""
    sent = status.to_status(error)
    failure = grpc.aio.AioRpcError(
        sent.code,
        initial_metadata=grpc.aio.Metadata(),
        trailing_metadata=grpc.aio.Metadata(*sent.trailing_metadata),
        details=sent.details,
    )
    assert rpc_status.from_call(failure) is not None
    return status.from_rpc_error(failure)


@pytest.mark.parametrize("error_class", CONCRETE, ids=lambda error: error.__name__)
def test_an_error_comes_back_as_what_it_was(error_class: type[PenstockError]) -> None:
    again = arrived(error_class("what was wrong", metadata={"job": "http-1"}, retry_after=timedelta(seconds=3)))
    assert type(again) is error_class
    assert (again.message, again.metadata) == ("what was wrong", {"job": "http-1"})
    assert again.retry_after == timedelta(seconds=3)


@pytest.mark.parametrize("error_class", errors.every_error(), ids=lambda error: error.__name__)
def test_each_class_names_a_code_and_a_public_reason(error_class: type[PenstockError]) -> None:
    assert error_class.code in grpc.StatusCode.__members__
    assert error_class.reason in errors_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"].values_by_name
    assert error_class.http_status is None or 400 <= error_class.http_status < 600


def test_field_violations_arrive_with_their_paths() -> None:
    sent = InvalidArgument.of([FieldViolation("params.url", "is missing"), FieldViolation("method", "is unknown")])
    again = arrived(sent)
    assert isinstance(again, InvalidArgument)
    assert again.violations == sent.violations
    assert again.message == "params.url: is missing; method: is unknown"


def test_a_failure_without_details_becomes_the_error_of_its_code() -> None:
    failure = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details="connection refused"
    )
    assert type(status.from_rpc_error(failure)) is errors.Unavailable


def test_an_unheard_of_code_becomes_an_internal_error() -> None:
    failure = grpc.aio.AioRpcError(grpc.StatusCode.DATA_LOSS, grpc.aio.Metadata(), grpc.aio.Metadata())
    assert type(status.from_rpc_error(failure)) is errors.Internal


def test_the_gateway_is_told_the_status_that_grpc_lacks_and_when_to_retry() -> None:
    full = errors.QueueFull("full", retry_after=timedelta(milliseconds=1200))
    assert dict(status.initial_metadata(full)) == {"x-penstock-http-status": "503", "retry-after": "2"}
    assert status.initial_metadata(errors.JobNotFound("none")) == ()


def test_a_range_that_has_nothing_is_told_with_the_size_of_what_there_is() -> None:
    error = errors.RangeNotSatisfiable("nothing there", metadata={"size": "9"})
    assert dict(status.initial_metadata(error)) == {"x-penstock-http-status": "416", "content-range": "bytes */9"}


def test_the_json_shape() -> None:
    shape = json.loads(status.to_json(errors.IdempotencyKeyReused("used", metadata={"job": "http-1"})))
    assert shape == {
        "error": {
            "code": 422,
            "status": "FAILED_PRECONDITION",
            "message": "used",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "IDEMPOTENCY_KEY_REUSED",
                    "domain": "penstock.dev",
                    "metadata": {"job": "http-1"},
                },
                {
                    "@type": "type.googleapis.com/google.rpc.Help",
                    "links": [
                        {
                            "description": "what this error means, and what to do",
                            "url": "http://127.0.0.1:8080/docs/errors/IDEMPOTENCY_KEY_REUSED",
                        }
                    ],
                },
            ],
        }
    }
