"""History through Envoy, as a tenant sees it: jobs found, exported, counted, and acted upon by the many."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared import ids
from tests.e2e.api import TIMEOUT_S, Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh

#: A header that jobs are called with, which no view of them shows.
CANARY = "a-header-of-a-keeper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Jobs of one tenant, by how they stand."""

    api: Api
    succeeded: list[str]
    #: Each after two attempts.
    failed: list[str]
    #: For an hour.
    waiting: list[str]

    @property
    def all(self) -> list[str]:
        return [*self.succeeded, *self.failed, *self.waiting]


def ok(api: Api, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = api.call(method, path, body)
    assert answer.status == 200, (path, answer.body)
    return answer.json


def listed(api: Api, query: str) -> list[str]:
    """The ids that a list finds, over all of its pages."""
    found, token = [], ""
    while True:
        page = ok(api, "GET", f"/api/v1/jobs?{query}&pageSize=3&pageToken={token}")
        found += [job["id"] for job in page.get("jobs", [])]
        token = page.get("nextPageToken", "")
        if not token:
            return found


def ended(api: Api, operation: dict[str, Any]) -> dict[str, Any]:
    """The operation at its end."""
    waited = ok(api, "GET", f"/api/v1/{operation['name']}:wait?timeout=30s")
    assert waited.get("done"), waited
    return waited


@pytest.fixture(scope="module")
def kept(mesh: Mesh) -> Kept:
    api = Api(mesh.url, mesh.new_key("keeper"))
    retention = ok(api, "PATCH", "/api/v1/retention", {"retention": {"indexedMetadata": ["order"]}})
    assert retention["indexedMetadata"] == ["order"]
    get = {"url": f"{mesh.far_end}/anything", "headers": {"X-Canary": CANARY}}
    broken = {"url": f"{mesh.far_end}/status/503", "text": CANARY}
    twice = {"maxAttempts": 2, "initialBackoff": "0.05s"}
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    succeeded = [api.submit("http.get", get, metadata={"order": str(number), "n": "1"}) for number in range(4)]
    failed = [api.submit("http.post", broken, retry=twice, priority="LOW") for _ in range(2)]
    waiting = [api.submit("http.put", get, notBefore=later, metadata={"order": "0"}) for _ in range(3)]
    assert {api.wait(job["id"])["state"] for job in succeeded} == {"SUCCEEDED"}
    assert {api.wait(job["id"])["state"] for job in failed} == {"FAILED"}
    ends = "state=SUCCEEDED&state=FAILED"
    asyncio.run(eventually(lambda: len(listed(api, ends)) == 6, what="history's having all ends"))
    ids_of = [[job["id"] for job in jobs] for jobs in (succeeded, failed, waiting)]
    return Kept(api=api, succeeded=ids_of[0], failed=ids_of[1], waiting=ids_of[2])


def test_jobs_are_found_by_every_filter_and_read_in_either_direction(kept: Kept) -> None:
    api = kept.api
    newest_first = listed(api, "")
    assert sorted(newest_first) == sorted(kept.all)
    assert listed(api, "orderBy=createdAt") == newest_first[::-1]
    assert set(listed(api, "method=http.post")) == set(kept.failed) == set(listed(api, "state=FAILED&priority=LOW"))
    assert set(listed(api, "upstream=http&state=QUEUED")) == set(kept.waiting)
    assert set(listed(api, "metadata=order%3D0")) == {kept.succeeded[0], *kept.waiting}
    assert listed(api, "metadata=order%3D0&state=SUCCEEDED&method=http.get") == kept.succeeded[:1]
    assert listed(api, f"createdAfter={datetime.now(UTC) + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}") == []
    first = ok(api, "GET", "/api/v1/jobs?pageSize=4&includeTotalSize=true")
    assert (first["totalSize"], first.get("previousPageToken", "")) == ("9", "")
    second = ok(api, "GET", f"/api/v1/jobs?pageSize=4&pageToken={first['nextPageToken']}")
    assert [job["id"] for job in second["jobs"]] == newest_first[4:8]
    back = ok(api, "GET", f"/api/v1/jobs?pageSize=4&pageToken={second['previousPageToken']}")
    assert back["jobs"] == first["jobs"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("metadata=n%3D1", "metadata[0]"),
        ("metadata=order", "metadata[0]"),
        ("orderBy=state", "orderBy"),
        ("pageSize=-1", "pageSize"),
        ("pageToken=nonsense", "pageToken"),
    ],
)
def test_a_question_that_has_no_answer_is_told_by_its_field(kept: Kept, query: str, field: str) -> None:
    answer = kept.api.call("GET", f"/api/v1/jobs?{query}")
    assert (answer.status, answer.reason, answer.fields) == (400, "INVALID_ARGUMENT", {field})


