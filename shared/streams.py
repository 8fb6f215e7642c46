"""The JetStream streams and their consumers: one definition, applied by whoever starts first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

if TYPE_CHECKING:
    from shared.config import ServiceConfig

JOBS = "JOBS"
ATTEMPTS = "ATTEMPTS"
NOTICES = "NOTICES"
AUDIT = "AUDIT"
#: Of JOBS: history's consumer. What it has acknowledged, history has.
HISTORY_CONSUMER = "history"
#: How far back the log of jobs goes.
JOBS_KEPT = timedelta(days=7)
#: No notice comes later.
NOTICES_KEPT = timedelta(days=7)
#: Longer than any redelivery that follows from a publish whose acknowledgement was lost.
_DUPLICATE_WINDOW = timedelta(minutes=2)
#: Sent again when it was not acknowledged by then; a batch is handled in milliseconds.
ACK_WAIT = timedelta(seconds=30)
#: Messages that one consumer may have out and unacknowledged over all replicas.
MAX_ACK_PENDING = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """What an operator sizes.

    Args:
        replicas: Copies of each stream, 1 or 3.
        max_bytes: Of each stream; when it is full, publishes are refused and nothing is dropped, save for AUDIT.
    """

    replicas: int
    max_bytes: int

    @classmethod
    def of(cls, config: ServiceConfig) -> StreamLimits:
        """As a service's settings have them."""
        return cls(replicas=config.stream_replicas, max_bytes=config.stream_max_bytes)


def stream_configs(limits: StreamLimits) -> list[StreamConfig]:
    """Every stream of the mesh."""
    jobs = StreamConfig(
        name=JOBS,
        description="The log of facts about jobs; every view can be rebuilt from it.",
        subjects=["jobs.*.*"],
        retention=RetentionPolicy.LIMITS,
        max_age=JOBS_KEPT.total_seconds(),
    )
    attempts = StreamConfig(
        name=ATTEMPTS,
        description="Outcomes of attempts, for the scheduler.",
        subjects=["attempts.*"],
        retention=RetentionPolicy.WORK_QUEUE,
    )
    notices = StreamConfig(
        name=NOTICES,
        description="Facts about other things than jobs, which tenants may be told of.",
        subjects=["notices.*"],
        retention=RetentionPolicy.LIMITS,
        max_age=NOTICES_KEPT.total_seconds(),
    )
    audit = StreamConfig(
        name=AUDIT,
        description="Who did or tried what, until auth has it for good.",
        subjects=["audit.*"],
        retention=RetentionPolicy.LIMITS,
        max_age=timedelta(days=30).total_seconds(),
    )
    return [
        stream.evolve(
            storage=StorageType.FILE,
            num_replicas=limits.replicas,
            # Of audit entries the oldest go, which auth has long since: refusing new ones would lose those.
            discard=DiscardPolicy.OLD if stream is audit else DiscardPolicy.NEW,
            max_bytes=limits.max_bytes,
            duplicate_window=_DUPLICATE_WINDOW.total_seconds(),
            allow_direct=True,
            allow_atomic=True,
        )
        for stream in (jobs, attempts, notices, audit)
    ]


def consumer_config(durable: str, *subjects: str) -> ConsumerConfig:
    """A durable pull consumer that is given every message from the stream's start and acknowledges each."""
    return ConsumerConfig(
        durable_name=durable,
        filter_subjects=list(subjects),
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT.total_seconds(),
        max_ack_pending=MAX_ACK_PENDING,
        max_deliver=-1,
    )


def job_subject(event: str, upstream: str) -> str:
    """Where an event of a job of this upstream goes; `*` stands for any."""
    return f"jobs.{event}.{upstream}"


def attempt_subject(upstream: str) -> str:
    """Where the outcomes of this upstream's attempts go."""
    return f"attempts.{upstream}"


def notice_subject(fact: str) -> str:
    """Where notices of this fact go, such as `batch_finished`."""
    return f"notices.{fact}"


def audit_subject(service: str) -> str:
    """Where this service's audit entries go; `*` stands for any."""
    return f"audit.{service}"


def work_signal(upstream: str) -> str:
    """Signals that there is something to lease."""
    return f"signal.work.{upstream}"


def cancel_signal(job_id: str) -> str:
    """Signals that a running job was canceled; whoever makes its call breaks that off. `*` stands for any job.

    The payload is the job's id.
    """
    return f"signal.cancel.{job_id}"


#: Signals that a key was revoked or has another secret; the payload is the public prefix of one that it had until then.
AUTH_CHANGED_SIGNAL = "signal.auth.changed"
#: Signals that somebody may do nothing any more, so that its streams end; the payload is the principal's id.
PRINCIPAL_REVOKED_SIGNAL = "signal.auth.revoked"
#: Signals what keys have done at a service; the payload is a `UsageReport`. One replica of auth hears each.
KEY_USES_SIGNAL = "signal.auth.uses"
#: Signals that a tenant was suspended, upon which its keys are refused and its streams end; the payload is its name.
TENANT_SUSPENDED_SIGNAL = "signal.auth.tenant_suspended"
#: Signals that it was resumed, upon which its keys work and it may have streams again.
TENANT_RESUMED_SIGNAL = "signal.auth.tenant_resumed"
#: Signals that a connection was changed, was deleted, or has another secret; the payload is its id.
CONNECTION_CHANGED_SIGNAL = "signal.auth.connection_changed"
#: Signals that calls which may be cached have come out, for those that wait to make the same; the payload names them.
CACHE_ANSWERED_SIGNAL = "signal.cache.answered"
#: Signals that intake's view of some jobs has changed; the payload names them, one a line.
JOBS_CHANGED_SIGNAL = "signal.jobs.changed"
#: Signals that receivers of webhooks have deliveries that are due; the payload is their ids, one a line.
DELIVERIES_DUE_SIGNAL = "signal.webhooks.due"
#: Signals that an endpoint of webhooks was changed or deleted; the payload is its id.
ENDPOINT_CHANGED_SIGNAL = "signal.webhooks.endpoint_changed"
