"""Values of the domain as the scripts take and give them: JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from services.scheduler.domain import Fact, Fence, Late, Lease, LeaseKey, Opened, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.scheduler.domain import NewJob, Outcome


def dump_jobs(jobs: Sequence[NewJob]) -> str:
    """Jobs to enqueue."""
    return _dump(
        [
            {
                "id": job.id,
                "tenant": job.tenant,
                "lane": job.lane,
                "priority": job.priority,
                "class": job.method_class,
                "idempotent": job.idempotent,
                "sequence": job.sequence,
                "not_before": job.not_before_ms,
                "expires": job.expires_at_ms,
                "max_attempts": job.max_attempts,
                "backoff": job.initial_backoff_ms,
                "max_backoff": job.max_backoff_ms,
                "timeout": job.timeout_ms,
                "callback": job.has_callback,
            }
            for job in jobs
        ]
    )


def dump_keys(keys: Sequence[LeaseKey]) -> str:
    """Leases by their names."""
    return _dump([[key.job_id, key.fence.epoch, key.fence.count] for key in keys])


def dump_outcomes(outcomes: Sequence[Outcome]) -> str:
    """Outcomes to apply."""
    return _dump(
        [
            {
                "id": outcome.key.job_id,
                "epoch": outcome.key.fence.epoch,
                "count": outcome.key.fence.count,
                "succeeded": outcome.succeeded,
                "unknown": outcome.unknown,
                "retryable": outcome.retryable,
                "retry_after": outcome.retry_after_ms,
                "jitter": outcome.jitter,
                "uncounted": outcome.uncounted,
                "unspent": outcome.unspent,
                "reason": outcome.reason,
                "health": outcome.health,
                "quotas": [
                    {"scope": quota.scope, "remaining": quota.remaining, "reset_after": quota.reset_after_ms}
                    for quota in outcome.quotas
                ],
            }
            for outcome in outcomes
        ]
    )


def read_fact(values: Mapping[str, Any], *, posted: str = "") -> Fact:
    """A fact.

    Args:
        values: As a script wrote them.
        posted: The same as it stands in the outbox, where it does.
    """
    return Fact(
        job_id=values["id"],
        tenant=values["tenant"],
        revision=values["revision"],
        time_ms=values["time"],
        state=State(values["state"]),
        attempt=values["attempt"],
        uncounted=values.get("uncounted", 0),  # a fact may have stood in the outbox since before there was this
        started_at_ms=values["started"],
        not_before_ms=values["not_before"],
        finished_at_ms=values["finished"],
        reason=values["reason"],
        sequence=values["sequence"],
        has_callback=values["callback"],
        fence=Fence(values["epoch"], values["count"]),
        worker=values["worker"],
        posted=posted,
    )


def read_posted(text: bytes) -> Fact:
    """A fact that stands in the outbox."""
    return read_fact(json.loads(text), posted=text.decode())


def read_lease(values: Mapping[str, Any]) -> Lease:
    """A lease that was just given."""
    started = read_fact(values)
    return Lease(
        key=LeaseKey(started.job_id, started.fence),
        idempotent=values["idempotent"],
        deadline_ms=values["deadline"],
        started=started,
    )


def read_finished(text: bytes, *, given_up: bool) -> Fact | Late:
    """What came of an outcome.

    Args:
        text: A fact, or the number of the state of a job for which the outcome came too late; 0: it is not known.
        given_up: Whether the scheduler itself gave the job up, so that the fact stands in the outbox.
    """
    values = json.loads(text)
    if isinstance(values, int):
        return Late(state=State(values) if values else None)
    return read_fact(values, posted=text.decode() if given_up else "")


def read_opened(values: Mapping[str, Any]) -> Opened:
    """A breaker that opened."""
    return Opened(tenant=values["tenant"], lane=values["lane"], cause=values["cause"], until_ms=int(values["until"]))


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
