"""Rate limits, networks and rotation, as callers see them through Envoy."""

from __future__ import annotations

import http.client
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import ids
from tests.e2e.api import Answer, Api
from tests.e2e.test_watch import watching
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh

TENANT_LIMIT = 10_000_000
_LIMITS = re.compile(r'"key";r=(\d+);t=(\d+), "tenant";r=\d+;t=\d+')


def new_key(mesh: Mesh, **fields: Any) -> dict[str, Any]:
    """A key of the tenant `dev`, and its secret."""
    order = {"name": "test", "role": "ADMIN", **fields}
    answer = Api(mesh.url, mesh.key).call("POST", "/api/v1/keys", order)
    assert answer.status == 200, answer.body
    return answer.json


def remaining(answer: Answer) -> int:
    found = _LIMITS.fullmatch(answer.headers["ratelimit"])
    assert found is not None, answer.headers
    assert 1 <= int(found[2]) <= 61
    return int(found[1])


def test_every_answer_to_a_key_tells_its_limits_whoever_makes_it(mesh: Mesh) -> None:
    api = Api(mesh.url, new_key(mesh, rateLimit=100)["secret"])
    answers = [
        api.call("GET", "/api/v1/keys"),
        api.call("GET", f"/api/v1/jobs/{ids.new_job_id('http')}"),  # a service's error
        api.call("POST", "/api/v1/jobs", {"no such field": 1}),  # refused by the gateway's Lua
        api.call("GET", "/api/v1/nothing"),  # by its routes
        api.call("PUT", "/api/v1/keys"),
    ]
    assert [answer.status for answer in answers] == [200, 404, 400, 404, 405]
    assert [remaining(answer) for answer in answers] == [99, 98, 97, 96, 95]
    policies = {answer.headers["ratelimit-policy"] for answer in answers}
    assert policies == {f'"key";q=100;w=60, "tenant";q={TENANT_LIMIT};w=60'}


def test_over_its_limit_a_key_is_told_so_in_the_one_shape(mesh: Mesh) -> None:
    api = Api(mesh.url, new_key(mesh, rateLimit=3)["secret"])
    assert [api.call("GET", "/api/v1/keys").status for _ in range(4)] == [200, 200, 200, 429]
    answer = api.call("GET", "/api/v1/keys")
    assert (answer.status, answer.reason) == (429, "RATE_LIMITED")
    assert answer.error["status"] == "RESOURCE_EXHAUSTED"
    assert answer.error["details"][0]["metadata"] == {"scope": "key", "limit": "3"}
    assert remaining(answer) == 0
    assert 1 <= int(answer.headers["retry-after"]) <= 61
    assert answer.headers["ratelimit-policy"].startswith('"key";q=3;w=60')


async def test_over_grpc_it_is_resource_exhausted_with_the_same_headers(mesh: Mesh) -> None:
    metadata = (("authorization", f"Bearer {new_key(mesh, rateLimit=1)['secret']}"),)
    request = jobs_pb2.GetJobRequest(job_id=ids.new_job_id("http"))
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as not_found:
            await stub.GetJob(request, metadata=metadata)
        with pytest.raises(grpc.aio.AioRpcError) as limited:
            await stub.GetJob(request, metadata=metadata)
    assert not_found.value.code() is grpc.StatusCode.NOT_FOUND
    assert told(not_found.value)["ratelimit"].startswith('"key";r=0;t=')
    assert limited.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(limited.value)  # type: ignore[arg-type]  it has what is read of a Call
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, dict(info.metadata)) == ("RATE_LIMITED", {"scope": "key", "limit": "1"})
    headers = told(limited.value)
    assert headers["ratelimit"].startswith('"key";r=0;t=')
    assert headers["ratelimit-policy"].startswith('"key";q=1;w=60')
    assert 1 <= int(headers["retry-after"]) <= 61


def told(failure: grpc.aio.AioRpcError) -> dict[str, str | bytes]:
    return {key: value for part in (failure.initial_metadata(), failure.trailing_metadata()) for key, value in part}


