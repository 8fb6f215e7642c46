"""What a receiver is sent: `{"type", "timestamp", "data"}`, as Standard Webhooks 1.0.0 recommends.

`type` is the event's, such as `job.succeeded`; `timestamp` is the event's too, in RFC 3339; `data` is the job as GetJob
answers it, in proto3 JSON; for `batch.finished` it is the batch without its jobs, for other notices the fact. A message
of more than 20 KB goes without the content of the job's result: its `contentType`, `size` and, where it has one, `url`
stay, and the receiver fetches the rest by the job's id.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from google.protobuf import json_format
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from shared import views

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp
    from penstock.events.v1 import notices_pb2

#: Standard Webhooks: "we recommend that webhook payloads be kept under 20kb".
MAX_BYTES = 20 * 1024
#: The events by which a job ends, by what `type` calls them.
EVENT_TYPES = {
    events_pb2.JobEvent.SUCCEEDED: "job.succeeded",
    events_pb2.JobEvent.FAILED: "job.failed",
    events_pb2.JobEvent.CANCELED: "job.canceled",
    events_pb2.JobEvent.EXPIRED: "job.expired",
    events_pb2.JobEvent.OUTCOME_UNKNOWN: "job.outcome_unknown",
}
#: Notices, by the name of their fact, likewise.
NOTICE_TYPES = {
    "batch_finished": "batch.finished",
    "connection_needs_reauth": "connection.needs_reauth",
    "connection_restored": "connection.restored",
    "connection_deleted": "connection.deleted",
    "tenant_suspended": "tenant.suspended",
    "tenant_resumed": "tenant.resumed",
    "endpoint_disabled": "endpoint.disabled",
}


def notice_payload(notice: notices_pb2.Notice) -> bytes:
    """The body that tells of a notice: its fact; of a batch's end the batch, without who is told of it."""
    fact = notice.WhichOneof("fact") or ""
    data = notice.batch_finished.batch if fact == "batch_finished" else getattr(notice, fact)
    return _encoded(NOTICE_TYPES[fact], notice.time, data)


def payload_of(event: events_pb2.JobEvent, submitted: jobs_pb2.Job) -> bytes:
    """The body that tells of an event.

    Args:
        event: By which the job ended.
        submitted: The job as first answered.
    """
    job = jobs_pb2.Job()
    job.CopyFrom(submitted)
    views.apply(event, job)
    body = _encoded(EVENT_TYPES[event.type], event.time, job)
    if len(body) > MAX_BYTES and job.HasField("result"):
        views.without_content(job.result)
        body = _encoded(EVENT_TYPES[event.type], event.time, job)
    return body


def _encoded(kind: str, time: Timestamp, data: Message) -> bytes:
    message = {"type": kind, "timestamp": time.ToJsonString(), "data": json_format.MessageToDict(data)}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
