"""Types of events for tests that are not about them."""

from __future__ import annotations

from services.webhooks.collecting.event_types.catalogue import EventType, EventTypes

NAMES = ("batch.finished", "job.failed", "job.succeeded")


def event_types() -> EventTypes:
    """Three types, whose bodies are short."""
    return EventTypes((_type(name) for name in NAMES), batch=_type("events.batch"))


def _type(name: str) -> EventType:
    return EventType(
        name=name,
        description=f"There is a {name}.",
        schema={"type": "object"},
        example={"type": name, "timestamp": "2026-12-31T00:00:00.123Z", "data": {"id": "Grüße"}},
    )
