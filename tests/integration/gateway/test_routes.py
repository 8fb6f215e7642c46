"""What is routed where, and that nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2
from penstock.scheduler.v1 import queues_pb2, scheduler_pb2, scheduler_pb2_grpc

from tests.integration.gateway.stand_ins import GOOD_KEY, TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_KEY = (("authorization", f"Bearer {GOOD_KEY}"),)
_JOBS = "/penstock.jobs.v1.JobService"
_QUEUES = "/penstock.scheduler.v1.QueueService"
_FORGET = "/penstock.upstream.v1.CacheService/InvalidateCache"
_JOB = {"upstream": "http", "method": "http.get"}

_ROUTES = [
    ("POST", "/api/v1/jobs", _JOB, f"{_JOBS}/SubmitJob", _JOB),
    ("POST", "/api/v1/flickr/jobs", {"method": "m"}, f"{_JOBS}/SubmitJob", {"upstream": "flickr", "method": "m"}),
    ("GET", "/api/v1/jobs/j-1", None, f"{_JOBS}/GetJob", {"job_id": "j-1"}),
    ("GET", "/api/v1/flickr/jobs/j-1", None, f"{_JOBS}/GetJob", {"job_id": "j-1", "upstream": "flickr"}),
    ("GET", "/api/v1/jobs/j-1:wait", None, f"{_JOBS}/WaitJob", {"job_id": "j-1"}),
    ("POST", "/api/v1/jobs/j-1:cancel", {}, f"{_JOBS}/CancelJob", {"job_id": "j-1"}),
    ("POST", "/api/v1/jobs/j-1/cancel", {}, f"{_JOBS}/CancelJob", {"job_id": "j-1"}),
    (
        "POST",
        "/api/v1/flickr/jobs/j-1/cancel",
        {},
        f"{_JOBS}/CancelJob",
        {"job_id": "j-1", "upstream": "flickr"},
    ),
    ("GET", "/api/v1/upstreams", None, "/penstock.upstream.v1.UpstreamService/ListUpstreams", {}),
    (
        "GET",
        "/api/v1/upstreams/flickr",
        None,
        "/penstock.upstream.v1.UpstreamService/GetUpstream",
        {"upstream": "flickr"},
    ),
    ("POST", "/api/v1/keys", {"name": "k"}, "/penstock.auth.v1.KeyService/CreateKey", {"name": "k"}),
    ("GET", "/api/v1/keys", None, "/penstock.auth.v1.KeyService/ListKeys", {}),
    ("GET", "/api/v1/keys/k-1", None, "/penstock.auth.v1.KeyService/GetKey", {"key_id": "k-1"}),
    ("DELETE", "/api/v1/keys/k-1", None, "/penstock.auth.v1.KeyService/RevokeKey", {"key_id": "k-1"}),
    ("GET", "/api/v1/queues", None, f"{_QUEUES}/ListQueues", {}),
    ("GET", "/api/v1/queues/flickr?lanes=3", None, f"{_QUEUES}/GetQueue", {"upstream": "flickr", "lanes": 3}),
    (
        "POST",
        "/api/v1/queues/flickr:pause",
        {"reason": "maintenance"},
        f"{_QUEUES}/PauseQueue",
        {"upstream": "flickr", "reason": "maintenance"},
    ),
    (
        "POST",
        "/api/v1/queues/flickr:resume",
        {"lane": "c"},
        f"{_QUEUES}/ResumeQueue",
        {"upstream": "flickr", "lane": "c"},
    ),
    ("POST", "/api/v1/queues/flickr:recover", None, f"{_QUEUES}/RecoverQueue", {"upstream": "flickr"}),
    ("GET", "/api/v1/queues/flickr/settings", None, f"{_QUEUES}/GetQueueSettings", {"upstream": "flickr"}),
    ("POST", "/api/v1/cache:invalidate", {}, _FORGET, {}),
    (
        "POST",
        "/api/v1/cache:invalidate",
        {"connectionId": "c", "method": "m"},
        _FORGET,
        {"connection_id": "c", "method": "m"},
    ),
    ("POST", "/api/v1/cache:invalidate", {"token_id": "c"}, _FORGET, {"token_id": "c"}),
    ("POST", "/api/v1/cache/invalidate", None, _FORGET, {}),
    ("POST", "/api/v1/cache/invalidate?token_id=c", None, _FORGET, {"token_id": "c"}),
    ("POST", "/api/v1/cache/invalidate?tokenId=c", None, _FORGET, {"token_id": "c"}),
    ("DELETE", "/api/v1/cache/invalidate", None, _FORGET, {}),
    ("DELETE", "/api/v1/cache/invalidate?token_id=c", None, _FORGET, {"token_id": "c"}),
    (
        "DELETE",
        "/api/v1/cache/invalidate?tokenId=c&upstream=flickr&method=flickr.photos.search",
        None,
        _FORGET,
        {"token_id": "c", "upstream": "flickr", "method": "flickr.photos.search"},
    ),
    # These look like other routes, and the services refuse what they say.
    ("GET", "/api/v1/jobs/history", None, f"{_JOBS}/GetJob", {"job_id": "history"}),
    ("GET", "/api/v1/jobs/j-1:bogus", None, f"{_JOBS}/GetJob", {"job_id": "j-1:bogus"}),
    ("GET", "/api/v1/jobs/j-1%3Await", None, f"{_JOBS}/GetJob", {"job_id": "j-1:wait"}),
]


@pytest.mark.parametrize(("verb", "path", "body", "rpc", "fields"), _ROUTES, ids=[f"{r[0]} {r[1]}" for r in _ROUTES])
def test_a_path_reaches_its_rpc_with_the_fields_of_path_and_body(
    envoy: Envoy, services: Services, *, verb: str, path: str, body: object, rpc: str, fields: dict[str, str]
) -> None:
    answer = envoy.call(verb, path, body)
    assert answer.status == 200, answer
    (received,) = services.received
    assert received.method == rpc
    assert {field.name: value for field, value in received.request.ListFields()} == fields
    assert received.tenant == TENANT
    assert services.rpc == rpc[1:].replace("/", ".")


@pytest.mark.parametrize(("verb", "path"), [("GET", "/nope"), ("DELETE", "/api/v1/jobs")])
def test_auth_is_told_of_no_rpc_where_a_path_leads_to_none(
    envoy: Envoy, services: Services, verb: str, path: str
) -> None:
    envoy.call(verb, path, headers={"rpc": f"{_JOBS}/GetJob"})
    assert (services.checks, services.rpc) == (1, "")


@pytest.mark.parametrize("body", [None, b""])
def test_a_call_whose_fields_are_all_in_the_path_needs_no_body(
    envoy: Envoy, services: Services, body: bytes | None
) -> None:
    assert envoy.call("POST", "/api/v1/jobs/j-1:cancel", body).status == 200
    assert services.received[0].request == jobs_pb2.CancelJobRequest(job_id="j-1")


@pytest.mark.parametrize("verb", ["POST", "DELETE"])
def test_a_body_where_the_query_says_which_answers_go_is_refused_and_forgets_nothing(
    envoy: Envoy, services: Services, verb: str
) -> None:
    answer = envoy.call(verb, "/api/v1/cache/invalidate", {"tokenId": "c"})
    assert answer.status == 400, answer
    assert "takes no body" in answer.json["error"]["message"]
    assert not services.received


def test_a_body_may_be_one_field_of_the_request(envoy: Envoy, services: Services) -> None:
    settings = {
        "limits": {"lane": {"rates": [{"calls": 35, "window": "6s"}], "concurrency": 2}},
        "breaker": {"throttles": 5, "failure_ratio": 0.25},
        "weights": {"acme": 3},
    }
    answer = envoy.call("PUT", "/api/v1/queues/flickr/settings", settings)
    assert answer.status == 200, answer
    expected = {"upstream": "flickr", "settings": settings}
    assert services.received[0].request == json_format.ParseDict(expected, queues_pb2.SetQueueSettingsRequest())
    assert answer.json["weights"] == {"acme": 3}
    assert envoy.call("PUT", "/api/v1/queues/flickr/settings", {}).status == 200
    assert services.received[1].request.HasField("settings")


def test_the_query_fills_the_fields_that_the_path_does_not(envoy: Envoy, services: Services) -> None:
    assert envoy.call("GET", "/api/v1/jobs/j-1:wait?timeout=2.5s").status == 200
    assert services.received[0].request.timeout.ToMilliseconds() == 2500
    assert envoy.call("GET", "/api/v1/keys?pageSize=7&page_token=a%20b+c").status == 200
    assert services.received[1].request.page_size == 7
    assert services.received[1].request.page_token == "a b c"


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/v1/job",
        "/api/v1/jobs/",
        "/api/v2/jobs",
        "/api/v1//jobs",
        "/api/v1/jobs/a/b/c",
        "/api/v1/jobs/j-1/nope",
        "/favicon.ico",
        "/docsy",
        "/openapi.json/",
        f"{_JOBS}/SubmitJob",
        "/penstock.scheduler.v1.SchedulerService/Lease",
        "/envoy.service.auth.v3.Authorization/Check",
    ],
)
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_an_unknown_path_is_a_404_that_names_it(envoy: Envoy, services: Services, verb: str, path: str) -> None:
    answer = envoy.call(verb, f"{path}?a=1")
    assert answer.status == 404
    assert answer.error["status"] == "NOT_FOUND"
    assert answer.info["reason"] == "ROUTE_NOT_FOUND"
    assert answer.info["metadata"] == {"path": path}
    assert services.received == []


@pytest.mark.parametrize(
    ("verb", "path", "allow"),
    [
        ("DELETE", "/api/v1/jobs", "GET, POST"),
        ("GET", "/api/v1/flickr/jobs", "POST"),
        ("POST", "/api/v1/jobs/j-1", "GET"),
        ("GET", "/api/v1/jobs/j-1:cancel", "POST"),
        ("POST", "/api/v1/jobs/j-1:wait", "GET"),
        ("PUT", "/api/v1/keys", "GET, POST"),
        ("PATCH", "/api/v1/keys/k-1", "DELETE, GET"),
        ("OPTIONS", "/api/v1/keys", "GET, POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("DELETE", "/docs/errors/JOB_NOT_FOUND", "GET, HEAD"),
        ("PATCH", "/api/v1/upstreams", "GET"),
        ("POST", "/api/v1/queues/flickr/settings", "GET, PUT"),
        ("GET", "/api/v1/queues/flickr:pause", "POST"),
    ],
)
def test_a_wrong_verb_is_a_405_that_names_the_right_ones(
    envoy: Envoy, services: Services, verb: str, path: str, allow: str
) -> None:
    answer = envoy.call(verb, path)
    assert answer.status == 405
    assert answer.headers["allow"] == allow
    assert answer.info["reason"] == "METHOD_NOT_ALLOWED"
    assert answer.info["metadata"] == {"allow": allow}
    assert answer.error["message"].endswith(allow)
    assert services.received == []


def test_a_head_request_has_the_headers_of_its_error_and_no_body(envoy: Envoy, services: Services) -> None:
    answer = envoy.call("HEAD", "/api/v1/jobs/j-1")
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "GET", b"")


_CALLS = [
    ("POST", "/api/v1/jobs", b"{"),
    ("GET", "/api/v1/jobs/%FF", None),
    ("GET", "/api/v1/jobs/j-1?nope=1", None),
    ("DELETE", "/api/v1/jobs", None),
    ("GET", "/nope", None),
    ("GET", "/api/v1/jobs/j-1%2F", None),
    ("POST", "/healthz", None),
    ("GET", "/healthz/", None),
    ("GET", "//healthz", None),
    ("GET", "/healthz/../api/v1/jobs/j-1", None),
    ("POST", f"{_JOBS}/GetJob", b"{}"),
]


@pytest.mark.parametrize(("verb", "path", "body"), _CALLS)
@pytest.mark.parametrize("key", [None, "bad"])
def test_no_route_is_without_a_key_and_who_has_none_learns_nothing_else(
    envoy: Envoy, services: Services, *, verb: str, path: str, body: bytes | None, key: str | None
) -> None:
    answer = envoy.call(verb, path, body, key=key)
    assert answer.status == 401
    assert answer.error["status"] == "UNAUTHENTICATED"
    assert answer.info["reason"] == "UNAUTHENTICATED"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert services.checks == 1
    assert services.received == []


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_health_is_told_to_anyone_without_asking_auth(envoy: Envoy, services: Services, verb: str) -> None:
    answer = envoy.call(verb, "/healthz", key=None)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    if verb == "GET":
        assert answer.json == {"status": "ok"}
    assert services.checks == 0


@pytest.fixture
def channel(envoy: Envoy) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(envoy.settings.address) as channel:
        yield channel


def test_native_grpc_goes_through_the_same_port(channel: grpc.Channel, services: Services) -> None:
    job = job_service_pb2_grpc.JobServiceStub(channel).GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=_KEY)
    assert job.id == "j-1"
    assert services.received[0].tenant == TENANT
    assert services.received[0].metadata.get("authorization") is None


def test_native_grpc_without_a_key_is_unauthenticated_with_its_details(
    channel: grpc.Channel, services: Services
) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        job_service_pb2_grpc.JobServiceStub(channel).GetJob(jobs_pb2.GetJobRequest(job_id="j-1"))
    assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert failure.value.details() == "this call carries no API key"
    assert "UNAUTHENTICATED" in dict(failure.value.trailing_metadata())["grpc-status-details-bin"].decode(
        errors="replace"
    )
    assert services.received == []
    assert services.rpc == "penstock.jobs.v1.JobService.GetJob"


def test_auth_is_told_which_stream_is_asked_for_by_native_grpc(channel: grpc.Channel, services: Services) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        next(job_service_pb2_grpc.JobServiceStub(channel).WatchJob(jobs_pb2.WatchJobRequest(job_id="j-1")))
    assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert services.rpc == "penstock.jobs.v1.JobService.WatchJob"


def test_internal_services_are_not_reached_by_native_grpc(channel: grpc.Channel, services: Services) -> None:
    calls = [
        lambda: scheduler_pb2_grpc.SchedulerServiceStub(channel).Lease(scheduler_pb2.LeaseRequest(), metadata=_KEY),
        lambda: health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), metadata=_KEY),
    ]
    for call in calls:
        with pytest.raises(grpc.RpcError) as failure:
            call()
        assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "not offered" in failure.value.details()


def test_a_rest_path_called_as_grpc_is_not_let_past_the_checks(envoy: Envoy, services: Services) -> None:
    answer = envoy.call("POST", "/api/v1/jobs", b"{}", headers={"content-type": "application/grpc"})
    assert answer.headers["grpc-status"] == "12"
    assert services.received == []
