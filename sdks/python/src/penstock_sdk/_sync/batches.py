# Made of _async/batches.py by `make sdks`; do not edit.
"""Batches: up to 100 jobs that are accepted all or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock_sdk import operations
from penstock_sdk._sync.deadline import Deadline
from penstock_sdk._sync.resources import BatchCalls
from penstock_sdk.errors import PenstockError
from penstock_sdk.models import Batch, Job
from penstock_sdk.operation import CallOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock_sdk.models import SubmitJobRequest

#: How long one `:wait` for a job of the batch lasts at most; meanwhile the others end unseen.
_POLL_S = 30.0
#: How much earlier than the wait's end its last answer is to come.
_MARGIN_S = 0.25
#: Between two looks at a batch whose jobs end one by one.
_PAUSE_S = 0.25


class Batches(BatchCalls):
    """Batches: up to 100 jobs that are accepted all or none. For more jobs than that there is `map`."""

    def submit(
        self,
        jobs: Sequence[SubmitJobRequest | Mapping[str, Any]],
        *,
        upstream: str | None = None,
        callback_url: str | None = None,
        callback_secret: str | None = None,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> Batch:
        """Submits 1 to 100 jobs at once, and once however often the call has to be tried.

        Args:
            jobs: What is submitted, as `SubmitJobRequest` or in the API's JSON.
            upstream: Of every job that names none.
            callback_url: Gets a signed POST when the last of the jobs has ended.
            callback_secret: Signs that POST; the tenant's own secret does unless given.
            idempotency_key: The same jobs under the same key are the same batch for 24 hours; one is drawn
                unless given.
            timeout_s: How long each try may take, in seconds; the client's own unless given.

        Raises:
            InvalidArgument: Jobs are wrong, and none was accepted; `violations` names each, as `jobs[3].params.url`.
            QueueFull: Too many unfinished jobs, for longer than calls are tried again.
            IdempotencyKeyReused: Other jobs had this key.
            NoAnswer: Whether they were submitted is not known; the same call under the same key is safe.
        """
        return self._calls.call(
            operations.SUBMIT_BATCH,
            {
                "jobs": jobs,
                "upstream": upstream,
                "callbackUrl": callback_url,
                "callbackSecret": callback_secret,
            },
            Batch,
            CallOptions(idempotency_key=idempotency_key, timeout_s=timeout_s),
        )

    def wait(self, batch_id: str, timeout_s: float | None = None) -> Batch:
        """The batch when the last of its jobs has ended, in whatever state each.

        Args:
            batch_id: Which.
            timeout_s: How long it is waited for, in seconds; as long as it takes unless given.

        Raises:
            WaitTimeout: Not all have ended by then; they go on.
            BatchNotFound: There is no such batch.
            NoAnswer: Penstock could not be reached for as long as calls are tried again.
        """
        deadline = Deadline(self._calls.pacing, timeout_s)
        tries, batch = self._calls.tries(), None
        while True:
            try:
                batch = self._looked(batch_id, deadline)
                if batch.finished_at is not None:
                    return batch
                tries, pause_s = self._calls.tries(), _PAUSE_S
                self._waited(batch, deadline)
            except PenstockError as error:
                pause_s = tries.pause_after(error)
                if pause_s >= deadline.left_s:
                    raise deadline.timeout(batch_id, _state(batch)) from error
            if deadline.left_s <= 0:
                raise deadline.timeout(batch_id, _state(batch))
            deadline.pause(pause_s)

    def _looked(self, batch_id: str, deadline: Deadline) -> Batch:
        said = self._calls.transport.send(
            operations.GET_BATCH,
            {"batchId": batch_id},
            idempotency_key=None,
            timeout_s=min(self._calls.timeout_s, max(deadline.left_s, 1.0)),
        )
        return self._calls.read(Batch, said)

    def _waited(self, batch: Batch, deadline: Deadline) -> None:
        """Returns when the last job that has not ended has, for all may have by then; or after a while."""
        poll_s = min(_POLL_S, self._calls.timeout_s / 2, deadline.left_s - _MARGIN_S)
        unfinished = [job for job in batch.jobs if job.finished_at is None]
        if not unfinished or poll_s <= 0:
            return
        said = self._calls.transport.send(
            operations.WAIT_JOB,
            {"jobId": unfinished[-1].id, "timeout": f"{poll_s:.3f}s"},
            idempotency_key=None,
            timeout_s=min(self._calls.timeout_s, deadline.left_s),
        )
        self._calls.read(Job, said)


def _state(batch: Batch | None) -> str:
    if batch is None:
        return ""
    return f"{sum(job.finished_at is not None for job in batch.jobs)} of {batch.size} jobs ended"
