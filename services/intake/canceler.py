"""Cancels jobs, singly and by the batch: the scheduler decides, and the hot view follows at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import scheduler_pb2

from services.intake.contract import change_of, state_of, view
from shared.errors import JobFinished, JobNotFound, JobRunning, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.jobs.v1 import batches_pb2
    from penstock.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceAsyncStub

    from services.intake.batch_reader import BatchReader
    from services.intake.changes import Record
    from services.intake.reader import JobReader
    from services.intake.store import JobStore
    from services.intake.waiters import Waiters
    from shared.errors import PenstockError

_RETRY_AFTER = timedelta(seconds=1)
#: Of many that are canceled, those that the scheduler is asked about at the same time.
_CONCURRENCY = 32


class Canceler:
    """Cancels jobs.

    Args:
        reader: Knows whose job it is.
        batches: Knows which jobs a batch has.
        store: Keeps the hot view.
        scheduler: Decides.
        waiters: Who waits for a job on this replica.
    """

    def __init__(
        self,
        *,
        reader: JobReader,
        batches: BatchReader,
        store: JobStore,
        scheduler: SchedulerServiceAsyncStub,
        waiters: Waiters,
    ) -> None:
        self._reader = reader
        self._batches = batches
        self._store = store
        self._scheduler = scheduler
        self._waiters = waiters

    async def cancel(self, tenant: str, job_id: str, *, upstream: str, force: bool = False) -> jobs_pb2.Job:
        """The job, CANCELED; a job that is canceled already is answered as it is.

        Args:
            tenant: Whose job.
            job_id: Its id.
            upstream: The one that the path names, or an empty text.
            force: Also when it runs; its call is broken off, and may have taken effect.

        Raises:
            InvalidArgument: The id is no id.
            JobNotFound: The tenant has no such job.
            JobRunning: It runs, and is not to be canceled by force.
            JobFinished: It has ended otherwise.
            Unavailable: A dependency is away. The job may be canceled.
        """
        job = await self._reader.get(tenant, job_id, upstream=upstream)
        if job.state == jobs_pb2.Job.CANCELED:
            return job
        if state_of(
            job.state
        ).terminal:  # the scheduler forgets it an hour after its end, and would take it for a new one
            raise _finished(job)
        await self._follow([await self._decided(tenant, job_id, force=force)])
        return await self._reader.get_hot(tenant, job_id)

    async def cancel_batch(self, tenant: str, batch_id: str, *, force: bool = False) -> batches_pb2.Batch:
        """The batch, with all of its jobs canceled that waited; what has ended stays as it is.

        Args:
            tenant: Whose batch.
            batch_id: Its id.
            force: Those that run too; their calls are broken off, and may have taken effect.

        Raises:
            InvalidArgument: The id is no id.
            BatchNotFound: The tenant has no such batch.
            Unavailable: A dependency is away. Any of the jobs may be canceled.
        """
        batch = await self._batches.get(tenant, batch_id)
        open_ = [job.id for job in batch.jobs if not state_of(job.state).terminal]
        if not open_:
            return batch
        decided = await asyncio.gather(
            *(self._decided(tenant, job_id, force=force) for job_id in open_), return_exceptions=True
        )
        await self._follow([event for event in decided if isinstance(event, events_pb2.JobEvent)])
        for failure in decided:
            if isinstance(failure, BaseException) and not isinstance(failure, JobRunning | JobFinished):
                raise failure
        return await self._batches.get(tenant, batch_id)

    async def cancel_many(self, tenant: str, job_ids: Sequence[str], *, force: bool) -> list[PenstockError | None]:
        """Cancels jobs, each for itself; answers with why one was not, or None, in their order.

        One that is canceled already comes out well.

        Args:
            tenant: Whose jobs.
            job_ids: Their ids, each once.
            force: Those that run too; their calls are broken off, and may have taken effect.

        Raises:
            Unavailable: A dependency is away. Any of the jobs may be canceled.
        """
        records = await self._store.read_many(tenant, job_ids)
        if None in records:
            await self._store.confirm()
        events: list[events_pb2.JobEvent] = []
        reasons: dict[str, PenstockError] = {}
        places = asyncio.Semaphore(_CONCURRENCY)

        async def cancel(job_id: str, record: Record | None) -> None:
            job = view(record) if record is not None else None
            if job is None:  # it has not ended by what history knows, and all such are here
                reasons[job_id] = JobNotFound(f"there is no job {job_id}", metadata={"job": job_id})
            elif state_of(job.state).terminal:
                if job.state != jobs_pb2.Job.CANCELED:
                    reasons[job_id] = _finished(job)
            else:
                async with places:
                    try:
                        events.append(await self._decided(tenant, job_id, force=force))
                    except (JobRunning, JobFinished) as error:  # told, as this job's reason
                        reasons[job_id] = error

        came_out = await asyncio.gather(*map(cancel, job_ids, records), return_exceptions=True)
        await self._follow(events)  # those that were decided, whatever became of the others
        for failure in filter(None, came_out):
            raise failure
        return [reasons.get(job_id) for job_id in job_ids]

    async def _decided(self, tenant: str, job_id: str, *, force: bool) -> events_pb2.JobEvent:
        try:
            return await self._scheduler.Cancel(scheduler_pb2.CancelRequest(job_id=job_id, tenant=tenant, force=force))
        except Unavailable as error:
            raise Unavailable(
                "the scheduler does not answer; the call may be repeated",
                metadata={"dependency": "scheduler"},
                retry_after=_RETRY_AFTER,
            ) from error

    async def _follow(self, events: Sequence[events_pb2.JobEvent]) -> None:
        """Applies what was decided; the events come by the log too, and are known by their revisions."""
        await self._store.apply([change_of(event) for event in events])
        self._waiters.wake([event.job_id for event in events])


def _finished(job: jobs_pb2.Job) -> JobFinished:
    state = state_of(job.state)
    return JobFinished(
        f"{job.id} has ended as {state}; only a job that has not ended can be canceled",
        metadata={"job": job.id, "state": state},
    )
