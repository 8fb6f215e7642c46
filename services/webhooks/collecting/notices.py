"""Makes deliveries of notices: facts about other things than jobs."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.events.v1 import notices_pb2

from services.webhooks import metrics
from services.webhooks.collecting.collector import callback_of
from services.webhooks.collecting.domain import Audience, Fact, Telling
from services.webhooks.collecting.payload import NOTICE_TYPES, notice_payload
from services.webhooks.deliveries.domain import to_milliseconds
from services.webhooks.endpoints.domain import Event
from shared import ids, observability, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.webhooks.collecting.collector import Endpoints
    from services.webhooks.collecting.storing import Storing
    from shared.bus import Incoming

log = observability.logger()

#: Shared by every replica. One that was made when only batches were told of is changed to this by whoever starts.
CONSUMER = streams.consumer_config("webhooks-notices", streams.notice_subject("*"))


class NoticeCollector:
    """Stores a delivery for each endpoint that a notice reaches, and for the callback that it names.

    Args:
        endpoints: Knows whom notices may reach.
        storing: Takes the deliveries.
    """

    def __init__(self, *, endpoints: Endpoints, storing: Storing) -> None:
        self._endpoints = endpoints
        self._storing = storing

    async def handle(self, batch: Sequence[Incoming]) -> None:
        """Stores the deliveries of many notices; notices that come again change nothing.

        Raises:
            Unavailable: The store is away; the notices come again.
        """
        notices = [(message, notice) for message in batch if (notice := _notice(message)) is not None]
        if not notices:
            return
        audience = Audience(await self._endpoints.of_tenants({notice.tenant for _, notice in notices}))
        tellings = [_telling(message, notice, audience) for message, notice in notices]
        await self._storing.store(telling for telling in tellings if telling is not None)


def _telling(message: Incoming, notice: notices_pb2.Notice, audience: Audience) -> Telling | None:
    """Whom a notice is told to, and how; None where it is told to nobody."""
    fact = notice.WhichOneof("fact") or ""
    seen = Event(type=NOTICE_TYPES[fact], upstream=getattr(getattr(notice, fact), "upstream", ""))
    time = notice.time.ToDatetime(tzinfo=UTC)
    may_be_told = audience.of(notice.tenant, event_type=seen.type, upstream=seen.upstream, time=time)
    told = tuple(endpoint for endpoint in may_be_told if endpoint.filter.passes(seen))
    finished = notice.batch_finished  # empty for every other fact
    callback = callback_of(finished.callback_url, finished.sealed_callback_secret)
    if callback is None and not told:
        return None
    return Telling(
        fact=Fact(
            webhook_id=notice.id,
            tenant=notice.tenant,
            about=_about(notice),
            event_type=seen.type,
            time=to_milliseconds(time),
            payload=notice_payload(notice),
            traceparent=message.traceparent,
        ),
        callback=callback,
        endpoints=told,
    )


def _notice(message: Incoming) -> notices_pb2.Notice | None:
    """The notice in a message; None where there is none, or one that a newer version has published."""
    try:
        notice = notices_pb2.Notice.FromString(message.payload)
        if notice.tenant and notice.id and notice.WhichOneof("fact") is None:
            log.info("notice_unknown", subject=message.subject, sequence=message.sequence)
            return None
        _check(notice)
    except (DecodeError, ValueError) as error:
        metrics.MALFORMED_EVENTS.inc()
        log.error("notice_malformed", subject=message.subject, sequence=message.sequence, error=str(error))  # noqa: TRY400  told in full
        message.term()
        return None
    return notice


def _check(notice: notices_pb2.Notice) -> None:
    """Raises ValueError where a notice lacks what every such notice has, or has what no receiver could verify."""
    if not notice.tenant or "." in notice.id or not notice.id:
        raise ValueError("it lacks the tenant, or its id is none")
    kind, about = NOTICE_TYPES[notice.WhichOneof("fact") or ""].split(".")[0], _about(notice)
    if kind != "tenant" and ids.kind_of(about) != kind:
        raise ValueError(f"it is about {about!r}, which is no {kind}")
    if kind == "batch" and notice.id != about:
        raise ValueError("its id is not the batch's")


def _about(notice: notices_pb2.Notice) -> str:
    """The id of what a notice is about; a tenant is known by its name."""
    match notice.WhichOneof("fact"):
        case "batch_finished":
            return notice.batch_finished.batch.id
        case "endpoint_disabled":
            return notice.endpoint_disabled.endpoint_id
        case "tenant_suspended" | "tenant_resumed":
            return notice.tenant
        case fact:
            return getattr(notice, fact or "").connection_id
