"""`google.longrunning.Operations` under our paths: HTTP rules of our own on a proto that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from penstock.history.v1 import history_pb2

from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_RPC = "/google.longrunning.Operations"
_NAME = {"name": "operations/op_1"}
_ROUTES: list[tuple[str, str, object, str, dict[str, Any]]] = [
    ("GET", "/api/v1/operations", None, "ListOperations", {"name": "operations"}),
    (
        "GET",
        "/api/v1/operations?filter=done%3Dtrue&pageSize=3",
        None,
        "ListOperations",
        {"name": "operations", "filter": "done=true", "page_size": 3},
    ),
    ("GET", "/api/v1/operations/op_1", None, "GetOperation", _NAME),
    ("DELETE", "/api/v1/operations/op_1", None, "DeleteOperation", _NAME),
    ("POST", "/api/v1/operations/op_1:cancel", None, "CancelOperation", _NAME),
    ("POST", "/api/v1/operations/op_1:cancel", _NAME, "CancelOperation", _NAME),
    ("GET", "/api/v1/operations/op_1:wait", None, "WaitOperation", _NAME),
]


@pytest.mark.parametrize(("verb", "path", "body", "rpc", "fields"), _ROUTES, ids=[f"{r[0]} {r[1]}" for r in _ROUTES])
def test_a_path_reaches_its_rpc_with_the_whole_name(
    envoy: Envoy, services: Services, *, verb: str, path: str, body: object, rpc: str, fields: dict[str, Any]
) -> None:
    answer = envoy.call(verb, path, body)
    assert answer.status == 200, answer
    (received,) = services.received
    assert received.method == f"{_RPC}/{rpc}"
    assert {field.name: value for field, value in received.request.ListFields()} == fields
    assert services.rpc == f"google.longrunning.Operations.{rpc}"


def test_a_wait_is_given_its_time(envoy: Envoy, services: Services) -> None:
    assert envoy.call("GET", "/api/v1/operations/op_1:wait?timeout=60s").status == 200
    (received,) = services.received
    assert received.request.timeout.seconds == 60
    assert received.remaining_s is not None
    assert received.remaining_s > 60


def test_what_an_operation_holds_is_json_whatever_its_type(envoy: Envoy) -> None:
    operation = envoy.call("GET", "/api/v1/operations/op_1").json
    types = "type.googleapis.com/penstock.history.v1."
    assert operation["metadata"] == {"@type": f"{types}BulkMetadata", "kind": "RETRY", "failed": {"QUEUE_FULL": "1"}}
    assert operation["response"] == {"@type": f"{types}BulkResponse", "matched": "3"}
    error = envoy.call("GET", "/api/v1/operations/op_x").json["error"]
    assert (error["code"], error["message"]) == (5, "there is no job")
    assert error["details"][0]["reason"] == "JOB_NOT_FOUND"


@pytest.mark.parametrize(
    ("verb", "path", "body", "field", "words"),
    [
        ("GET", "/api/v1/operations?name=operations", None, "name", "is given by the path"),
        ("GET", "/api/v1/operations?nope=1", None, "nope", "is not a parameter"),
        ("GET", "/api/v1/operations/op_1?name=operations/op_2", None, "name", "is given by the path"),
        ("GET", "/api/v1/operations/a%2Fb", None, "name", "a slash"),
        ("GET", "/api/v1/operations/op_1:wait?timeout=soon", None, "timeout", "must be a duration"),
        ("POST", "/api/v1/operations/op_1:cancel", {"nope": 1}, "nope", "is not a field"),
        (
            "POST",
            "/api/v1/operations/op_1:cancel",
            {"name": "operations/op_2"},
            "name",
            "is operations/op_1 in the path",
        ),
    ],
)
def test_what_is_wrong_with_a_request_is_named(
    envoy: Envoy, services: Services, *, verb: str, path: str, body: object, field: str, words: str
) -> None:
    answer = envoy.call(verb, path, body)
    assert (answer.status, list(answer.fields)) == (400, [field]), answer
    assert words in answer.fields[field]
    assert services.received == []


@pytest.mark.parametrize("path", ["/v1/operations", "/v1/operations/op_1", "/api/v1/operations/op_1/more"])
def test_google_s_own_paths_and_longer_ones_lead_nowhere(envoy: Envoy, services: Services, path: str) -> None:
    answer = envoy.call("GET", path)
    assert (answer.status, answer.info["reason"]) == (404, "ROUTE_NOT_FOUND")
    assert services.received == []


def test_google_s_clients_find_it_over_grpc(envoy: Envoy, services: Services) -> None:
    with grpc.insecure_channel(envoy.settings.address) as channel:
        operations = operations_pb2_grpc.OperationsStub(channel)
        operation = operations.GetOperation(
            operations_pb2.GetOperationRequest(name="operations/op_1"),
            metadata=(("authorization", f"Bearer {GOOD_KEY}"),),
            timeout=60,
        )
    metadata = history_pb2.BulkMetadata()
    assert operation.metadata.Unpack(metadata)
    assert metadata.kind == history_pb2.BulkMetadata.RETRY
    assert services.received[0].method == f"{_RPC}/GetOperation"
