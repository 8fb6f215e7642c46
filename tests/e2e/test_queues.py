"""Queues over HTTP, with real keys: what a tenant may see and hold back, and what takes an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh

HTTP = "/api/v1/queues/http"
ALL_SCOPES = ["jobs:read", "jobs:write", "queues:read", "queues:write"]


@pytest.fixture(scope="module")
def tenant(mesh: Mesh) -> Api:
    """A tenant of this file's own."""
    return Api(mesh.url, mesh.new_key("queues", ALL_SCOPES))


@pytest.fixture(scope="module")
def operator(mesh: Mesh) -> Api:
    return Api(mesh.url, mesh.new_key("staff", [*ALL_SCOPES, "operator"]))


@pytest.fixture(autouse=True)
def nothing_left(tenant: Api, operator: Api) -> Iterator[None]:
    """No test of this file leaves anything set."""
    yield
    for pause in operator.call("GET", f"{HTTP}?tenant=-").json.get("pauses", []):
        body = {"tenant": pause.get("tenant") or "-", "lane": pause.get("lane", "")}
        assert operator.call("POST", f"{HTTP}:resume", body).status == 200
    assert operator.call("PUT", f"{HTTP}/settings", {}).status == 200


def depth(queue: dict[str, Any]) -> dict[str, int]:
    return {name: int(count) for name, count in queue.get("depth", {}).items() if int(count)}


async def test_a_tenant_pauses_its_jobs_and_lets_them_go_again(mesh: Mesh, tenant: Api) -> None:
    paused = tenant.call("POST", f"{HTTP}:pause", {"reason": "maintenance"})
    assert paused.status == 200, paused.body
    (pause,) = paused.json["pauses"]
    assert (pause["tenant"], pause["reason"]) == ("queues", "maintenance")
    job = tenant.submit("http.get", {"url": f"{mesh.far_end}/get"}, priority="HIGH")

    await eventually(lambda: depth(tenant.call("GET", HTTP).json) == {"ready": 1, "high": 1})
    assert Api(mesh.url, mesh.key).submit("http.get", {"url": f"{mesh.far_end}/get"})["state"] == "QUEUED"
    explained = tenant.call("GET", f"/api/v1/jobs/{job['id']}:explain")
    assert explained.status == 200, explained.body
    assert [(hold["kind"], hold["scope"]) for hold in explained.json["holds"]] == [("PAUSED", "tenant")]
    assert "maintenance" in explained.json["summary"]
    (lane,) = tenant.call("GET", HTTP).json["lanes"]
    assert (lane["tenant"], lane["lane"], int(lane["waiting"])) == ("queues", mesh.layout.address("httpbin"), 1)

    assert tenant.call("POST", f"{HTTP}:resume", {}).status == 200
    assert tenant.wait(job["id"])["state"] == "SUCCEEDED"
    await eventually(lambda: depth(tenant.call("GET", HTTP).json) == {})


def test_a_paused_lane_holds_back_its_own_jobs_alone(mesh: Mesh, tenant: Api) -> None:
    lane = mesh.layout.address("httpbin")
    assert tenant.call("POST", f"{HTTP}:pause", {"lane": lane}).status == 200
    port = lane.rpartition(":")[2]
    held = tenant.submit("http.get", {"url": f"{mesh.far_end}/get"})
    free = tenant.submit("http.get", {"url": f"http://localhost:{port}/get"})
    assert tenant.wait(free["id"])["state"] == "SUCCEEDED"
    assert tenant.call("GET", f"/api/v1/jobs/{held['id']}").json["state"] == "QUEUED"
    assert tenant.call("POST", f"{HTTP}:resume", {"lane": lane}).status == 200
    assert tenant.wait(held["id"])["state"] == "SUCCEEDED"