def test_the_attempts_of_a_job_are_shown_to_who_asks_for_them(kept: Kept) -> None:
    path = f"/api/v1/jobs/{kept.failed[0]}"
    assert "attempts" not in ok(kept.api, "GET", path)
    job = ok(kept.api, "GET", f"{path}?view=FULL")
    first, second = job["attempts"]
    assert (first["number"], first["state"], second["number"], second["state"]) == (1, "RETRYING", 2, "FAILED")
    assert first["error"]["upstreamStatus"] == second["error"]["upstreamStatus"] == 503
    assert job["createdAt"] <= first["startedAt"] <= first["finishedAt"] <= second["startedAt"] <= second["finishedAt"]


def test_an_export_has_a_line_for_each_job_and_goes_on_where_it_was_left(kept: Kept) -> None:
    answer = kept.api.call("GET", "/api/v1/jobs:export?orderBy=createdAt")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    jobs = [json.loads(line) for line in answer.body.splitlines()]
    assert [job["id"] for job in jobs] == listed(kept.api, "orderBy=createdAt")
    assert [len(job["attempts"]) for job in jobs if job["state"] == "FAILED"] == [2, 2]
    assert CANARY not in answer.body.decode()
    rest = kept.api.call("GET", f"/api/v1/jobs:export?orderBy=createdAt&afterJobId={jobs[4]['id']}").body
    assert [json.loads(line)["id"] for line in rest.splitlines()] == [job["id"] for job in jobs[5:]]
    failed = kept.api.call("GET", "/api/v1/jobs:export?state=FAILED").body
    assert {json.loads(line)["id"] for line in failed.splitlines()} == set(kept.failed)


async def test_each_job_is_counted_once(kept: Kept) -> None:
    def counted() -> dict[str, Any] | None:
        stats = ok(kept.api, "GET", "/api/v1/stats")
        total = stats["total"]
        return stats if (total.get("submitted"), len(total.get("ended", {}))) == ("9", 2) else None

    stats = await eventually(counted, what="the jobs in the figures")
    assert stats["total"]["ended"] == {"SUCCEEDED": "4", "FAILED": "2"}
    assert stats["total"]["total"]["count"] == "6"
    assert stats["errors"] == {"UPSTREAM_STATUS": "2"}
    assert {share["name"] for share in stats["topMethods"]} == {"http.get", "http.post"}
    for method, states in (("http.get", {"SUCCEEDED": "4"}), ("http.post", {"FAILED": "2"})):
        assert ok(kept.api, "GET", f"/api/v1/stats?method={method}")["total"]["ended"] == states
    wrong = kept.api.call("GET", "/api/v1/stats?interval=61s")
    assert (wrong.status, wrong.fields) == (400, {"interval"})


def test_a_job_that_has_ended_is_tried_again_once_a_key(kept: Kept) -> None:
    path = f"/api/v1/jobs/{kept.succeeded[0]}:retry"
    key = {"Idempotency-Key": ids.new_request_id()}
    first, again = (kept.api.call("POST", path, {}, headers=key) for _ in range(2))
    assert (first.status, again.status) == (200, 200), first.body
    assert first.json["id"] == again.json["id"] != kept.succeeded[0]
    assert first.json["retryOf"] == kept.succeeded[0]
    assert first.json["metadata"] == {"order": "0", "n": "1"}
    assert kept.api.wait(first.json["id"])["state"] == "SUCCEEDED"
    echo = json.loads(kept.api.call("GET", f"/api/v1/jobs/{first.json['id']}/result").body)
    assert echo["headers"]["X-Canary"] == CANARY
    refused = kept.api.call("POST", f"/api/v1/jobs/{kept.waiting[0]}:retry", {})
    assert (refused.status, refused.reason) == (400, "JOB_NOT_FINISHED")


