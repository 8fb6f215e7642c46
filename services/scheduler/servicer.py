"""SchedulerService: protos to the domain and back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from penstock.events.v1 import events_pb2
from penstock.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc

from services.scheduler import explaining
from services.scheduler.domain import MAX_BATCH, Fence, LeaseKey
from services.scheduler.events import event_of, timestamp
from services.scheduler.scripts import RecoveryNeeded
from shared import ids, observability
from shared.errors import InvalidArgument, Unavailable
from shared.rpc import call as current_call

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc
    from penstock.jobs.v1 import jobs_pb2

    from services.scheduler.domain import Canceled
    from services.scheduler.leases import Granted, Leases
    from services.scheduler.outbox import Outbox
    from services.scheduler.queue import Queue
    from services.scheduler.upstreams import Upstreams

    Context = grpc.aio.ServicerContext[Any, Any]

log = observability.logger()

_MAX_WAIT = timedelta(seconds=30)
#: What is kept of the caller's time for the answer itself.
_ANSWER_TIME = timedelta(milliseconds=500)
_MAX_WORKER_CHARACTERS = 128


class Signals(Protocol):
    """Tells workers what a cancel means for them; `services.scheduler.work.Work` is one."""

    async def announce(self, upstream: str) -> None:
        """Tells those that wait for leases that they may be served; raises `Unavailable`."""
        ...

    async def break_off(self, job_ids: Sequence[str]) -> None:
        """Tells those that work on these jobs; raises `Unavailable`."""
        ...


class SchedulerServicer(scheduler_pb2_grpc.SchedulerServiceServicer):
    """Answers workers and intake.

    Args:
        upstreams: Which there are.
        leases: Gives leases.
        queue: Cancels jobs, and knows why they wait.
        outbox: Publishes that they were canceled.
        signals: Tell workers what a cancel means for them.
    """

    def __init__(self, *, upstreams: Upstreams, leases: Leases, queue: Queue, outbox: Outbox, signals: Signals) -> None:
        self._upstreams = upstreams
        self._leases = leases
        self._queue = queue
        self._outbox = outbox
        self._signals = signals

    async def Lease(  # noqa: N802  gRPC's name
        self, request: scheduler_pb2.LeaseRequest, context: Context
    ) -> scheduler_pb2.LeaseResponse:
        """Leases the next allowed jobs."""
        del context
        if not 1 <= request.max_jobs <= MAX_BATCH:
            raise InvalidArgument.field("max_jobs", f"is {request.max_jobs}; it takes 1 to {MAX_BATCH}")
        if len(request.worker) > _MAX_WORKER_CHARACTERS:
            raise InvalidArgument.field("worker", f"is longer than {_MAX_WORKER_CHARACTERS} characters")
        wait = request.wait.ToTimedelta()
        if not timedelta() <= wait <= _MAX_WAIT:
            raise InvalidArgument.field("wait", f"is {wait}; it takes 0 to {_MAX_WAIT.total_seconds():g} s")
        await self._upstreams.require(request.upstream)
        granted = await self._leases.give(
            request.upstream, request.max_jobs, wait=_within_deadline(wait), worker=request.worker
        )
        return scheduler_pb2.LeaseResponse(calls=[_call(each) for each in granted])

    async def Begin(  # noqa: N802  gRPC's name
        self, request: scheduler_pb2.BeginRequest, context: Context
    ) -> scheduler_pb2.BeginResponse:
        """Begins an attempt of a job whose method is not idempotent."""
        del context
        await self._leases.begin(_upstream_of(request.job_id), _key(request.job_id, request.fence))
        return scheduler_pb2.BeginResponse()

    async def Extend(  # noqa: N802  gRPC's name
        self, request: scheduler_pb2.ExtendRequest, context: Context
    ) -> scheduler_pb2.ExtendResponse:
        """Moves the deadlines of leases."""
        del context
        await self._upstreams.require(request.upstream)
        lost = await self._leases.extend(
            request.upstream, [_key(lease.job_id, lease.fence) for lease in request.leases]
        )
        return scheduler_pb2.ExtendResponse(lost_job_ids=lost)

    async def Cancel(  # noqa: N802  gRPC's name
        self, request: scheduler_pb2.CancelRequest, context: Context
    ) -> events_pb2.JobEvent:
        """Cancels a job; one that runs only with force."""
        del context
        upstream = _upstream_of(request.job_id)
        _check_tenant(request.tenant)
        canceled = await self._queue.cancel(upstream, request.job_id, tenant=request.tenant, force=request.force)
        await self._signal(upstream, canceled)
        if canceled.fact.posted:
            await self._outbox.publish(upstream, [canceled.fact])
        return event_of(upstream, canceled.fact)

    async def Explain(  # noqa: N802  gRPC's name
        self, request: scheduler_pb2.ExplainRequest, context: Context
    ) -> jobs_pb2.JobExplanation:
        """Says why a job waits."""
        del context
        upstream = _upstream_of(request.job_id)
        _check_tenant(request.tenant)
        try:
            explanation = await self._queue.explain(upstream, request.job_id, tenant=request.tenant)
        except RecoveryNeeded:  # that is why it waits
            return explaining.recovering(request.job_id)
        return explaining.message_of(explanation)

    async def _signal(self, upstream: str, canceled: Canceled) -> None:
        try:
            if canceled.running:
                await self._signals.break_off([canceled.fact.job_id])
            else:  # it may have been leased, and has left its place to another
                await self._signals.announce(upstream)
        except Unavailable as error:  # the job is canceled; each sweep signals again while its lease is out
            log.warning("cancel_signal_lost", job=canceled.fact.job_id, error=error.message)


def _within_deadline(wait: timedelta) -> timedelta:
    call = current_call.current()
    remaining_s = call.remaining_s() if call is not None else None
    if remaining_s is None:
        return wait
    return max(timedelta(), min(wait, timedelta(seconds=remaining_s) - _ANSWER_TIME))


def _upstream_of(job_id: str) -> str:
    upstream = ids.upstream_of(job_id)
    if upstream is None:
        raise InvalidArgument.field("job_id", f"is {job_id!r}, which is no job id")
    return upstream


def _check_tenant(tenant: str) -> None:
    if not tenant:
        raise InvalidArgument.field("tenant", "is empty; it takes the tenant whose job it is")


def _key(job_id: str, fence: events_pb2.Fence) -> LeaseKey:
    return LeaseKey(job_id, Fence(fence.epoch, fence.count))


def _call(granted: Granted) -> scheduler_pb2.Call:
    lease = granted.lease
    return scheduler_pb2.Call(
        job_id=lease.key.job_id,
        tenant=lease.started.tenant,
        fence=events_pb2.Fence(epoch=lease.key.fence.epoch, count=lease.key.fence.count),
        attempt=lease.started.attempt,
        deadline=timestamp(lease.deadline_ms),
        submission=granted.submitted.submission,
        traceparent=granted.submitted.traceparent,
    )
