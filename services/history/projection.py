"""The projection: makes history from the log of jobs, in bulk and in any order."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.domain import Entry, Standing, Submitted
from shared import observability, streams, views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.history.store import HistoryStore
    from shared.bus import Incoming

log = observability.logger()

#: Shared by every replica.
CONSUMER = streams.consumer_config(streams.HISTORY_CONSUMER, streams.job_subject("*", "*"))


class Projection:
    """Applies events to the store.

    Args:
        store: Where the jobs are kept.
    """

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    async def handle(self, batch: Sequence[Incoming]) -> None:
        """Applies a batch of messages: one write a job, however many events it has in the batch.

        Raises:
            Unavailable: The store is away. Applying the batch again does no harm.
        """
        entries: dict[str, Entry] = {}
        for message in batch:
            try:
                entry = entry_of(events_pb2.JobEvent.FromString(message.payload))
            except (DecodeError, ValueError):
                log.exception("event_malformed", subject=message.subject, sequence=message.sequence)
                message.term()
                continue
            known = entries.get(entry.job_id)
            entries[entry.job_id] = entry if known is None else known.merged_with(entry)
        if entries:
            await self._store.apply(list(entries.values()))


def entry_of(event: events_pb2.JobEvent) -> Entry:
    """What one event says of its job.

    Raises:
        ValueError: It lacks what every event has, or has a state that is none.
    """
    if not event.job_id or not event.tenant or event.revision < 1:
        raise ValueError("it lacks the job, the tenant or the revision")
    kept = events_pb2.JobEvent()
    kept.CopyFrom(event)
    kept.ClearField("submission")
    result: bytes | None = None
    if event.HasField("result"):
        result = event.result.SerializeToString()
        views.without_content(kept.result)
    return Entry(
        job_id=event.job_id,
        tenant=event.tenant,
        submitted=_submitted(event.submission.job) if event.HasField("submission") else None,
        standing=Standing(
            revision=event.revision,
            state=jobs_pb2.Job.State.Name(event.state),
            event=kept.SerializeToString(),
            result=result,
            finished_at=event.finished_at.ToDatetime(tzinfo=UTC) if event.HasField("finished_at") else None,
        ),
    )


def _submitted(job: jobs_pb2.Job) -> Submitted:
    return Submitted(
        job=job.SerializeToString(),
        upstream=job.upstream,
        method=job.method,
        connection_id=job.connection_id,
        priority=jobs_pb2.Job.Priority.Name(job.priority),
        batch_id=job.batch_id,
        created_at=job.created_at.ToDatetime(tzinfo=UTC),
    )
