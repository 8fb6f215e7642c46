"""A job watched through Envoy: as server-sent events, and as a typed stream over gRPC."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import ids
from tests.e2e.api import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh

TIMEOUT_S = 30.0
RETRYING = {"maxAttempts": 2, "initialBackoff": "0.05s"}
_TENANTS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Events:
    """A stream of server-sent events under way, read as it comes."""

    response: http.client.HTTPResponse

    def frame(self) -> dict[str, str] | None:
        """The next frame's fields, by name; None at the stream's end."""
        lines: list[str] = []
        while (line := self.response.readline().decode().removesuffix("\n")) != "":
            lines.append(line)
        return {name: value.removeprefix(" ") for name, _, value in (each.partition(":") for each in lines)} or None

    def __iter__(self) -> Iterator[dict[str, str]]:
        """Every event until the end."""
        while (frame := self.frame()) is not None:
            if "data" in frame:
                yield frame


@contextmanager
def watching(api: Api, job_id: str, *, query: str = "", last: str | None = None) -> Iterator[Events]:
    """The job's events; anything but a stream of them fails the test."""
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=TIMEOUT_S)
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = last
    try:
        connection.request("GET", f"/api/v1/jobs/{job_id}:watch{query}", headers=headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.getheader("content-type") == "text/event-stream"
        assert response.getheader("cache-control") == "no-store"
        yield Events(response)
    finally:
        connection.close()


@pytest.fixture
def api(mesh: Mesh) -> Api:
    """A tenant for each test: so many calls that fail open a breaker."""
    return Api(mesh.url, mesh.new_key(f"watcher-{next(_TENANTS)}"))


def later() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def failed_twice(api: Api, mesh: Mesh) -> dict[str, Any]:
    """A job that has ended after two attempts."""
    return api.wait(api.submit("http.get", {"url": f"{mesh.far_end}/status/503"}, retry=RETRYING)["id"])


def test_every_event_comes_with_its_id_its_state_and_the_job(api: Api, mesh: Mesh) -> None:
    job = api.submit("http.get", {"url": f"{mesh.far_end}/status/503"}, retry=RETRYING)
    with watching(api, job["id"]) as events:
        assert events.frame() == {"retry": "1000"}
        found = list(events)
    assert [each["event"] for each in found] == ["queued", "running", "retrying", "running", "failed"]
    numbers = [int(each["id"]) for each in found]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1
    jobs = [json.loads(each["data"]) for each in found]
    assert jobs[0] == job
    assert jobs[-1] == api.call("GET", f"/api/v1/jobs/{job['id']}").json
    assert [each["revision"] for each in jobs] == [each["id"] for each in found]


def test_an_event_is_seen_when_it_happens(api: Api, mesh: Mesh) -> None:
    job = api.submit("http.get", {"url": f"{mesh.far_end}/get"}, notBefore=later())
    with watching(api, job["id"]) as events:
        assert events.frame() == {"retry": "1000"}
        began = time.monotonic()
        first = events.frame()
        assert first is not None
        assert first["event"] == "queued"
        api.call("POST", f"/api/v1/jobs/{job['id']}:cancel")
        last = events.frame()
        assert last is not None
        assert last["event"] == "canceled"
        assert time.monotonic() - began < 30  # nothing on the way keeps events back until there are more
        assert events.frame() is None


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_client_that_comes_back_goes_on_where_it_was_left(api: Api, mesh: Mesh, how: str) -> None:
    job = failed_twice(api, mesh)
    with watching(api, job["id"]) as events:
        whole = list(events)
    left = whole[2]["id"]
    again = {"last": left} if how == "header" else {"query": f"?afterRevision={left}"}
    with watching(api, job["id"], **again) as events:
        assert list(events) == whole[3:]


def test_who_has_seen_the_end_is_told_not_to_come_back(api: Api, mesh: Mesh) -> None:
    job = failed_twice(api, mesh)
    answer = api.call("GET", f"/api/v1/jobs/{job['id']}:watch", headers={"Last-Event-ID": job["revision"]})
    assert (answer.status, answer.body) == (204, b"")


def test_errors_before_the_first_event_are_answers_like_any_other(api: Api, mesh: Mesh) -> None:
    job = failed_twice(api, mesh)
    unknown = api.call("GET", f"/api/v1/jobs/{ids.new_job_id('http')}:watch")
    assert (unknown.status, unknown.reason) == (404, "JOB_NOT_FOUND")
    foreign = Api(mesh.url, mesh.new_key("globex")).call("GET", f"/api/v1/jobs/{job['id']}:watch")
    assert (foreign.status, foreign.reason) == (404, "JOB_NOT_FOUND")
    no_id = api.call("GET", "/api/v1/jobs/http-1:watch")
    assert (no_id.status, no_id.fields) == (400, {"jobId"})
    malformed = api.call("GET", f"/api/v1/jobs/{job['id']}:watch", headers={"Last-Event-ID": "x"})
    assert (malformed.status, malformed.fields) == (400, {"Last-Event-ID"})
    assert Api(mesh.url).call("GET", f"/api/v1/jobs/{job['id']}:watch").status == 401


def test_the_typed_stream_tells_the_same_over_grpc(api: Api, mesh: Mesh) -> None:
    job = failed_twice(api, mesh)
    with watching(api, job["id"]) as events:
        whole = [(int(each["id"]), each["event"].upper()) for each in events]
    with grpc.insecure_channel(mesh.grpc_address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        stream = stub.WatchJob(
            jobs_pb2.WatchJobRequest(job_id=job["id"]), metadata=(("x-api-key", api.key),), timeout=TIMEOUT_S
        )
        found = [(each.job.revision, jobs_pb2.Job.State.Name(each.job.state)) for each in stream]
    assert found == whole


def test_a_stream_over_grpc_is_seen_when_it_happens_and_left_at_once(api: Api, mesh: Mesh) -> None:
    job = api.submit("http.get", {"url": f"{mesh.far_end}/get"}, notBefore=later())
    with grpc.insecure_channel(mesh.grpc_address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        request = jobs_pb2.WatchJobRequest(job_id=job["id"])
        stream = stub.WatchJob(request, metadata=(("x-api-key", api.key),), timeout=TIMEOUT_S)
        assert next(stream).job.state == jobs_pb2.Job.QUEUED
        api.call("POST", f"/api/v1/jobs/{job['id']}:cancel")
        assert next(stream).job.state == jobs_pb2.Job.CANCELED
        assert list(stream) == []
