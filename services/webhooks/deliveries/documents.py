"""How deliveries are written down: the collection `deliveries` of the database `webhooks`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import (
    AttemptRecord,
    Delivery,
    Outcome,
    Reason,
    Response,
    State,
    receiver_of,
)

if TYPE_CHECKING:
    from shared.mongo import Document

DATABASE = "webhooks"
COLLECTION = "deliveries"
#: So many attempts are kept of a delivery, the newest.
ATTEMPTS_KEPT = 20
#: What one delivery's answer alone has; whoever is about to make an attempt leaves it out.
WITHOUT_LOG = {"log": False}
#: What lists leave out too: nothing in them shows it.
WITHOUT_CONTENT = {**WITHOUT_LOG, "payload": False, "sealed_secret": False}
#: Has what the version before endpoints has written, `_id` and `host` and no receiver, be as it would be written now:
#: a callback's. What is of this version stays as it is.
AS_OF_NOW: Document = {
    "webhook_id": {"$ifNull": ["$webhook_id", "$_id"]},
    "receiver": {"$ifNull": ["$receiver", {"$concat": ["$tenant", "/", "$host"]}]},
    "endpoint_id": {"$ifNull": ["$endpoint_id", ""]},
    "about": {"$ifNull": ["$about", "$job_id"]},
    "line": {"$ifNull": ["$line", ""]},
    "place": {"$ifNull": ["$place", 0]},
    "batch_id": {"$ifNull": ["$batch_id", ""]},
    "replays": {"$ifNull": ["$replays", 0]},
    "log": {"$ifNull": ["$log", []]},
}


def document_of(delivery: Delivery) -> Document:
    """A delivery that has had no attempt yet, as it is kept."""
    return {
        "_id": delivery.id,
        "webhook_id": delivery.webhook_id,
        "tenant": delivery.tenant,
        "receiver": delivery.receiver,
        "endpoint_id": delivery.endpoint_id,
        "about": delivery.about,
        "url": delivery.url,
        "event_type": delivery.event_type,
        "event_time": delivery.event_time,
        "payload": delivery.payload,
        "sealed_secret": delivery.sealed_secret,
        "traceparent": delivery.traceparent,
        "line": delivery.line,
        "place": delivery.place,
        "batch_id": delivery.batch_id,
        "created_at": delivery.created_at,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "replays": delivery.replays,
        "next_attempt_at": delivery.next_attempt_at,
        "claim": delivery.claim,
        "last_reason": delivery.last_reason,
        "last_status": delivery.last_status,
        "finished_at": delivery.finished_at,
        "log": [],
    }


def delivery_of(document: Document) -> Delivery:
    """A delivery as it is kept, with its content where that was read.

    What a version before this one has written lacks the later fields.
    """
    tenant = document["tenant"]
    return Delivery(
        id=document["_id"],
        webhook_id=document.get("webhook_id", document["_id"]),
        tenant=tenant,
        receiver=document.get("receiver") or receiver_of(tenant, host=document["host"]),
        endpoint_id=document.get("endpoint_id", ""),
        about=document.get("about") or document["job_id"],
        url=document["url"],
        event_type=document["event_type"],
        event_time=document["event_time"],
        payload=document.get("payload", b""),
        sealed_secret=document.get("sealed_secret", b""),
        traceparent=document["traceparent"],
        line=document.get("line", ""),
        place=document.get("place", 0),
        batch_id=document.get("batch_id", ""),
        created_at=document["created_at"],
        state=State(document["state"]),
        attempts=document["attempts"],
        replays=document.get("replays", 0),
        next_attempt_at=document["next_attempt_at"],
        claim=document.get("claim", ""),
        last_reason=document["last_reason"],
        last_status=document["last_status"],
        finished_at=document["finished_at"],
        log=tuple(_attempt(each) for each in document.get("log", ())),
    )


def outcome_document(record: AttemptRecord) -> Document:
    """An attempt as it is kept; before its outcome is known, its number and start alone."""
    begun = {"number": record.number, "started_at": record.started_at}
    if record.outcome is None or record.duration is None:
        return begun
    response = record.outcome.response or Response()
    return begun | {
        "duration_us": record.duration // timedelta(microseconds=1),
        "reason": record.outcome.reason,
        "status": record.outcome.status,
        "detail": record.outcome.detail,
        "headers": [[name, value] for name, value in response.headers.items()],
        "body": response.body,
        "truncated": response.truncated,
    }


def _attempt(document: Document) -> AttemptRecord:
    begun = AttemptRecord(number=document["number"], started_at=document["started_at"])
    if "reason" not in document:
        return begun
    return AttemptRecord(
        number=begun.number,
        started_at=begun.started_at,
        duration=timedelta(microseconds=document["duration_us"]),
        outcome=Outcome(
            reason=Reason(document["reason"]),
            status=document["status"],
            detail=document["detail"],
            response=Response(
                headers=dict(document["headers"]),
                body=document["body"],
                truncated=document["truncated"],
            ),
        ),
    )
