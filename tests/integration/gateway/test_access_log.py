"""The access log: what an operator finds a call by, and nothing that a client may have put a secret into."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import ids
from tests.integration.gateway.stand_ins import GOOD_KEY, KEY_ID, TENANT
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs/j-1"
_CANARY = "canary-7f3a"
#: Whatever somebody may write in a request that can hold a secret.
_HEADERS = (
    *("authorization", "x-api-key", "cookie", "signature", "signature-input", "content-digest", "idempotency-key"),
    *(
        "referer",
        "user-agent",
        "x-secret",
        "x-forwarded-for",
        "x-forwarded-host",
        "traceparent",
        "tracestate",
        "baggage",
    ),
    *("api-version", "range", "if-none-match", "last-event-id", "accept", "accept-encoding", "content-type", "expect"),
    *("x-penstock-identity", "x-envoy-original-path", "x-envoy-original-method", "grpc-timeout", "origin", "te"),
    *("x-request-id", "host"),
)
_PATHS = (
    f"/api/v1/jobs/{_CANARY}",
    f"/api/v1/jobs/{_CANARY}:wait",
    f"/api/v1/{_CANARY}/jobs/j-1",
    f"/api/v1/connections/{_CANARY}",
    f"/api/v1/jobs/j-1/{_CANARY}",
    f"/{_CANARY}",
    f"/healthz/{_CANARY}",
    f"{_PATH}?{_CANARY}=1",
    f"{_PATH}?token_id={_CANARY}",
    f"{_PATH}:wait?timeout={_CANARY}",
    f"/api/v1/keys?pageToken={_CANARY}",
    f"/api/v1/connections/callback?state={_CANARY}&code={_CANARY}",
    f"/api/v1/jobs/j-1/result?X-Amz-Signature={_CANARY}",
    f"/healthz?{_CANARY}",
    f"/penstock.jobs.v1.JobService/{_CANARY}",
)
_BODIES = ({"params": {"a": _CANARY}}, {_CANARY: 1}, {"priority": _CANARY}, {"upstream": [_CANARY]}, _CANARY)


async def logged(envoy: Envoy, request_id: str) -> Any:
    """The line of a request, when it is there."""

    def line() -> Any:
        whole = envoy.log.read_text().rpartition("\n")[0]  # the last line may still be on its way
        lines = [json.loads(text) for text in whole.splitlines() if text.startswith("{")]
        return next((each for each in lines if each["request_id"] == request_id), None)

    return await eventually(line, within=150, what="the access log")


async def test_a_call_is_found_by_its_tenant_its_key_its_rpc_and_its_trace(envoy: Envoy, services: Services) -> None:
    request_id = ids.new_request_id()
    answer = envoy.call("GET", _PATH, headers={"x-request-id": request_id})
    line = await logged(envoy, request_id)
    found = {
        name: line[name] for name in ("event", "tenant", "principal", "rpc", "method", "path", "status", "service")
    }
    assert found == {
        "event": "request",
        "tenant": TENANT,
        "principal": KEY_ID,
        "rpc": "penstock.jobs.v1.JobService.GetJob",
        "method": "GET",
        "path": "/api/v1/jobs/{job_id}",
        "status": 200,
        "service": "intake",
    }
    assert line["trace_id"] == services.received[0].metadata["traceparent"].split("-")[1]
    assert 0 <= line["service_ms"] <= line["duration_ms"]
    assert line["bytes_sent"] == len(answer.body)
    assert (line["protocol"], line["tls"], line["client"]) == ("HTTP/1.1", None, "127.0.0.1")


async def test_a_call_by_grpc_is_found_by_the_same(envoy: Envoy, services: Services) -> None:
    request_id = ids.new_request_id()
    with grpc.insecure_channel(envoy.settings.address) as channel:
        job_service_pb2_grpc.JobServiceStub(channel).GetJob(
            jobs_pb2.GetJobRequest(job_id=_CANARY),
            metadata=(("authorization", f"Bearer {GOOD_KEY}"), ("x-request-id", request_id)),
        )
    line = await logged(envoy, request_id)
    assert (line["tenant"], line["path"], line["grpc_status"]) == (TENANT, "/penstock.jobs.v1.JobService/GetJob", "OK")


async def test_who_is_refused_is_nobody_and_an_unknown_path_has_no_name(envoy: Envoy, services: Services) -> None:
    refused = envoy.call("GET", _PATH, key=_CANARY)
    unknown = envoy.call("GET", "/nope")
    line = await logged(envoy, refused.headers["x-request-id"])
    assert (line["status"], line["tenant"], line["principal"]) == (401, None, None)
    line = await logged(envoy, unknown.headers["x-request-id"])
    assert (line["status"], line["path"], line["rpc"], line["route"]) == (404, None, None, "unknown path")


async def test_nothing_of_what_may_be_a_secret_is_in_any_log(envoy: Envoy, services: Services) -> None:
    for name in _HEADERS:
        said = f"a {_CANARY}" if name == "x-request-id" else _CANARY  # a well-formed id is there to be logged
        envoy.call("POST", "/api/v1/jobs", {}, headers={name: said})
    for path in _PATHS:
        envoy.call("GET", path)
        envoy.call("GET", path, key=_CANARY)
        envoy.call("POST", path, {})
    for body in _BODIES:
        envoy.call("POST", "/api/v1/jobs", body)
    envoy.call("POST", "/api/v1/jobs", f'{{"params": "{_CANARY}'.encode())
    for request in (f"GET {_CANARY} HTTP/1.1\r\n\r\n", f"{_CANARY}\r\n\r\n", f"GET / HTTP/1.1\r\n{_CANARY}\r\n\r\n"):
        envoy.raw(request.encode())
    last = envoy.call("GET", "/nope").headers["x-request-id"]
    await logged(envoy, last)
    assert _CANARY not in envoy.log.read_text()


async def test_who_asks_how_the_gateway_is_leaves_no_line(envoy: Envoy, services: Services) -> None:
    asked = envoy.call("GET", "/healthz", key=None).headers["x-request-id"]
    await logged(envoy, envoy.call("GET", "/nope").headers["x-request-id"])
    assert asked not in envoy.log.read_text()


@pytest.mark.parametrize("sampled", ["00", "01"])
async def test_a_clients_own_trace_is_the_one_that_is_logged(envoy: Envoy, services: Services, sampled: str) -> None:
    trace, request_id = ids.new_request_id().replace("-", ""), ids.new_request_id()
    envoy.call(
        "GET", _PATH, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-{sampled}", "x-request-id": request_id}
    )
    assert (await logged(envoy, request_id))["trace_id"] == trace
