"""What keys have done, counted at every service and shown to their tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared import ids
from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh


async def test_requests_jobs_and_errors_are_shown_by_day_and_rank_who_calls_most(mesh: Mesh) -> None:
    tenant = "callers"
    admin = Api(mesh.url, mesh.new_key(tenant))
    made = admin.call("POST", "/api/v1/keys", {"name": "worker", "role": "DEVELOPER"}).json
    key_id, worker = made["key"]["id"], Api(mesh.url, made["secret"])
    job = {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}}
    again = {"Idempotency-Key": ids.new_request_id()}
    assert worker.call("POST", "/api/v1/jobs", job, headers=again).status == 200
    assert worker.call("POST", "/api/v1/jobs", job, headers=again).status == 200  # the same job, and one request more
    assert worker.call("POST", "/api/v1/batches", {"jobs": [job, job]}).status == 200
    assert worker.call("GET", f"/api/v1/jobs/{ids.new_job_id('http')}").status == 404
    assert worker.call("POST", "/api/v1/keys", {"name": "no", "role": "VIEWER"}).status == 403

    def day() -> dict[str, Any]:
        today = admin.call("GET", f"/api/v1/keys/{key_id}/usage?days=1").json["days"][0]
        assert (today.get("jobs"), today.get("errors")) == ("3", "2"), today
        return today

    today = await eventually(day, within=150, what="all of the use")
    assert (today["requests"], today["allowed"]) == ("5", "5")

    def first(path: str) -> dict[str, Any]:
        return admin.call("GET", path).json["callers"][0]

    worker_told = {"keyId": key_id, "tenant": tenant, "name": "worker", "prefix": made["key"]["prefix"]}
    assert first("/api/v1/keys:topCallers?measure=JOBS&limit=1") == worker_told | {
        "requests": "5",
        "jobs": "3",
        "errors": "2",
    }
    assert first("/api/v1/keys:topCallers?measure=errors")["keyId"] == key_id


async def test_only_an_operator_sees_who_calls_most_of_all_tenants(mesh: Mesh) -> None:
    refused = Api(mesh.url, mesh.key).call("GET", "/api/v1/keys:topCallers?tenant=-")
    assert (refused.status, refused.reason) == (403, "PERMISSION_DENIED")
    operator = Api(mesh.url, mesh.new_key("ops", ["operator", "keys:read"]))

    def tenants() -> bool:
        callers = operator.call("GET", "/api/v1/keys:topCallers?tenant=-&limit=100").json["callers"]
        return {"dev", "ops"} <= {caller["tenant"] for caller in callers}

    await eventually(tenants, within=150, what="callers of several tenants")
    assert {c["tenant"] for c in operator.call("GET", "/api/v1/keys:topCallers?tenant=dev").json["callers"]} == {"dev"}
