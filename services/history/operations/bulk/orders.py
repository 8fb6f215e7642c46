"""CancelJobs and RetryJobs: what is asked for, judged, and begun as an operation."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from google.longrunning import operations_pb2
from penstock.history.v1 import history_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.listing.filters import filter_of
from services.history.operations.bulk.domain import COUNTED, MAX_PER_SECOND
from services.history.operations.domain import Asked, Kind
from services.history.operations.messages import message_of
from shared.errors import FieldViolation, InvalidArgument
from shared.idempotency import read_key
from shared.rpc import call as current_call
from shared.rpc.call import current_principal, current_tenant
from shared.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from services.history.jobs.domain import Filter
    from services.history.jobs.reading import IndexedMetadata
    from services.history.listing.store import JobLists
    from services.history.operations.operations import Operations
    from shared.clock import Clock

    Order = history_pb2.CancelJobsRequest | history_pb2.RetryJobsRequest

#: Those that are canceled unless the filter names some of them; with `force` those that run too.
CANCEL_STATES = ("QUEUED", "RETRYING")
FORCED_STATES = (*CANCEL_STATES, "RUNNING")
#: Those that are tried again unless the filter names others, and all that it may name.
RETRY_STATES = ("FAILED",)
_RETRIABLE = ("FAILED", "EXPIRED", "CANCELED", "OUTCOME_UNKNOWN")
#: What is none at all, the filter says.
_STATES = jobs_pb2.Job.State.values()[1:]
_ASKED = {Kind.CANCEL_JOBS: history_pb2.BulkMetadata.CANCEL, Kind.RETRY_JOBS: history_pb2.BulkMetadata.RETRY}


class BulkOrders:
    """Begins operations over many jobs.

    Args:
        operations: Where they are begun.
        lists: Count jobs.
        indexed: By which keys of metadata tenants find them.
        clock: The time.
    """

    def __init__(self, *, operations: Operations, lists: JobLists, indexed: IndexedMetadata, clock: Clock) -> None:
        self._operations = operations
        self._lists = lists
        self._indexed = indexed
        self._clock = clock

    async def cancel_jobs(self, request: history_pb2.CancelJobsRequest) -> operations_pb2.Operation:
        """Begins to cancel jobs, or counts those that would be.

        Raises:
            InvalidArgument: Fields are wrong.
            IdempotencyKeyReused: Another request has begun an operation under this id.
            RateLimited: As many of the tenant's operations run as may.
            Unavailable: MongoDB is away; it may be begun.
        """
        states, hint = (FORCED_STATES, "") if request.force else (CANCEL_STATES, "; with force also RUNNING")
        faults = _state_faults(request.filter, states, f"what can be canceled is {', '.join(states)}{hint}")
        if not _parts(request.filter):
            faults.append(_no_part("createdBefore stands for all jobs until then"))
        return await self._begin(Kind.CANCEL_JOBS, request, default=states, faults=faults)

    async def retry_jobs(self, request: history_pb2.RetryJobsRequest) -> operations_pb2.Operation:
        """Begins to try jobs again, or counts those that would be.

        Raises:
            InvalidArgument: Fields are wrong.
            IdempotencyKeyReused: Another request has begun an operation under this id.
            RateLimited: As many of the tenant's operations run as may.
            Unavailable: MongoDB is away; it may be begun.
        """
        faults = _state_faults(request.filter, _RETRIABLE, f"what can be tried again is {', '.join(_RETRIABLE)}")
        if _parts(request.filter) <= {"state"}:
            faults.append(_no_part("beside the state; createdBefore stands for all jobs until then"))
        if not 0 <= request.max_per_second <= MAX_PER_SECOND:
            faults.append(
                FieldViolation("maxPerSecond", f"is {request.max_per_second}; it must be 1 to {MAX_PER_SECOND}")
            )
        return await self._begin(Kind.RETRY_JOBS, request, default=RETRY_STATES, faults=faults)

    async def _begin(
        self, kind: Kind, request: Order, *, default: Collection[str], faults: list[FieldViolation]
    ) -> operations_pb2.Operation:
        tenant, call = current_tenant(), current_call.current()
        key, key_faults = read_key(request.request_id, call.metadata if call else {})
        try:
            indexed = await self._indexed.indexed_keys(tenant)
            wanted = wanted_by(request.filter, default=default, indexed=indexed)
        except InvalidArgument as error:
            raise InvalidArgument.of([*error.violations, *faults, *key_faults]) from error
        if faults or key_faults:
            raise InvalidArgument.of([*faults, *key_faults])
        if request.validate_only:
            return await self._counted(kind, request, wanted)
        asked = Asked(
            tenant=tenant,
            principal=current_principal().id,
            kind=kind,
            request_id=key,
            request=_canonical(request),
        )
        operation = await self._operations.begin(asked, lambda now: _metadata(kind, request, now).SerializeToString())
        return message_of(operation, operation.response)

    async def _counted(self, kind: Kind, request: Order, wanted: Filter) -> operations_pb2.Operation:
        """An operation that is done and was none: how many jobs match."""
        now = self._clock.now()
        metadata = _metadata(kind, request, now)
        metadata.matched = await self._lists.count(current_tenant(), wanted, limit=COUNTED)
        operation = operations_pb2.Operation(done=True)
        operation.metadata.Pack(metadata)
        operation.response.Pack(history_pb2.BulkResponse(matched=metadata.matched))
        return operation


def wanted_by(asked: history_pb2.JobFilter, *, default: Collection[str], indexed: Collection[str] | None) -> Filter:
    """Which jobs are meant, in these states where it names none.

    Raises:
        InvalidArgument: A field holds what no job can have.
    """
    wanted = filter_of(asked, indexed=indexed, within="filter.")
    return wanted if wanted.states else replace(wanted, states=tuple(sorted(default)))


def _metadata(kind: Kind, request: Order, now: datetime) -> history_pb2.BulkMetadata:
    return history_pb2.BulkMetadata(
        kind=_ASKED[kind], filter=request.filter, created_at=timestamp(now), updated_at=timestamp(now)
    )


def _canonical(request: Order) -> bytes:
    """The request in the one way to write it, without its own id."""
    kept = copy.deepcopy(request)
    kept.ClearField("request_id")
    return kept.SerializeToString(deterministic=True)


def _parts(asked: history_pb2.JobFilter) -> set[str]:
    """The parts of a filter that are given."""
    return {field.name for field, _ in asked.ListFields()}


def _no_part(hint: str) -> FieldViolation:
    return FieldViolation("filter", f"is empty; give at least one part of it, {hint}")


def _state_faults(asked: history_pb2.JobFilter, allowed: Collection[str], hint: str) -> list[FieldViolation]:
    """States that do not fit."""
    names = {index: jobs_pb2.Job.State.Name(state) for index, state in enumerate(asked.state) if state in _STATES}
    return [
        FieldViolation(f"filter.state[{index}]", f"is {name}; {hint}")
        for index, name in names.items()
        if name not in allowed
    ]
