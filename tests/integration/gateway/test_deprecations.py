"""What answers tell of whatever is deprecated in their requests (RFC 9745, RFC 8594), and of what takes its place."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from gateway import routes
from gateway.deprecation import Deprecation
from tests.integration.gateway import envoys
from tests.integration.gateway.conftest import settings_for
from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.routes import Binding, RouteTable
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

#: The day on which the marks of the contract begin: 2026-11-27.
_SINCE = "@1795737600"
_HEADERS = ("deprecation", "sunset", "link")
_KEY = (("authorization", f"Bearer {GOOD_KEY}"),)
_DOCS = '<http://127.0.0.1:8080/docs/deprecation>; rel="deprecation"; type="text/html"; title="{}"'
_TOKEN_ID = _DOCS.format("tokenId is deprecated; connectionId takes its place")
_JOB = {"upstream": "http", "method": "http.get"}

#: Marks that the contract does not have: an RPC that goes earlier than the field in it, and one path that goes later.
_OLD_RPC = Deprecation(
    since=datetime(2026, 1, 1, tzinfo=UTC), sunset=datetime(2027, 7, 1, tzinfo=UTC), instead="test.v1.Things.Make"
)
_LATE_PATH = Deprecation(
    since=datetime(2027, 1, 1, tzinfo=UTC), sunset=datetime(2029, 1, 1, tzinfo=UTC), instead="/api/v1/cache:invalidate"
)


def _marked(table: RouteTable) -> RouteTable:
    def mark(binding: Binding) -> Binding:
        if binding.rpc.endswith((".SubmitJob", ".GetJob")):
            return replace(binding, deprecation=_OLD_RPC)
        return replace(binding, deprecation=_LATE_PATH) if binding.template.text.endswith("/invalidate") else binding

    paths = {template: [mark(each) for each in bindings] for template, bindings in table.paths.items()}
    rpcs = {f"penstock.jobs.v1.JobService.{name}": _OLD_RPC for name in ("SubmitJob", "GetJob", "WatchJob")}
    return replace(table, paths=paths, deprecated=rpcs)


@pytest.fixture(scope="module")
def marked(all_services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """Before a contract that deprecates more than ours does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            importlib.import_module("gateway.build"), "route_table", lambda *told: _marked(routes.route_table(*told))
        )
        settings = settings_for(all_services.address)
        with envoys.running(settings, tmp_path_factory.mktemp("marked")) as envoy:
            yield envoy


def _told(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _HEADERS if name in headers}


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/api/v1/jobs/j-1/cancel", "/api/v1/jobs/j-1:cancel"),
        ("/api/v1/jobs/j%201/cancel?", "/api/v1/jobs/j%201:cancel"),
        ("/api/v1/flickr/jobs/j-1/cancel", "/api/v1/jobs/j-1:cancel"),
    ],
)
@pytest.mark.parametrize(("key", "body", "status"), [(GOOD_KEY, {}, 200), (GOOD_KEY, {"x": 1}, 400), (None, {}, 401)])
def test_a_deprecated_path_leads_to_its_successor_whatever_the_answer(
    envoy: Envoy, services: Services, *, path: str, instead: str, key: str | None, body: object, status: int
) -> None:
    answer = envoy.call("POST", path, body, key=key)
    assert answer.status == status
    told = _told(answer.headers)
    assert told.pop("deprecation") == _SINCE
    about, successor = told.pop("link").split(", ")
    assert re.search(r'title="POST /api/v1/\S+/cancel is deprecated; /api/v1/jobs/\{job_id\}:cancel takes its', about)
    assert successor == f'<{instead}>; rel="successor-version"'
    assert told == {}


def test_a_path_that_could_not_stand_in_a_link_stands_in_none(envoy: Envoy, services: Services) -> None:
    answer = envoy.call("POST", '/api/v1/jobs/j"1>/cancel', {})
    assert answer.headers["deprecation"] == _SINCE
    assert "successor" not in answer.headers["link"]


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("POST", "/api/v1/jobs", {**_JOB, "tokenId": "con_1"}, 200),
        ("POST", "/api/v1/jobs", {**_JOB, "token_id": "con_1"}, 200),
        ("POST", "/api/v1/jobs", {**_JOB, "tokenId": "con_1", "nope": 1}, 400),
        ("POST", "/api/v1/jobs", {**_JOB, "tokenId": "con_1", "connectionId": "con_1"}, 400),
        ("POST", "/api/v1/batches", {"jobs": [_JOB, {**_JOB, "tokenId": "a"}, {**_JOB, "tokenId": 1}]}, 400),
        ("POST", "/api/v1/jobs:cancel", {"filter": {"tokenId": "con_1", "nope": 1}}, 400),
        ("DELETE", "/api/v1/cache/invalidate?token_id=con_1", None, 200),
        ("DELETE", "/api/v1/cache/invalidate?tokenId=con_1", None, 200),
        ("DELETE", "/api/v1/cache/invalidate?tokenId=con_1&nope=1", None, 400),
        ("GET", "/api/v1/jobs:export?tokenId=con_1", None, 200),
    ],
)
def test_a_deprecated_field_is_told_wherever_it_stands(
    envoy: Envoy, services: Services, *, verb: str, path: str, body: object, status: int
) -> None:
    answer = envoy.call(verb, path, body)
    assert answer.status == status, answer
    assert _told(answer.headers) == {"deprecation": _SINCE, "link": _TOKEN_ID}


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", "/api/v1/jobs/j-1:cancel", {}),
        ("GET", "/api/v1/jobs/j-1/cancel", None),
        ("OPTIONS", "/api/v1/jobs/j-1/cancel", None),
        ("POST", "/api/v1/jobs/j-1/cancels", {}),
        ("POST", "/api/v1/jobs", {**_JOB, "connectionId": "con_1"}),
        ("POST", "/api/v1/jobs", {**_JOB, "tokenId": None}),
        ("POST", "/api/v1/jobs", {**_JOB, "params": {"tokenId": "con_1"}, "metadata": {"tokenId": "con_1"}}),
        ("POST", "/api/v1/jobs?tokenId=con_1", _JOB),
        ("DELETE", "/api/v1/cache/invalidate?connectionId=con_1", None),
        ("GET", "/healthz", None),
        ("GET", "/nope", None),
    ],
)
def test_nothing_is_told_of_other_requests(
    envoy: Envoy, services: Services, *, verb: str, path: str, body: object
) -> None:
    assert _told(envoy.call(verb, path, body).headers) == {}


