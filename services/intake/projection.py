"""The projection: makes the hot view from the log of jobs, and says which jobs have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2

from services.intake import metrics
from services.intake.contract import change_of
from shared import ids, observability, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.intake.domain import Change
    from services.intake.store import JobStore
    from shared.bus import Incoming

log = observability.logger()

#: The consumer that all replicas share.
CONSUMER = streams.consumer_config("intake-view", streams.job_subject("*", "*"))


class Signaler(Protocol):
    """Publishes what may be lost."""

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        """To whoever listens now.

        Raises:
            Unavailable: NATS is away.
        """
        ...


class Projection:
    """Applies the log's events to the hot view.

    Args:
        store: The hot view.
        signaler: Tells every replica whose waiters to wake.
    """

    def __init__(self, *, store: JobStore, signaler: Signaler) -> None:
        self._store = store
        self._signaler = signaler

    async def handle(self, batch: Sequence[Incoming]) -> None:
        """Applies a batch; it may hold events in any order, and events that were applied before.

        Raises:
            Unavailable: A dependency is away; the batch comes again, and does no harm.
        """
        changes = [change for message in batch if (change := _read(message)) is not None]
        if not changes:
            return
        metrics.PROJECTION_BATCH_EVENTS.observe(len(changes))
        await self._store.apply(changes)
        # Signaled even where nothing was new: whoever applied it may have died before it said so.
        job_ids = dict.fromkeys(change.job_id for change in changes)
        await self._signaler.signal(streams.JOBS_CHANGED_SIGNAL, "\n".join(job_ids).encode())


def _read(message: Incoming) -> Change | None:
    """What the message changes; None, and never again, where it cannot be understood."""
    try:
        event = events_pb2.JobEvent.FromString(message.payload)
        change = change_of(event)
    except (DecodeError, ValueError) as error:
        return _dropped(message, str(error))
    if not change.tenant or ids.upstream_of(change.job_id) is None or change.revision < 1:
        return _dropped(message, "it lacks the tenant, the job's id or the revision")
    return change


def _dropped(message: Incoming, why: str) -> None:
    metrics.MALFORMED_EVENTS.inc()
    log.error("event_malformed", subject=message.subject, sequence=message.sequence, error=why)
    message.term()
