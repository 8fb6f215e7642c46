"""One attempt: begun, called, and its outcome published."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog
from penstock.scheduler.v1 import scheduler_pb2
from prometheus_client import Counter, Histogram

from services.upstream import domain, outcomes
from services.upstream.cancels import JobCanceledError
from services.upstream.connector import Progress
from services.upstream.credentials import Credential
from services.upstream.domain import Failure, Reason, Success
from shared import crash_points, ids, observability
from shared.bus import Outgoing
from shared.crash_points import CrashPoint
from shared.errors import DeadlineExceeded, LeaseLost, PenstockError, Unavailable
from shared.retry import Backoff, until_done
from shared.streams import attempt_subject

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from penstock.events.v1 import events_pb2
    from penstock.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceAsyncStub

    from services.upstream.cancels import Cancels
    from services.upstream.connector import CallRequest, Connector
    from services.upstream.domain import Outcome
    from services.upstream.requests import Requests
    from shared.clock import Clock

log = observability.logger()

CALLS = Counter("penstock_upstream_calls", "Calls that came out, by reason.", ("upstream", "method", "reason"))
CALL_SECONDS = Histogram(
    "penstock_upstream_call_duration_seconds",
    "Time from begin to outcome.",
    ("upstream", "method"),
    buckets=observability.LATENCY_BUCKETS_S,
)
REFUSED = Counter("penstock_upstream_credentials_refused", "Credentials that upstreams have refused.", ("upstream",))
_BEGIN_TIMEOUT_S = 5.0
_BACKOFF = Backoff(initial=timedelta(milliseconds=50), maximum=timedelta(seconds=2))


class Publisher(Protocol):
    """Puts a message on disk."""

    async def publish(self, message: Outgoing) -> None:
        """Returns when the message is on disk.

        Raises:
            Unavailable: It may be, or not.
        """
        ...


class Answering(Protocol):
    """Stands between a call that could be made and the call; see `cache.cache.Cache`."""

    async def answer(
        self, lease: scheduler_pb2.Call, request: CallRequest, call: Callable[[CallRequest], Awaitable[Outcome]]
    ) -> Outcome:
        """How the call comes out: served, or made."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """When a call was begun."""

    #: As it is told, in UTC.
    time: datetime
    #: The same by `time.perf_counter()`, to measure by.
    counter_s: float


class Attempts:
    """Makes the attempts of one upstream's jobs.

    Args:
        connector: Speaks to the upstream.
        requests: Knows what a leased job asks to have called.
        scheduler: Lets calls that are not idempotent begin.
        publisher: Takes the outcomes.
        cache: Serves calls whose answers are there.
        cancels: Breaks off the calls of jobs that are canceled.
        clock: For the times in outcomes.
        worker: In whose name.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        requests: Requests,
        scheduler: SchedulerServiceAsyncStub,
        publisher: Publisher,
        cache: Answering,
        cancels: Cancels,
        clock: Clock,
        worker: str,
    ) -> None:
        self._connector = connector
        self._requests = requests
        self._scheduler = scheduler
        self._publisher = publisher
        self._cache = cache
        self._cancels = cancels
        self._clock = clock
        self._worker = worker

    async def make(self, call: scheduler_pb2.Call) -> None:
        """Makes one attempt under its lease; returns when its outcome is on disk, or when it may not be made."""
        bound = structlog.contextvars.bound_contextvars(job=call.job_id, tenant=call.tenant, attempt=call.attempt)
        attributes = {"penstock.job": call.job_id, "penstock.attempt": call.attempt}
        with bound, observability.span("attempt", traceparent=call.traceparent, attributes=attributes):
            try:
                await self._make(call)
            except LeaseLost:  # the scheduler has told somebody else to make it, or nobody
                log.info("attempt_dropped", reason=LeaseLost.reason)
            except PenstockError as error:  # it was not called; the lease runs out, and the scheduler decides
                log.error("attempt_dropped", reason=error.reason, error=error.message)  # noqa: TRY400  ours, and told
            except Exception:  # the same; one broken call ends no other
                log.exception("attempt_dropped")

    async def _make(self, call: scheduler_pb2.Call) -> None:
        progress = Progress()
        start = self._start()
        try:
            async with self._cancels.obeyed(call.job_id):
                request = await self._requests.request(call, progress)
                if isinstance(request, Failure):
                    outcome = request
                else:
                    if not request.method.idempotent:
                        await self._begin(call)
                    start = self._start()
                    crash_points.reach(CrashPoint.UPSTREAM_STARTED)
                    outcome = await self._cache.answer(call, request, lambda asked: self._answered(call, asked))
        except JobCanceledError:
            outcome = domain.canceled(idempotent=call.submission.idempotent, sent=progress.sent)
        crash_points.reach(CrashPoint.UPSTREAM_CALLED)
        self._tell(call.submission.job.method, outcome, time.perf_counter() - start.counter_s)
        event = outcomes.attempt_event(
            call, outcome, worker=self._worker, started_at=start.time, finished_at=self._clock.now()
        )
        await self._publish(call, event)

    async def _publish(self, call: scheduler_pb2.Call, event: events_pb2.Attempt) -> None:
        message = Outgoing(
            subject=attempt_subject(event.upstream),
            payload=event.SerializeToString(),
            message_id=outcomes.message_id(call),
            traceparent=observability.current_traceparent(),
        )
        await until_done(
            lambda: self._publisher.publish(message),
            retry_on=(PenstockError,),  # while the lease is held, which is kept meanwhile
            backoff=_BACKOFF,
            on_failure=lambda error, _: log.warning("outcome_not_published", error=str(error)),
        )

    def _start(self) -> _Start:
        return _Start(time=self._clock.now(), counter_s=time.perf_counter())

    async def _begin(self, call: scheduler_pb2.Call) -> None:
        """Has the start put on disk.

        Raises:
            LeaseLost: The call may not be made.
        """
        request = scheduler_pb2.BeginRequest(job_id=call.job_id, fence=call.fence)
        await until_done(
            lambda: self._scheduler.Begin(request, timeout=_BEGIN_TIMEOUT_S),
            retry_on=(Unavailable, DeadlineExceeded),  # the same fence may begin again
            backoff=_BACKOFF,
            on_failure=lambda error, _: log.warning("attempt_not_begun", error=str(error)),
        )

    async def _answered(self, call: scheduler_pb2.Call, request: CallRequest) -> Outcome:
        """How the call came out; with a fresh credential where the upstream has refused the first, and done nothing."""
        begun_s = time.perf_counter()
        outcome = await self._call(request)
        fresh = await self._fresh(call, request, outcome)
        if not isinstance(fresh, Credential):
            return fresh
        left = request.timeout - timedelta(seconds=time.perf_counter() - begun_s)
        request = replace(request, credential=fresh, timeout=left)
        try:
            async with asyncio.timeout(left.total_seconds()):  # the params may ask for longer
                outcome = await self._call(request)
        except TimeoutError:
            idempotent, sent = request.method.idempotent, request.progress.sent
            message = "no answer to the call with a fresh credential came in what was left of its time"
            return domain.lost(Reason.UPSTREAM_TIMEOUT, message, idempotent=idempotent, sent=sent)
        again = await self._fresh(call, request, outcome)
        return outcome if isinstance(again, Credential) else again

    async def _fresh(self, call: scheduler_pb2.Call, request: CallRequest, outcome: Outcome) -> Credential | Outcome:
        """Another credential to call with, where the first was refused; otherwise how the call came out."""
        if isinstance(outcome, Success) or not outcome.credential_refused or request.credential is None:
            return outcome
        REFUSED.labels(self._connector.upstream.name).inc()
        request.progress.sent = outcome.outcome_unknown  # what was refused has done nothing
        fresh = await self._requests.instead_of(request.credential, call, outcome)
        return outcome if outcome.outcome_unknown else fresh

    async def _call(self, request: CallRequest) -> Outcome:
        try:
            return await self._connector.call(request)
        except Exception:
            error_id = ids.new_error_id()
            log.exception("connector_failed", upstream=self._connector.upstream.name, error_id=error_id)
            return Failure(
                reason=Reason.INTERNAL,
                message=f"an internal error occurred; report it with the id {error_id}",
                retryable=request.method.idempotent,
                outcome_unknown=not request.method.idempotent,
            )

    def _tell(self, method: str, outcome: Outcome, seconds: float) -> None:
        upstream = self._connector.upstream.name
        succeeded = isinstance(outcome, Success)
        reason = "OK" if succeeded else outcome.reason
        status = outcome.status if succeeded else outcome.upstream_status
        label = self._connector.upstream.label(method)
        from_cache = succeeded and outcome.from_cache
        if not from_cache:
            CALLS.labels(upstream, label, reason).inc()
            CALL_SECONDS.labels(upstream, label).observe(seconds)
        log.info(
            "attempt_made",
            upstream=upstream,
            method=method,
            reason=reason,
            upstream_status=status,
            from_cache=from_cache,
            duration_ms=round(seconds * 1000, 2),
            trace_id=observability.current_trace_id(),
        )