def test_a_request_tells_nothing_of_the_one_before_it(envoy: Envoy, services: Services) -> None:
    """The walk's findings are those of one request, though all requests of a worker share what Lua keeps."""
    assert _told(envoy.call("POST", "/api/v1/jobs", {**_JOB, "tokenId": "con_1"}).headers)
    assert _told(envoy.call("GET", "/api/v1/jobs:export?upstream=http").headers) == {}
    assert _told(envoy.call("POST", "/api/v1/jobs/j-1:cancel").headers) == {}


@pytest.mark.parametrize("status", [200, 401])
def test_a_deprecated_rpc_has_a_sunset_at_each_of_its_paths(marked: Envoy, services: Services, status: int) -> None:
    key = GOOD_KEY if status == 200 else None
    for path in ("/api/v1/jobs/j-1", "/api/v1/http/jobs/j-1"):
        answer = marked.call("GET", path, key=key)
        assert answer.status == status
        title = path.replace("http", "{upstream}").replace("j-1", "{job_id}")
        assert _told(answer.headers) == {
            "deprecation": "@1767225600",
            "sunset": "Thu, 01 Jul 2027 00:00:00 GMT",
            "link": _DOCS.format(f"GET {title} is deprecated; test.v1.Things.Make takes its place"),
        }


def test_of_several_the_earliest_days_hold_and_each_has_its_link(marked: Envoy, services: Services) -> None:
    body = {**_JOB, "tokenId": "con_1"}
    told = _told(marked.call("POST", "/api/v1/jobs", body).headers)
    assert (told["deprecation"], told["sunset"]) == ("@1767225600", "Thu, 01 Jul 2027 00:00:00 GMT")
    assert _TOKEN_ID in told["link"]
    assert told["link"].count('rel="deprecation"') == 2
    told = _told(marked.call("DELETE", "/api/v1/cache/invalidate?token_id=con_1").headers)
    assert (told["deprecation"], told["sunset"]) == (_SINCE, "Mon, 01 Jan 2029 00:00:00 GMT")
    assert re.findall(r'rel="([^"]*)"', told["link"]) == ["deprecation", "successor-version", "deprecation"]
    assert '</api/v1/cache:invalidate>; rel="successor-version"' in told["link"]


def _metadata(call: Any) -> dict[str, str]:
    """What a call was answered with; one that was refused has all of it behind."""
    return _told(dict((*call.initial_metadata(), *call.trailing_metadata())))


def test_a_deprecated_rpc_is_told_over_grpc(marked: Envoy, services: Services) -> None:
    about = _DOCS.format("penstock.jobs.v1.JobService.{} is deprecated; test.v1.Things.Make takes its place")
    expected = {"deprecation": "@1767225600", "sunset": "Thu, 01 Jul 2027 00:00:00 GMT"}
    request = jobs_pb2.GetJobRequest(job_id="j-1")
    with grpc.insecure_channel(marked.settings.address) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        for metadata in (_KEY, ()):
            call = jobs.GetJob.future(request, metadata=metadata)
            assert call.code() is (grpc.StatusCode.OK if metadata else grpc.StatusCode.UNAUTHENTICATED)
            assert _metadata(call) == {**expected, "link": about.format("GetJob")}
        watch = jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id="j-1"))
        assert watch.code() is grpc.StatusCode.UNAUTHENTICATED
        assert _metadata(watch) == {**expected, "link": about.format("WatchJob")}
        waited = jobs.WaitJob.future(jobs_pb2.WaitJobRequest(job_id="j-1"), metadata=_KEY)
        assert waited.result().id == "j-1"
        assert _metadata(waited) == {}


def test_no_script_has_failed(marked: Envoy) -> None:
    assert "script log" not in marked.log.read_text()
    assert marked.stat("http.api.lua.answers.errors") == 0
