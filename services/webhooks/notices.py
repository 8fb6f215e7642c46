"""Makes deliveries of notices: facts about other things than jobs."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.events.v1 import notices_pb2

from services.webhooks import metrics
from services.webhooks.collector import host_of
from services.webhooks.domain import Delivery, to_milliseconds
from services.webhooks.payload import BATCH_FINISHED, batch_payload
from shared import ids, observability, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.webhooks.store import DeliveryStore
    from shared.bus import Incoming
    from shared.clock import Clock

log = observability.logger()

#: Shared by every replica.
CONSUMER = streams.consumer_config("webhooks-notices", streams.notice_subject("batch_finished"))


class NoticeCollector:
    """Stores a delivery for each notice that names a callback.

    Args:
        store: Takes the deliveries.
        clock: The time.
        wake: Called when there are new ones.
    """

    def __init__(self, *, store: DeliveryStore, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake

    async def handle(self, batch: Sequence[Incoming]) -> None:
        """Stores the deliveries of many notices in one write; notices that come again change nothing.

        Raises:
            Unavailable: The store is away; the notices come again.
        """
        deliveries = [delivery for message in batch if (delivery := self._delivery(message)) is not None]
        if deliveries:
            metrics.STORED.inc(await self._store.add(deliveries))
            self._wake()

    def _delivery(self, message: Incoming) -> Delivery | None:
        """The delivery that a notice asks for; None where it asks for none, or cannot have one."""
        try:
            notice = _read(message)
        except (DecodeError, ValueError) as error:
            metrics.MALFORMED_EVENTS.inc()
            log.error("notice_malformed", subject=message.subject, sequence=message.sequence, error=str(error))  # noqa: TRY400  told in full
            message.term()
            return None
        finished = notice.batch_finished
        if not finished.callback_url:
            return None
        now = to_milliseconds(self._clock.now())
        return Delivery(
            id=notice.id,
            tenant=notice.tenant,
            about=finished.batch.id,
            url=finished.callback_url,
            host=host_of(finished.callback_url),
            event_type=BATCH_FINISHED,
            event_time=to_milliseconds(notice.time.ToDatetime(tzinfo=UTC)),
            payload=batch_payload(notice),
            sealed_secret=finished.sealed_callback_secret,
            traceparent=message.traceparent,
            created_at=now,
            next_attempt_at=now,
        )


def _read(message: Incoming) -> notices_pb2.Notice:
    """The notice in a message.

    Raises:
        DecodeError: It is none.
        ValueError: It lacks what every such notice has.
    """
    notice = notices_pb2.Notice.FromString(message.payload)
    if not notice.tenant or not ids.is_batch_id(notice.id) or notice.id != notice.batch_finished.batch.id:
        raise ValueError("it lacks the tenant, or the id of the batch")
    return notice
