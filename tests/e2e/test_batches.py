"""Batches through Envoy, as their caller sees them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from deploy.local.demo.receiver import receiver
from shared import ids
from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.api import Answer
    from tests.e2e.mesh import Mesh


@pytest.fixture(scope="module")
def api(mesh: Mesh) -> Api:
    return Api(mesh.url, mesh.new_key("batches"))


def get(mesh: Mesh, **fields: Any) -> dict[str, Any]:
    """A job that reads."""
    return {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}, **fields}


def later() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def submit(api: Api, jobs: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    answer = api.call("POST", "/api/v1/batches", {"jobs": jobs, **fields})
    assert answer.status == 200, answer.body
    return answer.json


def shown(api: Api, batch_id: str) -> dict[str, Any]:
    answer = api.call("GET", f"/api/v1/batches/{batch_id}")
    assert answer.status == 200, answer.body
    return answer.json


async def test_a_batch_runs_and_its_end_is_told_to_its_callback(api: Api, mesh: Mesh) -> None:
    secret = api.call("GET", "/api/v1/callbackSecret").json["secret"]
    async with receiver(secret, refusals=1) as hook:
        jobs = [get(mesh), get(mesh, priority="high"), {**get(mesh), "params": {"url": f"{mesh.far_end}/status/404"}}]
        batch = submit(api, jobs, callbackUrl=hook.url)
        assert (batch["size"], batch["counts"]) == (3, {"queued": 3})
        assert [job["batchId"] for job in batch["jobs"]] == [batch["id"]] * 3
        await eventually(lambda: "finishedAt" in shown(api, batch["id"]), within=150)
        found = shown(api, batch["id"])
        assert found["counts"] == {"succeeded": 2, "failed": 1}
        assert [job["state"] for job in found["jobs"]] == ["SUCCEEDED", "SUCCEEDED", "FAILED"]
        assert "inline" not in found["jobs"][0]["result"]
        assert found["finishedAt"] == max(job["finishedAt"] for job in found["jobs"])
        await eventually(hook.taken.is_set, within=150)
        assert hook.disbelieved == []
        assert {message.webhook_id for message in hook.messages} == {batch["id"]}
        told = hook.messages[-1].payload
        assert told["type"] == "batch.finished"
        assert told["data"] == {name: value for name, value in found.items() if name != "jobs"}
    listed = api.call("GET", f"/api/v1/jobs?batchId={batch['id']}").json["jobs"]
    assert {job["id"] for job in listed} == {job["id"] for job in batch["jobs"]}


def test_the_path_of_an_upstream_is_that_of_jobs_which_name_none(api: Api, mesh: Mesh) -> None:
    job = {"method": "http.get", "params": {"url": f"{mesh.far_end}/get"}, "notBefore": later()}
    answer = api.call("POST", "/api/v1/http/batch", {"jobs": [job, {**job, "upstream": "http"}]})
    assert answer.status == 200, answer.body
    assert {job["upstream"] for job in answer.json["jobs"]} == {"http"}
    other = api.call("POST", "/api/v1/http/batch", {"jobs": [{**job, "upstream": "another"}]})
    assert (other.status, other.fields) == (400, {"jobs[0].upstream"})


def test_all_or_none_and_every_fault_is_told(api: Api, mesh: Mesh) -> None:
    before = mesh.submitted()
    answer = api.call(
        "POST",
        "/api/v1/batches",
        {
            "jobs": [
                get(mesh),
                get(mesh, method="http.got"),
                get(mesh, params={"url": "http://169.254.169.254/", "page": 1}),
                get(mesh, requestId="mine", priority="HIGH"),
            ]
        },
    )
    assert answer.status == 400
    assert answer.fields == {"jobs[1].method", "jobs[2].params.url", "jobs[2].params.page", "jobs[3].requestId"}
    assert mesh.submitted() == before


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"jobs"}),
        ({"jobs": []}, {"jobs"}),
        ({"jobs": [{"upstreem": "http"}]}, {"jobs[0].upstreem"}),
        ({"jobs": [{"params": {"n": 2**60}}]}, {"jobs[0].params.n"}),
        ({"jobs": [{}], "job": 1}, {"job"}),
        ({"jobs": [{}] * 101}, {"jobs"}),
        ({"jobs": [{}], "callbackUrl": "http://10.1.1.1/"}, {"callbackUrl", "jobs[0].upstream", "jobs[0].method"}),
    ],
)
def test_what_is_wrong_with_a_batch_is_named(api: Api, body: dict[str, Any], fields: set[str]) -> None:
    answer = api.call("POST", "/api/v1/batches", body)
    assert answer.status == 400, answer.body
    assert fields <= answer.fields


def test_one_key_stands_for_all_of_a_batch(api: Api, mesh: Mesh) -> None:
    key, jobs = ids.new_request_id(), [get(mesh, notBefore=later()), get(mesh, notBefore=later())]
    body = {"jobs": jobs}

    def once(headers: dict[str, str]) -> Answer:
        return api.call("POST", "/api/v1/batches", body, headers=headers)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(once, [{"Idempotency-Key": f'"{key}"'}, {"X-Idempotency-Key": key}] * 20))
    accepted = {answer.json["id"] for answer in answers if answer.status == 200}
    assert len(accepted) == 1
    assert {answer.status for answer in answers} <= {200, 409}
    assert all("retry-after" in answer.headers for answer in answers if answer.status == 409)
    refused = api.call("POST", "/api/v1/batches", {"jobs": jobs[:1]}, headers={"Idempotency-Key": key})
    assert (refused.status, refused.reason) == (422, "IDEMPOTENCY_KEY_REUSED")
    as_job = api.call("POST", "/api/v1/jobs", jobs[0], headers={"Idempotency-Key": key})
    assert (as_job.status, as_job.reason) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("form", ["/api/v1/batches/{}:cancel", "/api/v1/batches/{}/cancel"])
def test_a_batch_is_canceled(api: Api, mesh: Mesh, form: str) -> None:
    batch = submit(api, [get(mesh, notBefore=later()) for _ in range(3)])
    answer = api.call("POST", form.format(batch["id"]), {})
    assert answer.status == 200, answer.body
    assert answer.json["counts"] == {"canceled": 3}
    assert api.call("POST", form.format(batch["id"]), {"force": True}).json["counts"] == {"canceled": 3}


def test_another_tenants_batch_is_not_found(api: Api, mesh: Mesh) -> None:
    batch = submit(api, [get(mesh, notBefore=later())])
    other = Api(mesh.url, mesh.new_key("batch-strangers"))
    for method, path in (("GET", f"/api/v1/batches/{batch['id']}"), ("POST", f"/api/v1/batches/{batch['id']}:cancel")):
        answer = other.call(method, path)
        assert (answer.status, answer.reason) == (404, "BATCH_NOT_FOUND")
    assert shown(api, batch["id"])["counts"] == {"queued": 1}
    malformed = api.call("GET", "/api/v1/batches/batch_1")
    assert (malformed.status, malformed.fields) == (400, {"batchId"})
    wrong_verb = api.call("DELETE", f"/api/v1/batches/{batch['id']}")
    assert (wrong_verb.status, wrong_verb.headers["allow"]) == (405, "GET")


def test_a_batch_for_which_there_is_no_room_is_refused_as_a_whole(mesh: Mesh) -> None:
    api = Api(mesh.url, mesh.new_key("crowded"))
    waiting = get(mesh, notBefore=later())
    batches = [submit(api, [waiting] * 100) for _ in range(9)]
    submit(api, [waiting] * 50)
    full = api.call("POST", "/api/v1/batches", {"jobs": [waiting] * 51})
    assert (full.status, full.reason) == (503, "QUEUE_FULL")
    assert int(full.headers["retry-after"]) >= 1
    assert json.dumps("950") in json.dumps(full.error["details"])
    api.call("POST", f"/api/v1/batches/{batches[0]['id']}:cancel")
    assert submit(api, [waiting] * 51)["size"] == 51
