"""A tenant through Envoy: its first key, its suspension and the end of that, beside tenants that are not touched."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared.crash_points import CrashPoint
from shared.permissions import Scope
from tests.e2e.api import Api
from tests.e2e.test_watch import watching
from tests.fakes.far_end import FarEnd, far_end
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh

HTTP = "/api/v1/queues/http"
_TIMEOUT_S = 30.0
_NAMES = (f"cask-{number}" for number in itertools.count(1))


@dataclass(frozen=True, slots=True)
class Counted:
    """A far end in a thread of its own, which counts its calls."""

    state: FarEnd
    loop: asyncio.AbstractEventLoop

    def url(self, path: str, number: int) -> str:
        return f"{self.state.url}{path}?job={number}"

    @property
    def calls(self) -> Counter[str]:
        """How often it was called for each job."""
        return Counter(each.url.query["job"] for each in self.state.asked)

    def release(self) -> None:
        """Answers what is held."""
        self.loop.call_soon_threadsafe(self.state.release.set)


@pytest.fixture
def far() -> Iterator[Counted]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = far_end()
    yield Counted(asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(_TIMEOUT_S), loop)
    asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(_TIMEOUT_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_TIMEOUT_S)
    loop.close()


@pytest.fixture(scope="module")
def operator(mesh: Mesh) -> Api:
    return Api(mesh.url, mesh.new_key("staff", list(Scope)))


@pytest.fixture
def tenant(operator: Api) -> Iterator[tuple[str, Api]]:
    """A new tenant's name and its first key; whatever a test has left of it is active at the end."""
    name = next(_NAMES)
    made = operator.call("POST", "/api/v1/tenants", {"name": name, "displayName": "Cask Ltd"})
    assert made.status == 200, made.body
    key = operator.call("POST", "/api/v1/keys", {"tenant": name, "name": "first", "role": "ADMIN"})
    assert key.status == 200, key.body
    yield name, Api(operator.url, key.json["secret"])
    assert operator.call("POST", f"/api/v1/tenants/{name}:resume").status == 200


def suspend(operator: Api, name: str, reason: str = "unpaid") -> dict[str, Any]:
    answer = operator.call("POST", f"/api/v1/tenants/{name}:suspend", {"reason": reason})
    assert answer.status == 200, answer.body
    return answer.json


async def until_suspended(operator: Api, key: Api, name: str) -> None:
    """Returns when the tenant's key is refused, within a second, and its jobs are held back."""
    await eventually(lambda: key.call("GET", "/api/v1/jobs").status == 403, within=1, what="the key's refusal")
    await eventually(lambda: suspensions(operator, name), what="the suspension in the queue")


def suspensions(operator: Api, name: str) -> list[str]:
    """Why the tenant's jobs are held back by its suspension."""
    queue = operator.call("GET", f"{HTTP}?tenant={name}").json
    return [pause["reason"] for pause in queue.get("pauses", []) if pause.get("suspension")]


def found(operator: Api, path: str) -> dict[str, Any] | None:
    """What is there, or None while auth is away."""
    answer = operator.call("GET", path)
    assert answer.status in {200, 503}, answer.body
    return answer.json if answer.status == 200 else None


def ready(operator: Api, name: str) -> int:
    return int(operator.call("GET", f"{HTTP}?tenant={name}").json.get("depth", {}).get("ready", 0))


def test_a_new_tenants_first_key_comes_from_an_operator_and_submits(
    mesh: Mesh, operator: Api, tenant: tuple[str, Api]
) -> None:
    name, key = tenant
    shown = operator.call("GET", f"/api/v1/tenants/{name}").json
    assert (shown["name"], shown["displayName"], shown["state"]) == (name, "Cask Ltd", "ACTIVE")
    job = key.wait(key.submit("http.get", {"url": f"{mesh.far_end}/get"})["id"])
    assert job["state"] == "SUCCEEDED"
    again = operator.call("POST", "/api/v1/tenants", {"name": name})
    assert (again.status, again.reason) == (409, "TENANT_EXISTS"), again.body
    assert again.error["status"] == "ALREADY_EXISTS"
    assert name in [each["name"] for each in operator.call("GET", "/api/v1/tenants?pageSize=500").json["tenants"]]


