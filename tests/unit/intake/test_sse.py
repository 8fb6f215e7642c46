"""Jobs as server-sent events, read back as a browser reads them."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from penstock.jobs.v1 import jobs_pb2

from services.intake import sse


def job(**fields: object) -> jobs_pb2.Job:
    return jobs_pb2.Job(id="http-1", upstream="http", state=jobs_pb2.Job.RUNNING, revision=7, **fields)  # type: ignore[arg-type]  fields of Job


def lines_of(frame: bytes) -> list[str]:
    """The lines of one event, split where the standard splits them."""
    assert frame.endswith(b"\n\n")
    return frame[:-2].decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")


def test_a_job_is_an_event_with_its_revision_its_state_and_its_json() -> None:
    body = sse.event(job())
    assert body.content_type == "text/event-stream"
    first, second, third = lines_of(body.data)
    assert (first, second) == ("id: 7", "event: running")
    assert json.loads(third.removeprefix("data: ")) == {
        "id": "http-1",
        "upstream": "http",
        "state": "RUNNING",
        "revision": "7",
    }


def test_a_state_of_two_words_is_one_event_name() -> None:
    body = sse.event(jobs_pb2.Job(state=jobs_pb2.Job.OUTCOME_UNKNOWN))
    assert lines_of(body.data)[1] == "event: outcome_unknown"


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\nid: 99\r\n\r\ndata: forged", "\n\n", "é\u2028\u0085\x0b", 'a "b" \\n', ""]
)
def test_no_text_of_a_job_ends_its_line(text: str) -> None:
    result = jobs_pb2.JobResult(inline=jobs_pb2.InlineResult(status=200, text=text))
    sent = job(metadata={text: text}, result=result)
    lines = lines_of(sse.event(sent).data)
    assert [line.partition(":")[0] for line in lines] == ["id", "event", "data"]
    assert json_format.Parse(lines[2].removeprefix("data: "), jobs_pb2.Job()) == sent


def test_a_stream_begins_with_how_long_to_wait_before_it_is_taken_up_again() -> None:
    assert sse.opening().data == b"retry: 1000\n\n"
    assert sse.opening().content_type == "text/event-stream"


def test_a_heartbeat_is_a_comment() -> None:
    assert sse.heartbeat().data == b": heartbeat\n\n"
