"""Who did or tried what, as it is shown to who may know it, through Envoy."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from deploy.local import client_settings
from shared import ids
from shared.identity import CLIENT_ADDRESS_HEADER
from shared.permissions import ADMIN_SCOPES, Scope
from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh

#: Stands in every text that a test may write freely; no entry may have it.
CANARY = "canary-3f1c8e"
#: What a client may write to look like another one.
FORGED = {CLIENT_ADDRESS_HEADER: "203.0.113.9", "x-forwarded-for": "203.0.113.9", "x-real-ip": "203.0.113.9"}


@pytest.fixture
def tenant(mesh: Mesh) -> tuple[str, Api]:
    """A new tenant, and an admin of it."""
    name = f"audited-{ids.new_request_id()[-12:]}"
    return name, Api(mesh.url, client_settings.make_key(mesh.stack, tenant=name, name="test"))


@pytest.fixture
def operator(mesh: Mesh) -> Api:
    return Api(mesh.url, mesh.new_key("operators", [scope.value for scope in Scope]))


def request_id() -> str:
    return f"audit-{ids.new_request_id()}"


def shown(api: Api, query: str) -> list[dict[str, Any]]:
    """The entries that are there now, newest first."""
    answer = api.call("GET", f"/api/v1/audit?{query}")
    assert answer.status == 200, answer.body
    return answer.json.get("entries", [])


async def found(api: Api, query: str, count: int = 1) -> list[dict[str, Any]]:
    """So many entries, once they are there."""

    def listed() -> list[dict[str, Any]]:
        entries = shown(api, query)
        assert len(entries) == count, entries
        return entries

    return await eventually(listed, what=f"{count} entries for {query}")


async def test_a_keys_life_and_a_queues_pause_show_who_did_what_from_where_under_which_id(
    mesh: Mesh, tenant: tuple[str, Api]
) -> None:
    name, admin = tenant
    sent = {step: request_id() for step in ("create", "rotate", "revoke", "pause", "resume", "secret")}

    def call(step: str, method: str, path: str, body: object = None) -> Any:
        answer = admin.call(method, path, body, headers={"x-request-id": sent[step], **FORGED})
        assert answer.status == 200, answer.body
        return answer.json

    made = call("create", "POST", "/api/v1/keys", {"name": CANARY, "scopes": ["jobs:read"]})
    key_id = made["key"]["id"]
    rotated = call("rotate", "POST", f"/api/v1/keys/{key_id}:rotate", {})
    call("revoke", "DELETE", f"/api/v1/keys/{key_id}")
    call("pause", "POST", "/api/v1/queues/http:pause", {"lane": "con_1", "reason": CANARY})
    call("resume", "POST", "/api/v1/queues/http:resume", {"lane": "con_1"})
    secret = call("secret", "GET", "/api/v1/callbackSecret")["secret"]

    entries = {entry.get("requestId", ""): entry for entry in await found(admin, "outcome=OK", 8)}
    own_id = next(key["id"] for key in admin.call("GET", "/api/v1/keys").json["keys"] if key["name"] == "test")
    told = {step: (entries[sent[step]]["action"], entries[sent[step]]["target"].get("id")) for step in sent}
    assert told == {
        "create": ("KeyService.CreateKey", key_id),
        "rotate": ("KeyService.RotateKey", key_id),
        "revoke": ("KeyService.RevokeKey", key_id),
        "pause": ("QueueService.PauseQueue", "http/con_1"),
        "resume": ("QueueService.ResumeQueue", "http/con_1"),
        "secret": ("CallbackSecretService.GetCallbackSecret", None),
    }
    for step in sent:
        entry = entries[sent[step]]
        assert entry["actor"] == {"kind": "KEY", "id": own_id, "tenant": name}
        assert (entry["tenant"], entry["clientAddress"]) == (name, "127.0.0.1")
        assert len(entry["traceId"]) == 32
    by_command = await found(admin, "principal=auth.bootstrap", 2)
    assert [(entry["actor"]["kind"], entry["target"]["kind"]) for entry in by_command] == [
        ("COMMAND", "key"),
        ("COMMAND", "tenant"),
    ]
    everything = json.dumps(await found(admin, "", 8))
    for text in (made["secret"][16:], rotated["secret"][16:], secret, CANARY, (admin.key or "")[16:]):
        assert text not in everything


async def test_a_forbidden_call_shows_to_its_own_tenant_whatever_it_asked_for(
    mesh: Mesh, tenant: tuple[str, Api]
) -> None:
    name, admin = tenant
    reader = Api(mesh.url, mesh.new_key(name, ["jobs:read"]))
    first, second = request_id(), request_id()
    refused = reader.call(
        "POST", "/api/v1/jobs", {"upstream": "http", "method": "http.get"}, headers={"x-request-id": first}
    )
    assert refused.status == 403
    other = admin.call("GET", "/api/v1/queues/http?tenant=dev", headers={"x-request-id": second})
    assert other.status == 403
    by_id = {entry["requestId"]: entry for entry in await found(admin, "refusedOnly=true", 2)}
    assert (by_id[first]["action"], by_id[first]["service"]) == ("JobService.SubmitJob", "intake")
    assert (by_id[first]["outcome"], by_id[first]["detail"]) == ("PERMISSION_DENIED", "jobs:write")
    assert (by_id[second]["action"], by_id[second]["detail"]) == ("QueueService.GetQueue", "operator")
    assert {entry["tenant"] for entry in by_id.values()} == {name}


async def test_requests_that_the_gateway_refuses_show_as_far_as_it_is_known_whose_they_are(
    mesh: Mesh, tenant: tuple[str, Api], operator: Api
) -> None:
    _, admin = tenant
    elsewhere = admin.call(
        "POST", "/api/v1/keys", {"name": "x", "scopes": ["jobs:read"], "allowedCidrs": ["198.51.100.0/24"]}
    ).json
    revoked = admin.call("POST", "/api/v1/keys", {"name": "y", "scopes": ["jobs:read"]}).json
    admin.call("DELETE", f"/api/v1/keys/{revoked['key']['id']}")
    steps = {"address": elsewhere["secret"], "revoked": revoked["secret"], "malformed": f"psk_live_{CANARY}"}
    sent = {step: request_id() for step in steps}
    source = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"  # nobody else's

    def is_refused(step: str) -> bool:
        path = f"/api/v1/jobs/{ids.new_job_id('http')}?{CANARY}={CANARY}"
        headers = {"x-request-id": sent[step], **FORGED}
        return Api(mesh.url, steps[step], source=source).call("GET", path, headers=headers).status in {401, 403}

    for step in steps:
        await eventually(lambda step=step: is_refused(step), within=15)
    for step, key_id in (("address", elsewhere["key"]["id"]), ("revoked", revoked["key"]["id"])):
        (entry,) = await found(admin, f"refusedOnly=true&principal={key_id}&requestId={sent[step]}")
        assert (entry["action"], entry["detail"], entry["service"]) == ("JobService.GetJob", step, "auth")
        assert entry["clientAddress"] == source
    (nobodys,) = await found(operator, f"tenant=-&clientAddress={source}&requestId={sent['malformed']}")
    assert (nobodys["outcome"], nobodys["detail"], nobodys["actor"]) == ("UNAUTHENTICATED", "malformed", {})
    assert "tenant" not in nobodys
    assert shown(admin, f"requestId={sent['malformed']}") == []
    everything = json.dumps(operator.call("GET", "/api/v1/audit?tenant=-&pageSize=500").json)
    for text in (CANARY, elsewhere["secret"][16:], revoked["secret"][16:]):
        assert text not in everything


async def test_a_call_by_native_grpc_shows_as_any_other(mesh: Mesh, tenant: tuple[str, Api], operator: Api) -> None:
    name, admin = tenant
    reader = mesh.new_key(name, ["keys:read"])
    gone = admin.call("POST", "/api/v1/keys", {"name": "gone", "scopes": ["jobs:read"]}).json
    admin.call("DELETE", f"/api/v1/keys/{gone['key']['id']}")
    sent = request_id()
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        for key in (reader, gone["secret"]):
            metadata = (("authorization", f"Bearer {key}"), ("x-request-id", sent), *FORGED.items())
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.WatchJob(jobs_pb2.WatchJobRequest(job_id=ids.new_job_id("http")), metadata=metadata).read()
    by_detail = {entry["detail"]: entry for entry in await found(operator, f"tenant=-&requestId={sent}", 2)}
    assert by_detail["jobs:read"]["tenant"] == name
    assert by_detail["revoked"]["actor"]["id"] == gone["key"]["id"]
    assert {(entry["action"], entry["clientAddress"]) for entry in by_detail.values()} == {
        ("JobService.WatchJob", "127.0.0.1")
    }


async def test_another_tenant_sees_none_of_it(mesh: Mesh, tenant: tuple[str, Api], operator: Api) -> None:
    name, admin = tenant
    stranger = Api(mesh.url, mesh.new_key(f"stranger-{ids.new_request_id()[-12:]}"))
    sent = request_id()
    admin.call("POST", "/api/v1/keys", {"name": "ours", "scopes": ["jobs:read"]}, headers={"x-request-id": sent})
    (made,) = await found(admin, f"requestId={sent}")
    for query in (f"requestId={sent}", f"target={made['target']['id']}", f"principal={made['actor']['id']}"):
        assert shown(stranger, query) == []
    for asked in (name, "-"):
        refused = stranger.call("GET", f"/api/v1/audit?tenant={asked}")
        assert (refused.status, refused.reason) == (403, "PERMISSION_DENIED")
    (entry,) = await found(operator, f"tenant={name}&requestId={sent}")
    assert entry["tenant"] == name


async def test_many_guesses_are_few_entries_that_tell_how_many(mesh: Mesh, tenant: tuple[str, Api]) -> None:
    name, admin = tenant
    reader = Api(mesh.url, mesh.new_key(name, ["keys:read"]))
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: reader.call("POST", "/api/v1/queues/http:pause", {}).status, range(100))
        assert set(answers) == {403}
    (entry,) = await found(admin, "refusedOnly=true&action=QueueService.PauseQueue")
    assert entry["count"] == 1


async def test_pages_and_filters_over_http(mesh: Mesh, tenant: tuple[str, Api]) -> None:
    _, admin = tenant
    for number in range(5):
        admin.call("POST", "/api/v1/keys", {"name": f"key {number}", "scopes": ["jobs:read"]})
    every = await found(admin, "action=KeyService.CreateKey&clientAddress=127.0.0.1", 5)
    listed: list[dict[str, Any]] = []
    token = ""
    while True:
        page = admin.call("GET", f"/api/v1/audit?action=KeyService.CreateKey&pageSize=2&pageToken={token}").json
        listed += page["entries"]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert listed == every
    since = every[2]["time"]
    assert await found(admin, f"action=KeyService.CreateKey&startTime={since}", 3) == every[:3]
    assert await found(admin, f"action=KeyService.CreateKey&endTime={since}", 2) == every[3:]
    wrong = admin.call("GET", "/api/v1/audit?outcome=ok&clientAddress=here&pageSize=-1")
    assert (wrong.status, wrong.fields) == (400, {"outcome", "clientAddress"})


def test_who_may_read_it_is_a_matter_of_its_own_scope(mesh: Mesh) -> None:
    for scopes, status in ((["audit:read"], 200), (sorted(ADMIN_SCOPES - {Scope.AUDIT_READ}), 403)):
        assert Api(mesh.url, mesh.new_key("dev", scopes)).call("GET", "/api/v1/audit").status == status
