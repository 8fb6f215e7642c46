"""The projection: makes the hot view from the log of jobs, and says which jobs have changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2

from services.intake import metrics
from services.intake.contract import change_of
from shared import ids, observability, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.intake.batch_ends import BatchEnds
    from services.intake.changes import Change
    from services.intake.erased import ErasedThings
    from services.intake.store import JobStore
    from services.intake.tally import Tally
    from shared.bus import Incoming

log = observability.logger()

#: The consumer that all replicas share.
DURABLE = "intake-view"
CONSUMER = streams.consumer_config(DURABLE, streams.job_subject("*", "*"))


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
        tally: Counts unfinished jobs.
        batch_ends: Tells of batches whose last job has ended.
        erased: What the log must not bring back.
        moved: Is told that events were applied.
    """

    def __init__(
        self,
        *,
        store: JobStore,
        signaler: Signaler,
        tally: Tally,
        batch_ends: BatchEnds,
        erased: ErasedThings,
        moved: Callable[[], None],
    ) -> None:
        self._store = store
        self._batch_ends = batch_ends
        self._erased = erased
        self._signaler = signaler
        self._tally = tally
        self._moved = moved

    async def handle(self, batch: Sequence[Incoming]) -> None:
        """Applies a batch; it may hold events in any order, and events that were applied before.

        Raises:
            Unavailable: A dependency is away; the batch comes again, and does no harm.
        """
        changes = self._erased.left([change for message in batch if (change := _read(message)) is not None])
        if not changes:
            return
        metrics.PROJECTION_BATCH_EVENTS.observe(len(changes))
        applied = await self._store.apply(changes)
        self._tally.applied({change.tenant for change in changes}, ended=sum(each.ended for each in applied))
        self._moved()
        # Signaled even where nothing was new: whoever applied it may have died before it said so.
        job_ids = dict.fromkeys(change.job_id for change in changes)
        await self._signaler.signal(streams.JOBS_CHANGED_SIGNAL, "\n".join(job_ids).encode())
        await self._batch_ends.follow(changes, applied)


def read_change(payload: bytes, sequence: int) -> Change:
    """What an event changes that has this sequence in the log.

    Raises:
        ValueError: It cannot be understood.
    """
    try:
        change = change_of(events_pb2.JobEvent.FromString(payload))
    except DecodeError as error:
        raise ValueError(str(error)) from error
    if not change.tenant or ids.upstream_of(change.job_id) is None or change.revision < 1:
        raise ValueError("it lacks the tenant, the job's id or the revision")
    return replace(change, sequence=sequence)


def _read(message: Incoming) -> Change | None:
    """What the message changes; None, and never again, where it cannot be understood."""
    try:
        return read_change(message.payload, message.sequence)
    except ValueError as error:
        return _dropped(message, str(error))


def _dropped(message: Incoming, why: str) -> None:
    metrics.MALFORMED_EVENTS.inc()
    log.error("event_malformed", subject=message.subject, sequence=message.sequence, error=why)
    message.term()