async def test_many_jobs_are_tried_again_by_one_call(kept: Kept) -> None:
    order = {"filter": {"method": "http.post", "state": ["FAILED"]}, "requestId": ids.new_request_id()}
    operation = ok(kept.api, "POST", "/api/v1/jobs:retry", order)
    assert ok(kept.api, "POST", "/api/v1/jobs:retry", order)["name"] == operation["name"]
    done = ended(kept.api, operation)
    assert done["response"]["succeeded"] == "2"
    assert done["metadata"]["kind"] == "RETRY"

    def retried() -> list[str]:
        page = ok(kept.api, "GET", "/api/v1/jobs?method=http.post")
        return sorted(job["retryOf"] for job in page["jobs"] if job.get("retryOf"))

    await eventually(lambda: retried() == sorted(kept.failed), what="one new job of each")


def test_many_jobs_are_canceled_by_one_call_that_can_be_tried_first(kept: Kept) -> None:
    order = {"filter": {"method": "http.put"}}
    dry = ok(kept.api, "POST", "/api/v1/jobs:cancel", {**order, "validateOnly": True})
    assert (dry["done"], dry.get("name", ""), dry["response"]["matched"]) == (True, "", "3")
    assert {kept.api.wait(job, timeout="0s")["state"] for job in kept.waiting} == {"QUEUED"}
    done = ended(kept.api, ok(kept.api, "POST", "/api/v1/jobs:cancel", order))
    assert (done["response"]["matched"], done["response"]["succeeded"]) == ("3", "3")
    assert {kept.api.wait(job)["state"] for job in kept.waiting} == {"CANCELED"}
    everything = kept.api.call("POST", "/api/v1/jobs:cancel", {"filter": {}})
    assert (everything.status, everything.fields) == (400, {"filter"})


async def test_an_operation_is_watched_ended_and_forgotten_by_whose_it_is_alone(kept: Kept, mesh: Mesh) -> None:
    slow = {"filter": {"method": "http.get", "state": ["CANCELED", "FAILED", "EXPIRED"]}, "maxPerSecond": 1}
    other = Api(mesh.url, mesh.new_key("onlooker"))
    path = "/api/v1/" + ok(kept.api, "POST", "/api/v1/jobs:retry", slow)["name"]
    for method, way in (("GET", ""), ("GET", ":wait"), ("POST", ":cancel"), ("DELETE", "")):
        refused = other.call(method, path + way, {} if method == "POST" else None)
        assert (refused.status, refused.reason) == (404, "OPERATION_NOT_FOUND"), (method, way)
    names = [each["name"] for each in ok(kept.api, "GET", "/api/v1/operations")["operations"]]
    assert path.removeprefix("/api/v1/") in names
    assert ok(other, "GET", "/api/v1/operations").get("operations", []) == []
    ok(kept.api, "POST", f"{path}:cancel", {})
    await eventually(lambda: ok(kept.api, "GET", path).get("done"), what="the operation's end")
    ok(kept.api, "DELETE", path)
    assert kept.api.call("GET", path).reason == "OPERATION_NOT_FOUND"


def test_all_that_is_held_of_a_tenant_is_exported_without_secrets(kept: Kept) -> None:
    done = ended(kept.api, ok(kept.api, "POST", "/api/v1/data:export", {}))
    response = done["response"]
    with urllib.request.urlopen(response["url"], timeout=TIMEOUT_S) as answer:
        file = answer.read()
    assert (str(len(file)), hashlib.sha256(file).hexdigest()) == (response["size"], response["sha256"])
    lines = [json.loads(line) for line in gzip.decompress(file).splitlines()]
    assert all(job in str(lines) for job in kept.all)
    assert {"history.jobs", "auth.keys"} <= set(response["lines"])
    assert sum(map(int, response["lines"].values())) == len(lines)
    assert kept.api.key is not None
    assert kept.api.key not in str(lines)


@pytest.fixture
def long_kept(kept: Kept) -> Iterator[Api]:
    yield kept.api
    ok(kept.api, "PATCH", "/api/v1/retention", {"retention": {"succeededJobs": "7776000s"}})


def test_how_long_things_are_kept_is_told_and_changed(long_kept: Api) -> None:
    told = ok(long_kept, "GET", "/api/v1/retention")
    assert (told["succeededJobs"], told["archive"]) == ("7776000s", True)
    changed = ok(long_kept, "PATCH", "/api/v1/retention", {"retention": {"succeededJobs": "864000s"}})
    assert changed == {**told, "succeededJobs": "864000s"} == ok(long_kept, "GET", "/api/v1/retention")
    wrong = long_kept.call("PATCH", "/api/v1/retention", {"retention": {"succeededJobs": "3600s", "audit": "1s"}})
    assert (wrong.status, wrong.fields) == (400, {"retention.succeededJobs", "retention.audit"})
