"""What a real far end says of its quotas, and what the attempts tell of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from penstock.events.v1 import events_pb2
from yarl import URL

from tests.integration.upstream.outcomes import failure, success

if TYPE_CHECKING:
    from tests.fakes.far_end import FarEnd
    from tests.integration.upstream.conftest import MakeCall
    from tests.integration.upstream.mesh import Mesh

pytestmark = pytest.mark.usefixtures("no_stalls")

HOUR = 3600
#: How each form is asked for, and the calls and seconds that it tells, to the second.
FORMS: list[tuple[dict[str, str], list[tuple[int, int]]]] = [
    ({"RateLimit": '"burst";r=0;t=30', "RateLimit-Policy": '"burst";q=100;w=60'}, [(0, 30)]),
    ({"RateLimit": '"burst";r=0;t=30, "daily";r=500;t=3600'}, [(500, HOUR), (0, 30)]),
    ({"RateLimit": "limit=100, remaining=0, reset=30"}, [(0, 30)]),
    ({"RateLimit-Limit": "100", "RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, [(0, 30)]),
    ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, [(0, 30)]),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "in an hour"}, []),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "<in an hour>"}, [(0, HOUR)]),
    ({"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "<in an hour>"}, [(0, HOUR)]),
    ({"Retry-After": "17"}, [(0, 17)]),
    ({"Retry-After": "17", "RateLimit": '"burst";r=0;t=3'}, [(0, 17)]),
    ({"RateLimit": "\N{SNOWMAN};r=0;t=3", "X-RateLimit-Remaining": "-1", "Retry-After": "soon"}, []),
    ({}, []),
]


def saying(far: FarEnd, status: int, headers: dict[str, str]) -> str:
    in_an_hour = str(int(time.time()) + HOUR)
    said = {name: in_an_hour if value == "<in an hour>" else value for name, value in headers.items()}
    return str(URL(f"{far.url}/saying/{status}").with_query(said))


def told(quotas: Any) -> list[tuple[int, int]]:
    assert all(quota.scope == events_pb2.Quota.LANE for quota in quotas)
    return [(quota.remaining, quota.reset_after.seconds) for quota in quotas]


def nearly(expected: list[tuple[int, int]]) -> list[tuple[int, Any]]:
    """As expected, within a minute's delay where the far end told a time."""
    return [(left, pytest.approx(seconds, abs=60) if seconds == HOUR else seconds) for left, seconds in expected]


async def test_attempts_that_were_refused_carry_what_the_upstream_said(mesh: Mesh) -> None:
    async with mesh.running():
        jobs = [await mesh.scheduler.put("get", saying(mesh.far, 429, headers)) for headers, _ in FORMS]
        attempts = [await mesh.outcome(job) for job in jobs]
    assert {each.health for each in attempts} == {events_pb2.Attempt.THROTTLED}
    assert [told(each.quotas) for each in attempts] == [nearly(expected) for _, expected in FORMS]


async def test_attempts_that_came_out_well_or_failed_carry_it_too(mesh: Mesh) -> None:
    headers = {"RateLimit": '"burst";r=7;t=30', "Retry-After": "17"}
    async with mesh.running():
        jobs = {
            status: await mesh.scheduler.put("post", saying(mesh.far, status, headers))
            for status in (200, 404, 500, 503)
        }
        attempts = {status: await mesh.outcome(job) for status, job in jobs.items()}
    assert {status: told(each.quotas) for status, each in attempts.items()} == {
        200: [(7, 30)],
        404: [(7, 30)],
        500: [(7, 30)],
        503: [(7, 30), (0, 17)],
    }
    assert {status: each.health for status, each in attempts.items()} == {
        200: events_pb2.Attempt.HEALTHY,
        404: events_pb2.Attempt.HEALTHY,
        500: events_pb2.Attempt.FAILING,
        503: events_pb2.Attempt.FAILING,
    }


async def test_a_quota_in_several_headers_of_one_name_is_read_as_one(make_call: MakeCall, far_end: FarEnd) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRateLimit: "a";r=9;t=9\r\nratelimit: "b";r=3;t=3\r\n\r\n'
    outcome = success(await make_call("get", far_end.raw(answer)))
    assert [quota.remaining for quota in outcome.quotas] == [9, 3]


async def test_bytes_that_are_no_text_harm_nobody(make_call: MakeCall, far_end: FarEnd) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRateLimit: "\xff\xfe";r=1;t=1\r\nRetry-After: \xff\r\n\r\n'
    assert not success(await make_call("get", far_end.raw(answer))).quotas


async def test_what_an_answer_said_holds_also_where_its_body_never_came(make_call: MakeCall, far_end: FarEnd) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nRateLimit: "a";r=9;t=9\r\n\r\nhalf'
    outcome = failure(await make_call("get", far_end.raw(answer)))
    assert [quota.remaining for quota in outcome.quotas] == [9]


async def test_what_the_last_of_several_redirected_answers_said_is_taken(make_call: MakeCall, far_end: FarEnd) -> None:
    there = saying(far_end, 429, {"RateLimit": '"a";r=0;t=5'})
    redirect = f'HTTP/1.1 302 Found\r\nContent-Length: 0\r\nRateLimit: "b";r=9;t=9\r\nLocation: {there}\r\n\r\n'
    outcome = failure(await make_call("get", far_end.raw(redirect.encode())))
    assert [quota.remaining for quota in outcome.quotas] == [0]
