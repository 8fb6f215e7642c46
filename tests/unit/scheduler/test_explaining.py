"""Why a job waits, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from penstock.jobs.v1 import jobs_pb2

from services.scheduler import explaining
from services.scheduler.domain import State
from services.scheduler.views import Explanation, Hold, HoldKind

#: 2026-01-31T12:00:00Z
NOW_MS = 1_769_860_800_000
WAITING = Explanation(
    job_id="http-1",
    state=State.QUEUED,
    leased=False,
    worker="",
    lane="api.example.com",
    holds=(),
    ahead_in_lane=0,
    waiting_of_tenant=1,
    lanes_of_tenant=1,
    tenants=1,
    share=1.0,
    drain_rate=10.0,
    now_ms=NOW_MS,
)
PAUSED = Hold(kind=HoldKind.PAUSED, scope="tenant", text="maintenance")
SUSPENDED = Hold(kind=HoldKind.SUSPENDED, scope="tenant", text="unpaid")
NEEDS_REAUTH = Hold(kind=HoldKind.NEEDS_REAUTH, scope="lane", text="the token was revoked")
RATE = Hold(kind=HoldKind.RATE, scope="lane", until_ms=NOW_MS + 4_000, limit=35, window_ms=6_000)
CONCURRENCY = Hold(kind=HoldKind.CONCURRENCY, scope="lane:write", limit=1)
BREAKER = Hold(kind=HoldKind.BREAKER, scope="lane", until_ms=NOW_MS + 300_000, text="throttled")
NOT_BEFORE = Hold(kind=HoldKind.NOT_BEFORE, scope="job", until_ms=NOW_MS + 60_000)
QUOTA = Hold(kind=HoldKind.QUOTA, scope="upstream:read", until_ms=NOW_MS + 30_000)


def held(*holds: Hold, **changes: object) -> Explanation:
    return replace(WAITING, holds=holds, **changes)  # type: ignore[arg-type]  of the fields' own types


def summary(explanation: Explanation) -> str:
    return explaining.message_of(explanation).summary


def estimate(explanation: Explanation) -> float | None:
    """Seconds from now, or None where none is made."""
    message = explaining.message_of(explanation)
    if not message.HasField("estimated_start_at"):
        return None
    return (message.estimated_start_at.ToMilliseconds() - NOW_MS) / 1000


@pytest.mark.parametrize(
    ("explanation", "words"),
    [
        (WAITING, "nothing holds it back but its turn: it is the next one of its lane, 1 lane of its tenant"),
        (
            replace(WAITING, ahead_in_lane=3, lanes_of_tenant=2, tenants=5),
            "3 jobs of its lane are before it, 2 lanes of its tenant and 5 tenants take turns",
        ),
        (replace(WAITING, ahead_in_lane=1), "1 job of its lane is before it"),
        (replace(WAITING, leased=True), "it does not wait: an attempt is under way"),
        (replace(WAITING, state=State.CANCELED), "it has ended as CANCELED"),
        (held(PAUSED), "the tenant's jobs are paused: maintenance"),
        (held(replace(PAUSED, scope="upstream", text="")), "the queue is paused for all tenants"),
        (held(SUSPENDED), "the tenant is suspended: unpaid"),
        (held(replace(SUSPENDED, text="")), "the tenant is suspended"),
        (held(PAUSED, SUSPENDED), "the tenant is suspended: unpaid; one more thing holds it back"),
        (held(replace(PAUSED, scope="lane")), "the job's lane is paused: maintenance"),
        (held(NEEDS_REAUTH), "the job's connection needs to be authorized anew: the token was revoked"),
        (held(RATE, NEEDS_REAUTH), "needs to be authorized anew: the token was revoked; one more thing holds it back"),
        (held(replace(NEEDS_REAUTH, text="")), "the job's connection needs to be authorized anew"),
        (
            held(RATE),
            "35 calls of the lane api.example.com may begin in any 6 s, and there is room from 2026-01-31T12:00:04Z",
        ),
        (
            held(CONCURRENCY, lane="-"),
            "1 write call without a connection may be under way at a time, and there is room when one ends",
        ),
        (
            held(BREAKER),
            "held back from the upstream for the lane api.example.com until 2026-01-31T12:05:00Z (it asked for",
        ),
        (
            held(replace(BREAKER, scope="upstream", text="failing", until_ms=0)),
            "held back from the upstream until one that was let through has shown that it has recovered (it fails)",
        ),
        (held(NOT_BEFORE), "the job is not to be called before 2026-01-31T12:01:00Z"),
        (held(NOT_BEFORE, state=State.RETRYING), "the job's last attempt failed, and it is tried again from"),
        (
            held(QUOTA),
            "the upstream allows no more read calls of all tenants before 2026-01-31T12:00:30Z: its quota is",
        ),
        (held(RATE, BREAKER), "; one more thing holds it back"),
        (held(RATE, BREAKER, PAUSED), "; 2 more things hold it back"),
    ],
)
def test_the_summary_says_what_decides(explanation: Explanation, words: str) -> None:
    assert words in summary(explanation)


def test_what_holds_longest_is_first_and_decides() -> None:
    message = explaining.message_of(
        held(CONCURRENCY, RATE, NEEDS_REAUTH, PAUSED, NOT_BEFORE, SUSPENDED, BREAKER, QUOTA)
    )
    assert [jobs_pb2.Hold.Kind.Name(hold.kind) for hold in message.holds] == [
        "SUSPENDED",
        "PAUSED",
        "NEEDS_REAUTH",
        "BREAKER",
        "NOT_BEFORE",
        "QUOTA",
        "RATE",
        "CONCURRENCY",
    ]
    assert message.summary.startswith("the tenant is suspended: unpaid")


def test_a_hold_has_its_scope_its_end_and_its_words() -> None:
    message = explaining.message_of(held(RATE, CONCURRENCY))
    rate, concurrency = message.holds
    assert (rate.scope, rate.until.ToMilliseconds()) == ("lane", NOW_MS + 4_000)
    assert rate.message.startswith("35 calls of the lane")
    assert not concurrency.HasField("until")


def test_the_place_is_told() -> None:
    message = explaining.message_of(
        replace(WAITING, ahead_in_lane=3, waiting_of_tenant=8, lanes_of_tenant=2, tenants=5, share=0.25)
    )
    assert message.job_id == "http-1"
    assert message.state == jobs_pb2.Job.QUEUED
    assert message.place == jobs_pb2.Place(
        lane="api.example.com", ahead_in_lane=3, waiting_of_tenant=8, lanes_of_tenant=2, tenants=5, share=0.25
    )


@pytest.mark.parametrize(
    ("explanation", "seconds"),
    [
        (WAITING, 0),
        # 4 before it in its lane, each with one of the other lane: 8 at a quarter of 10 a second
        (replace(WAITING, ahead_in_lane=4, lanes_of_tenant=2, waiting_of_tenant=100, tenants=4, share=0.25), 3.2),
        # never more before it than wait
        (replace(WAITING, ahead_in_lane=4, lanes_of_tenant=50, waiting_of_tenant=6), 0.5),
        (held(RATE), 4),
        (held(RATE, BREAKER), 300),
        (held(RATE, ahead_in_lane=100, waiting_of_tenant=101), 10),
        (held(CONCURRENCY), 0.1),
        (held(CONCURRENCY, drain_rate=0.0), None),
        (held(PAUSED), None),
        (held(SUSPENDED), None),
        (held(NEEDS_REAUTH), None),
        (replace(WAITING, ahead_in_lane=1, waiting_of_tenant=2, drain_rate=0.0), None),
        (replace(WAITING, ahead_in_lane=1, waiting_of_tenant=2, share=0.0), None),
        # longer than any job waits
        (replace(WAITING, ahead_in_lane=10**6, waiting_of_tenant=10**6 + 1, drain_rate=0.02), None),
        (replace(WAITING, leased=True), None),
        (replace(WAITING, state=State.SUCCEEDED), None),
    ],
)
def test_the_start_is_estimated_by_how_fast_the_queue_moves(explanation: Explanation, seconds: float | None) -> None:
    assert estimate(explanation) == seconds


def test_while_the_queue_is_rebuilt_that_is_why() -> None:
    message = explaining.recovering("http-1")
    (hold,) = message.holds
    assert (message.job_id, hold.kind) == ("http-1", jobs_pb2.Hold.RECOVERY)
    assert "being rebuilt" in message.summary
