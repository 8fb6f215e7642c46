"""The collector: makes deliveries of the events by which jobs end."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2

from services.webhooks import metrics
from services.webhooks.collecting.domain import Audience, Callback, Fact, Telling
from services.webhooks.collecting.payload import EVENT_TYPES, payload_of
from services.webhooks.deliveries.domain import to_milliseconds, webhook_id
from services.webhooks.endpoints.domain import Event
from shared import ids, observability, streams
from shared.errors import PenstockError
from shared.guarded_http import url_as_given

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from services.webhooks.collecting.storing import Storing
    from services.webhooks.endpoints.domain import Endpoint
    from shared.bus import Incoming

log = observability.logger()

#: Shared by every replica.
CONSUMER = streams.consumer_config(
    "webhooks",
    *(streams.job_subject(events_pb2.JobEvent.Type.Name(event).lower(), "*") for event in EVENT_TYPES),
)
#: Of one batch, unless one event alone makes more: storing them takes a few seconds at most, long before the events
#: that are not acknowledged would be given to somebody else.
MOST_DELIVERIES = 20_000
#: An event of which no delivery can be made, by a fault of ours, is given up then: until it is acknowledged it holds up
#: every delivery that has a place in a line.
MOST_TRIES = 20


class JobLog(Protocol):
    """Reads the log of jobs; `shared.bus.Bus` is one."""

    async def read_message(self, stream: str, sequence: int) -> tuple[bytes, Mapping[str, str]] | None:
        """A message and its headers, or None when it is no longer kept.

        Raises:
            Unavailable: NATS is away.
        """
        ...


class Endpoints(Protocol):
    """Knows whom events may reach; `services.webhooks.endpoints.store.EndpointStore` is one."""

    async def of_tenants(self, tenants: Collection[str]) -> Mapping[str, Sequence[Endpoint]]:
        """Every endpoint of these tenants, disabled ones too, by tenant, in one round trip."""
        ...


class Collector:
    """Stores a delivery for the callback of each job that has ended, and for each endpoint that its end reaches.

    Args:
        job_log: Holds the submissions.
        endpoints: Knows whom events may reach.
        storing: Takes the deliveries.
    """

    def __init__(self, *, job_log: JobLog, endpoints: Endpoints, storing: Storing) -> None:
        self._job_log = job_log
        self._endpoints = endpoints
        self._storing = storing

    async def handle(self, batch: Sequence[Incoming]) -> None:
        """Stores a batch's deliveries; events that come again change nothing.

        The submission of a job is read where somebody may be told of its end, and only then.

        Raises:
            Unavailable: The log or the store is away; the batch comes again.
        """
        events = [(message, event) for message in batch if (event := _event(message)) is not None]
        if not events:
            return
        audience = Audience(await self._endpoints.of_tenants({event.tenant for _, event in events}))
        tellings = await asyncio.gather(*(self._telling(message, event, audience) for message, event in events))
        told: list[Telling] = []
        room = MOST_DELIVERIES
        for (message, _), telling in zip(events, tellings, strict=True):
            if telling is None:
                continue
            if told and telling.size > room:
                message.retry(timedelta())  # in the next batch, or another replica's
            else:
                told.append(telling)
                room -= telling.size
        await self._storing.store(told)

    async def _telling(self, message: Incoming, event: events_pb2.JobEvent, audience: Audience) -> Telling | None:
        """Whom an event is told to, and how; None where it is told to nobody, or cannot be."""
        try:
            return await self._made(message, event, audience)
        except PenstockError:
            raise
        except Exception:
            if message.deliveries < MOST_TRIES:
                raise  # it is logged, and comes again by itself
            metrics.MALFORMED_EVENTS.inc()
            log.exception("event_given_up", job=event.job_id, tenant=event.tenant, sequence=message.sequence)
            message.term()
            return None

    async def _made(self, message: Incoming, event: events_pb2.JobEvent, audience: Audience) -> Telling | None:
        event_type, time = EVENT_TYPES[event.type], event.time.ToDatetime(tzinfo=UTC)
        may_be_told = audience.of(event.tenant, event_type=event_type, upstream=event.upstream, time=time)
        if not event.has_callback and not may_be_told:
            return None
        submission = await self._submission(event)
        if submission is None:
            metrics.SUBMISSIONS_GONE.inc()
            log.error("submission_gone", job=event.job_id, tenant=event.tenant, sequence=event.submitted_sequence)
            return None
        job, url = submission.job, submission.callback_url
        seen = Event(type=event_type, upstream=event.upstream, method=job.method, metadata=dict(job.metadata))
        told = tuple(endpoint for endpoint in may_be_told if endpoint.filter.passes(seen))
        if not url and not told:
            return None
        fact = Fact(
            webhook_id=webhook_id(event.job_id, event.revision),
            tenant=event.tenant,
            about=event.job_id,
            event_type=event_type,
            time=to_milliseconds(time),
            payload=payload_of(event, job),
            traceparent=message.traceparent,
            connection_id=job.connection_id,
            place=message.sequence,
        )
        return Telling(fact=fact, callback=callback_of(url, submission.sealed_callback_secret), endpoints=told)

    async def _submission(self, event: events_pb2.JobEvent) -> events_pb2.Submission | None:
        """What the job asked for; None where the log has it no more."""
        found = await self._job_log.read_message(streams.JOBS, event.submitted_sequence)
        if found is None:
            return None
        try:
            submitted = events_pb2.JobEvent.FromString(found[0])
        except DecodeError:  # the scheduler could read it, so this is another message
            return None
        if (submitted.job_id, submitted.tenant) != (event.job_id, event.tenant) or not submitted.HasField("submission"):
            return None  # the stream was made anew, and counts from 1 again
        return submitted.submission


def callback_of(url: str, sealed_secret: bytes) -> Callback | None:
    """The callback that a job or batch names, if it names one."""
    return Callback(url=url, host=host_of(url), sealed_secret=sealed_secret) if url else None


def host_of(url: str) -> str:
    """The URL's host, and its port unless it is the usual one; empty for what is no URL, which the sender refuses."""
    try:
        return url_as_given(url).host_port_subcomponent or ""
    except ValueError:  # intake took it, by other rules
        return ""


def _event(message: Incoming) -> events_pb2.JobEvent | None:
    """The event in a message; None where there is none."""
    try:
        return _read(message)
    except (DecodeError, ValueError) as error:
        metrics.MALFORMED_EVENTS.inc()
        log.error("event_malformed", subject=message.subject, sequence=message.sequence, error=str(error))  # noqa: TRY400  told in full
        message.term()
        return None


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
