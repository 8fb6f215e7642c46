"""The same calls over gRPC, in both halves, before a server of the real contract."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.api import httpbody_pb2
from google.protobuf import struct_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from penstock.history.v1 import history_pb2_grpc
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2
from penstock.scheduler.v1 import queues_pb2, queues_pb2_grpc
from penstock_sdk import AsyncPenstock, Penstock, operations
from penstock_sdk.channels import target
from penstock_sdk.errors import InvalidUse, NoAnswer, NotConfigured, UnexpectedAnswer
from penstock_sdk.operation import Operation
from penstock_sdk.reasons import InvalidArgument, JobNotFound, QueueFull
from penstock_sdk.rpcs import rpc

from sdks.python.tests.conftest import API_KEY
from sdks.python.tests.faulty_server import FaultyServer, raw
from sdks.python.tests.sides import Clock, QuickAsyncPacing, QuickPacing, done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

CONTENT = bytes(range(256))


class Jobs(job_service_pb2_grpc.JobServiceServicer):
    """Answers with what it is told."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.metadata: list[dict[str, Any]] = []
        self.fails: list[grpc.Status | grpc.StatusCode] = []
        self.link = ""

    def _note(self, request: Any, context: grpc.ServicerContext) -> None:
        self.seen.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.fails:
            failure = self.fails.pop(0)
            if isinstance(failure, grpc.StatusCode):
                context.abort(failure, "from a proxy")
            context.abort_with_status(failure)

    def SubmitJob(self, request: Any, context: grpc.ServicerContext) -> jobs_pb2.Job:
        self._note(request, context)
        return jobs_pb2.Job(id="http-1", state=jobs_pb2.Job.QUEUED, revision=1)

    def GetJob(self, request: Any, context: grpc.ServicerContext) -> jobs_pb2.Job:
        self._note(request, context)
        return jobs_pb2.Job(id=request.job_id, state=jobs_pb2.Job.QUEUED, revision=1)

    def WatchJob(self, request: Any, context: grpc.ServicerContext) -> Iterator[jobs_pb2.WatchJobResponse]:
        self._note(request, context)
        for revision in range(request.after_revision + 1, 4):
            job = jobs_pb2.Job(id="http-1", state=jobs_pb2.Job.RUNNING, revision=revision)
            if revision == 3:
                job.state = jobs_pb2.Job.SUCCEEDED
                job.finished_at.FromJsonString("2026-12-31T00:00:00Z")
            yield jobs_pb2.WatchJobResponse(job=job)
            if revision == 2 and request.after_revision == 0:
                context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")

    def GetJobResult(self, request: Any, context: grpc.ServicerContext) -> httpbody_pb2.HttpBody:
        self._note(request, context)
        if self.link:
            context.send_initial_metadata((("x-penstock-http-status", "302"), ("location", self.link)))
            return httpbody_pb2.HttpBody()
        if "range" in self.metadata[-1]:
            told = (("x-penstock-http-status", "206"), ("content-range", "bytes 100-255/256"), ("etag", '"v1"'))
            context.send_initial_metadata(told)
            return httpbody_pb2.HttpBody(content_type="image/jpeg", data=CONTENT[100:])
        context.send_initial_metadata((("etag", '"v1"'),))
        return httpbody_pb2.HttpBody(content_type="image/jpeg", data=CONTENT)


class Queues(queues_pb2_grpc.QueueServiceServicer):
    def SetQueueSettings(self, request: Any, context: grpc.ServicerContext) -> queues_pb2.QueueSettings:
        assert request.upstream == "http"
        return request.settings


class History(history_pb2_grpc.HistoryServiceServicer):
    def ExportJobs(self, request: Any, context: grpc.ServicerContext) -> Iterator[httpbody_pb2.HttpBody]:
        if request.after_job_id:  # whoever has read all of it asks whether there is more
            return
        yield httpbody_pb2.HttpBody(data=b'{"id": "http-1"}\n{"id":')
        yield httpbody_pb2.HttpBody(data=b' "http-2"}\n')


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def url(jobs: Jobs) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    job_service_pb2_grpc.add_JobServiceServicer_to_server(jobs, server)
    queues_pb2_grpc.add_QueueServiceServicer_to_server(Queues(), server)
    history_pb2_grpc.add_HistoryServiceServicer_to_server(History(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture(params=["async", "sync"])
async def over_grpc(request: pytest.FixtureRequest, url: str, clock: Clock) -> AsyncIterator[Any]:
    if request.param == "async":
        client: Any = AsyncPenstock(url, API_KEY, transport="grpc", pacing=QuickAsyncPacing(clock), timeout_s=2)
    else:
        client = Penstock(url, API_KEY, transport="grpc", pacing=QuickPacing(clock), timeout_s=2)
    yield client
    await done(client.aclose() if request.param == "async" else client.close())
    with pytest.raises(InvalidUse, match="closed"):
        await done(client.jobs.get("http-1"))


def status(code: grpc.StatusCode, reason: str, *more: Any) -> grpc.Status:
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="penstock.dev", metadata={"limit": "7"}), *more]
    said = status_pb2.Status(code=code.value[0], message="it was refused")
    for each in details:
        said.details.add().Pack(each)
    return rpc_status.to_status(said)


