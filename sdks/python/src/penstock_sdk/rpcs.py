"""The API's calls as gRPC has them, by what they are over HTTP: methods, messages and errors. Of the extra `grpc`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.api import annotations_pb2
from google.longrunning import operations_proto_pb2
from google.protobuf import json_format, message_factory
from google.rpc import error_details_pb2, status_pb2
from penstock.auth.v1 import audit_pb2, auth_pb2, connections_pb2, data_keys_pb2, tenants_pb2
from penstock.history.v1 import data_pb2, history_pb2, retention_pb2
from penstock.jobs.v1 import job_service_pb2, uploads_pb2
from penstock.scheduler.v1 import queues_pb2
from penstock.upstream.v1 import cache_pb2, upstream_pb2
from penstock.webhooks.v1 import deliveries_pb2, endpoints_pb2, webhooks_pb2

from penstock_sdk.answers import JSON, Answer
from penstock_sdk.errors import ApiError, InvalidUse, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from google.protobuf.message import Message

    from penstock_sdk.errors import PenstockError

#: What says in gRPC's metadata how a result was answered over HTTP.
HTTP_STATUS = "x-penstock-http-status"
VERB = "gRPC"
_MODULES = (
    *(audit_pb2, auth_pb2, connections_pb2, data_keys_pb2, tenants_pb2),
    *(data_pb2, history_pb2, retention_pb2),
    *(job_service_pb2, uploads_pb2, queues_pb2, cache_pb2, upstream_pb2),
    *(deliveries_pb2, endpoints_pb2, webhooks_pb2, operations_proto_pb2),
)
#: The details of errors, which have to be known to whoever reads them as JSON.
_DETAILS = error_details_pb2.DESCRIPTOR
_OPERATION_PREFIX = "operations/"
_DETAILS_KEY = "grpc-status-details-bin"
#: The HTTP status of each code, as the gateway has it.
_STATUSES = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: 400,
        grpc.StatusCode.FAILED_PRECONDITION: 400,
        grpc.StatusCode.OUT_OF_RANGE: 416,
        grpc.StatusCode.UNAUTHENTICATED: 401,
        grpc.StatusCode.PERMISSION_DENIED: 403,
        grpc.StatusCode.NOT_FOUND: 404,
        grpc.StatusCode.ABORTED: 409,
        grpc.StatusCode.ALREADY_EXISTS: 409,
        grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
        grpc.StatusCode.CANCELLED: 499,
        grpc.StatusCode.UNIMPLEMENTED: 501,
        grpc.StatusCode.UNAVAILABLE: 503,
        grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    }
)
#: Where a reason has another one.
_STATUSES_OF_REASONS = MappingProxyType(
    {"IDEMPOTENCY_KEY_REUSED": 422, "QUEUE_FULL": 503, "TOO_LARGE": 413, "UNSUPPORTED_MEDIA_TYPE": 415}
)
#: Of calls that broke on the way: neither Penstock nor anybody else has answered.
_BROKEN = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """A method.

    Args:
        path: As channels call it.
        request: The class of its requests.
        read: Makes a response of bytes.
        nested: The field that the body over HTTP is; empty where it is the whole request.
    """

    path: str
    request: type[Message]
    read: Callable[[bytes], Any]
    nested: str


@cache
def rpc(name: str) -> Rpc:
    """A method by the name that operations have, such as `JobService.GetJob`.

    Raises:
        InvalidUse: The installed `penstock-protos` does not know it.
    """
    service_name, _, method_name = name.partition(".")
    for module in _MODULES:
        service = module.DESCRIPTOR.services_by_name.get(service_name)
        method = service.methods_by_name.get(method_name) if service is not None else None
        if service is not None and method is not None:
            body = method.GetOptions().Extensions[annotations_pb2.http].body
            return Rpc(
                path=f"/{service.full_name}/{method_name}",
                request=message_factory.GetMessageClass(method.input_type),
                read=message_factory.GetMessageClass(method.output_type).FromString,
                nested="" if body == "*" else body,
            )
    raise InvalidUse(f"penstock-protos has no {name}: it is older than penstock-sdk; upgrade it")


def request_of(method: Rpc, fields: Mapping[str, Any], *, of_path: Iterable[str] = ()) -> Message:
    """The request that flat fields make.

    Args:
        method: Whose.
        fields: By their JSON names, as JSON.
        of_path: Those that stand in the path over HTTP.

    Raises:
        InvalidUse: A field is unknown, or none of its kind.
    """
    told = dict(fields)
    if "operationId" in told:
        told["name"] = _OPERATION_PREFIX + str(told.pop("operationId")).removeprefix(_OPERATION_PREFIX)
    if method.nested:
        told = {name: told.pop(name) for name in of_path if name in told} | {method.nested: told}
    try:
        return json_format.ParseDict(told, method.request())
    except json_format.ParseError as error:
        raise InvalidUse(f"{method.path.rpartition('/')[2]} cannot be told: {error}") from error


def json_of(message: Message) -> Any:
    """A message as the API answers it over HTTP."""
    return json_format.MessageToDict(message)


def error_of(failure: grpc.RpcError, *, url: str) -> PenstockError:
    """What a failed call comes to: what Penstock has said, or that it has said nothing.

    Args:
        failure: As a channel raises it.
        url: Where the call went.
    """
    call = cast("Any", failure)
    code: grpc.StatusCode = call.code()
    metadata = dict(call.trailing_metadata() or ())
    answer = _answer(code, call.details() or "", metadata, url=url)
    if _DETAILS_KEY in metadata or code not in _BROKEN | {grpc.StatusCode.DEADLINE_EXCEEDED}:
        try:
            answer.json()
        except (ApiError, NoAnswer) as error:
            return error
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return NoAnswer("no answer in time", verb=VERB, url=url, sent=True, late=True)
    problem = call.details() or code.name
    return NoAnswer(problem, verb=VERB, url=url, sent="failed to connect" not in problem)


def _answer(code: grpc.StatusCode, message: str, metadata: Mapping[str, Any], *, url: str) -> Answer:
    """The answer that a status would be over HTTP."""
    status = status_pb2.Status.FromString(metadata.get(_DETAILS_KEY, b""))
    details = [json_format.MessageToDict(each) for each in status.details]
    reason = next((each["reason"] for each in details if "reason" in each), "")
    said = {"error": {"message": status.message or message, "details": details}}
    return Answer(
        verb=VERB,
        url=url,
        status=_STATUSES_OF_REASONS.get(reason) or _STATUSES.get(code, 500),
        headers={**{name: text for name, text in metadata.items() if isinstance(text, str)}, "content-type": JSON},
        body=json.dumps(said).encode(),
    )
