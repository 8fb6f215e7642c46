"""Headers in and out: identity, request ids, versions, security, CORS, traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import ids
from tests.integration.gateway.stand_ins import GOOD_KEY, TENANT

if TYPE_CHECKING:
    from tests.identities import Identities
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs/j-1"
_ORIGIN = "https://console.example"


@pytest.mark.parametrize("name", ["x-penstock-identity", "X-Penstock-Identity"])
def test_a_forged_identity_is_replaced_over_http(
    envoy: Envoy, services: Services, identities: Identities, name: str
) -> None:
    forged = identities.mint("victim")
    assert envoy.call("GET", _PATH, headers={name: forged}).status == 200
    assert services.received[0].tenant == TENANT
    assert services.received[0].metadata["x-penstock-identity"] != forged


def test_a_forged_identity_does_not_stand_in_for_a_key(
    envoy: Envoy, services: Services, identities: Identities
) -> None:
    assert envoy.call("GET", _PATH, headers={"x-penstock-identity": identities.mint("victim")}, key=None).status == 401
    assert services.received == []


def test_a_forged_identity_is_replaced_over_grpc(envoy: Envoy, services: Services, identities: Identities) -> None:
    metadata = (
        ("authorization", f"Bearer {GOOD_KEY}"),
        ("x-penstock-identity", identities.mint("victim")),
        ("x-penstock-http-status", "200"),
    )
    with grpc.insecure_channel(envoy.settings.address) as channel:
        job_service_pb2_grpc.JobServiceStub(channel).GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=metadata)
    assert services.received[0].tenant == TENANT
    assert "x-penstock-http-status" not in services.received[0].metadata


def test_no_service_sees_the_key(envoy: Envoy, services: Services) -> None:
    envoy.call("GET", _PATH, headers={"x-api-key": GOOD_KEY})
    assert not {"authorization", "x-api-key"} & services.received[0].metadata.keys()


def test_a_client_gives_envoy_no_orders(envoy: Envoy, services: Services) -> None:
    orders = {
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-max-retries": "9",
        "x-envoy-original-path": "/forged",
        "x-envoy-original-method": "FORGED",
    }
    assert envoy.call("GET", _PATH, headers=orders).status == 200
    metadata = services.received[0].metadata
    assert metadata["x-envoy-original-path"] == _PATH
    assert not {"x-envoy-upstream-rq-timeout-ms", "x-envoy-max-retries"} & metadata.keys()
    assert envoy.call("GET", "/nope", headers=orders).info["metadata"] == {"path": "/nope"}


@pytest.mark.parametrize("given", ["abc", "8e03978e-40d5-43dd-bc93-6894a57f9324", "A.b_c:d-1", "x" * 128])
def test_a_well_formed_request_id_goes_everywhere(envoy: Envoy, services: Services, given: str) -> None:
    answer = envoy.call("GET", _PATH, headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given
    assert services.received[0].metadata["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", 'a"b', "a;b", "a/b"])
def test_an_ill_formed_request_id_is_replaced(envoy: Envoy, services: Services, given: str) -> None:
    made = envoy.call("GET", _PATH, headers={"x-request-id": given}).headers["x-request-id"]
    assert made != given
    assert ids.is_request_id(made)
    assert services.received[0].metadata["x-request-id"] == made


def test_request_ids_are_made_and_differ(envoy: Envoy, services: Services) -> None:
    made = {envoy.call("GET", path).headers["x-request-id"] for path in [_PATH, _PATH, "/nope", "/healthz"]}
    assert len(made) == 4
    replaced = {envoy.call("GET", _PATH, headers={"x-request-id": "a b"}).headers["x-request-id"] for _ in range(5)}
    assert len(replaced) == 5


@pytest.mark.parametrize("version", ["v1", "v1.0", "v1.17"])
def test_a_known_version_is_echoed(envoy: Envoy, services: Services, version: str) -> None:
    answer = envoy.call("GET", _PATH, headers={"api-version": version})
    assert (answer.status, answer.headers["api-version"]) == (200, version)


@pytest.mark.parametrize("version", ["v2", "1", "v1.", "v1.x", "", "V1", "v1.2.3"])
def test_an_unknown_version_is_refused_with_the_known_ones(envoy: Envoy, services: Services, version: str) -> None:
    answer = envoy.call("GET", _PATH, headers={"api-version": version})
    assert answer.status == 400
    assert "v1 and v1.N" in answer.error["message"]
    assert list(answer.fields) == ["API-Version"]
    assert "api-version" not in answer.headers
    assert services.received == []


def test_no_version_is_echoed_where_none_was_sent(envoy: Envoy, services: Services) -> None:
    assert "api-version" not in envoy.call("GET", _PATH).headers


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Idempotency-Key"])
def test_idempotency_keys_reach_the_service(envoy: Envoy, services: Services, name: str) -> None:
    envoy.call("POST", "/api/v1/jobs", {}, headers={name: '"key 1"'})
    assert services.received[0].metadata[name.lower()] == '"key 1"'


@pytest.mark.parametrize(
    ("verb", "path", "key"),
    [
        ("GET", _PATH, GOOD_KEY),
        ("GET", _PATH, None),
        ("GET", "/nope", GOOD_KEY),
        ("DELETE", _PATH, GOOD_KEY),
        ("GET", "/healthz", None),
        ("GET", "/readyz", None),
        ("GET", "/api/v1/jobs/%FF", GOOD_KEY),
    ],
)
def test_every_answer_has_the_security_headers(
    envoy: Envoy, services: Services, verb: str, path: str, key: str | None
) -> None:
    headers = envoy.call(verb, path, key=key).headers
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "no-store"
    assert headers["server"] == "penstock"
    assert not [name for name in headers if name.startswith(("x-envoy-", "x-penstock-", "grpc-"))]


def _preflight(envoy: Envoy, origin: str) -> Any:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    return envoy.call("OPTIONS", "/api/v1/jobs", headers=headers, key=None)


def test_a_listed_origin_may_call(envoy: Envoy, services: Services) -> None:
    preflight = _preflight(envoy, _ORIGIN)
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == _ORIGIN
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answer = envoy.call("GET", _PATH, headers={"origin": _ORIGIN})
    assert answer.headers["access-control-allow-origin"] == _ORIGIN
    assert "x-request-id" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("verb", "path", "key", "status"),
    [
        ("GET", _PATH, None, 401),
        ("GET", f"{_PATH}?nope=1", GOOD_KEY, 400),
        ("GET", "/api/v1/jobs/%FF", GOOD_KEY, 400),
        ("GET", "/api/v1/nothing", GOOD_KEY, 404),
        ("PUT", _PATH, GOOD_KEY, 405),
    ],
)
def test_a_listed_origin_can_read_why_it_was_refused(
    envoy: Envoy, services: Services, *, verb: str, path: str, key: str | None, status: int
) -> None:
    answer = envoy.call(verb, path, key=key, headers={"origin": _ORIGIN})
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == _ORIGIN
    assert "access-control-allow-credentials" not in answer.headers  # keys stand in headers, never in cookies


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{_ORIGIN}.evil.example", f"{_ORIGIN}:444"])
def test_another_origin_may_not(envoy: Envoy, services: Services, origin: str) -> None:
    assert _preflight(envoy, origin).status == 401
    answer = envoy.call("GET", _PATH, headers={"origin": origin})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_traceparent_is_handed_on(envoy: Envoy, services: Services) -> None:
    trace, caller = "00-0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    envoy.call("GET", _PATH, headers={"traceparent": f"{trace}-{caller}-01"})
    handed_on = services.received[0].metadata["traceparent"]
    assert (handed_on[:35], handed_on[-3:]) == (trace, "-01")
    assert caller not in handed_on  # the gateway stands between


def test_no_script_has_failed(envoy: Envoy) -> None:
    """A script that fails lets its request pass; `requests.lua` sees to that, and this sees to `answers.lua`."""
    assert "script log" not in envoy.log.read_text()
    assert envoy.stat("http.api.lua.answers.errors") == 0
    assert envoy.stat("http.api.lua.requests.errors") == 0
