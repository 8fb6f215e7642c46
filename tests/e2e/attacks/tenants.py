"""Two tenants: the victim, who has one of everything, and the attacker, who learns every id of it."""

from __future__ import annotations

import hashlib
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from shared import ids
from tests.e2e.api import TIMEOUT_S, Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import grpc

    from tests.e2e.mesh import Mesh

#: Stands in the content of everything that the victim has.
CANARY = "belongs-to-the-victim"
#: As many as the attacker needs: whoever has used one in a request gets the answer to that from then on.
_IDEMPOTENCY_KEYS = 20
#: Lists of which the victim has two pages.
LISTED = (
    *("/api/v1/keys", "/api/v1/jobs", "/api/v1/connections"),
    *("/api/v1/endpoints", "/api/v1/deliveries", "/api/v1/replays", "/api/v1/operations"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant and what it has.

    Args:
        name: The tenant's.
        things: The ids of what it has, by kind; every kind of `fields.KINDS` that can be made over the API.
    """

    name: str
    api: Api
    channel: grpc.Channel
    things: dict[str, list[str]] = field(default_factory=dict)

    def of(self, kind: str) -> list[str]:
        """The ids to attack by: those of a kind, or one of those that can be used only once."""
        things = self.things.get(kind, [nowhere(kind)])
        return [things.pop()] if kind == "idempotency key" else things

    def known(self) -> set[str]:
        """Every id of what it has."""
        return {thing for things in self.things.values() for thing in things}


async def furnished(mesh: Mesh, name: str, channel: grpc.Channel) -> Tenant:
    """A new tenant with one of everything that a tenant can have, made over the API."""
    api = Api(mesh.url, mesh.new_key(name))
    later, canary = in_an_hour(), canary_of(name)
    url = f"{mesh.far_end}/anything?{canary}"
    order = {"upstream": "http", "method": "http.get", "params": {"url": url}, "metadata": {"order": canary}}
    endpoints = [
        made(api, "/api/v1/endpoints", {"url": f"{mesh.far_end}/status/200?{canary}", "description": f"{canary} {n}"})
        for n in range(2)
    ]
    ended = made(api, "/api/v1/jobs", order)["id"]
    idempotency_keys = [f"{name}-{n}" for n in range(_IDEMPOTENCY_KEYS)]
    waiting = [
        made(api, "/api/v1/jobs", {**order, "notBefore": later, "requestId": key})["id"] for key in idempotency_keys
    ]
    batch = made(api, "/api/v1/batches", {"jobs": [{**order, "notBefore": later}]})
    keys = [
        made(api, "/api/v1/keys", {"name": f"{canary} {n}", "scopes": ["jobs:read"]})["key"]["id"] for n in range(2)
    ]
    connections = [
        made(
            api,
            "/api/v1/connections",
            {"displayName": f"{canary} {n}", "hosts": ["api.example.com"], "secret": {"bearer": {"token": canary}}},
        )["id"]
        for n in range(2)
    ]
    request = f"a-request-of-{name}"
    named = api.call(
        "POST", "/api/v1/keys", {"name": "audited", "scopes": ["jobs:read"]}, headers={"X-Request-Id": request}
    )
    assert api.wait(ended)["state"] == "SUCCEEDED"
    deliveries = await eventually(lambda: delivered(api, ended, len(endpoints)), what="deliveries of the job")
    replays = [made(api, "/api/v1/deliveries:replay", {"filter": {"about": waiting[0]}})["id"] for _ in range(2)]
    for replay in replays:
        await eventually(lambda path=f"/api/v1/replays/{replay}": ended_replay(api, path), what="the end of a replay")
    operations = [made(api, "/api/v1/jobs:cancel", {"filter": {"method": "http.patch"}})["name"] for _ in range(2)]
    for operation in operations:
        await eventually(lambda path=f"/api/v1/{operation}": api.call("GET", path).json.get("done"), what="its end")
    things = {
        "job": [ended, waiting[0], batch["jobs"][0]["id"]],
        "batch": [batch["id"]],
        "upload": [upload(api, canary, complete=True), upload(api, canary, complete=False)],
        "key": keys,
        "connection": connections,
        "endpoint": [endpoint["endpoint"]["id"] for endpoint in endpoints],
        "delivery": deliveries,
        "replay": replays,
        "operation": operations,
        "authorization": [
            made(api, "/api/v1/connections:authorize", {"provider": "flickr", "outOfBand": by_hand})["state"]
            for by_hand in (True, False)
        ],
        "audited key": [named.json["key"]["id"]],
        "request": [request],
        "content": [hashlib.sha256(content_of(canary)).hexdigest()],
        "idempotency key": idempotency_keys,
        "lane": [urlsplit(mesh.far_end).netloc],
        "tenant": [name],
        "page token": [await page_token(api, path) for path in LISTED],
    }
    return Tenant(name=name, api=api, channel=channel, things=things)


def delivered(api: Api, job: str, number: int) -> list[str]:
    """The ids of a job's deliveries, when so many have been made."""
    found = api.call("GET", f"/api/v1/deliveries?about={job}&state=DELIVERED").json["deliveries"]
    return [each["id"] for each in found] if len(found) == number else []


def ended_replay(api: Api, path: str) -> bool:
    """Whether a replay has come to its end."""
    return api.call("GET", path).json["state"] == "DONE"


def in_an_hour() -> str:
    """A time until which a job waits."""
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def made(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a POST has made."""
    answer = api.call("POST", path, body)
    assert answer.status == 200, answer.body
    return answer.json


def canary_of(tenant: str) -> str:
    """What stands in the content of everything that the tenant has."""
    return f"belongs-to-the-{tenant}"


def content_of(canary: str) -> bytes:
    """The bytes of an upload."""
    return f"an upload that {canary}".encode()


def upload(api: Api, canary: str, *, complete: bool) -> str:
    """An upload's id."""
    content = content_of(canary)
    told = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "contentType": f"text/{canary}"}
    found = made(api, "/api/v1/uploads", told)
    if complete:
        put = urllib.request.Request(found["put"]["url"], data=content, headers=found["put"]["headers"], method="PUT")
        with urllib.request.urlopen(put, timeout=TIMEOUT_S) as answer:
            assert answer.status == 200
        made(api, f"/api/v1/uploads/{found['id']}:complete", {})
    return found["id"]


async def page_token(api: Api, path: str) -> str:
    """A token that leads to the second page of a list of several."""
    return await eventually(lambda: api.call("GET", f"{path}?pageSize=1").json.get("nextPageToken"), what=path)


def everything_of(tenant: Tenant) -> dict[str, Any]:
    """What a tenant sees of its own things, without what changes by being looked at."""
    paths = [
        *(f"/api/v1/jobs/{job}" for job in tenant.things["job"]),
        *(f"/api/v1/batches/{batch}" for batch in tenant.things["batch"]),
        *(f"/api/v1/uploads/{upload}" for upload in tenant.things["upload"]),
        *(f"/api/v1/connections/{connection}" for connection in tenant.things["connection"]),
        *(f"/api/v1/endpoints/{endpoint}" for endpoint in tenant.things["endpoint"]),
        *(f"/api/v1/endpoints/{endpoint}/secret" for endpoint in tenant.things["endpoint"]),
        *(f"/api/v1/deliveries/{delivery}" for delivery in tenant.things["delivery"]),
        *(f"/api/v1/replays/{replay}" for replay in tenant.things["replay"]),
        *(f"/api/v1/{operation}" for operation in tenant.things["operation"]),
        *("/api/v1/keys", "/api/v1/jobs", "/api/v1/callbackSecret", "/api/v1/queues/http"),
        *("/api/v1/endpoints", "/api/v1/deliveries", "/api/v1/replays", "/api/v1/operations", "/api/v1/retention"),
    ]
    seen = {}
    for path in paths:
        answer = tenant.api.call("GET", path)
        assert answer.status == 200, (path, answer.body)
        seen[path] = _steady(answer.json)
    return seen


def nobodys() -> dict[str, list[str]]:
    """An id of every kind, none of which anybody has."""
    return {kind: [nowhere(kind)] for kind in _NOWHERE}


def nowhere(kind: str) -> str:
    """An id of this kind that nobody has."""
    return _NOWHERE[kind]()


#: Makes such ids, by kind.
_NOWHERE: Mapping[str, Callable[[], str]] = {
    "job": lambda: ids.new_job_id("http"),
    "batch": ids.new_batch_id,
    "upload": ids.new_upload_id,
    "key": ids.new_key_id,
    "audited key": ids.new_key_id,
    "request": ids.new_request_id,
    "content": lambda: hashlib.sha256(ids.new_request_id().encode()).hexdigest(),
    "idempotency key": ids.new_request_id,
    "lane": lambda: "nowhere.example",
    "tenant": lambda: "nobody-at-all",
    "connection": ids.new_connection_id,
    "endpoint": ids.new_endpoint_id,
    "delivery": lambda: "dlv_" + hashlib.md5(ids.new_request_id().encode(), usedforsecurity=False).hexdigest(),
    "replay": ids.new_replay_id,
    "operation": lambda: f"operations/{ids.new_operation_id()}",
    "authorization": lambda: hashlib.sha256(ids.new_request_id().encode()).hexdigest(),
    "page token": lambda: hashlib.sha512(ids.new_request_id().encode()).hexdigest(),
}


def _steady(value: Any) -> Any:
    """The value without fields that change by themselves."""
    if isinstance(value, dict):
        changing = {"put", "lastUsedAt", "drainRate", "tenants", "budgets", "oldestWaitingSince", "breaker"}
        return {name: _steady(each) for name, each in value.items() if name not in changing}
    return [_steady(each) for each in value] if isinstance(value, list) else value


def quoted(thing: str) -> str:
    """The id as a part of a path."""
    return quote(thing, safe="")
