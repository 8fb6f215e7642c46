"""Jobs that are run, their results and exports; batches; requests that are signed."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock_sdk import JobFailed, Penstock, RetryPolicy, SubmitJobRequest, WaitTimeout, reasons

from sdks.python.tests import faulty_server as faulty
from sdks.python.tests.conftest import API_KEY
from sdks.python.tests.faulty_server import FaultyServer, answer, error, stream
from sdks.python.tests.sides import done

if TYPE_CHECKING:
    from sdks.python.tests.sides import Clock

ENDED = "2026-11-27T09:00:00Z"
SUCCEEDED = {"id": "http-1", "state": "SUCCEEDED", "finishedAt": ENDED}
REFUSED = {"reason": "UPSTREAM_STATUS", "message": "example.com answered 503", "retryable": True}
FAILED = {"id": "http-1", "state": "FAILED", "finishedAt": ENDED, "error": REFUSED}
QUEUED = {"id": "http-1", "state": "QUEUED"}


async def test_a_job_is_submitted_as_it_was_asked_for(penstock: Any, server: FaultyServer) -> None:
    server.will(answer(200, QUEUED))
    await done(
        penstock.jobs.submit(
            "http",
            "http.get",
            {"url": "https://example.com/é"},
            connection_id="con_1",
            priority="HIGH",
            metadata={"order": "1"},
            cache_policy="BYPASS",
            not_before=datetime(2026, 12, 1, tzinfo=UTC),
            retry=RetryPolicy(max_attempts=5, initial_backoff=timedelta(seconds=1.5)),
            idempotency_key="order-1",
        )
    )
    assert server.seen[0].headers["content-type"] == "application/json"
    assert server.seen[0].json == {
        "upstream": "http",
        "method": "http.get",
        "params": {"url": "https://example.com/é"},
        "connectionId": "con_1",
        "priority": "HIGH",
        "metadata": {"order": "1"},
        "cachePolicy": "BYPASS",
        "notBefore": "2026-12-01T00:00:00Z",
        "retry": {"maxAttempts": 5, "initialBackoff": "1.5s"},
        "requestId": "order-1",
    }


async def test_running_a_job_gives_it_when_it_has_succeeded(penstock: Any, server: FaultyServer) -> None:
    server.will(answer(200, QUEUED), stream(f"data: {json.dumps(SUCCEEDED)}\n\n"), answer(200, SUCCEEDED))
    assert (await done(penstock.jobs.run("http", "http.get"))).state == "SUCCEEDED"
    assert (await done(penstock.jobs.run("http", "http.get"))).state == "SUCCEEDED"  # from the cache, at once
    assert len(server.seen) == 3


async def test_running_a_job_that_fails_raises_why(penstock: Any, server: FaultyServer) -> None:
    server.will(answer(200, FAILED), answer(200, FAILED | {"error": {"reason": "MOON", "message": "in the way"}}))
    with pytest.raises(reasons.UpstreamStatus, match="job http-1 ended as FAILED: UPSTREAM_STATUS: example") as raised:
        await done(penstock.jobs.run("http", "http.get"))
    assert raised.value.retryable
    assert raised.value.job.id == "http-1"
    with pytest.raises(JobFailed, match="MOON: in the way") as unknown:
        await done(penstock.jobs.run("http", "http.get"))
    assert type(unknown.value) is JobFailed


async def test_a_result_is_the_exact_bytes(penstock: Any, server: FaultyServer) -> None:
    server.will(
        error(503, "UNAVAILABLE"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 7\r\n\r\n{"),
        faulty.raw(200, b'{"a":1}', {"Content-Type": "application/json", "ETag": '"e"'}),
    )
    result = await done(penstock.jobs.result("http-1"))
    assert (result.content, result.content_type, result.etag) == (b'{"a":1}', "application/json", '"e"')
    assert result.json() == {"a": 1}
    assert repr(result) == "Result(7 bytes of application/json, etag='\"e\"')"


async def test_a_large_result_comes_from_the_object_store_which_never_sees_the_key(
    penstock: Any, server: FaultyServer
) -> None:
    with FaultyServer() as store:
        link = faulty.raw(302, b"", {"Location": f"{store.url}/r?signature=s"})
        server.will(link, link)
        store.will(faulty.reset_after, faulty.raw(200, b"large", {"Content-Type": "image/png"}))
        assert (await done(penstock.jobs.result("http-1"))).content == b"large"
    assert [each.target for each in store.seen] == ["/r?signature=s"] * 2
    for each in store.seen:
        assert not {"x-api-key", "authorization", "signature"} & each.headers.keys()
        assert API_KEY not in str(each)


async def test_what_has_no_result_is_told(penstock: Any, server: FaultyServer) -> None:
    server.will(error(404, "RESULT_NOT_FOUND"), error(400, "JOB_NOT_FINISHED"))
    with pytest.raises(reasons.ResultNotFound):
        await done(penstock.jobs.result("http-1"))
    with pytest.raises(reasons.JobNotFinished):
        await done(penstock.jobs.result("http-1"))


async def test_an_export_may_come_compressed(penstock: Any, server: FaultyServer) -> None:
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    server.will(
        faulty.raw(200, gzip.compress(b'{"id": "a"}\n'), headers),
        faulty.raw(200, b"", {"Content-Type": "application/x-ndjson"}),
    )
    assert [job.id for job in await done(penstock.jobs.export())] == ["a"]


async def test_an_export_goes_on_where_it_broke(penstock: Any, server: FaultyServer) -> None:
    ndjson = "application/x-ndjson"
    server.will(
        stream('{"id": "a"}\n{"id": "b"}\n', '{"id": ', content_type=ndjson),
        stream('{"id": "c"}\n', content_type=ndjson),
        stream(content_type=ndjson),
    )
    assert [job.id for job in await done(penstock.jobs.export(upstream="http"))] == ["a", "b", "c"]
    target = "/api/v1/jobs:export?upstream=http"
    assert [each.target for each in server.seen] == [target, f"{target}&afterJobId=b", f"{target}&afterJobId=c"]


async def test_a_batch_is_submitted_once_and_waited_for(penstock: Any, server: FaultyServer, clock: Clock) -> None:
    def batch(*states: str) -> dict[str, Any]:
        jobs = [
            {"id": f"http-{index}", "state": state} | ({"finishedAt": ENDED} if state == "SUCCEEDED" else {})
            for index, state in enumerate(states)
        ]
        ended = {"finishedAt": ENDED} if set(states) == {"SUCCEEDED"} else {}
        return {"id": "batch_1", "size": len(states), "jobs": jobs, **ended}

    server.will(
        faulty.reset_after,
        answer(200, batch("QUEUED", "QUEUED")),
        answer(200, batch("SUCCEEDED", "QUEUED")),
        answer(200, {"id": "http-1", "state": "SUCCEEDED"}),
        faulty.reset_after,
        answer(200, batch("SUCCEEDED", "SUCCEEDED")),
        answer(200, batch("SUCCEEDED", "RUNNING")),
    )
    jobs = [
        SubmitJobRequest(upstream="http", method="http.get", params={"url": "https://example.com/1"}),
        {"method": "m"},
    ]
    submitted = await done(penstock.batches.submit(jobs, upstream="http"))
    assert server.seen[0].json == server.seen[1].json
    assert server.seen[1].json["jobs"][1] == {"method": "m"}
    assert (await done(penstock.batches.wait(submitted.id))).finished_at is not None
    assert [each.target for each in server.seen[2:]] == [
        "/api/v1/batches/batch_1",
        "/api/v1/jobs/http-1:wait?timeout=15.000s",
        "/api/v1/batches/batch_1",
        "/api/v1/batches/batch_1",
    ]
    with pytest.raises(WaitTimeout, match="batch_1 has not ended within 0 s; it stood at 1 of 2 jobs ended"):
        await done(penstock.batches.wait("batch_1", timeout_s=0))


def test_signed_requests_carry_no_key_and_a_nonce_of_their_own(server: FaultyServer, clock: Clock) -> None:
    server.will(error(503, "UNAVAILABLE"), answer(200, QUEUED))
    with Penstock(server.url, API_KEY, sign_requests=True) as penstock:
        penstock.jobs.submit("http", "http.get", idempotency_key="order-1")
    first, second = server.seen
    assert "x-api-key" not in first.headers
    assert first.headers["content-digest"] == f"sha-256=:{b64encode(hashlib.sha256(first.body).digest()).decode()}:"
    covered = 'penstock=("@method" "@path" "@query" "content-digest" "idempotency-key");created='
    assert first.headers["signature-input"].startswith(covered)
    assert first.headers["signature"] != second.headers["signature"]
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == "order-1"
