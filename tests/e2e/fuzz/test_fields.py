"""Whatever stands in whatever field of a request, by either protocol: the answer names it, and nothing is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import given
from penstock.jobs.v1 import batches_pb2, jobs_pb2, uploads_pb2

from shared.errors import InvalidArgument
from shared.rpc.status import from_rpc_error
from tests.e2e.api import TIMEOUT_S
from tests.e2e.fuzz.leaves import Leaf, leaves
from tests.e2e.fuzz.line import REFUSALS, Line, fuzzed, is_json
from tests.e2e.fuzz.values import values, written
from tests.e2e.fuzz.wire import wire

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from tests.e2e.mesh import Mesh

#: Fields that are judged together: where one is wrong for another's sake, either may be named.
TOGETHER = [
    {"notBefore", "expiresAt"},
    {"callbackUrl", "callbackSecret"},
    {"upstream", "method", "params"},
    {"upstream", "jobs"},
]


@dataclass(frozen=True, slots=True)
class Making:
    """An RPC that makes something, and one field of its request.

    Args:
        rpc: As gRPC spells it.
    """

    path: str
    rpc: str
    request: type[Message]
    answer: type[Message]
    leaf: Leaf

    def __str__(self) -> str:
        return f"{self.rpc.rpartition('/')[2]}-{self.leaf.path}"

    def good(self, mesh: Mesh) -> dict[str, Any]:
        """A request that is accepted."""
        job = {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}}
        if self.request is batches_pb2.SubmitBatchRequest:
            return {"jobs": [job, job]}
        return job if self.request is jobs_pb2.SubmitJobRequest else {"size": 3, "sha256": "a1" * 32}


MAKING = [
    Making(f"/api/v1/{path}", f"penstock.jobs.v1.{rpc}", request, answer, leaf)
    for path, rpc, request, answer in (
        ("jobs", "JobService/SubmitJob", jobs_pb2.SubmitJobRequest, jobs_pb2.Job),
        ("batches", "JobService/SubmitBatch", batches_pb2.SubmitBatchRequest, batches_pb2.Batch),
        ("uploads", "UploadService/CreateUpload", uploads_pb2.CreateUploadRequest, uploads_pb2.Upload),
    )
    for leaf in leaves(request.DESCRIPTOR)
]


def about(leaf: Leaf, path: str) -> bool:
    """Whether a path of a refusal speaks of the field, or of one that is judged with it."""
    start = "".join(leaf.path.rpartition("].")[:2])  # a job of a batch
    if not path.startswith(start.removesuffix(".")):
        return False
    named, first = (text.removeprefix(start).split(".")[0].split("[")[0] for text in (path, leaf.path))
    return named == first or any({named, first} <= names for names in TOGETHER)


@pytest.mark.parametrize("making", MAKING, ids=str)
def test_a_field_by_http(mesh: Mesh, line: Line, making: Making) -> None:
    leaf, good = making.leaf, making.good(mesh)

    @fuzzed
    @given(value=values(leaf.field))
    def check(value: Any) -> None:
        body = written(leaf.put(good, value))
        answer = line.call("POST", making.path, body)
        if answer.status == 200:
            line.accepted(json_format.ParseDict(answer.json, making.answer()), understood(body, making.request))
            return
        if leaf.path == "requestId" and answer.status == 422:
            return
        assert answer.reason == REFUSALS.get(answer.status), (answer, body[:2000])
        if is_json(body):
            assert answer.fields, (answer, body[:2000])
            assert all(about(leaf, path) for path in answer.fields), (answer.fields, body[:2000])

    check()


def understood(body: bytes, request: type[Message]) -> Any:
    """The request that an accepted body is: what the gateway lets through, any reader of the contract understands."""
    found = json.loads(body)
    for job in found.get("jobs", [found]):
        for name in ("priority", "cachePolicy"):
            if isinstance(job.get(name), str):
                job[name] = job[name].upper()
    return json_format.ParseDict(found, request())


@pytest.mark.parametrize("making", MAKING, ids=str)
def test_a_field_by_grpc(mesh: Mesh, line: Line, channel: grpc.Channel, making: Making) -> None:
    send = channel.unary_unary(
        f"/{making.rpc}",
        request_serializer=None,
        response_deserializer=making.answer.FromString,
    )
    good = json_format.ParseDict(making.good(mesh), making.request())

    @fuzzed
    @given(body=wire(making.leaf, good))
    def check(body: bytes) -> None:
        try:
            answer = send(body, metadata=[("x-api-key", line.key)], timeout=TIMEOUT_S)
        except grpc.RpcError as failure:
            refused(failure, making, body)
        else:
            line.accepted(answer, making.request.FromString(body))

    check()


def refused(failure: grpc.RpcError, making: Making, body: bytes) -> None:
    """Holds a refusal over gRPC to the same."""
    error = from_rpc_error(failure)
    if making.leaf.path == "requestId" and error.reason == "IDEMPOTENCY_KEY_REUSED":
        return
    assert isinstance(error, InvalidArgument), (error, body[:2000])
    assert error.reason in REFUSALS.values(), (error, body[:2000])
    try:
        making.request.FromString(body)
    except DecodeError:
        return
    assert error.violations, (error.message, body[:2000])
    paths = {violation.field for violation in error.violations}
    assert all(about(making.leaf, path) for path in paths), (paths, body[:2000])
