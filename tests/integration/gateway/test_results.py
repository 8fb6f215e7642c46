"""Results on their way through the gateway: the bytes as they are, parts of them, and where else they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import errors
from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Answer, Envoy
    from tests.integration.gateway.stand_ins import Services

PATH = "/api/v1/jobs/http-1/result"
STATUS = "x-penstock-http-status"
LINK = "https://store.example/results/acme/http-1/1?X-Amz-Signature=ab%2Fcd"
ETAG = '"e3b0c442"'


def _assert_clean(answer: Answer) -> None:
    """Nothing of what services say to the gateway, or to gRPC clients, is in the answer; what guards browsers is."""
    assert not [name for name in answer.headers if name.startswith(("grpc-", "x-penstock-", "x-envoy-"))]
    assert "trailer" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", [PATH, "/api/v1/http/jobs/http-1/result"])
@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("text/plain; charset=utf-8", "größer".encode()),
        ("image/png", bytes(range(256)) * 1024),
        ("application/json", b'{"error": {"code": 5}}'),
        ("text/html", b"<script>alert(1)</script>"),
        ("application/octet-stream", b""),
        ("x/y", b"\0"),
    ],
)
def test_the_bytes_arrive_as_they_are_under_their_type(
    envoy: Envoy, services: Services, path: str, content_type: str, data: bytes
) -> None:
    services.result = (("etag", ETAG),), HttpBody(content_type=content_type, data=data)
    answer = envoy.call("GET", path)
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["etag"] == ETAG
    assert services.received[0].request.job_id == "http-1"
    _assert_clean(answer)


def test_what_a_service_says_of_caching_and_of_its_content_holds(envoy: Envoy, services: Services) -> None:
    policy = "default-src 'none'; frame-ancestors 'none'; sandbox"
    said = (
        ("cache-control", "private, no-cache"),
        ("content-disposition", "attachment"),
        ("content-security-policy", policy),
    )
    services.result = said, HttpBody(content_type="text/html", data=b"<p>")
    headers = envoy.call("GET", PATH).headers
    assert [headers[name] for name, _ in said] == [value for _, value in said]


def test_the_headers_that_ask_for_less_reach_the_service(envoy: Envoy, services: Services) -> None:
    services.result = (), HttpBody()
    asked = {"range": "bytes=0-1", "if-range": ETAG, "if-none-match": f"W/{ETAG}, {ETAG}"}
    envoy.call("GET", PATH, headers=asked)
    assert {name: services.received[0].metadata[name] for name in asked} == asked


def test_a_part_is_a_206(envoy: Envoy, services: Services) -> None:
    services.result = ((STATUS, "206"), ("content-range", "bytes 1-3/9")), HttpBody(content_type="x/y", data=b"abc")
    answer = envoy.call("GET", PATH)
    assert (answer.status, answer.body) == (206, b"abc")
    assert (answer.headers["content-range"], answer.headers["content-type"]) == ("bytes 1-3/9", "x/y")
    _assert_clean(answer)


def test_what_is_elsewhere_is_a_302(envoy: Envoy, services: Services) -> None:
    services.result = ((STATUS, "302"), ("location", LINK), ("cache-control", "no-store")), HttpBody()
    answer = envoy.call("GET", PATH)
    assert (answer.status, answer.body) == (302, b"")
    assert (answer.headers["location"], answer.headers["cache-control"]) == (LINK, "no-store")
    assert "content-type" not in answer.headers
    _assert_clean(answer)


def test_what_is_known_already_is_a_304(envoy: Envoy, services: Services) -> None:
    services.result = ((STATUS, "304"), ("etag", ETAG)), HttpBody()
    answer = envoy.call("GET", PATH)
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", ETAG)
    assert not {"content-type", "content-length", "transfer-encoding"} & answer.headers.keys()
    _assert_clean(answer)


def test_a_connection_goes_on_after_an_answer_without_a_body(envoy: Envoy, services: Services) -> None:
    services.result = ((STATUS, "304"), ("etag", ETAG)), HttpBody()
    ask = f"GET {PATH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {GOOD_KEY}\r\n".encode()
    both = envoy.raw(ask + b"\r\n" + ask + b"connection: close\r\n\r\n")
    assert both.count(b"HTTP/1.1 304 Not Modified\r\n") == 2
    assert both.endswith(b"\r\n\r\n")


def test_an_answer_that_no_service_may_choose_stays_a_200(envoy: Envoy, services: Services) -> None:
    services.result = ((STATUS, "301"), ("location", LINK)), HttpBody(content_type="x/y", data=b"a")
    assert envoy.call("GET", PATH).status == 200


def test_a_range_outside_of_the_content_is_an_error_that_tells_its_size(envoy: Envoy, services: Services) -> None:
    async def refuse(request: object) -> jobs_pb2.Job:
        raise errors.RangeNotSatisfiable("the range bytes=9- has nothing", metadata={"size": "9"})

    services.answer = refuse
    answer = envoy.call("GET", PATH)
    assert (answer.status, answer.error["status"], answer.info["reason"]) == (
        416,
        "OUT_OF_RANGE",
        "RANGE_NOT_SATISFIABLE",
    )
    assert answer.headers["content-range"] == "bytes */9"
    _assert_clean(answer)


@pytest.mark.parametrize("verb", ["HEAD", "POST", "DELETE"])
def test_a_result_is_only_read(envoy: Envoy, services: Services, verb: str) -> None:
    answer = envoy.call(verb, PATH)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert services.received == []


def test_over_grpc_the_link_is_in_the_initial_metadata(envoy: Envoy, services: Services) -> None:
    services.result = ((STATUS, "302"), ("location", LINK)), HttpBody()
    with grpc.insecure_channel(envoy.settings.address) as channel:
        get_result = job_service_pb2_grpc.JobServiceStub(channel).GetJobResult
        body, call = get_result.with_call(
            jobs_pb2.GetJobResultRequest(job_id="http-1"), metadata=(("authorization", f"Bearer {GOOD_KEY}"),)
        )
    assert body == HttpBody()
    assert dict(call.initial_metadata())["location"] == LINK
    assert STATUS not in dict(call.initial_metadata())
