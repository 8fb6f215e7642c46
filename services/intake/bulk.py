"""BulkService: what JobService does to one job, done to many, for history; each comes out for itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.jobs.v1 import bulk_pb2, bulk_pb2_grpc

from shared import ids
from shared.errors import (
    DeadlineExceeded,
    FieldViolation,
    IdempotencyKeyInFlight,
    InvalidArgument,
    PenstockError,
    QueueFull,
    Unavailable,
    shown,
)
from shared.identity import Principal, PrincipalKind
from shared.rpc import call as current_call

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import grpc

    from services.intake.canceler import Canceler
    from services.intake.retrier import Retrier

#: Jobs of one call.
MAX_JOBS = 100
#: Retries of one call that are at work at the same time: they share round trips, and leave room to others.
CONCURRENCY = 32
#: After these the whole call may be repeated: what was made is known by its key.
_PASSING = (Unavailable, DeadlineExceeded, IdempotencyKeyInFlight)


class BulkServicer(bulk_pb2_grpc.BulkServiceServicer):
    """Answers `penstock.jobs.v1.BulkService`.

    Args:
        canceler: Cancels jobs.
        retrier: Tries them again.
    """

    def __init__(self, *, canceler: Canceler, retrier: Retrier) -> None:
        self._canceler = canceler
        self._retrier = retrier

    async def CancelMany(  # noqa: N802  gRPC's name
        self, request: bulk_pb2.CancelManyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> bulk_pb2.CancelManyResponse:
        """Cancels jobs of a tenant."""
        del context
        _check(request.tenant, list(request.job_ids), "jobIds")
        failures = await self._canceler.cancel_many(request.tenant, request.job_ids, force=request.force)
        return bulk_pb2.CancelManyResponse(
            outcomes=[_outcome(*each) for each in zip(request.job_ids, failures, strict=True)]
        )

    async def RetryMany(  # noqa: N802  gRPC's name
        self, request: bulk_pb2.RetryManyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> bulk_pb2.RetryManyResponse:
        """Tries jobs of a tenant again."""
        del context
        _check(request.tenant, [each.job_id for each in request.jobs], "jobs")
        if not ids.is_operation_id(request.operation):
            raise InvalidArgument.field("operation", f"is {request.operation[:80]!r}, which is no operation's id")
        principal = Principal(kind=PrincipalKind.KEY, id=request.principal, tenant=request.tenant, scopes=frozenset())
        retries = _Retries(self._retrier, principal, request.operation)
        made = await retries.of(request.jobs)
        response = bulk_pb2.RetryManyResponse(outcomes=made)
        if retries.full is not None and retries.full.retry_after is not None:
            response.retry_after_s = retries.full.retry_after.total_seconds()
        return response


class _Retries:
    """The retries of one call.

    Args:
        retrier: Makes them.
        principal: In whose name.
        operation: By which, with the job, each is known.
    """

    def __init__(self, retrier: Retrier, principal: Principal, operation: str) -> None:
        self._retrier = retrier
        self._principal = principal
        self._operation = operation
        self._places = asyncio.Semaphore(CONCURRENCY)
        #: Set as soon as the tenant may have no more unfinished jobs: what is left is not tried.
        self.full: QueueFull | None = None

    async def of(self, jobs: Iterable[bulk_pb2.RetryManyRequest.Retried]) -> list[bulk_pb2.Outcome]:
        """The outcome of each, in their order.

        Raises:
            Unavailable: Something is away; any of them may be made.
        """
        came_out = await asyncio.gather(*map(self._outcome, jobs), return_exceptions=True)
        return [_whole(each) for each in came_out]

    async def _outcome(self, job: bulk_pb2.RetryManyRequest.Retried) -> bulk_pb2.Outcome:
        async with self._places:
            if self.full is not None:
                return _outcome(job.job_id, self.full)
            try:
                new_job_id = await self._retry(job)
            except QueueFull as error:
                self.full = error
                return _outcome(job.job_id, error)
            except _PASSING as error:
                raise Unavailable(error.message, metadata=error.metadata, retry_after=error.retry_after) from error
            except PenstockError as error:  # told, as this job's outcome
                return _outcome(job.job_id, error)
        return bulk_pb2.Outcome(job_id=job.job_id, new_job_id=new_job_id)

    async def _retry(self, job: bulk_pb2.RetryManyRequest.Retried) -> str:
        call = current_call.current()
        return await self._retrier.retry_ended(
            job.job_id,
            job.submitted_sequence,
            self._principal,
            idempotency_key=key_of(self._operation, job.job_id),
            remaining_s=call.remaining_s() if call else None,
        )


def key_of(operation: str, job_id: str) -> str:
    """By which an operation's retry of a job is known: no caller's key has a space."""
    return f"{operation} {job_id}"


def _outcome(job_id: str, error: PenstockError | None) -> bulk_pb2.Outcome:
    if error is None:
        return bulk_pb2.Outcome(job_id=job_id)
    return bulk_pb2.Outcome(job_id=job_id, reason=error.reason, message=error.message)


def _whole(came_out: bulk_pb2.Outcome | BaseException) -> bulk_pb2.Outcome:
    """An outcome; what is none ends the call, when all others have come out."""
    if isinstance(came_out, BaseException):
        raise came_out
    return came_out


def _check(tenant: str, job_ids: Sequence[str], field: str) -> None:
    """Lets a call pass that is well formed; history alone makes them."""
    faults: list[FieldViolation] = []
    if not ids.is_slug(tenant):
        faults.append(FieldViolation("tenant", f"is {shown(tenant)}, which is no tenant's name"))
    if len(job_ids) > MAX_JOBS:
        faults.append(FieldViolation(field, f"has {len(job_ids)} jobs; a call takes at most {MAX_JOBS}"))
    faults += [
        FieldViolation(f"{field}[{index}]", f"is {shown(job_id)}, which is no job's id")
        for index, job_id in enumerate(job_ids)
        if ids.upstream_of(job_id) is None
    ]
    if faults:
        raise InvalidArgument.of(faults)
