"""Results fetched through Envoy: the bytes themselves, and by a link to the object store."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from shared import objects as objects_
from shared.objects import result_key
from tests import object_stores
from tests.e2e.api import Answer, Api
from tests.fakes import large_far_end
from tests.fakes.large_far_end import content, digest
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh
    from tests.fakes.large_far_end import LargeFarEnd

SIZE = 3 * 1024 * 1024 // 2
_TIMEOUT_S = 30.0
_TENANTS = itertools.count(1)


@pytest.fixture(scope="module")
def api(mesh: Mesh) -> Api:
    """A tenant of this file's own."""
    return Api(mesh.url, mesh.new_key("readers"))


@pytest.fixture(scope="module")
def far() -> Iterator[LargeFarEnd]:
    """A far end in a thread of its own, for the calls of these tests wait where they are."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = large_far_end.large_far_end()
    yield asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(_TIMEOUT_S)
    asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(_TIMEOUT_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_TIMEOUT_S)
    loop.close()


def done(api: Api, url: str, method: str = "http.get", **params: Any) -> dict[str, Any]:
    """A job that has succeeded."""
    job = api.wait(api.submit(method, {"url": url, **params})["id"])
    assert job["state"] == "SUCCEEDED", job
    return job


def result(api: Api, job: dict[str, Any], **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.call("GET", f"/api/v1/jobs/{job['id']}/result", headers=sent)


def follow(link: str, **headers: str) -> Answer:
    """What anyone gets who has the link and no key."""
    request = urllib.request.Request(link, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as refused:
        return Answer(refused.code, dict(refused.headers), refused.read())


@pytest.fixture(scope="module")
def large(api: Api, far: LargeFarEnd) -> dict[str, Any]:
    """A job whose result is stored."""
    return done(api, f"{far.url}/large/{SIZE}?type=image/png")


@pytest.mark.parametrize("how", ["known", "chunked", "gzip"])
def test_a_large_result_is_fetched_byte_for_byte_by_following_one_redirect(
    api: Api, far: LargeFarEnd, how: str
) -> None:
    job = done(api, f"{far.url}/large/{SIZE}?how={how}&type=image/png")
    answer = result(api, job)
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (302, b"", "no-store")
    followed = follow(answer.headers["location"])
    assert followed.status == 200
    assert hashlib.sha256(followed.body).hexdigest() == digest(SIZE)
    assert (followed.headers["content-type"], followed.headers["content-length"]) == ("image/png", str(SIZE))
    assert followed.headers["content-disposition"] == "attachment"
    assert followed.headers["etag"]


def test_an_upload_goes_out_and_a_large_answer_comes_back(api: Api, far: LargeFarEnd) -> None:
    asked = {"size": SIZE, "sha256": digest(SIZE), "contentType": "image/png"}
    made = api.call("POST", "/api/v1/uploads", asked).json
    put = urllib.request.Request(
        made["put"]["url"], data=b"".join(content(SIZE)), headers=made["put"]["headers"], method="PUT"
    )
    with urllib.request.urlopen(put, timeout=_TIMEOUT_S) as answer:
        assert answer.status == 200
    assert api.call("POST", f"/api/v1/uploads/{made['id']}:complete", {}).json["state"] == "READY"
    job = done(api, f"{far.url}/large/{SIZE}", "http.post", upload=made["id"])
    assert far.received[-1] == digest(SIZE)
    assert hashlib.sha256(follow(result(api, job).headers["location"]).body).hexdigest() == digest(SIZE)


def test_large_params_are_those_of_the_call(api: Api, far: LargeFarEnd) -> None:
    text = "ä" * 100_000
    done(api, f"{far.url}/large/1", "http.post", text=text)
    assert far.received[-1] == hashlib.sha256(text.encode()).hexdigest()


def test_a_link_takes_a_range(api: Api, large: dict[str, Any]) -> None:
    part = follow(result(api, large).headers["location"], Range="bytes=100-299")
    assert (part.status, part.body) == (206, next(content(SIZE))[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{SIZE}"


def test_a_link_leads_to_what_it_was_signed_for_alone(api: Api, large: dict[str, Any]) -> None:
    link = result(api, large).headers["location"]
    assert follow(link.partition("?")[0]).status == 403
    assert follow(link.replace(f"{large['id']}/1", f"{large['id']}/2")).status == 403


def test_the_job_tells_of_a_stored_result_and_so_does_the_list(api: Api, large: dict[str, Any]) -> None:
    told = {"url": f"/api/v1/jobs/{large['id']}/result", "status": 200, "contentType": "image/png", "size": str(SIZE)}
    headers = large["result"]["headers"]
    assert headers["content-type"] == "image/png"
    assert large["result"] == {**told, "headers": headers}
    assert api.call("GET", large["result"]["url"]).status == 302


async def test_the_list_has_the_way_to_a_stored_result(api: Api, large: dict[str, Any]) -> None:
    def listed() -> dict[str, Any] | None:
        jobs = api.call("GET", "/api/v1/jobs?state=SUCCEEDED&pageSize=500").json["jobs"]
        return next((job for job in jobs if job["id"] == large["id"]), None)

    found = await eventually(listed, what="the job in the list")
    assert found["result"] == {name: value for name, value in large["result"].items() if name != "headers"}


def test_nobody_else_gets_a_link(mesh: Mesh, api: Api, large: dict[str, Any]) -> None:
    other = Api(mesh.url, mesh.new_key(f"others-{next(_TENANTS)}"))
    assert (result(other, large).status, result(other, large).reason) == (404, "JOB_NOT_FOUND")
    assert result(Api(mesh.url), large).status == 401
    blind = Api(mesh.url, mesh.new_key("readers", ["queues:read"]))
    assert result(blind, large).status == 403


def test_each_path_leads_to_it_and_only_under_its_own_upstream(api: Api, large: dict[str, Any]) -> None:
    assert api.call("GET", f"/api/v1/http/jobs/{large['id']}/result").status == 302
    assert api.call("GET", f"/api/v1/flickr/jobs/{large['id']}/result").reason == "JOB_NOT_FOUND"
    assert api.call("GET", "/api/v1/jobs/nonsense/result").reason == "INVALID_ARGUMENT"
    assert api.call("HEAD", f"/api/v1/jobs/{large['id']}/result").status == 405


def test_over_grpc_the_link_is_in_the_initial_metadata(mesh: Mesh, api: Api, large: dict[str, Any]) -> None:
    with grpc.insecure_channel(mesh.grpc_address) as channel:
        body, call = job_service_pb2_grpc.JobServiceStub(channel).GetJobResult.with_call(
            jobs_pb2.GetJobResultRequest(job_id=large["id"]), metadata=(("authorization", f"Bearer {api.key}"),)
        )
    assert body == HttpBody()
    assert hashlib.sha256(follow(dict(call.initial_metadata())["location"]).body).hexdigest() == digest(SIZE)


async def test_a_result_that_is_no_longer_stored_is_not_found(mesh: Mesh, api: Api, far: LargeFarEnd) -> None:
    job = done(api, f"{far.url}/large/{SIZE}")
    store = await objects_.connect(object_stores.settings_of(mesh.stack))
    await store.delete(result_key("readers", job["id"], 1))
    await store.close()
    answer = result(api, job)
    assert (answer.status, answer.reason) == (404, "RESULT_NOT_FOUND")
    assert "no longer kept" in answer.error["message"]


@pytest.mark.parametrize("size", [0, 1, 256 * 1024])
def test_a_small_result_is_its_bytes(api: Api, far: LargeFarEnd, size: int) -> None:
    answer = result(api, done(api, f"{far.url}/large/{size}?type=image/png"))
    assert (answer.status, hashlib.sha256(answer.body).hexdigest()) == (200, digest(size))
    assert (answer.headers["content-type"], answer.headers["content-length"]) == ("image/png", str(size))
    assert answer.headers["accept-ranges"] == "bytes"


def test_text_and_the_headers_of_a_head_are_results_too(mesh: Mesh, api: Api) -> None:
    page = result(api, done(api, f"{mesh.far_end}/html"))
    assert b"Moby-Dick" in page.body
    assert page.headers["content-type"].startswith("text/html")
    headers = result(api, done(api, f"{mesh.far_end}/html", "http.head"))
    assert (headers.status, headers.body) == (200, b"")
    assert headers.headers["content-type"].startswith("text/html")


def test_nothing_that_an_upstream_sends_runs_in_our_origin(mesh: Mesh, api: Api) -> None:
    headers = result(api, done(api, f"{mesh.far_end}/html")).headers
    assert headers["content-disposition"] == "attachment"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert headers["x-content-type-options"] == "nosniff"


def test_parts_and_conditions(api: Api, far: LargeFarEnd) -> None:
    job = done(api, f"{far.url}/large/1000")
    whole = result(api, job)
    etag = whole.headers["etag"]
    part = result(api, job, range="bytes=10-19")
    assert (part.status, part.body, part.headers["content-range"]) == (206, whole.body[10:20], "bytes 10-19/1000")
    assert part.headers["etag"] == etag
    assert result(api, job, range="bytes=10-19", if_range=etag).status == 206
    assert result(api, job, range="bytes=10-19", if_range='"other"').body == whole.body
    known = result(api, job, if_none_match=etag)
    assert (known.status, known.body, known.headers["etag"]) == (304, b"", etag)
    beyond = result(api, job, range="bytes=1000-")
    assert (beyond.status, beyond.reason, beyond.headers["content-range"]) == (
        416,
        "RANGE_NOT_SATISFIABLE",
        "bytes */1000",
    )


def test_a_job_without_a_result_says_why(mesh: Mesh, api: Api) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    waiting = api.submit("http.get", {"url": f"{mesh.far_end}/get"}, notBefore=later)
    answer = result(api, waiting)
    assert (answer.status, answer.reason) == (400, "JOB_NOT_FINISHED")
    assert "QUEUED" in answer.error["message"]
    failed = api.wait(api.submit("http.get", {"url": f"{mesh.far_end}/status/404"})["id"])
    answer = result(api, failed)
    assert (answer.status, answer.reason) == (404, "RESULT_NOT_FOUND")
    assert "FAILED" in answer.error["message"]
