"""Intake, which alone cancels jobs and makes new ones."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from penstock.jobs.v1 import bulk_pb2

from services.history.operations.bulk.domain import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.jobs.v1.bulk_pb2_grpc import BulkServiceAsyncStub

    from services.history.operations.bulk.domain import Picked

#: Jobs of one call, as BulkService has it.
_AT_ONCE = 100
#: More than a call takes, while many are canceled.
_TIMEOUT_S = 10.0


class Intake(Protocol):
    """Does to many jobs what it does to one. Every method raises `Unavailable`: any of them may be done then."""

    async def cancel(self, tenant: str, jobs: Sequence[Picked], *, force: bool) -> list[Outcome]:
        """Cancels jobs; one that is canceled already comes out well."""
        ...

    async def retry(
        self, tenant: str, jobs: Sequence[Picked], *, principal: str, operation: str
    ) -> tuple[list[Outcome], timedelta]:
        """Tries jobs again, each once for an operation; answers also with the pause after which to ask for the rest.

        The rest came out as QUEUE_FULL: the tenant may have no more unfinished jobs.
        """
        ...


class RemoteIntake:
    """Asks the service.

    Args:
        bulk: On a channel of the service's own.
    """

    def __init__(self, bulk: BulkServiceAsyncStub) -> None:
        self._bulk = bulk

    async def cancel(self, tenant: str, jobs: Sequence[Picked], *, force: bool) -> list[Outcome]:
        """See `Intake`."""
        requests = [
            bulk_pb2.CancelManyRequest(tenant=tenant, job_ids=[each.job_id for each in part], force=force)
            for part in _parts(jobs)
        ]
        answers = await asyncio.gather(*(self._bulk.CancelMany(each, timeout=_TIMEOUT_S) for each in requests))
        return [_outcome(each) for answer in answers for each in answer.outcomes]

    async def retry(
        self, tenant: str, jobs: Sequence[Picked], *, principal: str, operation: str
    ) -> tuple[list[Outcome], timedelta]:
        """See `Intake`."""
        requests = [
            bulk_pb2.RetryManyRequest(
                tenant=tenant,
                principal=principal,
                operation=operation,
                jobs=[
                    bulk_pb2.RetryManyRequest.Retried(job_id=each.job_id, submitted_sequence=each.sequence)
                    for each in part
                ],
            )
            for part in _parts(jobs)
        ]
        answers = await asyncio.gather(*(self._bulk.RetryMany(each, timeout=_TIMEOUT_S) for each in requests))
        outcomes = [_outcome(each) for answer in answers for each in answer.outcomes]
        return outcomes, timedelta(seconds=max((answer.retry_after_s for answer in answers), default=0))


def _parts(jobs: Sequence[Picked]) -> list[Sequence[Picked]]:
    return [jobs[start : start + _AT_ONCE] for start in range(0, len(jobs), _AT_ONCE)]


def _outcome(answer: bulk_pb2.Outcome) -> Outcome:
    return Outcome(job_id=answer.job_id, reason=answer.reason, message=answer.message)
