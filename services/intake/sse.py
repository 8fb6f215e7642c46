"""Server-sent events (WHATWG HTML, 9.2), as the messages of a stream of `google.api.HttpBody`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.api import httpbody_pb2
from google.protobuf import json_format

from services.intake.contract import state_of
from shared.rpc.status import HTTP_STATUS_HEADER

_CONTENT_TYPE = "text/event-stream"
#: How long a client waits before it takes up a stream that has ended.
_RETRY_MS = 1000
#: Initial metadata of a stream on which nothing will come: 204 alone tells a client not to take it up again.
OVER = ((HTTP_STATUS_HEADER, "204"),)

if TYPE_CHECKING:
    from penstock.jobs.v1 import jobs_pb2


def opening() -> httpbody_pb2.HttpBody:
    """What a stream begins with, so that its client knows at once that it is open."""
    return _body(f"retry: {_RETRY_MS}\n\n")


def event(job: jobs_pb2.Job) -> httpbody_pb2.HttpBody:
    """The job as an event left it, in the JSON of every answer; its revision is the id from which a client goes on."""
    data = json_format.MessageToJson(job, indent=None, ensure_ascii=False)  # JSON escapes what would end a line
    return _body(f"id: {job.revision}\nevent: {state_of(job.state).lower()}\ndata: {data}\n\n")


def heartbeat() -> httpbody_pb2.HttpBody:
    """A comment, so that nobody on the way takes the silence for an end."""
    return _body(": heartbeat\n\n")


def _body(text: str) -> httpbody_pb2.HttpBody:
    return httpbody_pb2.HttpBody(content_type=_CONTENT_TYPE, data=text.encode())
