"""Whatever stands in whatever field of a request, by either protocol: a refusal names the field, and nothing is kept.

The fields and paths are read off the contract, so that new ones are covered without a change here.
"""

from __future__ import annotations

import http.client
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from penstock.jobs.v1 import jobs_pb2

from gateway import descriptors
from gateway.routes import Binding, RouteData, route_table
from shared import kv
from shared.config import Secret
from shared.errors import InvalidArgument
from shared.rpc.status import from_rpc_error
from tests.e2e.api import TIMEOUT_S, Answer
from tests.e2e.fuzzing import IN_URLS, Leaf, leaves, values, wire, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from tests.e2e.mesh import Mesh

TENANT = "fuzzer"
#: What a request may be refused as, but for the key that another example has used.
REFUSALS = {400: "INVALID_ARGUMENT", 413: "TOO_LARGE"}
#: Fields that are judged together: where one is wrong for another's sake, either may be named.
TOGETHER = [{"notBefore", "expiresAt"}, {"callbackUrl", "callbackSecret"}, {"upstream", "method", "params"}]

fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
)


@dataclass
class Line:
    """A connection that is kept for many requests, as a tenant of its own."""

    mesh: Mesh
    key: str
    #: Jobs that were accepted, and the keys they were accepted under.
    jobs: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        if self.connection is None:
            self.connection = http.client.HTTPConnection(urlsplit(self.mesh.url).netloc, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        with suppress(BrokenPipeError, ConnectionResetError):  # refused midway; the answer says why
            self.connection.request(method, path, body, headers if body is not None else headers | {"Content-Type": ""})
        response = self.connection.getresponse()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
        if response.will_close:
            self.connection.close()
        return answer

    def accepted(self, job: str, key: str) -> None:
        self.jobs.add(job)
        if key:
            self.keys.add(key)


@pytest.fixture(scope="module")
def line(mesh: Mesh) -> Iterator[Line]:
    line = Line(mesh, mesh.new_key(TENANT))
    yield line
    if line.connection is not None:
        line.connection.close()


@pytest.fixture(scope="module")
def channel(mesh: Mesh) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(mesh.grpc_address) as channel:
        yield channel


@pytest.fixture(autouse=True)
async def nothing_but_the_accepted_is_stored(mesh: Mesh, line: Line) -> Any:
    jobs, before = len(line.jobs), mesh.submitted()
    yield
    assert mesh.submitted() - before == len(line.jobs) - jobs
    client = await kv.connect(Secret(mesh.layout.redis_url))
    names = [
        name.decode().removeprefix(f"{{intake:{TENANT}}}:") for name in await client.keys(f"{{intake:{TENANT}}}:*")
    ]
    await kv.close(client)
    assert {name.removeprefix("job:") for name in names if name.startswith("job:")} == line.jobs
    assert {name.removeprefix("key:") for name in names if name.startswith("key:")} == line.keys
    assert {name for name in names if not name.startswith(("job:", "key:"))} <= {"pending", "drained"}


@pytest.fixture
def good(mesh: Mesh) -> dict[str, Any]:
    return {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}}


