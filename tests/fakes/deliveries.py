"""Deliveries, as tests make them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.webhooks.deliveries.domain import (
    AttemptRecord,
    Delivery,
    Outcome,
    Reason,
    Response,
    State,
    delivery_id,
    receiver_of,
    webhook_id,
)
from shared import ids

if TYPE_CHECKING:
    from services.webhooks.deliveries.store import DeliveryStore

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FAILED: dict[str, Any] = {
    "state": State.FAILED,
    "attempts": 3,
    "last_reason": Reason.RECEIVER_STATUS,
    "last_status": 500,
}


def make_delivery(
    *, at: datetime = NOW, tenant: str = "acme", endpoint_id: str = "", host: str = "client.example", **changes: Any
) -> Delivery:
    """A delivery to an endpoint, or to a job's callback where none is named."""
    job_id = ids.new_job_id("http")
    event, receiver = webhook_id(job_id, 3), receiver_of(tenant, endpoint_id=endpoint_id, host=host)
    delivery = Delivery(
        id=delivery_id(event, receiver),
        webhook_id=event,
        tenant=tenant,
        receiver=receiver,
        endpoint_id=endpoint_id,
        about=job_id,
        url="" if endpoint_id else f"https://{host}/hook?token=canary",
        event_type="job.succeeded",
        event_time=at,
        payload=b'{"type":"job.succeeded"}',
        sealed_secret=b"" if endpoint_id else bytes(range(64)),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        created_at=at,
        next_attempt_at=at,
    )
    return replace(delivery, **changes)


def failed(*, at: datetime = NOW, **changes: Any) -> Delivery:
    """A dead letter."""
    given: dict[str, Any] = {**FAILED, "finished_at": at, **changes}
    return make_delivery(at=at, **given)


def an_attempt(number: int = 1, *, status: int = 500, body: bytes = b"no", **changes: Any) -> AttemptRecord:
    """An attempt that came out."""
    response = Response(headers={"Content-Type": "text/plain", "X-Trace": "7"}, body=body, truncated=False)
    outcome = replace(Outcome.of_status(status), response=response, detail="in words")
    begun = NOW + number * SECOND
    record = AttemptRecord(number=number, started_at=begun, duration=timedelta(milliseconds=250), outcome=outcome)
    return replace(record, **changes)


async def added(store: DeliveryStore, **given: Any) -> Delivery:
    """A delivery that the store has."""
    delivery = make_delivery(**given)
    assert await store.add([delivery]) == 1
    return delivery


async def kept(store: DeliveryStore, delivery: Delivery) -> Delivery:
    """The delivery as the store has it now."""
    found = await store.delivery(delivery.tenant, delivery.id)
    assert found is not None
    return found
