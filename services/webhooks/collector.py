"""The collector: makes deliveries of the events by which jobs end."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2

from services.webhooks import metrics
from services.webhooks.domain import Delivery, delivery_id, to_milliseconds
from services.webhooks.payload import EVENT_TYPES, payload_of
from shared import ids, observability, streams
from shared.guarded_http import url_as_given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from services.webhooks.store import DeliveryStore
    from shared.bus import Incoming
    from shared.clock import Clock

log = observability.logger()

#: Shared by every replica.
CONSUMER = streams.consumer_config(
    "webhooks",
    *(streams.job_subject(events_pb2.JobEvent.Type.Name(event).lower(), "*") for event in EVENT_TYPES),
)


class JobLog(Protocol):
    """Reads the log of jobs; `shared.bus.Bus` is one."""

    async def read_message(self, stream: str, sequence: int) -> tuple[bytes, Mapping[str, str]] | None:
        """A message and its headers, or None when it is no longer kept.

        Raises:
            Unavailable: NATS is away.
        """
        ...


class Collector:
    """Stores a delivery for each event whose job has a callback.

    Args:
        job_log: Holds the submissions.
        store: Takes the deliveries.
        clock: The time.
        wake: Called when there are new ones.
    """

    def __init__(self, *, job_log: JobLog, store: DeliveryStore, clock: Clock, wake: Callable[[], None]) -> None:
        self._job_log = job_log
        self._store = store
        self._clock = clock
        self._wake = wake

    async def handle(self, batch: Sequence[Incoming]) -> None:
        """Stores a batch's deliveries in one write; events that come again change nothing.

        Raises:
            Unavailable: The log or the store is away; the batch comes again.
        """
        made = await asyncio.gather(*(self._delivery(message) for message in batch))
        deliveries = [delivery for delivery in made if delivery is not None]
        if not deliveries:
            return
        metrics.STORED.inc(await self._store.add(deliveries))
        self._wake()

    async def _delivery(self, message: Incoming) -> Delivery | None:
        """The delivery that an event asks for; None where it asks for none, or cannot have one."""
        try:
            event = _read(message)
        except (DecodeError, ValueError) as error:
            return _dropped(message, str(error))
        if not event.has_callback:
            return None
        submission = await self._submission(event)
        if submission is None:
            metrics.SUBMISSIONS_GONE.inc()
            log.error("submission_gone", job=event.job_id, tenant=event.tenant, sequence=event.submitted_sequence)
            return None
        now = to_milliseconds(self._clock.now())
        return Delivery(
            id=delivery_id(event.job_id, event.revision),
            tenant=event.tenant,
            about=event.job_id,
            url=submission.callback_url,
            host=host_of(submission.callback_url),
            event_type=EVENT_TYPES[event.type],
            event_time=to_milliseconds(event.time.ToDatetime(tzinfo=UTC)),
            payload=payload_of(event, submission.job),
            sealed_secret=submission.sealed_callback_secret,
            traceparent=message.traceparent,
            created_at=now,
            next_attempt_at=now,
        )

    async def _submission(self, event: events_pb2.JobEvent) -> events_pb2.Submission | None:
        """What the job asked for; None where the log has it no more."""
        found = await self._job_log.read_message(streams.JOBS, event.submitted_sequence)
        if found is None:
            return None
        try:
            submitted = events_pb2.JobEvent.FromString(found[0])
        except DecodeError:  # the scheduler could read it, so this is another message
            return None
        if submitted.job_id != event.job_id or not submitted.submission.callback_url:
            return None  # the stream was made anew, and counts from 1 again
        return submitted.submission


def _read(message: Incoming) -> events_pb2.JobEvent:
    """The event in a message.

    Raises:
        DecodeError: It is none.
        ValueError: It lacks what every such event has.
    """
    event = events_pb2.JobEvent.FromString(message.payload)
    if not event.tenant or ids.upstream_of(event.job_id) is None or event.revision < 1:
        raise ValueError("it lacks the tenant, the job's id or the revision")
    if event.type not in EVENT_TYPES:
        raise ValueError(f"it is of the type {event.type}, by which no job ends")
    return event


def _dropped(message: Incoming, why: str) -> None:
    metrics.MALFORMED_EVENTS.inc()
    log.error("event_malformed", subject=message.subject, sequence=message.sequence, error=why)
    message.term()


def host_of(url: str) -> str:
    """The URL's host, and its port unless it is the usual one; empty for what is no URL, which the sender refuses."""
    try:
        return url_as_given(url).host_port_subcomponent or ""
    except ValueError:  # intake took it, by other rules
        return ""
