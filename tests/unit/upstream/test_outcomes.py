from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import scheduler_pb2

from services.upstream.domain import Failure, Outcome, Quota, QuotaScope, Reason, Stored, Success
from services.upstream.outcomes import attempt_event, message_id

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALL = scheduler_pb2.Call(
    job_id="http-0198c6f2-0000-7000-8000-000000000000",
    tenant="acme",
    fence=events_pb2.Fence(epoch=2, count=3),
    attempt=1,
    submission=events_pb2.Submission(job=jobs_pb2.Job(upstream="http")),
)


def event(outcome: Outcome) -> events_pb2.Attempt:
    return attempt_event(CALL, outcome, worker="w", started_at=BEGAN, finished_at=BEGAN + timedelta(seconds=2))


def test_the_event_names_the_lease_it_was_made_under() -> None:
    made = event(Success(status=204))
    assert (made.job_id, made.tenant, made.upstream, made.number) == (CALL.job_id, "acme", "http", 1)
    assert made.fence == CALL.fence
    assert made.finished_at.ToDatetime(tzinfo=UTC) - made.started_at.ToDatetime(tzinfo=UTC) == timedelta(seconds=2)
    assert message_id(CALL) == f"{CALL.job_id}:2.3"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", None),
        (b"plain", "text"),
        ("straße ☂".encode(), "text"),
        ("\ufeffwith a mark".encode(), "text"),
        ("straße".encode("latin-1"), "data"),
        (b"\x89PNG\r\n\x1a\n\0", "data"),
        (b"nul \0 inside", "data"),
        (b"\xed\xa0\x80", "data"),
    ],
)
def test_a_body_is_text_where_it_is_utf_8_without_nul(body: bytes, kind: str | None) -> None:
    made = event(Success(status=200, headers={"content-type": "x/y"}, body=body))
    assert made.result.inline.WhichOneof("body") == kind
    assert (made.result.size, made.result.content_type) == (len(body), "x/y")


def test_a_stored_body_is_told_by_the_way_to_it_and_all_that_is_known_of_it() -> None:
    headers = {"content-type": "image/png", "x-a": "1"}
    made = event(Success(status=201, headers=headers, body=Stored(size=300_000)))
    assert made.result == jobs_pb2.JobResult(
        url=f"/api/v1/jobs/{CALL.job_id}/result", status=201, headers=headers, content_type="image/png", size=300_000
    )


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_a_body_keeps_its_exact_bytes(body: bytes) -> None:
    made = events_pb2.Attempt.FromString(event(Success(status=200, body=body)).SerializeToString())
    inline = made.result.inline
    assert (inline.text.encode() or inline.data) == body


def test_a_failure_carries_what_the_scheduler_decides_by() -> None:
    made = event(
        Failure(
            reason=Reason.UPSTREAM_STATUS,
            message="h answered 429",
            upstream_status=429,
            retryable=True,
            retry_after=timedelta(seconds=7),
        )
    )
    assert (made.error.reason, made.error.upstream_status, made.error.retryable) == ("UPSTREAM_STATUS", 429, True)
    assert made.retry_after.ToTimedelta() == timedelta(seconds=7)
    assert not made.outcome_unknown


def test_an_unknown_outcome_says_so_and_asks_for_no_pause() -> None:
    made = event(Failure(reason=Reason.UPSTREAM_TIMEOUT, message="late", outcome_unknown=True))
    assert made.outcome_unknown
    assert not made.HasField("retry_after")


@pytest.mark.parametrize(
    ("outcome", "health"),
    [
        (Success(status=200), events_pb2.Attempt.HEALTHY),
        (Failure(reason=Reason.UPSTREAM_STATUS, message="", upstream_status=429), events_pb2.Attempt.THROTTLED),
        (Failure(reason=Reason.UPSTREAM_TIMEOUT, message=""), events_pb2.Attempt.FAILING),
        (Failure(reason=Reason.INTERNAL, message=""), events_pb2.Attempt.HEALTH_UNSPECIFIED),
    ],
)
def test_the_event_says_how_the_upstream_is(outcome: Outcome, health: events_pb2.Attempt.Health) -> None:
    assert event(outcome).health == health


def test_the_event_has_what_the_upstream_said_of_its_quotas_in_the_same_order() -> None:
    said = (
        Quota(scope=QuotaScope.UPSTREAM, remaining=7, reset_after=timedelta(hours=1)),
        Quota(scope=QuotaScope.LANE_CLASS, remaining=0, reset_after=timedelta(milliseconds=1500)),
    )
    for outcome in (
        Success(status=200, quotas=said),
        Failure(reason=Reason.UPSTREAM_STATUS, message="", upstream_status=429, quotas=said),
    ):
        assert [(q.scope, q.remaining, q.reset_after.ToTimedelta()) for q in event(outcome).quotas] == [
            (events_pb2.Quota.UPSTREAM, 7, timedelta(hours=1)),
            (events_pb2.Quota.LANE_CLASS, 0, timedelta(milliseconds=1500)),
        ]
