"""Attempts, as a job's timeline tells them."""

from __future__ import annotations

import random

import pytest
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.attempts import attempts_of, left_by
from shared import ids
from tests.fakes.history_events import Event, life

RETRIED = (Event.STARTED, Event.RETRYING, Event.STARTED)


def attempts(*types: Event.Type.ValueType) -> list[jobs_pb2.JobAttempt]:
    return attempts_of(map(left_by, life(ids.new_job_id("http"), *types)))


def test_a_job_that_was_not_begun_has_none() -> None:
    assert attempts() == attempts(Event.CANCELED) == attempts(Event.EXPIRED) == []


def test_each_attempt_has_its_times_and_its_end() -> None:
    events = life(ids.new_job_id("http"), *RETRIED, Event.SUCCEEDED)
    first, second = attempts_of(map(left_by, events))
    assert (first.number, first.state, second.number, second.state) == (
        1,
        jobs_pb2.Job.RETRYING,
        2,
        jobs_pb2.Job.SUCCEEDED,
    )
    assert (first.started_at, first.finished_at) == (events[1].time, events[2].time)
    assert (second.started_at, second.finished_at) == (events[3].time, events[4].time)
    assert first.error == events[2].error
    assert first.retry_not_before == events[2].not_before
    assert not second.HasField("error")
    assert not second.HasField("retry_not_before")


def test_one_under_way_has_no_end() -> None:
    _, second = attempts(*RETRIED)
    assert second.state == jobs_pb2.Job.RUNNING
    assert second.HasField("started_at")
    assert not second.HasField("finished_at")


@pytest.mark.parametrize("end", [Event.CANCELED, Event.EXPIRED])
def test_the_end_of_a_job_that_waits_is_not_its_last_attempts(end: Event.Type.ValueType) -> None:
    (only,) = attempts(Event.STARTED, Event.RETRYING, end)
    assert only.state == jobs_pb2.Job.RETRYING
    assert only.error.message == "revision 3"


def test_what_has_not_come_yet_leaves_the_rest_told() -> None:
    events = life(ids.new_job_id("http"), *RETRIED, Event.FAILED)
    without_start = attempts_of(left_by(event) for event in events if event.revision != 4)
    assert [each.state for each in without_start] == [jobs_pb2.Job.RETRYING, jobs_pb2.Job.FAILED]
    assert without_start[1].started_at == events[3].time, "its end tells it too"


def test_a_timeline_holds_no_result() -> None:
    events = life(ids.new_job_id("http"), Event.STARTED, Event.SUCCEEDED)
    events[-1].result.inline.text = random.Random(1).randbytes(20).hex()
    assert events[-1].result.inline.text.encode() not in left_by(events[-1])
