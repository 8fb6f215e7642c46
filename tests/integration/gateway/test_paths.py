"""Paths and queries: encoding, and fields that the request does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services


@pytest.mark.parametrize(
    ("path", "field", "words"),
    [
        ("/api/v1/jobs/%FF", "jobId", "not valid UTF-8"),
        ("/api/v1/jobs/a%C3", "jobId", "not valid UTF-8"),
        ("/api/v1/jobs/%ED%A0%80", "jobId", "not valid UTF-8"),
        ("/api/v1/jobs/%00", "jobId", "a NUL character"),
        ("/api/v1/jobs/a%00b:wait", "jobId", "a NUL character"),
        ("/api/v1/jobs/a%2Fb", "jobId", "a slash"),
        ("/api/v1/jobs/a%2fb/cancel", "jobId", "a slash"),
        ("/api/v1/jobs/%", "jobId", "a percent sign"),
        ("/api/v1/jobs/%A", "jobId", "a percent sign"),
        ("/api/v1/jobs/%GG", "jobId", "a percent sign"),
        ("/api/v1/%FF/jobs/j-1", "upstream", "not valid UTF-8"),
        ("/api/v1/keys/%FF", "keyId", "not valid UTF-8"),
        ("/api/v1/%FF", "", "not valid UTF-8"),
        ("/nope/%00", "", "a NUL character"),
        ("/api/v1/jobs/j-1?upstream=%FF", "upstream", "not valid UTF-8"),
        ("/api/v1/jobs/j-1?upstream=%00", "upstream", "a NUL character"),
        ("/api/v1/jobs/j-1?%FF=1", "", "not valid UTF-8"),
        ("/nope?a=%FF", "a", "not valid UTF-8"),
        ("/api/v1/jobs/j-1?nope=1", "nope", "is not a parameter"),
        ("/api/v1/jobs/j-1?nope", "nope", "is not a parameter"),
        ("/api/v1/jobs/j-1?jobId=other", "jobId", "is given by the path"),
        ("/api/v1/jobs/j-1?job_id=other", "job_id", "is given by the path"),
        ("/api/v1/jobs/j-1?upstream=a&upstream=b", "upstream", "is given twice"),
        ("/api/v1/jobs/j-1:wait?timeout=3", "timeout", "must be a duration"),
        ("/api/v1/jobs/j-1:wait?timeout=", "timeout", "must be a duration"),
        ("/api/v1/jobs/j-1:wait?timeout.seconds=3", "timeout.seconds", "is not a parameter"),
        ("/api/v1/keys?pageSize=many", "pageSize", "must be a whole number"),
        ("/api/v1/keys?page_size=99999999999", "page_size", "must be from"),
        ("/api/v1/keys?pageSize=7.0", "pageSize", "must be a whole number"),
        ("/api/v1/jobs/j-1:watch?afterRevision=9223372036854775808", "afterRevision", "to 9223372036854775807"),
        ("/api/v1/jobs/j-1:watch?afterRevision=-9223372036854775809", "afterRevision", "from -9223372036854775808"),
    ],
)
def test_what_is_wrong_in_path_or_query_is_named(
    envoy: Envoy, services: Services, path: str, field: str, words: str
) -> None:
    verb = "POST" if path.endswith("/cancel") else "GET"
    answer = envoy.call(verb, path)
    assert answer.status == 400
    assert answer.error["status"] == "INVALID_ARGUMENT"
    assert answer.info["reason"] == "INVALID_ARGUMENT"
    assert list(answer.fields) == [field]
    assert words in answer.fields[field]
    assert services.received == []


def test_a_request_with_a_body_takes_no_query(envoy: Envoy, services: Services) -> None:
    answer = envoy.call("POST", "/api/v1/jobs?upstream=http", {})
    assert (answer.status, list(answer.fields)) == (400, ["upstream"])
    assert services.received == []


def test_several_faults_are_told_together(envoy: Envoy, services: Services) -> None:
    answer = envoy.call("GET", "/api/v1/%FF/jobs/%00?nope=1&x=%FF")
    assert list(answer.fields) == ["upstream", "jobId", "nope", "x"]
    assert services.received == []


def test_percent_encoding_is_read(envoy: Envoy, services: Services) -> None:
    assert envoy.call("GET", "/api/v1/jobs/%C3%A9%20a%25b").status == 200
    assert services.received[0].request.job_id == "é a%b"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET /api/v1/jobs/\xff HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET /nope#fragment HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 400),
        (b"GET /nope HTTP/1.1\r\nconnection: close\r\n\r\n", 400),
        (b"BREW /nope HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"POST /nope HTTP/1.1\r\nhost: a\r\ncontent-length: -3\r\n\r\n", 400),
        (b"POST /nope HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET /nope HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /nope HTTP/1.1\r\nhost: a\r\n" + b"x: 1\r\n" * 200 + b"\r\n", 431),
    ],
    ids=range(9),
)
def test_what_is_hardly_http_has_the_one_shape_too(envoy: Envoy, request_: bytes, status: int) -> None:
    head, _, body = envoy.raw(request_).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"content-type: application/json" in head
    assert b"x-content-type-options: nosniff" in head
    assert body.startswith(f'{{"error":{{"code":{status},"status":"INVALID_ARGUMENT",'.encode())
    assert b'"reason":"BAD_REQUEST"' in body
