"""HistoryService: protos to domain and back."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import TYPE_CHECKING, Any

from penstock.events.v1 import events_pb2
from penstock.history.v1 import history_pb2, history_pb2_grpc
from penstock.jobs.v1 import jobs_pb2

from services.history.domain import Filter
from shared import ids, paging, views
from shared.errors import BatchNotFound, FieldViolation, InvalidArgument, JobNotFound
from shared.rpc.call import current_tenant

if TYPE_CHECKING:
    from datetime import datetime

    import grpc
    from google.protobuf.timestamp_pb2 import Timestamp
    from penstock.jobs.v1 import batches_pb2

    from services.history.domain import Record
    from services.history.store import HistoryStore
    from shared.paging import PageTokens

#: By the number, as the filters take them; the zero values are "any" and no filter.
_STATES = {number: name for name, number in jobs_pb2.Job.State.items() if number}
_PRIORITIES = {number: name for name, number in jobs_pb2.Job.Priority.items() if number}


class HistoryServicer(history_pb2_grpc.HistoryServiceServicer):
    """Answers from the store.

    Args:
        store: Where the jobs are kept.
        tokens: Makes and reads page tokens.
    """

    def __init__(self, *, store: HistoryStore, tokens: PageTokens) -> None:
        self._store = store
        self._tokens = tokens

    async def ListJobs(  # noqa: N802  gRPC's name
        self, request: history_pb2.ListJobsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> history_pb2.ListJobsResponse:
        """A page of the tenant's jobs."""
        del context
        tenant = current_tenant()
        wanted = _filter(request)
        size = paging.page_size(request.page_size)
        bound_to = f"{tenant} {hashlib.sha256(repr(wanted).encode()).hexdigest()}"
        after = self._tokens.read(request.page_token, bound_to=bound_to)
        found = await self._store.list(tenant, wanted, after=after, limit=size + 1)
        page = found[:size]
        more = len(found) > size
        return history_pb2.ListJobsResponse(
            jobs=[_job(record) for _, record in page],
            next_page_token=self._tokens.make(page[-1][0], bound_to=bound_to) if more else "",
        )

    async def GetRecordedJob(  # noqa: N802  gRPC's name
        self, request: history_pb2.GetRecordedJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> jobs_pb2.Job:
        """One job of the tenant."""
        del context
        if ids.upstream_of(request.job_id) is None:
            raise InvalidArgument.field("jobId", f"is {request.job_id[:80]!r}, which is no job id")
        record = await self._store.get(current_tenant(), request.job_id)
        if record is None:
            raise JobNotFound(f"there is no job {request.job_id}", metadata={"job": request.job_id})
        return _job(record)

    async def GetRecordedBatch(  # noqa: N802  gRPC's name
        self, request: history_pb2.GetRecordedBatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> batches_pb2.Batch:
        """One batch of the tenant, as its jobs make it."""
        del context
        if not ids.is_batch_id(request.batch_id):
            raise InvalidArgument.field("batchId", f"is {request.batch_id[:80]!r}, which is no batch id")
        records = await self._store.batch(current_tenant(), request.batch_id)
        if not records:
            raise BatchNotFound(f"there is no batch {request.batch_id}", metadata={"batch": request.batch_id})
        jobs = sorted((_job(record) for record in records), key=lambda job: ids.place_in_batch(job.id))
        return views.batch_of(request.batch_id, jobs)


def _filter(request: history_pb2.ListJobsRequest) -> Filter:
    faults: list[FieldViolation] = []
    if request.upstream and not ids.is_slug(request.upstream):
        faults.append(FieldViolation("upstream", f"is {request.upstream[:80]!r}, which no upstream is named"))
    for index, state in enumerate(request.state):
        if state not in _STATES:
            faults.append(FieldViolation(f"state[{index}]", f"is {state}; it takes {', '.join(_STATES.values())}"))
    if request.priority and request.priority not in _PRIORITIES:
        faults.append(FieldViolation("priority", f"is {request.priority}; it takes {', '.join(_PRIORITIES.values())}"))
    if faults:
        raise InvalidArgument.of(faults)
    return Filter(
        upstream=request.upstream,
        method=request.method,
        connection_id=request.connection_id or request.token_id,
        batch_id=request.batch_id,
        priority=_PRIORITIES.get(request.priority, ""),
        states=tuple(sorted({_STATES[state] for state in request.state})),
        created_after=_time(request.created_after) if request.HasField("created_after") else None,
        created_before=_time(request.created_before) if request.HasField("created_before") else None,
    )


def _time(value: Timestamp) -> datetime:
    return value.ToDatetime(tzinfo=UTC)


def _job(record: Record) -> jobs_pb2.Job:
    job = jobs_pb2.Job.FromString(record.job)
    views.apply(events_pb2.JobEvent.FromString(record.event), job)
    if record.result is not None:
        job.result.MergeFromString(record.result)
    return job
