"""The log of jobs as a rebuild reads it: in order, as much at a time as a script takes, without what makes no sense."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.scheduler.domain import MAX_BATCH
from services.scheduler.replay import chapters_of, dump_events
from shared import ids
from shared.bus import Stored

Event = events_pb2.JobEvent
State = jobs_pb2.Job.State
NOW = datetime(2027, 1, 15, 8, 0, 0, 250_000, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def stored(event: Event | bytes, sequence: int) -> Stored:
    payload = event if isinstance(event, bytes) else event.SerializeToString()
    return Stored(subject="jobs.any.http", payload=payload, headers={}, sequence=sequence, time=NOW, pending=0)


def an_event(state: State.ValueType, type_: Event.Type.ValueType, **fields: object) -> Event:
    event = Event(type=type_, job_id=ids.new_job_id("http"), tenant="acme", state=state, revision=2, **fields)  # type: ignore[arg-type]  its own fields
    event.time.FromDatetime(NOW)
    return event


def a_submission() -> Event:
    event = an_event(State.QUEUED, Event.SUBMITTED)
    event.submission.job.id = event.job_id
    event.submission.job.expires_at.FromDatetime(NOW)
    return event


def test_chapters_follow_each_other_and_hold_what_one_script_takes() -> None:
    messages = [stored(an_event(State.RUNNING, Event.STARTED), 10 + 3 * n) for n in range(MAX_BATCH + 5)]
    first, second = chapters_of("http", 4, messages)
    assert (first.after, first.upto) == (4, 10 + 3 * (MAX_BATCH - 1))
    assert (second.after, second.upto) == (first.upto, messages[-1].sequence)
    assert (len(first.events), len(second.events)) == (MAX_BATCH, 5)


def test_a_submission_is_told_by_its_job_and_when_it_was_submitted() -> None:
    event = a_submission()
    (chapter,) = chapters_of("http", 0, [stored(event, 7)])
    assert [(job.id, job.sequence) for job in chapter.jobs] == [(event.job_id, 7)]
    assert json.loads(dump_events(chapter.events)) == [{"at": 7, "job": 1, "time": NOW_MS}]
    assert chapter.only_submissions


def test_an_event_is_told_with_its_fence() -> None:
    fence = events_pb2.Fence(epoch=3, count=2)
    event = an_event(State.RUNNING, Event.STARTED, attempt=2, uncounted_attempts=1, fence=fence)
    event.started_at.FromDatetime(NOW)
    (chapter,) = chapters_of("http", 0, [stored(event, 7)])
    assert not chapter.only_submissions
    assert json.loads(dump_events(chapter.events)) == [
        {
            "at": 7,
            "id": event.job_id,
            "state": State.RUNNING,
            "revision": 2,
            "time": NOW_MS,
            "attempt": 2,
            "uncounted": 1,
            "from_cache": False,
            "answered": False,
            "started": NOW_MS,
            "not_before": 0,
            "epoch": 3,
            "count": 2,
            "settles": False,
        }
    ]


def test_an_outcome_settles_a_fence_and_a_lost_lease_does_not() -> None:
    reported = an_event(State.RETRYING, Event.RETRYING, error=jobs_pb2.JobError(reason="UPSTREAM_STATUS"))
    lost = an_event(State.RETRYING, Event.RETRYING, error=jobs_pb2.JobError(reason="ATTEMPT_LOST"))
    (chapter,) = chapters_of("http", 0, [stored(reported, 1), stored(lost, 2)])
    assert [event["settles"] for event in json.loads(dump_events(chapter.events))] == [True, False]


def test_what_makes_no_sense_is_left_out_and_the_rest_is_not() -> None:
    foreign = an_event(State.RUNNING, Event.STARTED)
    foreign.job_id = ids.new_job_id("flickr")
    endless = a_submission()
    endless.submission.job.ClearField("expires_at")
    good = an_event(State.EXPIRED, Event.EXPIRED)
    senseless = [b"\xff\xff", foreign, endless, an_event(State.QUEUED, Event.STARTED)]
    messages = [stored(event, sequence) for sequence, event in enumerate([*senseless, good], start=1)]
    (chapter,) = chapters_of("http", 0, messages)
    assert [happened.at for happened in chapter.events] == [5]
    assert (chapter.jobs, chapter.upto) == ([], 5)
