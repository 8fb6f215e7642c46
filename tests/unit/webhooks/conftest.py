"""Deliveries, and a time that tests move."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.webhooks.domain import Delivery, delivery_id
from shared import ids
from tests.fakes.delivery_store import FakeDeliveryStore

START = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


@dataclass
class Time:
    """The time, which stands still unless moved."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


def make_delivery(host: str = "client.example", *, due: datetime = START, **changes: Any) -> Delivery:
    job_id = ids.new_job_id("http")
    delivery = Delivery(
        id=delivery_id(job_id, 3),
        tenant="acme",
        about=job_id,
        url=f"https://{host}/hook?token=canary",
        host=host,
        event_type="job.succeeded",
        event_time=START,
        payload=b'{"type":"job.succeeded"}',
        created_at=START,
        next_attempt_at=due,
    )
    return replace(delivery, **changes)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store() -> FakeDeliveryStore:
    return FakeDeliveryStore()
