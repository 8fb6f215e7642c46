"""What intake answers: protos to domain and back, and nothing else."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from services.intake import sse
from services.intake.aside import aside
from services.intake.domain import DEFAULT_WAIT, HEARTBEAT
from services.intake.reading import is_full, read_after, read_batch_draft, read_draft, read_timeout
from shared.errors import InvalidArgument
from shared.idempotency import read_key
from shared.rpc import call as current_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    import grpc
    from google.api import httpbody_pb2
    from penstock.jobs.v1 import batches_pb2

    from services.intake.batch_reader import BatchReader
    from services.intake.batch_submitter import BatchSubmitter
    from services.intake.canceler import Canceler
    from services.intake.explainer import Explainer
    from services.intake.reader import JobReader
    from services.intake.results import Results
    from services.intake.retrier import Retrier
    from services.intake.submitter import Submitter
    from services.intake.watching import Watcher


class JobServicer(job_service_pb2_grpc.JobServiceServicer):
    """Answers `penstock.jobs.v1.JobService`.

    Args:
        submitter: Takes jobs in.
        batch_submitter: Takes batches in.
        reader: Tells how jobs stand.
        batches: Tells how batches stand.
        watcher: Tells what happens to them.
        canceler: Cancels them.
        retrier: Tries them again.
        explainer: Says why they wait.
        results: Answers with what they came to.
        heartbeat: How long nothing may be sent on a stream of server-sent events.
    """

    def __init__(
        self,
        *,
        submitter: Submitter,
        batch_submitter: BatchSubmitter,
        reader: JobReader,
        batches: BatchReader,
        watcher: Watcher,
        canceler: Canceler,
        retrier: Retrier,
        explainer: Explainer,
        results: Results,
        heartbeat: timedelta = HEARTBEAT,
    ) -> None:
        self._submitter = submitter
        self._batch_submitter = batch_submitter
        self._reader = reader
        self._batches = batches
        self._watcher = watcher
        self._canceler = canceler
        self._retrier = retrier
        self._explainer = explainer
        self._results = results
        self._heartbeat = heartbeat

    async def SubmitJob(  # noqa: N802  gRPC's name
        self, request: jobs_pb2.SubmitJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> jobs_pb2.Job:
        """Accepts one job."""
        del context
        current_call.current_tenant()  # raises for a service, whose jobs would belong to nobody
        call = current_call.current()
        metadata = call.metadata if call else {}
        return await self._submitter.submit(
            await aside(lambda: read_draft(request, metadata), size=request.params.ByteSize()),
            current_call.current_principal(),
            remaining_s=call.remaining_s() if call else None,
        )

    async def GetJob(  # noqa: N802  gRPC's name
        self, request: jobs_pb2.GetJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> jobs_pb2.Job:
        """Answers with a job as it stands, with its attempts where they are asked for."""
        del context
        get = self._reader.get_full if is_full(request.view) else self._reader.get
        return await get(current_call.current_tenant(), request.job_id, upstream=request.upstream)

    async def WaitJob(  # noqa: N802  gRPC's name
        self, request: jobs_pb2.WaitJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> jobs_pb2.Job:
        """Answers when a job has ended, or time is up."""
        del context
        call = current_call.current()
        return await self._reader.wait(
            current_call.current_tenant(),
            request.job_id,
            at_most=read_timeout(request.timeout) if request.HasField("timeout") else DEFAULT_WAIT,
            remaining_s=call.remaining_s() if call else None,
        )

    async def WatchJob(  # noqa: N802  gRPC's name
        self, request: jobs_pb2.WatchJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[jobs_pb2.WatchJobResponse]:
        """Streams a job as each of its events leaves it."""
        del context
        call = current_call.current()
        watch = await self._watcher.watch(
            current_call.current_tenant(),
            request.job_id,
            after=read_after(request.after_revision),
            remaining_s=call.remaining_s() if call else None,
        )
        async with aclosing(watch.jobs()) as jobs:
            async for job in jobs:
                yield jobs_pb2.WatchJobResponse(job=job)

    async def StreamJob(  # noqa: N802  gRPC's name
        self, request: jobs_pb2.StreamJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """The same as server-sent events."""
        call = current_call.current()
        watch = await self._watcher.watch(
            current_call.current_tenant(),
            request.job_id,
            after=read_after(request.after_revision, call.metadata if call else {}),
            remaining_s=call.remaining_s() if call else None,
        )
        if await watch.is_over():
            await context.send_initial_metadata(sse.OVER)
            return
        yield sse.opening()
        async with aclosing(watch.jobs(silence=self._heartbeat)) as jobs:
            async for job in jobs:
                yield sse.heartbeat() if job is None else sse.event(job)

    async def ExplainJob(  # noqa: N802  gRPC's name
        self, request: jobs_pb2.ExplainJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> jobs_pb2.JobExplanation:
        """Says why a job waits."""
        del context
        return await self._explainer.explain(current_call.current_tenant(), request.job_id)

    async def GetJobResult(  # noqa: N802  gRPC's name
        self, request: jobs_pb2.GetJobResultRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> httpbody_pb2.HttpBody:
        """Answers with a job's result, or with a link to it."""
        call = current_call.current()
        answer = await self._results.answer(
            current_call.current_tenant(),
            request.job_id,
            upstream=request.upstream,
            metadata=call.metadata if call else {},
        )
        await context.send_initial_metadata(answer.metadata)
        return answer.body

    async def CancelJob(  # noqa: N802  gRPC's name
        self, request: jobs_pb2.CancelJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> jobs_pb2.Job:
        """Cancels a job that waits, with force also one that runs."""
        del context
        return await self._canceler.cancel(
            current_call.current_tenant(), request.job_id, upstream=request.upstream, force=request.force
        )

    async def RetryJob(  # noqa: N802  gRPC's name
        self, request: jobs_pb2.RetryJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> jobs_pb2.Job:
        """Tries a job again that has ended."""
        del context
        current_call.current_tenant()  # raises for a service, whose jobs would belong to nobody
        call = current_call.current()
        key, faults = read_key(request.request_id, call.metadata if call else {})
        if faults:
            raise InvalidArgument.of(faults)
        return await self._retrier.retry(
            request.job_id,
            current_call.current_principal(),
            idempotency_key=key,
            remaining_s=call.remaining_s() if call else None,
        )

    async def SubmitBatch(  # noqa: N802  gRPC's name
        self, request: batches_pb2.SubmitBatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> batches_pb2.Batch:
        """Accepts a batch of jobs, all or none."""
        del context
        current_call.current_tenant()  # raises for a service, whose jobs would belong to nobody
        call = current_call.current()
        metadata = call.metadata if call else {}
        return await self._batch_submitter.submit(
            await aside(lambda: read_batch_draft(request, metadata), size=request.ByteSize()),
            current_call.current_principal(),
            remaining_s=call.remaining_s() if call else None,
        )

    async def GetBatch(  # noqa: N802  gRPC's name
        self, request: batches_pb2.GetBatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> batches_pb2.Batch:
        """Answers with a batch as it stands."""
        del context
        return await self._batches.get(current_call.current_tenant(), request.batch_id)

    async def CancelBatch(  # noqa: N802  gRPC's name
        self, request: batches_pb2.CancelBatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> batches_pb2.Batch:
        """Cancels the jobs of a batch that wait, with force also those that run."""
        del context
        return await self._canceler.cancel_batch(current_call.current_tenant(), request.batch_id, force=request.force)