async def test_a_tenant_sees_nothing_of_anothers_and_an_operator_all(mesh: Mesh, tenant: Api, operator: Api) -> None:
    assert tenant.call("POST", f"{HTTP}:pause", {}).status == 200
    tenant.submit("http.get", {"url": f"{mesh.far_end}/get"})
    await eventually(lambda: depth(tenant.call("GET", HTTP).json) == {"ready": 1, "normal": 1})
    other = Api(mesh.url, mesh.new_key("other", ALL_SCOPES)).call("GET", HTTP).json
    assert depth(other) == {}
    assert not other.get("pauses")
    assert not other.get("lanes")
    seen = operator.call("GET", f"{HTTP}?tenant=queues").json
    assert (seen["tenant"], depth(seen)["ready"], len(seen["pauses"])) == ("queues", 1, 1)
    listed = operator.call("GET", "/api/v1/queues?tenant=-")
    assert listed.status == 200, listed.body
    (http,) = [queue for queue in listed.json["queues"] if queue["upstream"] == "http"]
    assert depth(http)["ready"] >= 1


@pytest.mark.parametrize(
    ("verb", "path", "body", "scope"),
    [
        ("GET", f"{HTTP}?tenant=other", None, "operator"),
        ("GET", f"{HTTP}?tenant=-", None, "operator"),
        ("GET", "/api/v1/queues?tenant=-", None, "operator"),
        ("POST", f"{HTTP}:pause", {"tenant": "-"}, "operator"),
        ("POST", f"{HTTP}:pause", {"tenant": "other"}, "operator"),
        ("POST", f"{HTTP}:resume", {"tenant": "other", "lane": "x"}, "operator"),
        ("GET", f"{HTTP}/settings", None, "operator"),
        ("PUT", f"{HTTP}/settings", {}, "operator"),
        ("POST", f"{HTTP}:recover", {}, "operator"),
    ],
)
def test_what_crosses_tenants_is_forbidden_and_the_scope_named(
    tenant: Api, verb: str, path: str, body: object, scope: str
) -> None:
    answer = tenant.call(verb, path, body)
    assert (answer.status, answer.reason) == (403, "PERMISSION_DENIED"), answer.body
    assert scope in answer.error["message"]


@pytest.mark.parametrize(
    ("scopes", "verb", "path"),
    [(["queues:read"], "POST", f"{HTTP}:pause"), (["queues:write"], "GET", HTTP), (["jobs:read"], "GET", HTTP)],
)
def test_reading_and_writing_take_scopes_of_their_own(mesh: Mesh, scopes: list[str], verb: str, path: str) -> None:
    answer = Api(mesh.url, mesh.new_key("queues", scopes)).call(verb, path, {} if verb == "POST" else None)
    assert (answer.status, answer.reason) == (403, "PERMISSION_DENIED"), answer.body
    assert "queues:" in answer.error["message"]


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "/api/v1/queues/flicker", None),
        ("POST", "/api/v1/queues/flicker:pause", {}),
        ("POST", "/api/v1/queues/flicker:resume", {}),
        ("GET", "/api/v1/queues/flicker/settings", None),
        ("PUT", "/api/v1/queues/flicker/settings", {}),
        ("POST", "/api/v1/queues/flicker:recover", {}),
    ],
)
def test_an_upstream_that_is_none_is_not_found(operator: Api, verb: str, path: str, body: object) -> None:
    answer = operator.call(verb, path, body)
    assert (answer.status, answer.reason) == (404, "UPSTREAM_NOT_FOUND"), answer.body
    assert "http" in answer.error["message"]


