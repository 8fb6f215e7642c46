"""A tenant is erased everywhere, while history and another service are killed; what is another tenant's stays."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared import kv
from shared import mongo as mongo_
from shared import objects as objects_
from shared.config import Secret
from shared.crash_points import CrashPoint
from tests import object_stores
from tests.e2e.api import Api
from tests.integration.history.belongings import found_in_mongo, found_in_objects, found_in_redis
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh

#: What remains of the name: the tenant's own, the erasure and its operation, the audit, and its suspension.
REMAINS = {"auth.tenants", "auth.audit", "history.erasures", "history.operations"}


def ok(api: Api, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = api.call(method, path, body)
    assert answer.status == 200, (path, answer.body)
    return answer.json


def with_everything(mesh: Mesh, tenant: str) -> tuple[Api, str]:
    """A tenant that has used all there is, and a job of its that waits for an hour."""
    api = Api(mesh.url, mesh.new_key(tenant))
    canary = f"canary-of-{tenant}"
    secret = {"bearer": {"token": "secret-canary"}}
    body = {"upstream": "http", "displayName": canary, "hosts": ["127.0.0.1"], "secret": secret}
    made = api.call("POST", "/api/v1/connections", body)
    assert made.status == 200, made.body
    ok(api, "POST", "/api/v1/endpoints", {"url": f"{mesh.far_end}/status/200", "description": canary})
    content = {"size": 3, "sha256": hashlib.sha256(b"abc").hexdigest(), "contentType": "text/plain"}
    ok(api, "POST", "/api/v1/uploads", content)
    ok(api, "POST", "/api/v1/queues/http:pause", {"reason": canary})
    ok(api, "POST", "/api/v1/queues/http:resume", {})
    url = f"{mesh.far_end}/anything"
    done = api.submit("http.get", {"url": url}, metadata={"order": canary})["id"]
    assert api.wait(done)["state"] == "SUCCEEDED"
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return api, api.submit("http.get", {"url": url}, notBefore=later)["id"]


async def test_nothing_of_a_tenant_is_left_whoever_dies_meanwhile(mesh: Mesh) -> None:
    api, _ = with_everything(mesh, "leaver")
    stayer, waiting = with_everything(mesh, "stayer")
    operator = Api(mesh.url, mesh.operator_key)

    softly = ok(api, "POST", "/api/v1/data:erase", {"tenant": "leaver", "reason": "the contract has ended"})
    await eventually(lambda: api.call("GET", "/api/v1/jobs").status == 403, what="the tenant's being shut out")
    path = f"/api/v1/{softly['name']}"
    assert ok(operator, "GET", path)["metadata"]["phase"] == "SOFT"
    ok(operator, "POST", f"{path}:cancel", {})
    await eventually(lambda: api.call("GET", "/api/v1/jobs").status == 200, what="the tenant's being let in again")

    armed = [mesh.arm(point) for point in (CrashPoint.HISTORY_ERASURE_NOTED, CrashPoint.SHELF_ERASED)]
    erasing = ok(operator, "POST", "/api/v1/data:erase", {"tenant": "leaver", "grace": "0s"})

    async def over() -> dict[str, Any] | None:
        answer = operator.call("GET", f"/api/v1/{erasing['name']}")
        return answer.json if answer.status == 200 and answer.json.get("done") else None

    done = await eventually(over, within=120, what="the end of the erasure")
    assert not any(point.exists() for point in armed)
    stores = {each["store"]: each for each in done["response"]["stores"]}
    assert {"stream.JOBS", "backups", "auth.audit", "redis.scheduler"} <= {
        n for n in stores if "forgetsBy" in stores[n]
    }
    assert {"auth.keys", "webhooks.endpoints", "history.jobs"} <= {
        n for n in stores if int(stores[n].get("removed", 0))
    }
    assert api.call("GET", "/api/v1/jobs").status == 401
    await found_nowhere(mesh)
    assert ok(stayer, "GET", f"/api/v1/jobs/{waiting}")["state"] == "QUEUED"
    assert len(ok(stayer, "GET", "/api/v1/endpoints")["endpoints"]) == 1
    assert len(ok(stayer, "GET", "/api/v1/connections")["connections"]) == 1


async def found_nowhere(mesh: Mesh) -> None:
    """Fails where anything of the tenant is left that its report does not name."""
    client = await mongo_.connect(Secret(mesh.layout.mongo_url))
    redis = await kv.connect(Secret(mesh.layout.redis_url))
    objects = await objects_.connect(object_stores.settings_of(mesh.stack))
    try:
        assert await found_in_mongo(client, "leaver") <= REMAINS
        assert await found_in_mongo(client, "canary-of-leaver") <= {"auth.audit"}
        named = {key for key in await found_in_redis(redis, "leaver") if ":job:" not in key}
        assert {key for key in named if not key.startswith("{sched:")} == set()
        # what has a date in the report, for it goes by itself, and that the name is suspended
        lasting = {key for key in named if await redis.ttl(key) < 0}
        assert {key.partition("}:")[2] for key in lasting} <= {"suspended"}
        assert await found_in_objects(objects, "leaver") == set()
    finally:
        await objects.close()
        await kv.close(redis)
        await mongo_.close(client)


@pytest.mark.parametrize(
    ("body", "status", "reason", "field"),
    [
        ({}, 400, "INVALID_ARGUMENT", "tenant"),
        ({"tenant": "stayer"}, 403, "PERMISSION_DENIED", None),
        ({"connectionId": "nobodys"}, 400, "INVALID_ARGUMENT", "connectionId"),
        ({"connectionId": "con_0198c6f2-0000-7000-8000-000000000000"}, 404, "CONNECTION_NOT_FOUND", None),
        ({"tenant": "wrongly", "grace": "9999999s"}, 400, "INVALID_ARGUMENT", "grace"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(
    mesh: Mesh, body: dict[str, str], status: int, reason: str, field: str | None
) -> None:
    refused = Api(mesh.url, mesh.new_key("wrongly")).call("POST", "/api/v1/data:erase", body)
    assert (refused.status, refused.reason) == (status, reason), json.dumps(refused.json)
    assert field is None or refused.fields == {field}