def test_tenants_are_no_tenants_business(operator: Api, tenant: tuple[str, Api]) -> None:
    name, key = tenant
    for method, path, body in (
        ("POST", "/api/v1/tenants", {"name": "mine"}),
        ("GET", "/api/v1/tenants", None),
        ("GET", f"/api/v1/tenants/{name}", None),
        ("POST", "/api/v1/tenants/dev:suspend", {"reason": "rival"}),
        ("POST", f"/api/v1/tenants/{name}:resume", {}),
    ):
        answer = key.call(method, path, body)
        assert (answer.status, answer.reason) == (403, "PERMISSION_DENIED"), answer.body
    own = operator.call("POST", "/api/v1/tenants/staff:suspend", {"reason": "by mistake"})
    assert (own.status, own.reason) == (400, "OWN_TENANT"), own.body
    wrong = operator.call("POST", f"/api/v1/tenants/{name}:suspend", {})
    assert (wrong.status, wrong.fields) == (400, {"reason"}), wrong.body
    missing = operator.call("GET", "/api/v1/tenants/nobody")
    assert (missing.status, missing.reason) == (404, "TENANT_NOT_FOUND")


async def test_a_suspended_tenant_is_refused_with_the_reason_and_works_again_when_it_is_resumed(
    mesh: Mesh, operator: Api, tenant: tuple[str, Api]
) -> None:
    name, key = tenant
    other = Api(mesh.url, mesh.key)
    second = Api(mesh.url, key.call("POST", "/api/v1/keys", {"name": "second", "scopes": ["jobs:read"]}).json["secret"])
    for each in (key, second):
        assert each.call("GET", "/api/v1/jobs").status == 200
    began = time.monotonic()
    suspended = suspend(operator, name)
    assert (suspended["state"], suspended["suspensionReason"]) == ("SUSPENDED", "unpaid")
    for each in (key, second):
        within = began + 1 - time.monotonic()
        await eventually(lambda each=each: each.call("GET", "/api/v1/jobs").status == 403, within=within)
    refused = key.call("POST", "/api/v1/jobs", {"upstream": "http", "method": "http.get"})
    assert (refused.status, refused.reason) == (403, "TENANT_SUSPENDED"), refused.body
    assert "unpaid" in refused.error["message"]
    listed = operator.call("GET", "/api/v1/tenants?state=SUSPENDED").json["tenants"]
    assert name in [each["name"] for each in listed]
    assert other.call("GET", "/api/v1/jobs").status == 200
    began = time.monotonic()
    assert operator.call("POST", f"/api/v1/tenants/{name}:resume").json["state"] == "ACTIVE"
    for each in (key, second):
        within = began + 1 - time.monotonic()
        await eventually(lambda each=each: each.call("GET", "/api/v1/jobs").status == 200, within=within)


async def test_the_jobs_of_a_suspended_tenant_wait_and_are_each_called_once_when_it_is_resumed(
    mesh: Mesh, operator: Api, tenant: tuple[str, Api], far: Counted
) -> None:
    name, key = tenant
    other = Api(mesh.url, mesh.new_key(f"{name}-neighbour"))
    running = key.submit("http.post", {"url": far.url("/held", 0)})
    await eventually(lambda: far.calls["0"] == 1, what="the call under way")
    assert key.call("POST", f"{HTTP}:pause", {"reason": "so that they are queued"}).status == 200
    jobs = [running]
    jobs += [key.submit("http.post", {"url": far.url("/echo", number)}) for number in range(1, 6)]
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    jobs.append(key.submit("http.get", {"url": far.url("/echo", 6)}, notBefore=soon))

    suspend(operator, name)
    await until_suspended(operator, key, name)
    assert operator.call("POST", f"{HTTP}:resume", {"tenant": name}).status == 200  # the pause, not the suspension
    far.release()
    await eventually(lambda: ready(operator, name) == 6, what="the delayed job among those that wait")
    neighbours = other.wait(other.submit("http.get", {"url": f"{mesh.far_end}/get"})["id"])
    assert neighbours["state"] == "SUCCEEDED"
    queue = operator.call("GET", f"{HTTP}?tenant={name}").json
    assert [(pause["tenant"], pause["reason"], pause["suspension"]) for pause in queue["pauses"]] == [
        (name, "unpaid", True)
    ]
    assert int(queue["depth"]["ready"]) == 6
    assert far.calls == Counter({"0": 1})

    assert operator.call("POST", f"/api/v1/tenants/{name}:resume").status == 200
    await eventually(lambda: key.call("GET", "/api/v1/jobs").status == 200, within=1)
    ended = [key.wait(job["id"]) for job in jobs]
    assert [(job["state"], job["attempt"]) for job in ended] == [("SUCCEEDED", 1)] * 7
    assert far.calls == Counter({str(number): 1 for number in range(7)})
    assert suspensions(operator, name) == []


