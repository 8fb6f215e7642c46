"""Calls before a server on bad days: what is tried again, under which key, for how long, and what the errors say."""

from __future__ import annotations

import asyncio
import pickle
import socket
import threading
from typing import Any, cast

import pytest
from penstock_sdk import (
    ApiError,
    AsyncPenstock,
    InvalidUse,
    NoAnswer,
    Penstock,
    PenstockError,
    UnexpectedAnswer,
    reasons,
)
from penstock_sdk.models import Job
from penstock_sdk.operation import Repeat
from penstock_sdk.retrying import Tries

from sdks.python.tests import faulty_server as faulty
from sdks.python.tests.conftest import API_KEY
from sdks.python.tests.faulty_server import FaultyServer, answer, error
from sdks.python.tests.sides import Clock, QuickPacing, done

JOB = {"id": "http-1", "state": "QUEUED", "revision": "1"}
QUEUE_FULL = error(503, "QUEUE_FULL", {"Retry-After": "3"})
BAD_DAYS = [
    faulty.reset_before,
    faulty.reset_after,
    QUEUE_FULL,
    error(429, "RATE_LIMITED", {"Retry-After": "1"}),
    error(503, "UNAVAILABLE"),
    error(409, "IDEMPOTENCY_KEY_IN_FLIGHT", {"Retry-After": "1"}),
    error(500, "INTERNAL"),
    error(504, "DEADLINE_EXCEEDED"),
    faulty.half(200, JOB),
    faulty.cut(200, JOB),
    faulty.page(502),
    faulty.page(503, {"Retry-After": "2"}),
]


async def test_a_job_is_submitted_under_one_key_however_often_it_is_tried(
    penstock: Any, server: FaultyServer, clock: Clock
) -> None:
    penstock.calls.retry_for_s = 1000
    server.will(*BAD_DAYS, answer(200, JOB))
    job = await done(penstock.jobs.submit("http", "http.get", {"url": "https://example.com/"}))
    assert job == Job(id="http-1", state="QUEUED", revision=1)
    assert len(server.seen) == len(BAD_DAYS)  # the first was not read
    assert {each.headers["idempotency-key"] for each in server.seen} == {server.seen[0].json["requestId"]}
    assert len({each.body for each in server.seen}) == 1
    assert clock.slept == [0.25, 0.5, 3.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0, 20.0, 20.0]


async def test_a_key_that_is_given_is_kept_over_all_tries(penstock: Any, server: FaultyServer) -> None:
    server.will(faulty.reset_after, answer(200, JOB))
    await done(penstock.jobs.submit("http", "http.get", idempotency_key="order-1"))
    assert [each.headers["idempotency-key"] for each in server.seen] == ["order-1", "order-1"]
    assert server.seen[0].headers["x-api-key"] == API_KEY
    assert server.seen[0].headers["user-agent"].startswith("penstock-sdk-python/0.1.0 ")


@pytest.mark.parametrize(
    "bad_day",
    [faulty.reset_after, faulty.half(200, {}), error(500, "INTERNAL"), error(503, "UNAVAILABLE"), faulty.page(502)],
)
async def test_what_may_have_been_done_is_not_done_again_without_a_key(
    penstock: Any, server: FaultyServer, bad_day: faulty.Reply
) -> None:
    server.will(bad_day, answer(200, {}))
    with pytest.raises((NoAnswer, ApiError)):
        await done(penstock.keys.create("reports"))
    assert len(server.seen) == 1


async def test_what_was_surely_not_done_is_tried_again_without_a_key(penstock: Any, server: FaultyServer) -> None:
    server.will(
        error(429, "RATE_LIMITED", {"Retry-After": "1"}), QUEUE_FULL, faulty.page(429), answer(200, {"secret": "s"})
    )
    assert (await done(penstock.keys.create("reports"))).secret == "s"
    assert len(server.seen) == 4
    assert all("idempotency-key" not in each.headers for each in server.seen)


