"""Whatever is wrong with a request, its answer says so in one shape, and nothing of it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared import ids
from tests.e2e.api import Answer, Api

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh

GOOD: dict[str, Any] = {"upstream": "http", "method": "http.get", "params": {"url": "https://example.com/"}}
NESTED: dict[str, Any] = {}
for _ in range(200):
    NESTED = {"a": NESTED}


@pytest.fixture
def api(mesh: Mesh) -> Api:
    return Api(mesh.url, mesh.key)


def params(**changed: Any) -> dict[str, Any]:
    return GOOD | {"params": GOOD["params"] | changed}


@pytest.fixture(autouse=True)
def nothing_stored(mesh: Mesh) -> Any:
    """No test of this file leaves a job on the log."""
    before = mesh.submitted()
    yield
    assert mesh.submitted() == before


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"upstream", "method"}),
        (GOOD | {"upstream": "flicker"}, {"upstream"}),
        (GOOD | {"upstream": "jobs"}, {"upstream"}),
        (GOOD | {"method": "http.gett"}, {"method"}),
        ({"upstream": "http", "method": "http.get"}, {"params.url"}),
        (params(url=7), {"params.url"}),
        (params(url="ftp://example.com/"), {"params.url"}),
        (params(url="http://"), {"params.url"}),
        (params(url="http://user:pass@example.com/"), {"params.url"}),
        (params(url="http://10.0.0.1/"), {"params.url"}),
        (params(url="http://169.254.169.254/latest/meta-data/"), {"params.url"}),
        (params(url="http://[fe80::1]/"), {"params.url"}),
        (params(url="http://0x0a.1/"), {"params.url"}),
        (params(url="https://example.com/" + "x" * 3000), {"params.url"}),
        (params(unheard=1), {"params.unheard"}),
        (params(headers={"Authorization": "Bearer x"}), {"params.headers.Authorization"}),
        (params(headers={"cookie": "a=b"}), {"params.headers.cookie"}),
        (params(headers={"x": "a\r\nb: c"}), {"params.headers.x"}),
        (params(timeoutS=0), {"params.timeoutS"}),
        (params(timeoutS="1"), {"params.timeoutS"}),
        (params(retryStatuses=[42]), {"params.retryStatuses[0]"}),
        (params(json={}), {"params.json"}),
        (params(big=2**53 + 1), {"params.big"}),
        (params(query={"deep": [1, -(2**60)]}), {"params.query.deep[1]"}),
        (GOOD | {"params": [1]}, {"params"}),
        (GOOD | {"unheard": 1}, {"unheard"}),
        (GOOD | {"retry": {"maxAttempts": 3, "unheard": 1}}, {"retry.unheard"}),
        (GOOD | {"retry": {"maxAttempts": 21}}, {"retry.maxAttempts"}),
        (GOOD | {"retry": {"maxAttempts": -1}}, {"retry.maxAttempts"}),
        (GOOD | {"retry": {"initialBackoff": "-1s"}}, {"retry.initialBackoff"}),
        (GOOD | {"priority": 99}, {"priority"}),
        (GOOD | {"priority": "URGENT"}, {"priority"}),
        (GOOD | {"cachePolicy": 17}, {"cachePolicy"}),
        (GOOD | {"metadata": {"k" * 65: "v"}}, {f"metadata.{'k' * 64}…"}),
        (GOOD | {"metadata": {"k": "v" * 257}}, {"metadata.k"}),
        (GOOD | {"metadata": {str(n): "v" for n in range(21)}}, {"metadata"}),
        (GOOD | {"notBefore": (datetime.now(UTC) + timedelta(days=8)).isoformat()}, {"notBefore"}),
        (GOOD | {"expiresAt": "2020-01-01T00:00:00Z"}, {"expiresAt"}),
        (GOOD | {"expiresAt": "yesterday"}, {"expiresAt"}),
        (GOOD | {"callbackUrl": "http://192.168.1.1/hook"}, {"callbackUrl"}),
        (GOOD | {"callbackSecret": "s" * 32}, {"callbackSecret"}),
        (GOOD | {"connectionId": "con_1"}, {"connectionId"}),
        (GOOD | {"tokenId": "con_1"}, {"tokenId"}),
        (GOOD | {"connectionId": "con_1", "tokenId": "con_1"}, {"tokenId"}),
        (GOOD | {"requestId": "k" * 256}, {"requestId"}),
    ],
    ids=lambda value: str(value)[:70] if isinstance(value, set) else "",
)
def test_a_wrong_field_is_named_by_its_path(api: Api, body: dict[str, Any], fields: set[str]) -> None:
    answer = api.call("POST", "/api/v1/jobs", body)
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), answer.body
    assert answer.fields == fields


def test_all_faults_are_named_at_once(api: Api) -> None:
    answer = api.call("POST", "/api/v1/jobs", params(url="ftp://x", timeoutS=-1) | {"retry": {"maxAttempts": 99}})
    assert answer.fields == {"params.url", "params.timeoutS", "retry.maxAttempts"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b'{"upstream": "http"} trailing',
        b'{"upstream": "http", "upstream": "http"}',
        b'{"upstream": "\xff\xfe"}',
        b'{"upstream": NaN}',
        b"\x00",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(api: Api, body: bytes) -> None:
    answer = api.call("POST", "/api/v1/jobs", body)
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), answer.body


def test_deep_nesting_is_refused(api: Api) -> None:
    answer = api.call("POST", "/api/v1/jobs", params(json=NESTED) | {"method": "http.post"})
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), answer.body


def test_params_beyond_their_limit_are_refused_with_the_limit(api: Api) -> None:
    answer = api.call("POST", "/api/v1/jobs", params(text="x" * 1_048_576) | {"method": "http.post"})
    assert (answer.status, answer.reason) == (413, "TOO_LARGE"), answer.body[:500]
    assert "1048576" in answer.error["message"]


def test_a_body_of_20_mb_is_refused(api: Api) -> None:
    answer = api.call("POST", "/api/v1/jobs", b'{"upstream": "' + b"x" * 20_000_000 + b'"}')
    assert (answer.status, answer.reason) == (413, "TOO_LARGE"), answer.body[:500]


def test_a_body_that_is_not_json_by_its_own_word_is_refused(api: Api) -> None:
    answer = api.call("POST", "/api/v1/jobs", b"<xml/>", headers={"Content-Type": "text/xml"})
    assert (answer.status, answer.reason) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/api/v1/job", "/api/v2/jobs", "/api/v1/jobs/x/y/z"])
def test_an_unknown_path_is_not_found(api: Api, path: str) -> None:
    answer = api.call("GET", path)
    assert (answer.status, answer.reason) == (404, "ROUTE_NOT_FOUND"), answer.body


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/api/v1/jobs", {"POST"}),
        ("PUT", f"/api/v1/jobs/{ids.new_job_id('http')}", {"GET"}),
        ("GET", f"/api/v1/jobs/{ids.new_job_id('http')}:cancel", {"POST"}),
        ("PATCH", "/api/v1/keys", {"GET", "POST"}),
    ],
)
def test_a_wrong_verb_is_told_the_right_ones(api: Api, method: str, path: str, allow: set[str]) -> None:
    answer = api.call(method, path)
    assert (answer.status, answer.reason) == (405, "METHOD_NOT_ALLOWED"), answer.body
    assert allow <= {verb.strip() for verb in answer.headers["allow"].split(",")}


@pytest.mark.parametrize("job_id", ["x", "jobs", "http-123", "x:bogus", "history", "%2e%2e", "http-" + "0" * 36])
def test_an_id_that_is_no_id_is_refused(api: Api, job_id: str) -> None:
    answer = api.call("GET", f"/api/v1/jobs/{job_id}")
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), answer.body
    assert answer.fields == {"jobId"}


def test_an_id_that_nobody_has_is_not_found(api: Api) -> None:
    for method, form in (("GET", "{}"), ("GET", "{}:wait"), ("POST", "{}:cancel")):
        answer = api.call(method, f"/api/v1/jobs/{form.format(ids.new_job_id('http'))}")
        assert (answer.status, answer.reason) == (404, "JOB_NOT_FOUND"), answer.body


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs/%FF", "/api/v1/jobs/a%00b", "/api/v1/upstreams/%FF%FE", "/api/v1/keys?pageToken=%FF"]
)
def test_bytes_that_are_no_text_are_a_bad_request(api: Api, path: str) -> None:
    answer = api.call("GET", path)
    assert answer.status == 400, answer.body
    assert answer.reason in {"INVALID_ARGUMENT", "BAD_REQUEST"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"/api/v1/jobs/{ids.new_job_id('http')}:wait?timeout=61s", {"timeout"}),
        (f"/api/v1/jobs/{ids.new_job_id('http')}:wait?timeout=-1s", {"timeout"}),
        ("/api/v1/keys?pageSize=-1", {"pageSize"}),
        ("/api/v1/keys?pageToken=forged", {"pageToken"}),
        ("/api/v1/upstreams?pageSize=-1", {"pageSize"}),
    ],
)
def test_a_wrong_query_parameter_is_named(api: Api, path: str, fields: set[str]) -> None:
    answer = api.call("GET", path)
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), answer.body
    assert answer.fields == fields


def test_an_unknown_query_parameter_is_refused(api: Api) -> None:
    answer = api.call("GET", "/api/v1/keys?pagesize=3")
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), answer.body
    assert "pagesize" in answer.error["message"]


@pytest.mark.parametrize("key", ["k" * 256, "tab\there", ""])
def test_a_malformed_idempotency_key_is_refused(api: Api, key: str) -> None:
    answer = api.call("POST", "/api/v1/jobs", GOOD, headers={"Idempotency-Key": key})
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), answer.body


def test_an_unknown_api_version_is_refused_with_the_known_ones(api: Api) -> None:
    answer = api.call("GET", "/api/v1/keys", headers={"API-Version": "v9"})
    assert answer.status == 400
    assert "v1" in answer.error["message"]
    assert api.call("GET", "/api/v1/keys", headers={"API-Version": "v1"}).headers["api-version"] == "v1"


def test_every_answer_carries_a_request_id_and_the_security_headers(api: Api) -> None:
    answers: list[Answer] = [
        api.call("GET", "/api/v1/keys", headers={"X-Request-Id": "order-7"}),
        api.call("GET", "/nowhere", headers={"X-Request-Id": "order-7"}),
        Api(api.url).call("GET", "/api/v1/keys", headers={"X-Request-Id": "order-7"}),
        api.call("POST", "/api/v1/jobs", b"{", headers={"X-Request-Id": "order-7"}),
    ]
    for answer in answers:
        assert answer.headers["x-request-id"] == "order-7"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "max-age" in answer.headers["strict-transport-security"]
        assert "default-src" in answer.headers["content-security-policy"]
    made = api.call("GET", "/api/v1/keys", headers={"X-Request-Id": "two words"}).headers["x-request-id"]
    assert made != "two words"
    assert ids.is_request_id(made)
