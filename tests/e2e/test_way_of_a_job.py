"""A job's whole way, through Envoy, as its caller sees it."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared import ids
from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh


@pytest.fixture(scope="module")
def api(mesh: Mesh) -> Api:
    """A tenant of this file's own: calls that others' tests have fail would open a breaker for these."""
    return Api(mesh.url, mesh.new_key("callers"))


def test_a_job_is_answered_at_once_and_ends_with_the_upstreams_answer(api: Api, mesh: Mesh) -> None:
    job = api.submit("http.get", {"url": f"{mesh.far_end}/get", "query": {"x": ["1", "2"]}}, metadata={"order": "7"})
    assert job["state"] == "QUEUED"
    assert ids.upstream_of(job["id"]) == "http"
    assert (job["priority"], job["maxAttempts"], job["metadata"]) == ("NORMAL", 3, {"order": "7"})
    ended = api.wait(job["id"])
    assert ended["state"] == "SUCCEEDED"
    assert (ended["attempt"], ended["metadata"]) == (1, {"order": "7"})
    assert ended["createdAt"] <= ended["startedAt"] <= ended["finishedAt"]
    inline = ended["result"]["inline"]
    assert inline["status"] == 200
    assert json.loads(inline["text"])["args"] == {"x": ["1", "2"]}
    assert int(ended["result"]["size"]) == len(inline["text"].encode())
    assert api.call("GET", f"/api/v1/jobs/{job['id']}").json == ended
    assert api.call("GET", f"/api/v1/http/jobs/{job['id']}").json == ended


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("http.post", "/post", {"json": {"a": [1, 2.5, None, True, "é"]}}),
        ("http.put", "/put", {"text": "plain ünï"}),
        ("http.patch", "/patch", {"json": []}),
        ("http.delete", "/delete", {}),
        ("http.head", "/get", {}),
    ],
)
def test_every_method_of_the_http_connector(api: Api, mesh: Mesh, method: str, path: str, params: dict) -> None:
    ended = api.wait(api.submit(method, {"url": mesh.far_end + path, **params})["id"])
    assert ended["state"] == "SUCCEEDED", ended
    if method == "http.head":
        assert "text" not in ended["result"]["inline"]
        return
    echoed = json.loads(ended["result"]["inline"]["text"])
    if "json" in params:
        assert echoed["json"] == params["json"]
    if "text" in params:
        assert echoed["data"] == params["text"]


def test_a_binary_result_keeps_its_bytes(api: Api, mesh: Mesh) -> None:
    ended = api.wait(api.submit("http.get", {"url": f"{mesh.far_end}/image/png"})["id"])
    body = base64.b64decode(ended["result"]["inline"]["data"])
    assert body.startswith(b"\x89PNG")
    assert ended["result"]["contentType"] == "image/png"
    assert int(ended["result"]["size"]) == len(body)


def test_a_failing_call_is_tried_as_often_as_asked_and_ends_failed(api: Api, mesh: Mesh) -> None:
    job = api.submit(
        "http.get", {"url": f"{mesh.far_end}/status/503"}, retry={"maxAttempts": 3, "initialBackoff": "0.05s"}
    )
    ended = api.wait(job["id"])
    assert (ended["state"], ended["attempt"]) == ("FAILED", 3)
    assert (ended["error"]["reason"], ended["error"]["upstreamStatus"]) == ("UPSTREAM_STATUS", 503)


def test_a_call_that_cannot_succeed_is_tried_once(api: Api, mesh: Mesh) -> None:
    ended = api.wait(api.submit("http.get", {"url": f"{mesh.far_end}/status/404"})["id"])
    assert (ended["state"], ended["attempt"], ended["error"]["upstreamStatus"]) == ("FAILED", 1, 404)


def test_a_post_whose_answer_is_lost_is_never_repeated(api: Api, mesh: Mesh) -> None:
    ended = api.wait(api.submit("http.post", {"url": f"{mesh.far_end}/delay/5", "timeoutS": 0.5})["id"])
    assert (ended["state"], ended["attempt"]) == ("OUTCOME_UNKNOWN", 1)
    assert ended["error"]["reason"] == "OUTCOME_UNKNOWN"


def test_the_paths_and_spellings_of_the_source_papers_work_too(api: Api, mesh: Mesh) -> None:
    body = {"method": "http.get", "params": {"url": f"{mesh.far_end}/get"}, "priority": "high"}
    answer = api.call("POST", "/api/v1/http/jobs", body)
    assert answer.status == 200, answer.body
    assert answer.json["priority"] == "HIGH"
    assert api.wait(answer.json["id"])["state"] == "SUCCEEDED"


@pytest.mark.parametrize("form", ["/api/v1/jobs/{}:cancel", "/api/v1/jobs/{}/cancel", "/api/v1/http/jobs/{}/cancel"])
def test_a_job_that_waits_can_be_canceled_and_stays_canceled(api: Api, mesh: Mesh, form: str) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    job = api.submit("http.get", {"url": f"{mesh.far_end}/get"}, notBefore=later)
    canceled = api.call("POST", form.format(job["id"]))
    assert canceled.status == 200, canceled.body
    assert canceled.json["state"] == "CANCELED"
    assert api.wait(job["id"])["state"] == "CANCELED"
    assert api.call("POST", form.format(job["id"]), {}).json["state"] == "CANCELED"


def test_a_job_that_has_ended_cannot_be_canceled(api: Api, mesh: Mesh) -> None:
    job = api.submit("http.get", {"url": f"{mesh.far_end}/get"})
    api.wait(job["id"])
    refused = api.call("POST", f"/api/v1/jobs/{job['id']}:cancel")
    assert (refused.status, refused.reason) == (400, "JOB_FINISHED")


def test_a_job_that_runs_cannot_be_canceled(api: Api, mesh: Mesh) -> None:
    job = api.submit("http.get", {"url": f"{mesh.far_end}/delay/2"})
    while api.call("GET", f"/api/v1/jobs/{job['id']}").json["state"] == "QUEUED":
        continue
    refused = api.call("POST", f"/api/v1/jobs/{job['id']}:cancel")
    assert (refused.status, refused.reason) == (400, "JOB_RUNNING")
    assert api.wait(job["id"])["state"] == "SUCCEEDED"


async def running(api: Api, job_id: str) -> dict[str, Any]:
    """The job, once it runs."""
    await eventually(lambda: api.call("GET", f"/api/v1/jobs/{job_id}").json["state"] == "RUNNING")
    return api.call("GET", f"/api/v1/jobs/{job_id}").json


async def test_a_job_that_runs_is_canceled_by_force_and_its_call_broken_off(mesh: Mesh) -> None:
    api = Api(mesh.url, mesh.new_key("forceful", ["jobs:read", "jobs:write", "queues:read"]))
    job = api.submit("http.get", {"url": f"{mesh.far_end}/delay/10"})
    attempt = (await running(api, job["id"]))["attempt"]
    assert api.call("GET", "/api/v1/queues/http").json["depth"]["leased"] == "1"
    canceled = api.call("POST", f"/api/v1/jobs/{job['id']}:cancel", {"force": True})
    assert canceled.status == 200, canceled.body
    assert (canceled.json["state"], canceled.json["attempt"]) == ("CANCELED", attempt)
    assert "may have taken effect" in canceled.json["error"]["message"]
    assert api.call("POST", f"/api/v1/jobs/{job['id']}:cancel", {"force": True}).json["state"] == "CANCELED"

    def broken_off() -> bool:  # its worker has reported: the lease itself would last much longer
        return api.call("GET", "/api/v1/queues/http").json["depth"].get("leased", "0") == "0"

    await eventually(broken_off, within=9)
    assert api.call("GET", f"/api/v1/jobs/{job['id']}").json["state"] == "CANCELED"


async def test_a_job_that_runs_or_has_ended_is_explained_and_anothers_is_not_found(api: Api, mesh: Mesh) -> None:
    slow = api.submit("http.get", {"url": f"{mesh.far_end}/delay/3"})
    await running(api, slow["id"])
    explained = api.call("GET", f"/api/v1/jobs/{slow['id']}:explain").json
    assert (explained["state"], explained.get("holds", [])) == ("RUNNING", [])
    assert explained["summary"]
    assert api.wait(slow["id"])["state"] == "SUCCEEDED"
    explained = api.call("GET", f"/api/v1/jobs/{slow['id']}:explain").json
    assert explained["state"] == "SUCCEEDED"
    assert "ended" in explained["summary"]
    stranger = Api(mesh.url, mesh.new_key("stranger", ["jobs:read"]))
    assert stranger.call("GET", f"/api/v1/jobs/{slow['id']}:explain").reason == "JOB_NOT_FOUND"


def test_the_same_idempotency_key_makes_one_job(api: Api, mesh: Mesh) -> None:
    key = ids.new_request_id()
    body = {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}}
    first = api.call("POST", "/api/v1/jobs", body, headers={"Idempotency-Key": f'"{key}"'})
    again = api.call("POST", "/api/v1/jobs", body, headers={"X-Idempotency-Key": key})
    assert first.status == again.status == 200
    assert first.json["id"] == again.json["id"]
    other = body | {"params": {"url": f"{mesh.far_end}/ip"}}
    refused = api.call("POST", "/api/v1/jobs", other, headers={"Idempotency-Key": key})
    assert (refused.status, refused.reason) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_waiting_ends_with_the_job_as_it_stands(api: Api, mesh: Mesh) -> None:
    job = api.submit("http.get", {"url": f"{mesh.far_end}/delay/3"})
    assert api.wait(job["id"], timeout="0.3s")["state"] in {"QUEUED", "RUNNING"}
    assert api.wait(job["id"])["state"] == "SUCCEEDED"


def test_a_hundred_jobs_of_many_callers_all_end(api: Api, mesh: Mesh) -> None:
    def one(number: int) -> str:
        priority = ("HIGH", "NORMAL", "LOW")[number % 3]
        job = api.submit("http.get", {"url": f"{mesh.far_end}/get", "query": {"n": number}}, priority=priority)
        ended = api.wait(job["id"])
        assert json.loads(ended["result"]["inline"]["text"])["args"] == {"n": str(number)}
        return ended["state"]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(100))) == ["SUCCEEDED"] * 100


def test_the_catalogue_tells_what_can_be_called(api: Api) -> None:
    listed = api.call("GET", "/api/v1/upstreams").json["upstreams"]
    assert [upstream["name"] for upstream in listed] == ["flickr", "http"]
    one = api.call("GET", "/api/v1/upstreams/http").json
    methods = {method["name"]: method for method in one["methods"]}
    assert set(methods) == {"http.get", "http.head", "http.post", "http.put", "http.patch", "http.delete"}
    assert methods["http.get"]["idempotent"] is True
    assert methods["http.get"]["paramsSchema"]["required"] == ["url"]


def test_health_tells_every_service_and_its_dependencies(mesh: Mesh) -> None:
    anyone = Api(mesh.url)
    assert anyone.call("GET", "/healthz").status == 200
    ready = anyone.call("GET", "/readyz")
    assert ready.status == 200
    services = ready.json["services"]
    assert {"auth", "intake", "scheduler", "upstream"} <= set(services)
    assert services["intake"]["dependencies"] == {"redis": True, "nats": True, "objects": True}
    assert services["upstream"]["dependencies"] == {"redis": True, "nats": True, "objects": True}
