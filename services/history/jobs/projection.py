"""The projection: makes history from the log of jobs, in bulk and in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from services.history.jobs.domain import merged
from shared import observability, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.history.jobs.domain import Entry
    from services.history.jobs.reading import Reading
    from services.history.jobs.store import HistoryStore
    from shared.bus import Incoming

log = observability.logger()

#: Shared by every replica.
CONSUMER = streams.consumer_config(streams.HISTORY_CONSUMER, streams.job_subject("*", "*"))


class Projection:
    """Applies events to the store.

    Args:
        store: Where the jobs are kept.
        reading: Reads events.
        applied: Called when some were applied, which may have left something to be counted.
    """

    def __init__(self, store: HistoryStore, *, reading: Reading, applied: Callable[[], None]) -> None:
        self._store = store
        self._reading = reading
        self._applied = applied

    async def handle(self, batch: Sequence[Incoming]) -> None:
        """Applies a batch of messages: one write a job, however many events it has in the batch.

        Raises:
            Unavailable: The store is away. Applying the batch again does no harm.
        """
        entries: list[Entry] = []
        for message in batch:
            try:
                entry = await self._reading.entry(message.payload, sequence=message.sequence)
            except (DecodeError, ValueError):
                log.exception("event_malformed", subject=message.subject, sequence=message.sequence)
                message.term()
                continue
            if entry is not None:
                entries.append(entry)
        if entries:
            await self._store.apply(merged(entries))
            self._applied()
