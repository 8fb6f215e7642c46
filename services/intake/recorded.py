"""Jobs that have left the hot view: history has them, and is asked in the caller's own name."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.history.v1 import history_pb2

from shared.errors import JobNotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.history.v1.history_pb2_grpc import HistoryServiceAsyncStub
    from penstock.jobs.v1 import batches_pb2, jobs_pb2

_RETRY_AFTER = timedelta(seconds=1)


class RecordedJobs:
    """Asks history.

    Args:
        history: On a channel that calls on the caller's behalf, so that history itself sees whose job it may show.
    """

    def __init__(self, history: HistoryServiceAsyncStub) -> None:
        self._history = history

    async def get(self, job_id: str) -> jobs_pb2.Job:
        """The job as history has it, without its attempts; an id that nobody ever had costs a call too.

        Raises:
            JobNotFound: The caller's tenant has never had such a job, or history has not heard of it yet.
            Unavailable: History is away.
        """
        job = await self.get_full(job_id)
        job.ClearField("attempts")
        return job

    async def get_full(self, job_id: str) -> jobs_pb2.Job:
        """The same, with its attempts.

        Raises:
            JobNotFound: As above.
            Unavailable: History is away.
        """
        try:
            return await self._history.GetRecordedJob(history_pb2.GetRecordedJobRequest(job_id=job_id))
        except Unavailable as error:
            raise _away() from error

    async def attempts(self, job_id: str) -> Sequence[jobs_pb2.JobAttempt]:
        """The attempts of a job that the hot view has; none of one that history has not heard of yet.

        Raises:
            Unavailable: History is away.
        """
        request = history_pb2.GetRecordedJobRequest(job_id=job_id)
        try:
            return (await self._history.GetRecordedJob(request)).attempts
        except JobNotFound:  # it was accepted a moment ago
            return ()
        except Unavailable as error:
            raise _away("alone knows the attempts of jobs; the view BASIC goes without them") from error

    async def located(self, job_id: str) -> int:
        """The place of a job's `submitted` in the log, as history has it; 0 where it does not.

        Raises:
            JobNotFound: The caller's tenant has never had such a job.
            Unavailable: History is away.
        """
        request = history_pb2.LocateSubmissionRequest(job_id=job_id)
        try:
            return (await self._history.LocateSubmission(request)).submitted_sequence
        except Unavailable as error:
            raise _away() from error

    async def get_batch(self, batch_id: str) -> batches_pb2.Batch:
        """The batch as the jobs make it that history has.

        Raises:
            BatchNotFound: The caller's tenant has never had such a batch.
            Unavailable: History is away.
        """
        try:
            return await self._history.GetRecordedBatch(history_pb2.GetRecordedBatchRequest(batch_id=batch_id))
        except Unavailable as error:
            raise _away() from error


def _away(why: str = "alone knows jobs that ended some time ago") -> Unavailable:
    return Unavailable(
        f"history does not answer, which {why}; the call may be repeated",
        metadata={"dependency": "history"},
        retry_after=_RETRY_AFTER,
    )
