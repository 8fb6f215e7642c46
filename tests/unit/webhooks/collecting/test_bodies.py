"""What is sent is what the catalogue of event types says, and there is nothing else of either."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.events.v1 import events_pb2, notices_pb2
from penstock.jobs.v1 import jobs_pb2

from services.webhooks.collecting.event_types.catalogue import EventTypes
from services.webhooks.collecting.payload import EVENT_TYPES, NOTICE_TYPES, notice_payload, payload_of
from tests.unit.webhooks.collecting.test_event_types import TYPES, faults

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message

#: What is inside of an event alone, and reaches no receiver.
OF_A_JOB = {field.name for field in jobs_pb2.Job.DESCRIPTOR.fields}


def full(message: Message) -> Message:
    """The message with every field set; of a oneof the last."""
    for field in message.DESCRIPTOR.fields:
        _set(message, field)
    return message


def _set(message: Message, field: FieldDescriptor) -> None:
    kind = field.message_type
    value = getattr(message, field.name)
    if kind is not None and kind.GetOptions().map_entry:
        value["key"] = "value"
    elif kind is not None:
        one = value.add() if field.is_repeated else value
        if isinstance(one, Timestamp):
            one.FromJsonString("2026-05-04T10:30:15.123Z")
        else:
            full(one)
    elif field.enum_type is not None:
        setattr(message, field.name, field.enum_type.values[-1].number)
    elif field.type == field.TYPE_STRING:
        setattr(message, field.name, f"{field.name}-text")
    elif field.type == field.TYPE_BYTES:
        setattr(message, field.name, b"canary")
    else:
        setattr(message, field.name, field.type == field.TYPE_BOOL or 7)


def ended(event_type: str, content: str) -> dict[str, Any]:
    """The body that tells of a job's end, made of an event and a job with every field set."""
    (kind,) = (kind for kind, name in EVENT_TYPES.items() if name == event_type)
    event, job = events_pb2.JobEvent(), jobs_pb2.Job()
    full(event)
    full(job)
    job.ClearField("attempts")  # of the view FULL alone; a job of the log has none
    event.type = kind
    event.state = jobs_pb2.Job.State.Value(events_pb2.JobEvent.Type.Name(kind))
    job.revision, event.revision = 1, 9
    if content == "inline":
        full(event.result.inline)
    return json.loads(payload_of(event, job))


def noticed(fact: str) -> dict[str, Any]:
    """The body that tells of a notice, with every field set that this service is ever told."""
    notice = notices_pb2.Notice(id="x:1", tenant="acme")
    notice.time.FromJsonString("2026-05-04T10:30:15.123Z")
    full(getattr(notice, fact))
    notice.batch_finished.batch.ClearField("jobs") if fact == "batch_finished" else None
    return json.loads(notice_payload(notice))


def test_the_catalogue_has_what_is_sent_and_nothing_else() -> None:
    assert sorted((*EVENT_TYPES.values(), *NOTICE_TYPES.values())) == list(EventTypes.shipped().names())


@pytest.mark.parametrize("content", ["inline", "url"])
@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES.values()))
def test_the_body_of_a_job_with_every_field_set_is_as_its_schema_says(event_type: str, content: str) -> None:
    body = ended(event_type, content)
    assert faults(TYPES.schema(event_type), body) == []
    assert set(body["data"]) == set(TYPES.schema(event_type)["$defs"]["Job"]["properties"])
    assert set(body["data"]["result"]) >= {content, "contentType", "size"}
    json_format.ParseDict(body["data"], jobs_pb2.Job())


@pytest.mark.parametrize("fact", sorted(NOTICE_TYPES))
def test_the_body_of_a_notice_with_every_field_set_is_as_its_schema_says(fact: str) -> None:
    body = noticed(fact)
    schema = TYPES.schema(NOTICE_TYPES[fact])
    assert faults(schema, body) == []
    data = schema["$defs"][schema["properties"]["data"]["$ref"].rsplit("/", 1)[-1]]
    assert set(body["data"]) == set(data["properties"])
    assert "canary" not in json.dumps(body)
    assert "callback" not in json.dumps(body)
