"""No one gets in who does not belong, and nothing of another tenant is shown."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import ids
from shared.identity import IDENTITY_HEADER
from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer psk_live_" + "a" * 30},
        {"X-API-Key": ""},
        {"X-API-Key": "psk_live_" + "0" * 30},
    ],
)
def test_without_a_good_key_nothing_is_answered(mesh: Mesh, headers: dict[str, str]) -> None:
    for path in ("/api/v1/keys", f"/api/v1/jobs/{ids.new_job_id('http')}", "/api/v1/upstreams"):
        answer = Api(mesh.url).call("GET", path, headers=headers)
        assert (answer.status, answer.reason) == (401, "UNAUTHENTICATED"), answer.body


def test_a_key_works_in_either_header(mesh: Mesh) -> None:
    assert Api(mesh.url, mesh.key).call("GET", "/api/v1/keys").status == 200
    assert Api(mesh.url).call("GET", "/api/v1/keys", headers={"X-API-Key": mesh.key}).status == 200


async def test_a_revoked_key_stops_working_within_a_second(mesh: Mesh) -> None:
    admin = Api(mesh.url, mesh.key)
    made = admin.call("POST", "/api/v1/keys", {"name": "short-lived", "scopes": ["keys:read"]}).json
    key = Api(mesh.url, made["secret"])
    assert key.call("GET", "/api/v1/keys").status == 200
    revoked = admin.call("DELETE", f"/api/v1/keys/{made['key']['id']}")
    assert revoked.status == 200
    assert revoked.json["revokedAt"]
    await eventually(lambda: key.call("GET", "/api/v1/keys").status == 401, within=1)


def test_a_key_can_do_only_what_its_scopes_say(mesh: Mesh) -> None:
    reader = Api(mesh.url, mesh.new_key("dev", ["jobs:read"]))
    refused = reader.call("POST", "/api/v1/jobs", {"upstream": "http", "method": "http.get"})
    assert (refused.status, refused.reason) == (403, "PERMISSION_DENIED")
    assert "jobs:write" in refused.error["message"]


def test_a_key_cannot_grant_what_it_has_not(mesh: Mesh) -> None:
    maker = Api(mesh.url, mesh.new_key("dev", ["keys:write"]))
    refused = maker.call("POST", "/api/v1/keys", {"name": "more", "scopes": ["jobs:write"]})
    assert (refused.status, refused.reason) == (403, "PERMISSION_DENIED")


def test_another_tenants_things_are_not_there(mesh: Mesh) -> None:
    ours, theirs = Api(mesh.url, mesh.key), Api(mesh.url, mesh.new_key("other"))
    job = ours.submit("http.get", {"url": f"{mesh.far_end}/get"})
    ours.wait(job["id"])
    key_id = ours.call("POST", "/api/v1/keys", {"name": "ours", "scopes": ["keys:read"]}).json["key"]["id"]
    for method, path in (
        ("GET", f"/api/v1/jobs/{job['id']}"),
        ("GET", f"/api/v1/jobs/{job['id']}:wait?timeout=1s"),
        ("POST", f"/api/v1/jobs/{job['id']}:cancel"),
        ("GET", f"/api/v1/keys/{key_id}"),
        ("DELETE", f"/api/v1/keys/{key_id}"),
    ):
        seen = theirs.call(method, path)
        assert (seen.status, seen.reason) in {(404, "JOB_NOT_FOUND"), (404, "KEY_NOT_FOUND")}, (path, seen.body)
        nobodys = path.replace(job["id"], ids.new_job_id("http")).replace(key_id, ids.new_key_id())
        unknown = theirs.call(method, nobodys)
        assert (unknown.status, unknown.reason) == (seen.status, seen.reason)
    assert key_id not in theirs.call("GET", "/api/v1/keys").body.decode()


def test_two_tenants_may_use_the_same_idempotency_key(mesh: Mesh) -> None:
    body = {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}}
    headers = {"Idempotency-Key": ids.new_request_id()}
    first = Api(mesh.url, mesh.key).call("POST", "/api/v1/jobs", body, headers=headers)
    second = Api(mesh.url, mesh.new_key("other")).call("POST", "/api/v1/jobs", body, headers=headers)
    assert first.status == second.status == 200
    assert first.json["id"] != second.json["id"]


def test_a_forged_identity_header_is_worth_nothing_over_http(mesh: Mesh) -> None:
    token = mesh.identities.mint("victim")
    answer = Api(mesh.url).call("GET", "/api/v1/keys", headers={IDENTITY_HEADER: token})
    assert (answer.status, answer.reason) == (401, "UNAUTHENTICATED")
    beside = Api(mesh.url, mesh.key).call("GET", "/api/v1/keys", headers={IDENTITY_HEADER: token})
    assert beside.status == 200
    assert {key["tenant"] for key in beside.json["keys"]} == {"dev"}


async def test_grpc_goes_through_the_same_door(mesh: Mesh) -> None:
    request = jobs_pb2.GetJobRequest(job_id=ids.new_job_id("http"))
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        for metadata, code in (
            ((), grpc.StatusCode.UNAUTHENTICATED),
            (((IDENTITY_HEADER, mesh.identities.mint()),), grpc.StatusCode.UNAUTHENTICATED),
            ((("authorization", f"Bearer {mesh.key}"),), grpc.StatusCode.NOT_FOUND),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetJob(request, metadata=metadata)
            assert refused.value.code() is code


async def test_a_job_over_grpc_is_the_same_job(mesh: Mesh) -> None:
    metadata = (("authorization", f"Bearer {mesh.key}"),)
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        request = jobs_pb2.SubmitJobRequest(upstream="http", method="http.get", request_id=ids.new_request_id())
        request.params["url"] = f"{mesh.far_end}/get"
        job = await stub.SubmitJob(request, metadata=metadata)
        assert (await stub.SubmitJob(request, metadata=metadata)).id == job.id
        ended = await stub.WaitJob(jobs_pb2.WaitJobRequest(job_id=job.id), metadata=metadata, timeout=30)
    assert ended.state == jobs_pb2.Job.SUCCEEDED
    assert Api(mesh.url, mesh.key).call("GET", f"/api/v1/jobs/{job.id}").json["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    "rpc",
    [
        "/penstock.scheduler.v1.SchedulerService/Lease",
        "/penstock.scheduler.v1.SchedulerService/Cancel",
        "/envoy.service.auth.v3.Authorization/Check",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
async def test_internal_rpcs_have_no_route(mesh: Mesh, rpc: str) -> None:
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary(rpc)(b"", metadata=(("authorization", f"Bearer {mesh.key}"),))
        assert refused.value.code() in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND}
    assert Api(mesh.url, mesh.key).call("POST", rpc, {}).status == 404


@pytest.mark.parametrize("service", ["auth", "intake", "scheduler", "upstream"])
async def test_a_service_reached_past_the_gateway_lets_no_one_in(mesh: Mesh, service: str) -> None:
    rpcs = {
        "auth": "/penstock.auth.v1.KeyService/ListKeys",
        "intake": "/penstock.jobs.v1.JobService/GetJob",
        "scheduler": "/penstock.scheduler.v1.SchedulerService/Lease",
        "upstream": "/penstock.upstream.v1.UpstreamService/ListUpstreams",
    }
    async with grpc.aio.insecure_channel(mesh.layout.address(service)) as channel:
        for metadata in ((), (("authorization", f"Bearer {mesh.key}"),), ((IDENTITY_HEADER, "forged"),)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(rpcs[service])(b"", metadata=metadata)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_many_callers_with_many_keys_at_once_are_kept_apart(mesh: Mesh) -> None:
    tenants = {f"tenant-{number}": mesh.new_key(f"tenant-{number}") for number in range(4)}

    def submit(number: int) -> tuple[str, str]:
        tenant = f"tenant-{number % 4}"
        job = Api(mesh.url, tenants[tenant]).submit("http.get", {"url": f"{mesh.far_end}/get"})
        return tenant, job["id"]

    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(submit, range(40)))
    for tenant, job_id in jobs:
        for asked, key in tenants.items():
            status = Api(mesh.url, key).call("GET", f"/api/v1/jobs/{job_id}").status
            assert status == (200 if asked == tenant else 404)
