"""Facts as events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.scheduler.domain import Fact, Fence, Priority, State
from services.scheduler.events import event_of, message_of, timestamp

Event = events_pb2.JobEvent
FACT = Fact(
    job_id="http-0198c6f2-0000-7000-8000-000000000000",
    tenant="acme",
    revision=3,
    time_ms=1_800_000_000_123,
    state=State.SUCCEEDED,
    attempt=1,
    started_at_ms=1_800_000_000_001,
    not_before_ms=0,
    finished_at_ms=1_800_000_000_123,
    reason="",
    sequence=7,
    has_callback=True,
    fence=Fence(2, 5),
    worker="w1",
)
ATTEMPT = events_pb2.Attempt(
    error=jobs_pb2.JobError(reason="UPSTREAM_STATUS", message="503", upstream_status=503, retryable=True)
)


def test_states_and_priorities_are_numbered_as_in_the_contract() -> None:
    assert {state.name: state.value for state in State} == dict(jobs_pb2.Job.State.items()[1:])
    assert {each.name: each.value for each in Priority} == dict(jobs_pb2.Job.Priority.items()[1:])


@pytest.mark.parametrize("state", [state for state in State if state is not State.QUEUED])
def test_every_state_that_can_follow_has_an_event_of_its_name(state: State) -> None:
    event = event_of("http", replace(FACT, state=state))
    name = "STARTED" if state is State.RUNNING else state.name
    assert Event.Type.Name(event.type) == name
    assert message_of(event, FACT.fence, traceparent="").subject == f"jobs.{name.lower()}.http"


def test_an_event_carries_the_whole_fact() -> None:
    attempt = events_pb2.Attempt(result=jobs_pb2.JobResult(size=3))
    event = event_of("http", FACT, attempt)
    assert event == Event(
        type=Event.SUCCEEDED,
        job_id=FACT.job_id,
        tenant="acme",
        upstream="http",
        revision=3,
        time=timestamp(1_800_000_000_123),
        state=jobs_pb2.Job.SUCCEEDED,
        attempt=1,
        started_at=timestamp(1_800_000_000_001),
        finished_at=timestamp(1_800_000_000_123),
        result=jobs_pb2.JobResult(size=3),
        submitted_sequence=7,
        has_callback=True,
        fence=events_pb2.Fence(epoch=2, count=5),
    )
    assert event.time.ToMilliseconds() == 1_800_000_000_123


def test_an_event_says_how_many_attempts_did_not_count() -> None:
    retrying = event_of("http", replace(FACT, state=State.RETRYING, attempt=3, uncounted=2), ATTEMPT)
    assert (retrying.attempt, retrying.uncounted_attempts, retrying.error) == (3, 2, ATTEMPT.error)


def test_an_event_of_a_job_that_was_never_leased_has_no_fence() -> None:
    assert not event_of("http", replace(FACT, state=State.EXPIRED, fence=Fence(0, 0))).HasField("fence")


def test_a_start_is_known_by_its_fence_and_every_other_event_by_its_revision() -> None:
    started = message_of(event_of("http", replace(FACT, state=State.RUNNING)), FACT.fence, traceparent="t")
    succeeded = message_of(event_of("http", FACT), FACT.fence, traceparent="t")
    assert started.message_id == f"{FACT.job_id}:2.5"
    assert succeeded.message_id == f"{FACT.job_id}:3"
    assert succeeded.traceparent == "t"


@pytest.mark.parametrize("state", [State.RETRYING, State.FAILED])
def test_a_failure_is_told_in_the_workers_words(state: State) -> None:
    assert event_of("http", replace(FACT, state=state), ATTEMPT).error == ATTEMPT.error


def test_an_unknown_outcome_says_so_and_what_was_seen_last() -> None:
    error = event_of("http", replace(FACT, state=State.OUTCOME_UNKNOWN), ATTEMPT).error
    assert (error.reason, error.retryable, error.upstream_status) == ("OUTCOME_UNKNOWN", False, 503)
    assert "(last seen: 503)" in error.message


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        (State.CANCELED, "", "JOB_CANCELED"),
        (State.EXPIRED, "", "JOB_EXPIRED"),
        (State.RETRYING, "ATTEMPT_LOST", "ATTEMPT_LOST"),
        (State.FAILED, "ATTEMPT_LOST", "ATTEMPT_LOST"),
        (State.FAILED, "INTERNAL", "INTERNAL"),
        (State.OUTCOME_UNKNOWN, "OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN"),
    ],
)
def test_what_the_scheduler_ends_itself_has_its_reason_in_words(state: State, reason: str, told: str) -> None:
    error = event_of("http", replace(FACT, state=state, reason=reason)).error
    assert error.reason == told
    assert len(error.message) > 20
    assert error.retryable is (state is State.RETRYING)


def test_a_start_has_neither_result_nor_error() -> None:
    event = event_of("http", replace(FACT, state=State.RUNNING, finished_at_ms=0))
    assert not event.HasField("error")
    assert not event.HasField("result")
    assert not event.HasField("finished_at")
