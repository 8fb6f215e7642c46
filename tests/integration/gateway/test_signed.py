"""The body of a signed request is the one that was signed, and what auth says of it is heard from auth alone."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.identity import SIGNED_DIGEST_HEADER
from tests import http2
from tests.integration.gateway.envoys import chunks
from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Answer, Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs"
_MIB = 1024 * 1024
_BODY = b'{"upstream": "http", "method": "http.get"}'
_NOTHING = hashlib.sha256().hexdigest()


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def job_of(size: int) -> bytes:
    """A job of so many bytes."""
    start = b'{"upstream": "http", "params": {"a": "'
    return start + b"x" * (size - len(start) - 3) + b'"}}'


def assert_refused(answer: Answer, services: Services, words: str) -> None:
    assert (answer.status, answer.error["status"], answer.info["reason"]) == (401, "UNAUTHENTICATED", "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert words in answer.error["message"]
    assert services.received == []


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("size", [100, 1024, 64 * 1024 + 1, _MIB, 10 * _MIB])
def test_the_body_that_was_signed_passes(envoy: Envoy, services: Services, size: int, *, chunked: bool) -> None:
    body = job_of(size)
    services.signed_digest = digest(body)
    assert envoy.call("POST", _PATH, chunks(body, 5000) if chunked else body).status == 200
    assert len(services.received[0].request.params["a"]) == size - 41


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("size", [100, 64 * 1024 + 1, 10 * _MIB])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_body_that_was_changed_by_a_bit_is_refused(
    envoy: Envoy, services: Services, size: int, place: float, *, chunked: bool
) -> None:
    body = bytearray(job_of(size))
    services.signed_digest = digest(body)
    body[int(place * (size - 1))] ^= 1
    changed = bytes(body)
    assert_refused(
        envoy.call("POST", _PATH, chunks(changed) if chunked else changed), services, "not the one that was signed"
    )


@pytest.mark.parametrize("changed", [_BODY[:-1], _BODY + b" ", _BODY + b"\0", _BODY * 2, b" "])
def test_a_body_that_was_cut_or_lengthened_is_refused(envoy: Envoy, services: Services, changed: bytes) -> None:
    services.signed_digest = digest(_BODY)
    assert_refused(envoy.call("POST", _PATH, changed), services, "not the one that was signed")


@pytest.mark.parametrize("body", [None, b""])
def test_a_body_that_was_signed_and_is_missing_is_refused(envoy: Envoy, services: Services, body: bytes | None) -> None:
    services.signed_digest = digest(_BODY)
    assert_refused(envoy.call("POST", _PATH, body), services, "is missing")


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize(
    ("verb", "path"), [("POST", _PATH), ("GET", "/api/v1/jobs/j-1"), ("DELETE", "/api/v1/keys/k-1")]
)
def test_a_body_where_none_was_signed_is_refused(
    envoy: Envoy, services: Services, verb: str, path: str, *, chunked: bool
) -> None:
    services.signed_digest = _NOTHING
    assert_refused(envoy.call(verb, path, chunks(_BODY) if chunked else _BODY), services, "does not cover")


@pytest.mark.parametrize("body", [None, b"", "chunked"])
def test_a_signed_request_without_a_body_passes(envoy: Envoy, services: Services, body: bytes | str | None) -> None:
    services.signed_digest = _NOTHING
    sent = chunks(b"") if body == "chunked" else body
    assert envoy.call("GET", "/api/v1/jobs/j-1", sent).status == 200
    assert len(services.received) == 1


def test_the_digest_is_looked_at_before_the_json(envoy: Envoy, services: Services) -> None:
    services.signed_digest = digest(_BODY)
    assert_refused(envoy.call("POST", _PATH, b"no json"), services, "not the one that was signed")
    assert_refused(envoy.call("POST", _PATH, b"x", headers={"content-type": "text/plain"}), services, "not the one")
    services.signed_digest = digest(b'{"metod": 1}')
    answer = envoy.call("POST", _PATH, b'{"metod": 1}')
    assert (answer.status, list(answer.fields)) == (400, ["metod"])


def test_a_body_over_the_limit_is_too_large_whatever_was_signed(envoy: Envoy, services: Services) -> None:
    services.signed_digest = _NOTHING
    assert envoy.call("POST", _PATH, job_of(10 * _MIB + 1)).status == 413


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(min_size=1, max_size=300), st.integers(1, 300).map(lambda size: b"\xff" * size)))
def test_the_digest_is_sha_256_at_every_length(envoy: Envoy, services: Services, body: bytes) -> None:
    services.signed_digest = digest(body)
    assert envoy.call("POST", _PATH, body, headers={"content-type": "text/plain"}).status == 415, "digest first"
    services.signed_digest = digest(body + b"x")
    assert envoy.call("POST", _PATH, body, headers={"content-type": "text/plain"}).status == 401


@pytest.mark.parametrize("name", [SIGNED_DIGEST_HEADER, SIGNED_DIGEST_HEADER.title(), SIGNED_DIGEST_HEADER.upper()])
@pytest.mark.parametrize("value", [digest(_BODY), _NOTHING, "nonsense", ""])
def test_what_a_client_says_under_the_internal_name_is_not_heard(
    envoy: Envoy, services: Services, name: str, value: str
) -> None:
    assert envoy.call("POST", _PATH, _BODY, headers={name: value}).status == 200, "it is not signed"
    assert SIGNED_DIGEST_HEADER not in services.asked.headers
    services.received.clear()
    services.signed_digest = digest(b"another")
    assert_refused(envoy.call("POST", _PATH, _BODY, headers={name: value}), services, "not the one that was signed")


def test_no_service_learns_of_the_internal_header(envoy: Envoy, services: Services) -> None:
    services.signed_digest = digest(_BODY)
    assert envoy.call("POST", _PATH, _BODY).status == 200
    assert not [name for name in services.received[0].metadata if "digest" in name]


def test_a_request_that_is_not_signed_may_say_what_it_likes_of_its_body(envoy: Envoy, services: Services) -> None:
    header = {"content-digest": "sha-256=:AAAA:", "signature-remark": "none"}
    assert envoy.call("POST", _PATH, _BODY, headers=header).status == 200


@pytest.mark.parametrize(("verb", "path", "status"), [("POST", "/nope", 404), ("PATCH", _PATH, 405)])
def test_where_no_body_is_read_none_is_compared(
    envoy: Envoy, services: Services, verb: str, path: str, status: int
) -> None:
    services.signed_digest = digest(b"another")
    assert envoy.call(verb, path, _BODY).status == status


def over_http2(envoy: Envoy, path: bytes, body: bytes | None, *more: tuple[bytes, bytes]) -> bytes | None:
    host = envoy.settings.address.encode()
    verb = b"GET" if body is None else b"POST"
    pseudo = ((b":method", verb), (b":scheme", b"http"), (b":path", path), (b":authority", host))
    key = (b"authorization", f"Bearer {GOOD_KEY}".encode())
    return http2.answer_to(envoy.settings.address, [*pseudo, key, (b"content-type", b"application/json"), *more], body)


def test_over_http2_the_body_is_compared_too(envoy: Envoy, services: Services) -> None:
    body = job_of(60_000)
    services.signed_digest = digest(body)
    answer = over_http2(envoy, b"/api/v1/jobs", body)
    assert answer is not None
    assert json.loads(answer)["id"] == "http-1"
    services.received.clear()
    for changed in (body[:-1], body + b" ", None):
        answer = over_http2(envoy, b"/api/v1/jobs", changed) if changed else over_http2(envoy, b"/api/v1/jobs/j", None)
        assert answer is not None
        assert json.loads(answer)["error"]["code"] == 401
    assert services.received == []


@pytest.mark.parametrize("value", [digest(_BODY).encode(), _NOTHING.encode(), b""])
def test_over_http2_the_internal_name_is_not_heard_either(envoy: Envoy, services: Services, value: bytes) -> None:
    services.signed_digest = digest(b"another")
    answer = over_http2(envoy, b"/api/v1/jobs", _BODY, (SIGNED_DIGEST_HEADER.encode(), value))
    assert answer is not None
    assert json.loads(answer)["error"]["code"] == 401
    assert SIGNED_DIGEST_HEADER not in services.asked.headers
    assert services.received == []


@pytest.mark.parametrize("nominated", [SIGNED_DIGEST_HEADER, f"close, {SIGNED_DIGEST_HEADER.title()}"])
def test_a_client_cannot_have_the_internal_header_taken_off_as_one_of_its_connection(
    envoy: Envoy, services: Services, nominated: str
) -> None:
    services.signed_digest = digest(b"another")
    for more in ({}, {SIGNED_DIGEST_HEADER: digest(_BODY)}):
        answer = envoy.call("POST", _PATH, _BODY, headers={"connection": nominated, **more})
        assert_refused(answer, services, "not the one that was signed")


@pytest.mark.parametrize("value", [b"caf\xc3\xa9", b"\xff", b"\x80\x80"])
def test_a_signed_request_has_ascii_in_all_of_its_headers(envoy: Envoy, services: Services, value: bytes) -> None:
    """Envoy shows auth a `!` for each byte that is no UTF-8: what was signed with it could come with any other."""
    answer = over_http2(envoy, b"/api/v1/jobs/j-1", None, (b"x-note", value))
    assert answer is not None
    assert json.loads(answer)["id"] == "j-1", "without a signature it is no matter"
    services.received.clear()
    services.signed_digest = _NOTHING
    answer = over_http2(envoy, b"/api/v1/jobs/j-1", None, (b"x-note", value))
    assert answer is not None
    error = json.loads(answer)["error"]
    assert error["code"] == 401
    assert "x-note holds more than ASCII" in error["message"]
    assert services.received == []


@pytest.mark.parametrize("path", [b"/api/v1/jobs/caf\xc3\xa9", b"/api/v1/jobs/\xff", b"/api/v1/jobs/j-1?a=\xff"])
def test_a_signed_request_has_ascii_in_its_path(envoy: Envoy, services: Services, path: bytes) -> None:
    services.signed_digest = _NOTHING
    answer = over_http2(envoy, path, None)
    assert answer is None or json.loads(answer)["error"]["code"] in {400, 401}
    assert services.received == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/jobs/%2e%2E/%6A?x=%20+&x=2&x",
        "/api/v1/jobs/j-1",
        "/api/v1/jobs/j-1?",
        "/api/v1/jobs/j-1??a=%3F&",
        "//api//v1/jobs/",
        "/api/v1/../jobs/./j",
        "/api/v1/jobs/a;b,c@d:e'f?g=!$&'()*,;=:@/?",
    ],
)
def test_auth_is_shown_path_and_query_as_they_came(envoy: Envoy, services: Services, path: str) -> None:
    envoy.call("GET", path)
    assert (services.asked.method, services.asked.path) == ("GET", path)
    assert services.asked.host == envoy.settings.address
    services.asked = None
    over_http2(envoy, path.encode(), None)
    assert services.asked.path == path


def test_no_script_has_failed(envoy: Envoy) -> None:
    assert "script log" not in envoy.log.read_text()
    assert envoy.stat("http.api.lua.requests.errors") == 0
