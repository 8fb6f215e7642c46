"""How a call came out, as the event that tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.upstream.domain import Failure, Health, QuotaScope, Stored, Success
from shared import views

if TYPE_CHECKING:
    from datetime import datetime

    from penstock.scheduler.v1 import scheduler_pb2

    from services.upstream.domain import Outcome

_HEALTH = {
    Health.NOTHING: events_pb2.Attempt.HEALTH_UNSPECIFIED,
    Health.HEALTHY: events_pb2.Attempt.HEALTHY,
    Health.FAILING: events_pb2.Attempt.FAILING,
    Health.THROTTLED: events_pb2.Attempt.THROTTLED,
}
_SCOPES = {
    QuotaScope.LANE: events_pb2.Quota.LANE,
    QuotaScope.UPSTREAM: events_pb2.Quota.UPSTREAM,
    QuotaScope.LANE_CLASS: events_pb2.Quota.LANE_CLASS,
}


def attempt_event(
    call: scheduler_pb2.Call, outcome: Outcome, *, worker: str, started_at: datetime, finished_at: datetime
) -> events_pb2.Attempt:
    """The event of an attempt that has come out.

    Args:
        call: The lease it was made under.
        outcome: How it came out.
        worker: Who made it.
        started_at: When the call was begun, in UTC.
        finished_at: When it came out.
    """
    event = events_pb2.Attempt(
        job_id=call.job_id,
        tenant=call.tenant,
        upstream=call.submission.job.upstream,
        fence=call.fence,
        number=call.attempt,
        worker=worker,
        health=_HEALTH[outcome.health],
    )
    event.started_at.FromDatetime(started_at)
    event.finished_at.FromDatetime(finished_at)
    if isinstance(outcome, Success):
        event.result.CopyFrom(_result(call.job_id, outcome))
    else:
        event.error.CopyFrom(_error(outcome))
        event.outcome_unknown = outcome.outcome_unknown
        event.uncounted = outcome.uncounted
        if outcome.retry_after is not None:
            event.retry_after.FromTimedelta(outcome.retry_after)
    for quota in outcome.quotas:
        told = event.quotas.add(scope=_SCOPES[quota.scope], remaining=quota.remaining)
        told.reset_after.FromTimedelta(quota.reset_after)
    return event


def message_id(call: scheduler_pb2.Call) -> str:
    """Under which the stream takes the event once."""
    return f"{call.job_id}:{call.fence.epoch}.{call.fence.count}"


def _result(job_id: str, success: Success) -> jobs_pb2.JobResult:
    if isinstance(success.body, Stored):
        return jobs_pb2.JobResult(
            url=views.result_path(job_id),
            content_type=success.content_type,
            size=success.body.size,
            status=success.status,
            headers=success.headers,
            from_cache=success.from_cache,
        )
    inline = jobs_pb2.InlineResult(status=success.status, headers=success.headers)
    text = _as_text(success.body)
    if text:
        inline.text = text
    elif success.body:
        inline.data = success.body
    return jobs_pb2.JobResult(
        inline=inline, content_type=success.content_type, size=len(success.body), from_cache=success.from_cache
    )


def _as_text(body: bytes) -> str | None:
    """The body as text, or None where it is none: not UTF-8, or with a NUL in it, as only binary formats have."""
    if b"\0" in body:
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _error(failure: Failure) -> jobs_pb2.JobError:
    return jobs_pb2.JobError(
        reason=failure.reason,
        message=failure.message,
        upstream_status=failure.upstream_status,
        retryable=failure.retryable,
        upstream_code=failure.upstream_code,
    )
