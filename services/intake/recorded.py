"""Jobs that have left the hot view: history has them, and is asked in the caller's own name."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.history.v1 import history_pb2

from shared.errors import Unavailable

if TYPE_CHECKING:
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
        """The job as history has it; an id that nobody ever had costs a call too.

        Raises:
            JobNotFound: The caller's tenant has never had such a job.
            Unavailable: History is away.
        """
        try:
            return await self._history.GetRecordedJob(history_pb2.GetRecordedJobRequest(job_id=job_id))
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


def _away() -> Unavailable:
    return Unavailable(
        "history does not answer, which alone knows jobs that ended some time ago; the call may be repeated",
        metadata={"dependency": "history"},
        retry_after=_RETRY_AFTER,
    )
