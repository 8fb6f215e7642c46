"""Signed requests through Envoy: what was signed passes once, and anything else does not."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import ids
from shared.identity import SIGNED_DIGEST_HEADER
from tests import http2
from tests.e2e.api import TIMEOUT_S, Answer, Api
from tests.signing import signed, signing_key
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh


def call(
    mesh: Mesh, method: str, target: str, body: bytes | None = None, *, key: str | None = None, **changes: Any
) -> Answer:
    """One request, signed as it is sent."""
    return Api(mesh.url).call(method, target, body, headers=signed(key or mesh.key, method, target, body, **changes))


def job(mesh: Mesh, **fields: Any) -> bytes:
    params = {"url": f"{mesh.far_end}/get"}
    return json.dumps({"upstream": "http", "method": "http.get", "params": params, **fields}).encode()


def refused(answer: Answer, words: str) -> None:
    assert (answer.status, answer.reason) == (401, "UNAUTHENTICATED"), answer.body
    assert words in answer.error["message"], answer.body


def test_a_job_is_submitted_and_waited_for_without_the_key_ever_sent(mesh: Mesh) -> None:
    submitted = call(mesh, "POST", "/api/v1/jobs", job(mesh))
    assert submitted.status == 200, submitted.body
    assert '"key";r=' in submitted.headers["ratelimit"]
    ended = call(mesh, "GET", f"/api/v1/jobs/{submitted.json['id']}:wait?timeout=30s")
    assert (ended.status, ended.json["state"]) == (200, "SUCCEEDED")
    assert call(mesh, "GET", f"/api/v1/jobs/{submitted.json['id']}/result").status == 200


@pytest.mark.parametrize(
    "target", ["/api/v1/keys", "/api/v1/keys?", "/api/v1/keys?pageSize=1", "/api/v1/keys?page%53ize=1&pageToken="]
)
def test_path_and_query_count_as_they_are_sent(mesh: Mesh, target: str) -> None:
    assert call(mesh, "GET", target).status == 200


def test_a_request_may_not_come_twice(mesh: Mesh) -> None:
    body, before = job(mesh), mesh.submitted()
    headers = signed(mesh.key, "POST", "/api/v1/jobs", body)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: Api(mesh.url).call("POST", "/api/v1/jobs", body, headers=headers), range(64)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 63
    for answer in answers:
        if answer.status != 200:
            refused(answer, "has been used before")
    assert mesh.submitted() == before + 1


def test_nothing_of_a_request_can_be_another(mesh: Mesh) -> None:
    body, other, before = job(mesh), job(mesh, priority="HIGH"), mesh.submitted()
    api = Api(mesh.url)
    for target, sent, words in (
        ("/api/v1/jobs", other, "the body is not the one that was signed"),
        ("/api/v1/jobs", body + b" ", "the body is not the one that was signed"),
        ("/api/v1/jobs", b"", "is missing"),
        ("/api/v1/http/jobs", body, "sign exactly what is sent"),
        ("/api/v1/jobs?x", body, "sign exactly what is sent"),
        ("/api/v1//jobs", body, "sign exactly what is sent"),
    ):
        headers = signed(mesh.key, "POST", "/api/v1/jobs", body)
        refused(api.call("POST", target, sent, headers=headers), words)
    headers = signed(mesh.key, "POST", "/api/v1/jobs")
    refused(api.call("POST", "/api/v1/jobs", body, headers=headers), "a body that its signature does not cover")
    headers = signed(mesh.key, "GET", "/api/v1/jobs")
    refused(api.call("POST", "/api/v1/jobs", headers=headers), "sign exactly what is sent")
    digest = signed(mesh.key, "POST", "/api/v1/jobs", other)["content-digest"]
    headers = signed(mesh.key, "POST", "/api/v1/jobs", body) | {"content-digest": digest}
    refused(api.call("POST", "/api/v1/jobs", other, headers=headers), "sign exactly what is sent")
    assert mesh.submitted() == before


def test_a_body_without_a_length_is_compared_too(mesh: Mesh) -> None:
    def chunked(body: bytes, sent: bytes) -> int:
        connection = http.client.HTTPConnection(urlsplit(mesh.url).netloc, timeout=TIMEOUT_S)
        headers = signed(mesh.key, "POST", "/api/v1/jobs", body) | {"content-type": "application/json"}
        connection.request("POST", "/api/v1/jobs", iter([sent[:10], sent[10:]]), headers, encode_chunked=True)
        status = connection.getresponse().status
        connection.close()
        return status

    body = job(mesh)
    assert chunked(body, body) == 200
    assert chunked(body, body.replace(b"http.get", b"http.put")) == 401


def test_over_http2_a_signed_request_is_the_same(mesh: Mesh) -> None:
    def send(body: bytes, sent: bytes) -> Any:
        signature = signed(mesh.key, "POST", "/api/v1/jobs", body, also={"@authority": mesh.grpc_address})
        pseudo = {":method": "POST", ":scheme": "http", ":path": "/api/v1/jobs", ":authority": mesh.grpc_address}
        headers = pseudo | {"content-type": "application/json"} | signature
        answer = http2.answer_to(
            mesh.grpc_address, [(name.encode(), value.encode()) for name, value in headers.items()], sent
        )
        assert answer is not None
        return json.loads(answer)

    body = job(mesh)
    assert send(body, body)["id"].startswith("http-")
    assert send(body, body + b" ")["error"]["code"] == 401


def test_an_idempotency_key_can_be_signed_too(mesh: Mesh) -> None:
    body, key = job(mesh), ids.new_request_id()
    headers = signed(mesh.key, "POST", "/api/v1/jobs", body, also={"idempotency-key": key})
    other = headers | {"idempotency-key": ids.new_request_id()}
    refused(Api(mesh.url).call("POST", "/api/v1/jobs", body, headers=other), "sign exactly what is sent")
    first = Api(mesh.url).call("POST", "/api/v1/jobs", body, headers=headers | {"idempotency-key": key})
    again = signed(mesh.key, "POST", "/api/v1/jobs", body, also={"idempotency-key": key})
    second = Api(mesh.url).call("POST", "/api/v1/jobs", body, headers=again | {"idempotency-key": key})
    assert (first.status, second.status, first.json["id"]) == (200, 200, second.json["id"])


@pytest.mark.parametrize("name", [SIGNED_DIGEST_HEADER, SIGNED_DIGEST_HEADER.title()])
def test_nobody_can_say_in_auths_place_what_was_signed(mesh: Mesh, name: str) -> None:
    body, other = job(mesh), job(mesh, priority="HIGH")
    smuggled = {name: hashlib.sha256(other).hexdigest()}
    headers = signed(mesh.key, "POST", "/api/v1/jobs", body) | smuggled
    refused(Api(mesh.url).call("POST", "/api/v1/jobs", other, headers=headers), "not the one that was signed")
    assert Api(mesh.url, mesh.key).call("POST", "/api/v1/jobs", body, headers=smuggled).status == 200
    refused(Api(mesh.url).call("POST", "/api/v1/jobs", other, headers=smuggled), "carries no API key")


def test_a_key_beside_a_signature_is_refused(mesh: Mesh) -> None:
    headers = signed(mesh.key, "GET", "/api/v1/keys")
    refused(Api(mesh.url, mesh.key).call("GET", "/api/v1/keys", headers=headers), "send one of them")
    refused(Api(mesh.url).call("GET", "/api/v1/keys", headers=headers | {"X-API-Key": mesh.key}), "send one of them")


async def test_a_revoked_key_signs_no_more_within_a_second(mesh: Mesh) -> None:
    admin = Api(mesh.url, mesh.key)
    made = admin.call("POST", "/api/v1/keys", {"name": "short-lived", "scopes": ["keys:read"]}).json
    assert call(mesh, "GET", "/api/v1/keys", key=made["secret"]).status == 200
    denied = call(mesh, "POST", "/api/v1/jobs", job(mesh), key=made["secret"])
    assert (denied.status, denied.reason) == (403, "PERMISSION_DENIED"), "a signature grants no more than its key"
    assert admin.call("DELETE", f"/api/v1/keys/{made['key']['id']}").status == 200
    await eventually(lambda: call(mesh, "GET", "/api/v1/keys", key=made["secret"]).status == 401, within=1)


def test_over_grpc_a_signature_is_told_to_be_a_key(mesh: Mesh) -> None:
    headers = signed(mesh.key, "POST", "/penstock.jobs.v1.JobService/GetJob")
    with grpc.insecure_channel(mesh.grpc_address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        with pytest.raises(grpc.RpcError) as failure:
            stub.GetJob(jobs_pb2.GetJobRequest(job_id=ids.new_job_id("http")), metadata=tuple(headers.items()))
    assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "over gRPC carry the API key" in failure.value.details()


def test_no_signing_key_is_in_any_log_or_store(mesh: Mesh) -> None:
    made = Api(mesh.url, mesh.key).call("POST", "/api/v1/keys", {"name": "canary", "scopes": ["keys:read"]}).json
    headers = signed(made["secret"], "GET", "/api/v1/keys", nonce="nonce-canary-c0ffee")
    assert Api(mesh.url).call("GET", "/api/v1/keys", headers=headers).status == 200
    refused(Api(mesh.url).call("GET", "/api/v1/keys", headers=headers), "used before")
    key, signature = signing_key(made["secret"]), headers["signature"].partition(":")[2].rstrip(":")
    logs = {path.name: path.read_bytes() for path in mesh.logs.iterdir()}
    assert b"repeated" in logs["auth.log"], "the logs are where this test looks for them"
    stores = {path.name: path.read_bytes() for path in (mesh.layout.data / "mongo").rglob("*") if path.is_file()}
    assert any(made["key"]["prefix"].encode() in content for content in stores.values())
    for name, content in (logs | stores).items():
        for wanted in (key, key.hex().encode(), base64.b64encode(key), signature.encode(), b"nonce-canary-c0ffee"):
            assert wanted not in content, f"a secret of a signature is in {name}"