async def test_a_job_is_submitted_once_under_one_key_over_all_tries(over_grpc: Any, jobs: Jobs) -> None:
    jobs.fails = [grpc.StatusCode.UNAVAILABLE, status(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")]
    job = await done(over_grpc.jobs.submit("http", "http.get", {"url": "https://example.com"}, priority="LOW"))
    assert (job.id, job.state, job.revision) == ("http-1", "QUEUED", 1)
    keys = {request.request_id for request in jobs.seen}
    assert len(jobs.seen) == 3
    assert len(keys) == 1
    params = struct_pb2.Struct()
    params["url"] = "https://example.com"
    assert jobs.seen[0].params == params
    assert jobs.seen[0].priority == jobs_pb2.Job.LOW
    assert jobs.metadata[0]["authorization"] == f"Bearer {API_KEY}"


async def test_errors_are_those_that_http_has(over_grpc: Any, jobs: Jobs) -> None:
    violation = error_details_pb2.BadRequest(field_violations=[{"field": "jobId", "description": "is no id"}])
    jobs.fails = [status(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", violation)]
    with pytest.raises(InvalidArgument) as wrong:
        await done(over_grpc.jobs.get("x"))
    assert (wrong.value.status, wrong.value.violations[0].field) == (400, "jobId")
    help_ = error_details_pb2.Help(links=[{"description": "what to do", "url": "https://example.com/errors"}])
    jobs.fails = [status(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", help_)]
    with pytest.raises(JobNotFound, match="it was refused") as missing:
        await done(over_grpc.jobs.get("http-1"))
    assert (missing.value.help_url, missing.value.metadata) == ("https://example.com/errors", {"limit": "7"})
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromSeconds(90)
    jobs.fails = [status(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", retry)]
    with pytest.raises(QueueFull) as full:
        await done(over_grpc.jobs.submit("http", "http.get"))
    assert (full.value.status, full.value.retry_after_s) == (503, 90)


async def test_what_penstock_has_not_said_is_told_apart(over_grpc: Any, jobs: Jobs) -> None:
    jobs.fails = [grpc.StatusCode.UNIMPLEMENTED]
    with pytest.raises(UnexpectedAnswer, match="none of Penstock's"):
        await done(over_grpc.jobs.get("http-1"))
    jobs.fails = [grpc.StatusCode.INTERNAL] * 50
    with pytest.raises(NoAnswer, match=r"from a proxy.*tries"):
        await done(over_grpc.jobs.get("http-1"))


async def test_nobody_there_is_told(clock: Clock) -> None:
    with Penstock("http://127.0.0.1:9", API_KEY, transport="grpc", pacing=QuickPacing(clock), retry_for_s=0) as client:
        with pytest.raises(NoAnswer, match=r"127\.0\.0\.1:9") as caught:
            client.jobs.get("http-1")
        assert not caught.value.sent


async def test_a_watch_that_breaks_goes_on_where_it_broke(over_grpc: Any, jobs: Jobs) -> None:
    seen = await done(over_grpc.jobs.watch("http-1"))
    assert [job.revision for job in seen] == [1, 2, 3]
    assert [request.after_revision for request in jobs.seen] == [0, 2]
    assert (await done(over_grpc.jobs.wait("http-1", timeout_s=60))).state == "SUCCEEDED"


async def test_results_come_at_once_by_ranges_and_by_links(
    over_grpc: Any, jobs: Jobs, server: FaultyServer, tmp_path: Path
) -> None:
    result = await done(over_grpc.jobs.result("http-1"))
    assert (result.content, result.content_type, result.etag) == (CONTENT, "image/jpeg", '"v1"')
    (tmp_path / "file.part").write_bytes(CONTENT[:100])
    (tmp_path / "file.part.of").write_text('{"jobId": "http-1", "etag": "\\"v1\\""}')
    path = await done(over_grpc.jobs.download("http-1", tmp_path / "file"))
    assert path.read_bytes() == CONTENT
    assert jobs.metadata[-1]["if-range"] == '"v1"'
    jobs.link = f"{server.url}/bucket/object?signature=1"
    server.will(raw(200, b"large", {"ETag": '"v2"'}))
    await done(over_grpc.jobs.download("http-1", tmp_path / "large"))
    assert (tmp_path / "large").read_bytes() == b"large"
    assert "authorization" not in server.seen[0].headers


async def test_bodies_that_are_a_field_and_lines_come_through(over_grpc: Any) -> None:
    settings = await done(over_grpc.queues.set_settings("http", limits={"lane": {}}))
    assert settings.limits is not None
    with pytest.raises(InvalidUse, match='no field named "lanes"'):
        await done(over_grpc.queues.set_settings("http", limits={"lanes": {}}))
    assert [job.id for job in await done(over_grpc.jobs.export())] == ["http-1", "http-2"]


def test_every_operation_has_its_method() -> None:
    every = [each.name for each in vars(operations).values() if isinstance(each, Operation)]
    assert len(every) > 70
    assert all(rpc(name).path for name in every)
    with pytest.raises(InvalidUse, match="upgrade it"):
        rpc("JobService.DreamJob")


@pytest.mark.parametrize(
    ("url", "where", "secure"),
    [
        ("https://penstock.example", "penstock.example:443", True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", False),
        ("http://[::1]:8000", "[::1]:8000", False),
    ],
)
def test_the_scheme_says_whether_a_channel_is_secure(url: str, where: str, *, secure: bool) -> None:
    told, credentials = target(url)
    assert told == where
    assert (credentials is not None) is secure


def test_without_its_extra_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "penstock_sdk._sync.grpc", None)
    with pytest.raises(NotConfigured, match=r"penstock-sdk\[grpc\]"):
        Penstock("https://penstock.example", API_KEY, transport="grpc")


def test_what_grpc_has_no_place_for_is_told(clock: Clock) -> None:
    with pytest.raises(InvalidUse, match="has a path"):
        target("https://example.com/penstock")
    with pytest.raises(InvalidUse, match="sign_requests"):
        Penstock("https://penstock.example", API_KEY, sign_requests=True, transport="grpc")