def test_no_header_of_a_clients_own_says_where_it_comes_from(mesh: Mesh) -> None:
    here = new_key(mesh, allowedCidrs=["127.0.0.0/8"])
    elsewhere = new_key(mesh, allowedCidrs=["198.51.100.0/24"])
    assert elsewhere["key"]["allowedCidrs"] == ["198.51.100.0/24"]
    for forged in (
        {},
        {"X-Forwarded-For": "198.51.100.7"},
        {"X-Forwarded-For": "198.51.100.7, 198.51.100.8"},
        {"X-Real-IP": "198.51.100.7", "Forwarded": "for=198.51.100.7"},
        {"X-Penstock-Client-Address": "198.51.100.7"},
        {"X-Envoy-External-Address": "198.51.100.7", "X-Envoy-Internal": "true"},
    ):
        assert Api(mesh.url, here["secret"]).call("GET", "/api/v1/keys", headers=forged).status == 200
        answer = Api(mesh.url, elsewhere["secret"]).call("GET", "/api/v1/keys", headers=forged)
        assert (answer.status, answer.reason) == (403, "PERMISSION_DENIED")
        assert answer.error["details"][0]["metadata"] == {"address": "127.0.0.1"}


def test_an_address_that_guesses_is_limited_whatever_it_says_of_itself(mesh: Mesh) -> None:
    known = new_key(mesh)["secret"]
    assert Api(mesh.url, known).call("GET", "/api/v1/keys").status == 200
    client = http.client.HTTPConnection(urlsplit(mesh.url).netloc, timeout=30, source_address=("127.0.0.66", 0))
    statuses: list[int] = []
    try:
        for number in range(605):
            client.request("GET", "/api/v1/keys", headers={"X-Forwarded-For": f"198.51.100.{number % 250}"})
            response = client.getresponse()
            body = response.read()
            statuses.append(response.status)
        client.request("GET", "/api/v1/keys", headers={"X-API-Key": known})
        assert client.getresponse().status == 200, "a key in use is heard from everywhere"
    finally:
        client.close()
    assert statuses == [401] * 600 + [429] * 5
    headers = {name.lower(): value for name, value in response.getheaders()}
    limited = Answer(response.status, headers, body)
    assert limited.reason == "RATE_LIMITED"
    assert limited.error["details"][0]["metadata"] == {"scope": "address", "limit": "600"}
    assert headers["ratelimit-policy"] == '"address";q=600;w=60'
    assert Api(mesh.url).call("GET", "/api/v1/keys").status == 401, "another address"


async def test_a_rotated_key_has_two_secrets_until_it_is_revoked_and_its_use_is_shown(mesh: Mesh) -> None:
    admin, made = Api(mesh.url, mesh.key), new_key(mesh)
    path = f"/api/v1/keys/{made['key']['id']}"
    rotated = admin.call("POST", f"{path}:rotate", {"gracePeriod": "3600s"})
    assert rotated.status == 200, rotated.body
    secrets = (made["secret"], rotated.json["secret"])
    assert [Api(mesh.url, each).call("GET", "/api/v1/upstreams").status for each in secrets] == [200, 200]

    def used() -> bool:
        days = admin.call("GET", f"{path}/usage?days=2").json["days"]
        return len(days) == 2 and sum(int(day.get("allowed", 0)) for day in days) == 2

    await eventually(used, what="the use of both secrets")
    assert admin.call("GET", path).json["role"] == "ADMIN"
    assert admin.call("DELETE", path).status == 200
    for each in secrets:
        await eventually(lambda each=each: Api(mesh.url, each).call("GET", "/api/v1/keys").status == 401, within=1)


def test_a_role_and_scopes_are_not_both_given(mesh: Mesh) -> None:
    admin = Api(mesh.url, mesh.key)
    both = admin.call("POST", "/api/v1/keys", {"name": "x", "role": "VIEWER", "scopes": ["jobs:read"]})
    assert (both.status, both.fields) == (400, {"scopes"})
    above = admin.call("POST", "/api/v1/keys", {"name": "x", "role": "OPERATOR"})
    assert (above.status, above.reason) == (403, "PERMISSION_DENIED")


def test_an_open_stream_ends_with_its_key_within_a_second(mesh: Mesh) -> None:
    assert any(end_of_stream(mesh) < 1.0 for _ in range(5))  # a machine that is busy with other things may need more


def end_of_stream(mesh: Mesh) -> float:
    """How many seconds after its key was revoked a stream has ended."""
    admin, made = Api(mesh.url, mesh.key), new_key(mesh)
    job = admin.submit("http.get", {"url": f"{mesh.far_end}/delay/10"})
    with watching(Api(mesh.url, made["secret"]), job["id"]) as events:
        assert events.frame() is not None
        assert admin.call("DELETE", f"/api/v1/keys/{made['key']['id']}").status == 200
        began = time.monotonic()
        seen = list(events)
        took = time.monotonic() - began
    assert all('"SUCCEEDED"' not in event["data"] for event in seen)
    return took
