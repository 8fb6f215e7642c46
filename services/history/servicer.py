"""HistoryService: protos to domain and back."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from penstock.events.v1 import events_pb2
from penstock.history.v1 import history_pb2, history_pb2_grpc

from services.history.jobs.messages import basic, full
from services.history.listing import export
from services.history.listing.filters import filter_of
from services.history.listing.pages import MAX_TOTAL, oldest_first, page_of
from shared import ids, paging, views
from shared.errors import BatchNotFound, InvalidArgument, JobNotFound
from shared.rpc import call as current_call
from shared.rpc.call import current_tenant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc
    from google.api import httpbody_pb2
    from google.longrunning import operations_pb2
    from penstock.history.v1 import stats_pb2
    from penstock.jobs.v1 import batches_pb2, jobs_pb2

    from services.history.jobs.domain import Record
    from services.history.jobs.reading import IndexedMetadata
    from services.history.jobs.store import HistoryStore
    from services.history.listing.export import Exporter
    from services.history.listing.store import JobLists
    from services.history.operations.bulk.orders import BulkOrders
    from services.history.stats.servicer import StatsAnswers
    from shared.paging import Cursor, PageTokens


class HistoryServicer(history_pb2_grpc.HistoryServiceServicer):
    """Answers from the store.

    Args:
        store: Where the jobs are kept.
        lists: Finds jobs.
        exporter: Begins exports.
        bulk: Begins what is done to many jobs.
        indexed: By which keys of metadata tenants list.
        stats: Answers with figures.
        tokens: Makes and reads page tokens.
    """

    def __init__(
        self,
        *,
        store: HistoryStore,
        lists: JobLists,
        exporter: Exporter,
        bulk: BulkOrders,
        indexed: IndexedMetadata,
        stats: StatsAnswers,
        tokens: PageTokens,
    ) -> None:
        self._store = store
        self._lists = lists
        self._exporter = exporter
        self._bulk = bulk
        self._indexed = indexed
        self._stats = stats
        self._tokens = tokens

    async def ListJobs(  # noqa: N802  gRPC's name
        self, request: history_pb2.ListJobsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> history_pb2.ListJobsResponse:
        """A page of the tenant's jobs."""
        del context
        tenant = current_tenant()
        size, oldest = paging.page_size(request.page_size), oldest_first(request.order_by)
        wanted = filter_of(request, indexed=await self._indexed.indexed_keys(tenant))
        list_ = f"jobs {tenant} {oldest} {hashlib.sha256(repr(wanted).encode()).hexdigest()}"
        cursor = self._tokens.read_cursor(request.page_token, bound_to=list_)
        page = await page_of(self._lists, tenant, wanted, cursor=cursor, size=size, oldest=oldest)
        total = await self._lists.count(tenant, wanted, limit=MAX_TOTAL) if request.include_total_size else 0
        return history_pb2.ListJobsResponse(
            jobs=[basic(record) for record in page.records],
            next_page_token=self._token(page.next, list_),
            previous_page_token=self._token(page.previous, list_),
            total_size=total,
        )

    async def ExportJobs(  # noqa: N802  gRPC's name
        self, request: history_pb2.ExportJobsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """All of the tenant's jobs that match, as lines of JSON."""
        tenant, call = current_tenant(), current_call.current()
        oldest = oldest_first(request.order_by)
        wanted = filter_of(request, indexed=await self._indexed.indexed_keys(tenant))
        after = await self._exporter.after(tenant, request.after_job_id)
        messages = self._exporter.messages(
            tenant, wanted, after=after, oldest_first=oldest, remaining_s=call.remaining_s() if call else None
        )
        async with aclosing(messages):
            first = await anext(messages)
            await context.send_initial_metadata(export.HEADERS)
            yield first
            async for message in messages:
                yield message

    async def CancelJobs(  # noqa: N802  gRPC's name
        self, request: history_pb2.CancelJobsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> operations_pb2.Operation:
        """Begins to cancel all of the tenant's jobs that match."""
        del context
        return await self._bulk.cancel_jobs(request)

    async def RetryJobs(  # noqa: N802  gRPC's name
        self, request: history_pb2.RetryJobsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> operations_pb2.Operation:
        """Begins to try all of the tenant's jobs again that match."""
        del context
        return await self._bulk.retry_jobs(request)

    async def GetStats(  # noqa: N802  gRPC's name
        self, request: stats_pb2.GetStatsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> stats_pb2.Stats:
        """The figures of the tenant's jobs over a range."""
        del context
        return await self._stats.get_stats(request)

    async def GetRecordedJob(  # noqa: N802  gRPC's name
        self, request: history_pb2.GetRecordedJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> jobs_pb2.Job:
        """One job of the tenant, with its attempts."""
        del context
        return full(await self._record(request.job_id))

    async def LocateSubmission(  # noqa: N802  gRPC's name
        self, request: history_pb2.LocateSubmissionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> history_pb2.LocateSubmissionResponse:
        """Where a job's submission is in the log, as all of its events but the first tell."""
        del context
        event = events_pb2.JobEvent.FromString((await self._record(request.job_id)).event)
        return history_pb2.LocateSubmissionResponse(submitted_sequence=event.submitted_sequence)

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
        jobs = sorted((basic(record) for record in records), key=lambda job: ids.place_in_batch(job.id))
        return views.batch_of(request.batch_id, jobs)

    async def _record(self, job_id: str) -> Record:
        if ids.upstream_of(job_id) is None:
            raise InvalidArgument.field("jobId", f"is {job_id[:80]!r}, which is no job id")
        record = await self._store.get(current_tenant(), job_id)
        if record is None:
            raise JobNotFound(f"there is no job {job_id}", metadata={"job": job_id})
        return record

    def _token(self, cursor: Cursor | None, list_: str) -> str:
        if cursor is None:
            return ""
        return self._tokens.make(cursor.position, bound_to=list_, back=cursor.back)
