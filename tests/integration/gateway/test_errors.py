"""Errors of services, and of what lies between: each in the one shape, with no word of Envoy's own."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from deploy.local import layout
from shared import errors
from shared.rpc import call as current_call
from tests.integration.gateway import envoys
from tests.integration.gateway.conftest import settings_for
from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.jobs.v1.jobs_pb2 import Job

    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_KEY = (("authorization", f"Bearer {GOOD_KEY}"),)
_LEAKS = (b"upstream connect", b"reset reason", b"delayed connect", b"overflow", b"transport", b"envoy", b"Envoy")


def _raises(error: Exception) -> Any:
    async def answer(request: object) -> Job:
        raise error

    return answer


def test_a_call_that_a_stopping_service_dropped_may_be_made_again(envoy: Envoy, services: Services) -> None:
    async def dropped(request: object) -> Job:
        call = current_call.current()
        assert call is not None
        await call.context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")  # as gRPC answers for a server that stops

    services.answer = dropped
    answer = envoy.call("GET", "/api/v1/jobs/j-1")
    assert (answer.status, answer.error["status"], answer.info["reason"]) == (503, "UNAVAILABLE", "UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"


_ERRORS: list[tuple[errors.PenstockError, int, str]] = [
    (errors.InvalidArgument.field("params.url", 'is "x"'), 400, "INVALID_ARGUMENT"),
    (errors.RangeNotSatisfiable("nothing there", metadata={"size": "9"}), 416, "OUT_OF_RANGE"),
    (errors.TooLarge("too large", metadata={"limit_bytes": "9"}), 413, "INVALID_ARGUMENT"),
    (errors.PermissionDenied("no"), 403, "PERMISSION_DENIED"),
    (errors.JobNotFound("no such job", metadata={"job": "j-1"}), 404, "NOT_FOUND"),
    (errors.JobRunning("it runs"), 400, "FAILED_PRECONDITION"),
    (errors.IdempotencyKeyReused("reused"), 422, "FAILED_PRECONDITION"),
    (errors.IdempotencyKeyInFlight("in flight", retry_after=timedelta(seconds=1)), 409, "ABORTED"),
    (errors.QueueFull("full", retry_after=timedelta(seconds=7)), 503, "RESOURCE_EXHAUSTED"),
    (errors.Unavailable("away"), 503, "UNAVAILABLE"),
    (errors.DeadlineExceeded("late"), 504, "DEADLINE_EXCEEDED"),
    (errors.Unimplemented("not here"), 501, "UNIMPLEMENTED"),
    (errors.Internal("internal"), 500, "INTERNAL"),
]


@pytest.mark.parametrize(("error", "http", "code"), _ERRORS, ids=[type(case[0]).__name__ for case in _ERRORS])
def test_a_services_error_arrives_whole(
    envoy: Envoy, services: Services, error: errors.PenstockError, http: int, code: str
) -> None:
    services.answer = _raises(error)
    answer = envoy.call("GET", "/api/v1/jobs/j-1")
    assert answer.status == http
    assert answer.error["status"] == code
    assert answer.error["message"] == error.message
    assert answer.info["reason"] == error.reason
    assert answer.info["metadata"] == error.metadata
    if error.retry_after is not None:
        assert answer.headers["retry-after"] == str(int(error.retry_after.total_seconds()))
    assert ("retry-after" in answer.headers) == (http == 503 or error.retry_after is not None)
    assert not [name for name in answer.headers if name.startswith(("grpc-", "x-penstock-", "x-envoy-"))]


def test_field_violations_arrive(envoy: Envoy, services: Services) -> None:
    services.answer = _raises(errors.InvalidArgument.field("params.url", 'is "x"'))
    assert envoy.call("GET", "/api/v1/jobs/j-1").fields == {"params.url": 'is "x"'}


def test_a_fault_leaves_nothing_but_its_id(envoy: Envoy, services: Services) -> None:
    services.answer = _raises(ValueError("the password is hunter2"))
    answer = envoy.call("GET", "/api/v1/jobs/j-1")
    assert (answer.status, answer.info["reason"]) == (500, "INTERNAL")
    assert answer.info["metadata"]["error_id"].startswith("err_")
    assert b"hunter2" not in answer.body


def test_native_grpc_keeps_its_status(envoy: Envoy, services: Services) -> None:
    services.answer = _raises(errors.QueueFull("full", retry_after=timedelta(seconds=7)))
    with grpc.insecure_channel(envoy.settings.address) as channel, pytest.raises(grpc.RpcError) as failure:
        job_service_pb2_grpc.JobServiceStub(channel).GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=_KEY)
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure.value.details() == "full"
    assert dict(failure.value.initial_metadata())["retry-after"] == "7"
    assert b"QUEUE_FULL" in dict(failure.value.trailing_metadata())["grpc-status-details-bin"]


@pytest.fixture(scope="module")
def nowhere() -> str:
    return layout.on_free_ports(layout.ROOT, {"nowhere": 0}).address("nowhere")


@pytest.fixture(scope="module")
def without_services(all_services: Services, nowhere: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """Auth answers; nothing else does."""
    settings = settings_for(all_services.address, intake_address=nowhere)
    with envoys.running(settings, tmp_path_factory.mktemp("without-services")) as envoy:
        yield envoy


def _assert_unavailable(answer: envoys.Answer) -> None:
    assert answer.status == 503
    assert answer.error["status"] == "UNAVAILABLE"
    assert answer.info["reason"] == "UNAVAILABLE"
    assert answer.headers["retry-after"] == "1"
    assert not [leak for leak in _LEAKS if leak in answer.body]


@pytest.mark.parametrize(("verb", "path", "body"), [("POST", "/api/v1/jobs", {}), ("GET", "/api/v1/jobs/j-1", None)])
def test_a_service_that_is_away_is_a_503(
    without_services: Envoy, services: Services, verb: str, path: str, body: object
) -> None:
    _assert_unavailable(without_services.call(verb, path, body))


def test_a_page_whose_site_is_away_is_a_503(without_services: Envoy) -> None:
    _assert_unavailable(without_services.call("GET", "/readyz", key=None))


def test_a_service_that_is_away_is_unavailable_over_grpc(without_services: Envoy, services: Services) -> None:
    channel = grpc.insecure_channel(without_services.settings.address)
    with channel, pytest.raises(grpc.RpcError) as failure:
        job_service_pb2_grpc.JobServiceStub(channel).GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=_KEY)
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    assert failure.value.details() == "a part of Penstock is away; try again in a moment"


def test_auth_that_is_away_lets_no_one_in(
    all_services: Services, services: Services, nowhere: str, tmp_path: Path
) -> None:
    with envoys.running(settings_for(all_services.address, auth_address=nowhere), tmp_path) as envoy:
        for verb, path, body in [("POST", "/api/v1/jobs", {}), ("GET", "/nope", None)]:
            _assert_unavailable(envoy.call(verb, path, body))
        with grpc.insecure_channel(envoy.settings.address) as channel, pytest.raises(grpc.RpcError) as failure:
            job_service_pb2_grpc.JobServiceStub(channel).GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=_KEY)
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert envoy.call("GET", "/healthz", key=None).status == 200
    assert services.received == []


@pytest.fixture(scope="module")
def hurried(all_services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """An Envoy whose calls may take hardly any time."""
    settings = settings_for(
        all_services.address,
        call_timeout=timedelta(seconds=1.2),
        wait_timeout=timedelta(seconds=3),
        auth_timeout=timedelta(seconds=0.3),
    )
    with envoys.running(settings, tmp_path_factory.mktemp("hurried")) as envoy:
        yield envoy


async def _never(request: object) -> Job:
    await asyncio.sleep(30)
    raise AssertionError("the call was not ended")


def test_a_service_that_is_late_is_a_504(hurried: Envoy, services: Services) -> None:
    services.answer = _never
    answer = hurried.call("GET", "/api/v1/jobs/j-1")
    assert answer.status == 504
    assert answer.error["status"] == "DEADLINE_EXCEEDED"
    assert answer.info["reason"] == "DEADLINE_EXCEEDED"
    assert not [leak for leak in _LEAKS if leak in answer.body]


def test_auth_that_is_late_lets_no_one_in(hurried: Envoy, services: Services) -> None:
    async def late() -> None:
        await asyncio.sleep(2)

    services.on_check = late
    _assert_unavailable(hurried.call("GET", "/api/v1/jobs/j-1"))
    assert services.received == []


def test_the_service_knows_its_deadline(hurried: Envoy, services: Services) -> None:
    for path, least, most in [("/api/v1/jobs/j-1", 0.0, 0.21), ("/api/v1/jobs/j-1:wait", 0.21, 2.01)]:
        services.reset()
        assert hurried.call("GET", path, headers={"grpc-timeout": "3600S"}).status in {200, 504}
        if services.received:
            remaining = services.received[0].remaining_s
            assert remaining is not None
            assert least < remaining < most


def test_a_grpc_client_keeps_its_own_deadline(envoy: Envoy, services: Services) -> None:
    with grpc.insecure_channel(envoy.settings.address) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        stub.GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=_KEY, timeout=30)
        stub.GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=_KEY)
    first, second = (received.remaining_s for received in services.received)
    assert first is not None
    assert second is not None
    assert 0 < first < 30.1  # gRPC rounds up what it sends
    assert 30.1 < second < envoy.settings.wait_timeout.total_seconds()
