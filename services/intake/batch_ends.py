"""The ends of batches: notes which jobs of a batch have ended, and tells of the batch when its last one has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from penstock.events.v1 import events_pb2, notices_pb2

from services.intake import metrics
from services.intake.changes import BatchNote
from shared import crash_points, observability, streams, views
from shared.bus import Outgoing
from shared.crash_points import CrashPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.intake.batch_store import BatchStore
    from services.intake.changes import Applied, Change, FinishedBatch

log = observability.logger()


class NoticePublisher(Protocol):
    """Puts notices on disk; `shared.bus.Bus` is one."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """On return all of them are on disk.

        Raises:
            Unavailable: Any of them may be, or not.
        """
        ...


class BatchEnds:
    """Follows the jobs of batches.

    Args:
        store: Where it is noted which have ended.
        publisher: Takes the notices.
    """

    def __init__(self, *, store: BatchStore, publisher: NoticePublisher) -> None:
        self._store = store
        self._publisher = publisher

    async def follow(self, changes: Sequence[Change], applied: Sequence[Applied]) -> None:
        """Notes what events have said of batches, and publishes `batch_finished` of each whose last job has ended.

        What comes again is noted again and published again, under the same id: whoever did it first may have died.

        Args:
            changes: By the events.
            applied: What each came to.

        Raises:
            Unavailable: A dependency is away; the same changes may come again.
        """
        finished = await self.note(changes, applied)
        if not finished:
            return
        crash_points.reach(CrashPoint.INTAKE_BATCH_ENDED)
        await self._publisher.publish([_notice(batch) for batch in finished])
        for batch in finished:
            metrics.BATCHES_FINISHED.inc()
            log.info("batch_finished", batch=batch.id, tenant=batch.tenant, jobs=len(batch.ends))

    async def note(self, changes: Sequence[Change], applied: Sequence[Applied]) -> list[FinishedBatch]:
        """Notes it, and publishes nothing: for a rebuild, whose events were followed before.

        Raises:
            Unavailable: The store is away.
        """
        notes = [note for change, came_to in zip(changes, applied, strict=True) for note in _notes(change, came_to)]
        return await self._store.note(notes) if notes else []


def _notes(change: Change, came_to: Applied) -> Iterable[BatchNote]:
    place, end = change.place, came_to.ended_in
    if place is not None:
        yield BatchNote(
            tenant=change.tenant,
            batch_id=place.batch_id,
            index=place.index,
            at=change.at,
            job_id=change.job_id,
            size=place.size,
            callback=place.callback,
        )
    if end is not None:
        yield BatchNote(tenant=change.tenant, batch_id=end.batch_id, index=end.index, at=end.at, state=end.state)


def _notice(finished: FinishedBatch) -> Outgoing:
    membership = events_pb2.BatchMembership.FromString(finished.callback)
    batch = views.batch_of_states(finished.id, finished.ends)
    batch.created_at.FromDatetime(finished.created_at)
    batch.finished_at.FromDatetime(finished.finished_at)
    notice = notices_pb2.Notice(
        id=finished.id,
        tenant=finished.tenant,
        batch_finished=notices_pb2.BatchFinished(
            batch=batch,
            callback_url=membership.callback_url,
            sealed_callback_secret=membership.sealed_callback_secret,
        ),
    )
    notice.time.FromDatetime(finished.finished_at)
    return Outgoing(
        subject=streams.notice_subject("batch_finished"),
        payload=notice.SerializeToString(),
        message_id=finished.id,
        traceparent=observability.current_traceparent(),
    )