@pytest.mark.parametrize(
    ("verb", "path", "body", "fields"),
    [
        ("GET", f"{HTTP}?lanes=-1", None, {"lanes"}),
        ("GET", f"{HTTP}?lane=x", None, {"lane"}),
        ("GET", f"{HTTP}?tenant=No%20Slug", None, {"tenant"}),
        ("GET", "/api/v1/queues?pageSize=-1", None, {"pageSize"}),
        ("GET", "/api/v1/queues?pageToken=forged", None, {"pageToken"}),
        ("POST", f"{HTTP}:pause", {"reason": "r" * 257}, {"reason"}),
        ("POST", f"{HTTP}:pause", {"lane": "a b"}, {"lane"}),
        ("POST", f"{HTTP}:pause", {"tenant": "-", "lane": "a"}, {"lane"}),
        ("POST", f"{HTTP}:pause", {"unheard": 1}, {"unheard"}),
        ("PUT", f"{HTTP}/settings", {"limits": {"lane": {"rates": [{}]}}}, None),
        (
            "PUT",
            f"{HTTP}/settings",
            {
                "limits": {"lane": {"rates": [{"calls": 1, "window": "0s"}]}, "classes": {"read": {"concurrency": -1}}},
                "breaker": {"failureRatio": 2},
                "weights": {"acme": 101},
            },
            {
                "settings.limits.lane.rates[0].window",
                "settings.limits.classes.read.concurrency",
                "settings.breaker.failureRatio",
                "settings.weights.acme",
            },
        ),
        ("PUT", f"{HTTP}/settings", {"limits": {"lanes": {}}}, {"settings.limits.lanes"}),
        ("PUT", f"{HTTP}/settings", b"", {"settings"}),
    ],
)
def test_a_wrong_field_is_named_by_its_path(
    operator: Api, verb: str, path: str, body: object, fields: set[str] | None
) -> None:
    answer = operator.call(verb, path, body)
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), answer.body
    wanted = fields or {"settings.limits.lane.rates[0].calls", "settings.limits.lane.rates[0].window"}
    assert answer.fields == wanted


async def test_limits_hold_as_soon_as_they_are_set_and_until_they_are_taken_back(mesh: Mesh, operator: Api) -> None:
    tenant = Api(mesh.url, mesh.new_key("limited", ALL_SCOPES))
    settings = {"limits": {"lane": {"rates": [{"calls": 1, "window": "3600s"}]}}, "weights": {"limited": 3}}
    put = operator.call("PUT", f"{HTTP}/settings", settings)
    assert put.status == 200, put.body
    assert operator.call("GET", f"{HTTP}/settings").json == put.json
    assert put.json["weights"] == {"limited": 3}
    jobs = [tenant.submit("http.get", {"url": f"{mesh.far_end}/get"}) for _ in range(2)]
    assert tenant.wait(jobs[0]["id"])["state"] == "SUCCEEDED"

    def holds() -> list[tuple[str, str]]:
        explained = tenant.call("GET", f"/api/v1/jobs/{jobs[1]['id']}:explain").json
        return [(hold["kind"], hold["scope"]) for hold in explained.get("holds", [])]

    await eventually(lambda: holds() == [("RATE", "lane")])
    (budget,) = [each for each in tenant.call("GET", HTTP).json["lanes"][0]["budgets"] if each["scope"] == "lane"]
    assert [int(used) for used in budget["used"]] == [1]
    assert operator.call("PUT", f"{HTTP}/settings", {}).status == 200
    assert tenant.wait(jobs[1]["id"])["state"] == "SUCCEEDED"


async def test_an_operator_has_a_queue_rebuilt_and_its_jobs_run(mesh: Mesh, tenant: Api, operator: Api) -> None:
    assert tenant.call("POST", f"{HTTP}:pause", {"reason": "held"}).status == 200
    job = tenant.submit("http.get", {"url": f"{mesh.far_end}/get"})
    await eventually(lambda: depth(tenant.call("GET", HTTP).json) == {"ready": 1, "normal": 1})
    rebuilt = operator.call("POST", f"{HTTP}:recover")
    assert rebuilt.status == 200, rebuilt.body
    await eventually(lambda: depth(tenant.call("GET", HTTP).json) == {"ready": 1, "normal": 1})
    assert [pause["reason"] for pause in tenant.call("GET", HTTP).json["pauses"]] == ["held"]
    assert tenant.call("POST", f"{HTTP}:resume").status == 200
    assert tenant.wait(job["id"])["state"] == "SUCCEEDED"
