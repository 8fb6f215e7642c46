from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.webhooks.collecting.payload import EVENT_TYPES, MAX_BYTES, payload_of

JOB_ID = "http-0198c6f2-0000-7000-8000-000000000000"


def submitted(**fields: Any) -> jobs_pb2.Job:
    job = jobs_pb2.Job(
        id=JOB_ID,
        upstream="http",
        method="http.get",
        state=jobs_pb2.Job.QUEUED,
        priority=jobs_pb2.Job.HIGH,
        max_attempts=3,
        metadata={"order": "123"},
        revision=1,
        **fields,
    )
    job.created_at.FromJsonString("2026-05-04T10:30:15.123456Z")
    job.updated_at.CopyFrom(job.created_at)
    return job


def ended(kind: str = "SUCCEEDED", *, text: str = "", error: str = "") -> events_pb2.JobEvent:
    event = events_pb2.JobEvent(
        type=events_pb2.JobEvent.Type.Value(kind),
        job_id=JOB_ID,
        tenant="acme",
        upstream="http",
        revision=3,
        state=jobs_pb2.Job.State.Value(kind),
        attempt=1,
        has_callback=True,
    )
    event.time.FromJsonString("2026-05-04T10:30:16.500Z")
    event.finished_at.CopyFrom(event.time)
    if kind == "SUCCEEDED":
        inline = jobs_pb2.InlineResult(status=200, headers={"content-type": "text/plain"}, text=text)
        event.result.CopyFrom(jobs_pb2.JobResult(inline=inline, content_type="text/plain", size=len(text.encode())))
    if error:
        event.error.CopyFrom(jobs_pb2.JobError(reason="UPSTREAM_STATUS", message=error, upstream_status=503))
    return event


def test_it_holds_the_type_the_events_time_and_the_job_as_it_ended() -> None:
    message = json.loads(payload_of(ended(text="hello"), submitted()))
    assert message == {
        "type": "job.succeeded",
        "timestamp": "2026-05-04T10:30:16.500Z",
        "data": {
            "id": JOB_ID,
            "upstream": "http",
            "method": "http.get",
            "state": "SUCCEEDED",
            "priority": "HIGH",
            "attempt": 1,
            "maxAttempts": 3,
            "createdAt": "2026-05-04T10:30:15.123456Z",
            "updatedAt": "2026-05-04T10:30:16.500Z",
            "finishedAt": "2026-05-04T10:30:16.500Z",
            "metadata": {"order": "123"},
            "result": {
                "inline": {"status": 200, "headers": {"content-type": "text/plain"}, "text": "hello"},
                "contentType": "text/plain",
                "size": "5",
            },
            "revision": "3",
        },
    }


@pytest.mark.parametrize("event", sorted(EVENT_TYPES))
def test_each_end_has_its_type(event: events_pb2.JobEvent.Type.ValueType) -> None:
    kind = events_pb2.JobEvent.Type.Name(event)
    message = json.loads(payload_of(ended(kind), submitted()))
    assert message["type"] == f"job.{kind.lower()}"
    assert message["data"]["state"] == kind


def test_an_error_goes_along() -> None:
    message = json.loads(payload_of(ended("FAILED", error="answered 503"), submitted()))
    assert message["data"]["error"] == {
        "reason": "UPSTREAM_STATUS",
        "message": "answered 503",
        "upstreamStatus": 503,
    }


def test_a_large_result_is_left_for_the_receiver_to_fetch() -> None:
    message = json.loads(payload_of(ended(text="x" * MAX_BYTES), submitted()))
    assert message["data"]["result"] == {"contentType": "text/plain", "size": str(MAX_BYTES)}
    assert message["data"]["id"] == JOB_ID
    assert message["data"]["state"] == "SUCCEEDED"


def test_a_stored_result_goes_along_as_the_way_to_it_and_without_its_headers_where_they_are_many() -> None:
    event = ended()
    stored = jobs_pb2.JobResult(url="/api/v1/jobs/x/result", status=200, headers={"a": "b"}, size=300_000)
    event.result.CopyFrom(stored)
    told = {"url": "/api/v1/jobs/x/result", "status": 200, "size": "300000"}
    assert json.loads(payload_of(event, submitted()))["data"]["result"] == {**told, "headers": {"a": "b"}}
    event.result.headers["long"] = "x" * MAX_BYTES
    assert json.loads(payload_of(event, submitted()))["data"]["result"] == told


def test_a_payload_of_just_the_limit_is_whole() -> None:
    room = MAX_BYTES - len(payload_of(ended(text="x" * 10_000), submitted())) + 10_000
    body = payload_of(ended(text="x" * room), submitted())
    assert len(body) == MAX_BYTES
    assert json.loads(body)["data"]["result"]["inline"]["text"] == "x" * room
    assert len(payload_of(ended(text="x" * (room + 1)), submitted())) < 1000


@given(st.text(max_size=MAX_BYTES), st.dictionaries(st.text(max_size=64), st.text(max_size=256), max_size=5))
def test_whatever_the_job_holds_the_message_is_small_and_reads_back(text: str, labels: dict[str, str]) -> None:
    job = submitted()
    job.metadata.update(labels)
    body = payload_of(ended(text=text), job)
    assert len(body) <= MAX_BYTES
    read = json_format.ParseDict(json.loads(body)["data"], jobs_pb2.Job())
    assert read.result.size == len(text.encode())
    assert dict(read.metadata) == dict(job.metadata)


def test_the_job_as_first_answered_is_left_as_it_is() -> None:
    job = submitted()
    payload_of(ended(text="hello"), job)
    assert job == submitted()