def test_nobody_there_is_tried_again_and_told(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with (
        Penstock(url, API_KEY, pacing=QuickPacing(clock), retry_for_s=5) as penstock,
        pytest.raises(NoAnswer) as raised,
    ):
        penstock.keys.create("reports")
    assert not raised.value.sent
    assert raised.value.tries == 5  # after 0.25, 0.5, 1 and 2 seconds; 4 more would be too late
    assert str(raised.value).startswith(f"POST {url}/api/v1/keys: no connection: ")
    assert "(given up after 5 tries in 3.8 s)" in str(raised.value)


async def test_no_pause_ends_after_the_time_that_calls_are_tried_for(
    penstock: Any, server: FaultyServer, clock: Clock
) -> None:
    server.will(*[QUEUE_FULL] * 3, error(503, "QUEUE_FULL", {"Retry-After": "60"}))
    with pytest.raises(reasons.QueueFull) as raised:
        await done(penstock.jobs.submit("http", "http.get"))
    assert clock.slept == [3.0, 3.0, 3.0]
    assert (raised.value.tries, raised.value.retry_after_s) == (4, 60.0)
    assert (raised.value.reason, raised.value.status, raised.value.request_id) == ("QUEUE_FULL", 503, "req-1")
    assert str(raised.value).startswith("QUEUE_FULL (503): it is QUEUE_FULL; request req-1 (given up after 4 tries")


async def test_a_server_that_is_silent_is_waited_for_no_longer_than_told(penstock: Any, server: FaultyServer) -> None:
    server.will(faulty.silent, answer(200, JOB))
    job = await done(penstock.jobs.get("http-1", timeout_s=0.5))
    assert job.id == "http-1"


async def test_an_answer_that_drips_in_for_too_long_is_none(penstock: Any, server: FaultyServer, clock: Clock) -> None:
    def dripping(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n{")
        clock.slept.append(50)
        connection.sendall(b'"id": ')
        faulty.silent(connection)

    server.will(dripping, answer(200, JOB))
    assert (await done(penstock.jobs.get("http-1"))).id == "http-1"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (faulty.page(200), 'it is text/html, not application/json, beginning "<html>a proxy\'s page</html>"'),
        (faulty.page(404), "the answer (404) is none of Penstock's"),
        (answer(404, {"detail": "Not Found"}), "JSON without a reason"),
        (faulty.raw(302, b"", {"Location": "https://login.example/"}), "the answer (302)"),
    ],
)
async def test_what_is_none_of_penstocks_is_told_at_once(
    penstock: Any, server: FaultyServer, reply: faulty.Reply, told: str
) -> None:
    server.will(reply)
    with pytest.raises(UnexpectedAnswer, match="Does the URL lead to a Penstock") as raised:
        await done(penstock.jobs.get("http-1"))
    assert told in str(raised.value)
    assert len(server.seen) == 1


async def test_an_error_tells_all_that_was_said(penstock: Any, server: FaultyServer) -> None:
    google = "type.googleapis.com/google.rpc."
    violation = {"field": "params.url", "description": "is missing"}
    details = [
        {"@type": google + "ErrorInfo", "reason": "INVALID_ARGUMENT", "metadata": {"method": "http.get"}},
        {"@type": google + "BadRequest", "fieldViolations": [violation]},
        {"@type": google + "RetryInfo", "retryDelay": "1.5s"},
        {"@type": google + "Help", "links": [{"url": "https://p.example/docs/errors/INVALID_ARGUMENT"}]},
    ]
    server.will(answer(400, {"error": {"code": 400, "message": "a field is wrong", "details": details}}))
    with pytest.raises(reasons.InvalidArgument) as raised:
        await done(penstock.jobs.submit("http", "http.get"))
    told = pickle.loads(pickle.dumps(raised.value))
    assert isinstance(told, reasons.InvalidArgument)
    assert told.violations[0].field == "params.url"
    assert told.metadata == {"method": "http.get"}
    assert told.retry_after_s == 1.5
    assert told.help_url.endswith("INVALID_ARGUMENT")
    assert str(told) == "INVALID_ARGUMENT (400): a field is wrong; params.url: is missing"


async def test_a_reason_that_is_not_known_yet_is_an_api_error(penstock: Any, server: FaultyServer) -> None:
    server.will(error(400, "MOON_IN_THE_WAY"))
    with pytest.raises(ApiError) as raised:
        await done(penstock.jobs.get("http-1"))
    assert type(raised.value) is ApiError
    assert raised.value.reason == "MOON_IN_THE_WAY"


async def test_what_no_call_can_be_made_of_is_refused_before(penstock: Any, server: FaultyServer) -> None:
    for call, told in (
        (lambda: penstock.jobs.get(""), "jobId is ''"),
        (lambda: penstock.jobs.get(".."), "jobId is '..'"),
        (lambda: penstock.jobs.submit("http", "http.get", idempotency_key="not visible\n"), "idempotency_key is"),
        (lambda: penstock.jobs.submit("http", "http.get", {"n": float("nan")}), "JSON"),
        (lambda: penstock.jobs.submit("http", "http.get", {"n": object()}), "params"),
    ):
        with pytest.raises(InvalidUse, match=told.replace(".", r"\.")):
            await done(call())
    assert server.seen == []


async def test_ids_stay_in_their_place_of_the_path(penstock: Any, server: FaultyServer) -> None:
    server.will(answer(200, JOB), answer(200, {}))
    await done(penstock.jobs.get("../x?y#z"))
    await done(penstock.operations.get("operations/op-1"))
    assert [each.target for each in server.seen] == ["/api/v1/jobs/..%2Fx%3Fy%23z", "/api/v1/operations/op-1"]


async def test_a_list_is_fetched_page_by_page(penstock: Any, server: FaultyServer) -> None:
    server.will(
        answer(200, {"jobs": [{"id": "a"}, {"id": "b"}], "nextPageToken": "t+1", "totalSize": "3"}),
        faulty.reset_after,
        answer(200, {"jobs": [{"id": "c"}]}),
        answer(200, {"jobs": [{"id": "a"}], "totalSize": "3"}),
    )
    jobs = penstock.jobs.list(state=["FAILED", "EXPIRED"], include_total_size=True)
    assert [job.id for job in await done(jobs)] == ["a", "b", "c"]
    assert server.seen[0].target == "/api/v1/jobs?state=FAILED&state=EXPIRED&includeTotalSize=true"
    assert server.seen[1].target == server.seen[2].target == server.seen[0].target + "&pageToken=t%2B1"
    assert (await done(jobs.first())).total_size == 3


async def test_a_client_that_is_closed_says_so(penstock: Any) -> None:
    close = getattr(penstock, "aclose", None) or penstock.close
    await done(close())
    await done(close())
    with pytest.raises(InvalidUse, match="closed"):
        await done(penstock.jobs.get("http-1"))


def test_threads_share_a_client(server: FaultyServer) -> None:
    server.will(*[answer(200, JOB)] * 8)
    with Penstock(server.url, API_KEY) as penstock:
        jobs: list[Job] = []
        threads = [threading.Thread(target=lambda: jobs.append(penstock.jobs.get("http-1"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(jobs) == 8


def test_an_interrupt_passes_through_at_once(server: FaultyServer) -> None:
    class Interrupted(QuickPacing):
        def sleep(self, seconds: float) -> None:
            raise KeyboardInterrupt

    server.will(faulty.reset_after, answer(200, JOB))
    with Penstock(server.url, API_KEY, pacing=Interrupted(Clock())) as penstock, pytest.raises(KeyboardInterrupt):
        penstock.jobs.get("http-1")
    assert len(server.seen) == 1


def test_errors_that_a_caller_wants_at_once_are_not_tried_again() -> None:
    full = reasons.QueueFull("full", reason="QUEUE_FULL", status=503)
    tries = Tries(Repeat.KEYED, retry_for_s=60, pacing=QuickPacing(Clock()), raised_at_once=(reasons.QueueFull,))
    with pytest.raises(reasons.QueueFull):
        tries.pause_after(full)


def test_settings_that_make_no_sense_are_refused() -> None:
    for timeout_s, retry_for_s in ((0.0, 1.0), (-1.0, 1.0), (1.0, float("nan"))):
        with pytest.raises(InvalidUse, match="it takes seconds"):
            Penstock("http://penstock.example", API_KEY, timeout_s=timeout_s, retry_for_s=retry_for_s)
    with pytest.raises(InvalidUse, match="transport is 'smoke'; it takes http or grpc"):
        Penstock("http://penstock.example", API_KEY, transport=cast("Any", "smoke"))


async def test_an_answer_of_another_shape_is_told(penstock: Any, server: FaultyServer) -> None:
    server.will(answer(200, {"id": 7}))
    with pytest.raises(PenstockError, match="no Job: id is 7"):
        await done(penstock.jobs.get("http-1"))


async def test_cancelling_passes_through_at_once_and_leaves_a_client_that_works(server: FaultyServer) -> None:
    server.will(faulty.silent, answer(200, JOB))
    async with AsyncPenstock(server.url, API_KEY) as penstock:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await penstock.jobs.get("http-1")
        assert (await penstock.jobs.get("http-1")).id == "http-1"
    assert len(server.seen) == 2
