"""Reads batches: from the hot view, and where a batch or a job of it has left that, from history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.intake.contract import view
from shared import ids, views
from shared.errors import BatchNotFound, InvalidArgument

if TYPE_CHECKING:
    from penstock.jobs.v1 import batches_pb2, jobs_pb2

    from services.intake.batch_store import BatchStore
    from services.intake.recorded import RecordedJobs
    from services.intake.store import JobStore

_MAX_SHOWN_CHARACTERS = 80


class BatchReader:
    """Answers with batches.

    Args:
        batches: Which jobs they have.
        store: How those stand.
        recorded: Where batches are when they have left the hot view.
    """

    def __init__(self, *, batches: BatchStore, store: JobStore, recorded: RecordedJobs) -> None:
        self._batches = batches
        self._store = store
        self._recorded = recorded

    async def get(self, tenant: str, batch_id: str) -> batches_pb2.Batch:
        """The batch as it stands.

        Raises:
            InvalidArgument: The id is no id.
            BatchNotFound: The tenant has no such batch.
            Unavailable: The store or history is away.
        """
        if not ids.is_batch_id(batch_id):
            shown = batch_id[:_MAX_SHOWN_CHARACTERS]
            raise InvalidArgument.field("batchId", f"{shown!r} is not the id of a batch; ids look like batch_<UUIDv7>")
        job_ids = await self._batches.job_ids(tenant, batch_id)
        if job_ids is None:
            return await self._recorded_batch(batch_id)
        records = await self._store.read_many(tenant, job_ids)
        jobs = [view(record) if record is not None else None for record in records]
        known = [job for job in jobs if job is not None]
        if len(known) < len(job_ids):  # a job leaves the hot view a day after its own end
            known = await self._filled_up(batch_id, job_ids, known)
        return views.batch_of(batch_id, known)

    async def _filled_up(
        self, batch_id: str, job_ids: tuple[str, ...], known: list[jobs_pb2.Job]
    ) -> list[jobs_pb2.Job]:
        """All of the jobs in order: as the hot view has them, and the others as history does."""
        recorded = await self._recorded_batch(batch_id)
        found = {job.id: job for job in (*recorded.jobs, *known)}
        return [found[job_id] for job_id in job_ids if job_id in found]

    async def _recorded_batch(self, batch_id: str) -> batches_pb2.Batch:
        try:
            return await self._recorded.get_batch(batch_id)
        except BatchNotFound:  # history may be behind, and the hot view may have lost the batch a moment ago
            await self._store.confirm()
            raise
