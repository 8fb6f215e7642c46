"""A client that leaves through Envoy frees its waiter at once, while the job still waits; and a wait's own end."""

from __future__ import annotations

import http.client
import itertools
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh

CLIENTS = 20
_TENANTS = itertools.count(1)


@pytest.fixture
def api(mesh: Mesh) -> Api:
    return Api(mesh.url, mesh.new_key(f"leaver-{next(_TENANTS)}"))


@pytest.fixture
def job(api: Api, mesh: Mesh) -> dict[str, Any]:
    """It waits for longer than any test runs."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return api.submit("http.get", {"url": f"{mesh.far_end}/get"}, notBefore=later)


def waiters(mesh: Mesh) -> float:
    """Who waits, as intake tells it to Prometheus."""
    with urllib.request.urlopen(f"http://{mesh.layout.address('intake_metrics')}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return next(family.samples[0].value for family in families if family.name == "penstock_intake_waiters")


@pytest.mark.parametrize("action", ["wait?timeout=60s", "watch"])
async def test_a_closed_connection_frees_its_waiter(api: Api, mesh: Mesh, job: dict[str, Any], action: str) -> None:
    connections = [http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=30) for _ in range(CLIENTS)]
    for connection in connections:
        connection.request("GET", f"/api/v1/jobs/{job['id']}:{action}", headers={"Authorization": f"Bearer {api.key}"})
    await eventually(lambda: waiters(mesh) == CLIENTS)
    for connection in connections:
        connection.close()
    await eventually(lambda: waiters(mesh) == 0, within=10)
    assert api.call("GET", f"/api/v1/jobs/{job['id']}").json == job


@pytest.mark.parametrize("rpc", ["WaitJob", "WatchJob"])
async def test_a_canceled_call_frees_its_waiter(api: Api, mesh: Mesh, job: dict[str, Any], rpc: str) -> None:
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        stub: Any = job_service_pb2_grpc.JobServiceStub(channel)
        asked = getattr(jobs_pb2, f"{rpc}Request")(job_id=job["id"])
        calls = [getattr(stub, rpc)(asked, metadata=(("x-api-key", api.key),), timeout=60) for _ in range(CLIENTS)]
        await eventually(lambda: waiters(mesh) == CLIENTS)
        for call in calls:
            call.cancel()
        await eventually(lambda: waiters(mesh) == 0, within=10)
    assert api.call("GET", f"/api/v1/jobs/{job['id']}").json == job


async def test_a_wait_over_grpc_ends_before_its_callers_deadline(api: Api, mesh: Mesh, job: dict[str, Any]) -> None:
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        stub: Any = job_service_pb2_grpc.JobServiceStub(channel)
        asked, metadata = jobs_pb2.WaitJobRequest(job_id=job["id"]), (("x-api-key", api.key),)

        async def answered() -> bool:  # a busy machine may need longer than the mesh keeps for its answer
            try:
                found = await stub.WaitJob(asked, metadata=metadata, timeout=1.5)
            except grpc.aio.AioRpcError as failure:
                if failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    return False
                raise
            return found.state == jobs_pb2.Job.QUEUED

        await eventually(answered, what="an answer in time")
    await eventually(lambda: waiters(mesh) == 0, within=10)


async def test_a_wait_over_http_ends_with_its_timeout(api: Api, mesh: Mesh, job: dict[str, Any]) -> None:
    began = time.monotonic()
    assert api.wait(job["id"], timeout="0.7s") == job
    assert 0.7 <= time.monotonic() - began < 30
    await eventually(lambda: waiters(mesh) == 0, within=10)


async def test_thousands_of_clients_on_one_connection_hold_up_nobody(api: Api, mesh: Mesh, job: dict[str, Any]) -> None:
    """More streams than a connection may have wait for one to end; another connection is answered at once."""
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        stub: Any = job_service_pb2_grpc.JobServiceStub(channel)
        asked = jobs_pb2.WaitJobRequest(job_id=job["id"])
        calls = [stub.WaitJob(asked, metadata=(("x-api-key", api.key),), timeout=60) for _ in range(1500)]
        await eventually(lambda: waiters(mesh) >= 1000)
        api.call("POST", f"/api/v1/jobs/{job['id']}:cancel")
        answers = [await call for call in calls]
    assert {answer.state for answer in answers} == {jobs_pb2.Job.CANCELED}
    assert waiters(mesh) == 0