def is_json(body: bytes) -> bool:
    """Whether it is JSON at all (RFC 8259): else no field can be named."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        json.dumps(
            json.loads(body.decode(), parse_constant=refuse), ensure_ascii=False
        ).encode()  # half a pair is no text
    except (ValueError, RecursionError):
        return False
    return True


def about(leaf: Leaf, path: str) -> bool:
    """Whether a path of a refusal speaks of the field, or of one that is judged with it."""
    first = leaf.steps[0].json_name
    named = path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]
    return named == first or any({named, first} <= names for names in TOGETHER)


@pytest.mark.parametrize("leaf", leaves(jobs_pb2.SubmitJobRequest.DESCRIPTOR), ids=str)
def test_a_field_of_a_submit_by_http(line: Line, good: dict[str, Any], leaf: Leaf) -> None:
    @fuzzed
    @given(value=values(leaf.field))
    def check(value: Any) -> None:
        body = written(leaf.put(good, value))
        answer = line.call("POST", "/api/v1/jobs", body)
        if answer.status == 200:
            line.accepted(answer.json["id"], understood(body).request_id)
            return
        if leaf.path == "requestId" and answer.status == 422:
            return
        assert answer.reason == REFUSALS.get(answer.status), (answer, body[:2000])
        if is_json(body):
            assert answer.fields, (answer, body[:2000])
            assert all(about(leaf, path) for path in answer.fields), (answer.fields, body[:2000])

    check()


def understood(body: bytes) -> jobs_pb2.SubmitJobRequest:
    """The request that an accepted body is: what the gateway lets through, any reader of the contract understands."""
    request = json.loads(body)
    for name in ("priority", "cachePolicy"):
        if isinstance(request.get(name), str):
            request[name] = request[name].upper()
    return json_format.ParseDict(request, jobs_pb2.SubmitJobRequest())


@pytest.mark.parametrize("leaf", leaves(jobs_pb2.SubmitJobRequest.DESCRIPTOR), ids=str)
def test_a_field_of_a_submit_by_grpc(line: Line, channel: grpc.Channel, good: dict[str, Any], leaf: Leaf) -> None:
    submit = raw(channel, "/penstock.jobs.v1.JobService/SubmitJob", jobs_pb2.Job)
    message = json_format.ParseDict(good, jobs_pb2.SubmitJobRequest())

    @fuzzed
    @given(body=wire(leaf, message))
    def check(body: bytes) -> None:
        try:
            job = submit(body, metadata=[("x-api-key", line.key)], timeout=TIMEOUT_S)
        except grpc.RpcError as failure:
            refused(failure, leaf, body, jobs_pb2.SubmitJobRequest)
        else:
            line.accepted(job.id, jobs_pb2.SubmitJobRequest.FromString(body).request_id)

    check()


def raw(channel: grpc.Channel, method: str, answer: type[Message]) -> Callable[..., Any]:
    """An RPC that is sent bytes."""
    return channel.unary_unary(method, request_serializer=None, response_deserializer=answer.FromString)


def refused(failure: grpc.RpcError, leaf: Leaf, body: bytes, request: type[Message]) -> None:
    """Holds a refusal over gRPC to the same."""
    error = from_rpc_error(failure)
    if leaf.path == "requestId" and error.reason == "IDEMPOTENCY_KEY_REUSED":
        return
    assert isinstance(error, InvalidArgument), (error, body[:2000])
    assert error.reason in REFUSALS.values(), (error, body[:2000])
    try:
        request.FromString(body)
    except DecodeError:
        return
    assert error.violations, (error.message, body[:2000])
    paths = {violation.field for violation in error.violations}
    assert all(about(leaf, path) for path in paths), (paths, body[:2000])


#: RPCs that read or change one job, and those that list; what changes keys or queues is left alone.
SERVICES = ("penstock.jobs.v1.JobService", "penstock.history.v1.HistoryService", "penstock.upstream.v1.UpstreamService")
SUBMITS = {"penstock.jobs.v1.JobService.SubmitJob", "penstock.jobs.v1.JobService.SubmitBatch"}
#: What such a request may be refused as, beside a wrong field.
OTHER_REASONS = {
    *("ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED", "BAD_REQUEST", "UNSUPPORTED_MEDIA_TYPE"),
    *("JOB_NOT_FOUND", "JOB_FINISHED", "BATCH_NOT_FOUND", "RESULT_NOT_FOUND", "UPSTREAM_NOT_FOUND"),
}


def bindings() -> list[Binding]:
    """Every path of those services with its verb, but for submits."""
    data = RouteData.load()
    found = route_table(data, clusters=set(data.packages.values())).bindings
    return [binding for binding in found if binding.rpc.rpartition(".")[0] in SERVICES and binding.rpc not in SUBMITS]


def message_of(binding: Binding) -> Descriptor:
    """The request's message."""
    return descriptors.files()[0].pool.FindMessageTypeByName(binding.message)


@pytest.fixture(scope="module")
def ended(line: Line, mesh: Mesh) -> str:
    """A job that has ended, so that nothing waits for it."""
    body = {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}}
    job = line.call("POST", "/api/v1/jobs", written(body)).json["id"]
    line.accepted(job, "")
    assert line.call("GET", f"/api/v1/jobs/{job}:wait?timeout=30s").json["state"] == "SUCCEEDED"
    return job


@pytest.mark.parametrize("binding", bindings(), ids=lambda binding: binding.name.partition(" ")[2])
def test_a_path_its_query_and_its_body(line: Line, ended: str, binding: Binding) -> None:
    good = {"job_id": ended, "upstream": "http"}
    places = binding.template.variables
    others = [leaf for leaf in leaves(message_of(binding)) if leaf.steps[0].name not in places]

    @fuzzed
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        path, query, body = binding.template.text, "", {}
        wrong = data.draw(st.sampled_from([*places, *others, "unheard"]))
        for name in places:
            path = path.replace(f"{{{name}}}", data.draw(IN_URLS) if name == wrong else good.get(name, "x"))
        if isinstance(wrong, Leaf) and binding.body:
            body = wrong.put({}, data.draw(values(wrong.field)))
        elif wrong not in places:
            query = f"?{getattr(wrong, 'path', wrong)}={data.draw(IN_URLS)}"
        sent = written(body) if binding.body else None
        told = (path[:2000], query[:2000], sent)
        answer = line.call(binding.verb, path + query, sent)
        if answer.status < 300:
            assert wrong != "unheard", told
            return
        assert answer.status < 500, (answer, told)
        assert answer.reason == REFUSALS.get(answer.status) or answer.reason in OTHER_REASONS, (answer, told)
        if answer.reason == "INVALID_ARGUMENT" and is_json(sent or b"{}"):
            assert answer.fields, (answer, told)

    check()