async def test_what_an_auth_that_dies_has_written_and_not_told_is_told_by_the_next_one(
    mesh: Mesh, operator: Api, tenant: tuple[str, Api]
) -> None:
    name, key = tenant
    assert key.call("POST", f"{HTTP}:pause", {"reason": "so that it is queued"}).status == 200
    job = key.submit("http.get", {"url": f"{mesh.far_end}/get"})
    await eventually(lambda: ready(operator, name) == 1)

    armed = mesh.arm(CrashPoint.AUTH_TENANT_CHANGED)
    assert operator.call("POST", f"/api/v1/tenants/{name}:suspend", {"reason": "unpaid"}).status == 503
    assert not armed.exists(), "nothing died"
    shown = await eventually(lambda: found(operator, f"/api/v1/tenants/{name}"), what="an auth that answers")
    assert (shown["state"], shown["suspensionReason"]) == ("SUSPENDED", "unpaid")
    refused = key.call("GET", "/api/v1/jobs")
    assert (refused.status, refused.reason) == (403, "TENANT_SUSPENDED"), refused.body
    await eventually(lambda: suspensions(operator, name) == ["unpaid"], what="the suspension in the queue")
    assert operator.call("POST", f"{HTTP}:resume", {"tenant": name}).status == 200

    armed = mesh.arm(CrashPoint.AUTH_TENANT_CHANGED)
    assert operator.call("POST", f"/api/v1/tenants/{name}:resume").status == 503
    assert not armed.exists(), "nothing died"
    await eventually(lambda: found(operator, f"/api/v1/tenants/{name}"), what="an auth that answers")
    assert key.wait(job["id"])["state"] == "SUCCEEDED"
    assert suspensions(operator, name) == []


async def test_the_streams_of_a_suspended_tenant_end_and_can_be_opened_again(
    mesh: Mesh, operator: Api, tenant: tuple[str, Api]
) -> None:
    name, key = tenant
    neighbour = Api(mesh.url, mesh.new_key(f"{name}-neighbour"))
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    job, theirs = (
        each.submit("http.get", {"url": f"{mesh.far_end}/get"}, notBefore=later) for each in (key, neighbour)
    )
    with (
        ThreadPoolExecutor(2) as threads,
        grpc.insecure_channel(mesh.grpc_address) as channel,
        watching(key, job["id"]) as events,
        watching(neighbour, theirs["id"]) as kept,
    ):
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        request = jobs_pb2.WatchJobRequest(job_id=job["id"])
        stream = stub.WatchJob(request, metadata=(("x-api-key", key.key or ""),), timeout=_TIMEOUT_S)
        assert next(stream).job.state == jobs_pb2.Job.QUEUED
        assert events.frame() is not None
        assert kept.frame() is not None
        ended = threads.submit(lambda: list(stream))
        read = threads.submit(events.response.read)
        began = time.monotonic()
        suspend(operator, name)
        with pytest.raises(grpc.RpcError) as failure:
            ended.result(_TIMEOUT_S)
        assert failure.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with suppress(OSError):  # whether it ends, or is broken off, is the gateway's
            read.result(_TIMEOUT_S)
        assert time.monotonic() - began < 15  # and not with the token, nor with the call's own time
        assert operator.call("POST", f"/api/v1/tenants/{name}:resume").status == 200
        await eventually(lambda: key.call("GET", "/api/v1/jobs").status == 200, within=1)
        again = stub.WatchJob(request, metadata=(("x-api-key", key.key or ""),), timeout=_TIMEOUT_S)
        assert next(again).job.state == jobs_pb2.Job.QUEUED
        again.cancel()
        assert neighbour.call("POST", f"/api/v1/jobs/{theirs['id']}:cancel").status == 200
        assert any(frame.get("event") == "canceled" for frame in kept)
    assert key.call("POST", f"/api/v1/jobs/{job['id']}:cancel").status == 200
