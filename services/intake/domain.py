"""What intake speaks of: a request as it was read, as it was judged, and what became of its admission."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.errors import FieldViolation

#: How long the same key means the same request, from its first sight.
IDEMPOTENCY_WINDOW = timedelta(hours=24)
#: How long a request that is being accepted holds its key; far longer than any publish takes.
CLAIM_LIFETIME = timedelta(seconds=30)
#: How far ahead a job may reach; JOBS keeps its messages as long.
MAX_AHEAD = timedelta(days=7)
DEFAULT_LIFETIME = timedelta(hours=24)
MAX_WAIT = timedelta(seconds=60)
DEFAULT_WAIT = timedelta(seconds=30)
#: A watch ends after it; its client goes on with a new one where this one was left.
MAX_WATCH = timedelta(minutes=5)
#: How long nothing may be sent on a stream of server-sent events: proxies end a connection that is silent for longer,
#: most of them after 30 s or more.
HEARTBEAT = timedelta(seconds=15)
#: The revision of `submitted`, and of a job as first answered.
FIRST_REVISION = 1
#: Jobs of a batch, at most.
MAX_BATCH_JOBS = 100
#: Of params as canonical JSON.
MAX_PARAMS_BYTES = 1024 * 1024
#: Beyond it params go to the object store instead of travelling in messages.
MAX_INLINE_PARAMS_BYTES = 64 * 1024


class Priority(StrEnum):
    """What orders one tenant's jobs."""

    HIGH = "HIGH"
    NORMAL = "NORMAL"
    LOW = "LOW"


class CacheMode(StrEnum):
    """Whether a cached answer may serve."""

    DEFAULT = "DEFAULT"
    BYPASS = "BYPASS"
    REFRESH = "REFRESH"


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"

    @property
    def terminal(self) -> bool:
        """Whether the job has ended; a terminal state never changes."""
        return self not in _UNFINISHED


_UNFINISHED = frozenset({State.QUEUED, State.RUNNING, State.RETRYING})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how fast a failed call is tried again."""

    max_attempts: int = 3
    initial_backoff: timedelta = timedelta(seconds=1)
    max_backoff: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What an upload is: its bytes' number and SHA-256, and their type."""

    size: int
    sha256: bytes
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """An upload that a param names."""

    param: str
    upload_id: str
    content: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFacts:
    """What auth says of a connection.

    Args:
        exists: Whether the tenant has it.
        upstream: What it is for.
        hosts: That may be called with it; empty where the upstream has its own.
        needs_reauth: It has to be authorized anew first; its jobs fail unless `jobs_wait`.
    """

    exists: bool = True
    upstream: str = ""
    hosts: tuple[str, ...] = ()
    needs_reauth: bool = False
    jobs_wait: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request as it was read: of the right types, and not yet judged.

    Args:
        params: Empty where they are too large to be read, as `params_bytes` tells.
        connection_field: Which of `connectionId` and `tokenId` was given, or an empty text.
        priority: None where the number is outside the enum.
        cache_mode: The same.
        max_attempts: 0 where it was left to the default.
        attachments: The uploads that the params name, when they have been looked up.
        connection_facts: What is known of the connection, when it has been looked up; None where nobody could tell.
        faults: What could not be read at all; judging adds to them.
    """

    upstream: str
    method: str
    params: Mapping[str, Any]
    params_bytes: int = 0
    params_too_large: bool = False
    connection_field: str = ""
    connection: str = ""
    priority: Priority = Priority.NORMAL
    cache_mode: CacheMode = CacheMode.DEFAULT
    not_before: datetime | None = None
    expires_at: datetime | None = None
    max_attempts: int = 0
    initial_backoff: timedelta | None = None
    max_backoff: timedelta | None = None
    callback_url: str = ""
    callback_secret: str = field(default="", repr=False)
    metadata: Mapping[str, str]
    idempotency_key: str = ""
    attachments: tuple[Attachment, ...] = ()
    connection_facts: ConnectionFacts | None = None
    faults: tuple[FieldViolation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDraft:
    """A request for a batch as it was read.

    Args:
        jobs: In order; none of them has an idempotency key.
        faults: What could not be read at all, and what is no job's own.
    """

    jobs: tuple[Draft, ...]
    callback_url: str = ""
    callback_secret: str = field(default="", repr=False)
    idempotency_key: str = ""
    faults: tuple[FieldViolation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request that was found good, with what the catalogue says of its method.

    Args:
        params: Canonical JSON.
        connection: The id of the one that it is called with; empty for none.
        lane: Where it stands in line within its tenant; empty for the common lane.
        attachments: The uploads that the params name.
        fingerprint: Equal for equal requests, whenever they are made.
        retry_of: The job that this one tries again; empty for none.
    """

    upstream: str
    method: str
    params: bytes
    priority: Priority
    cache_mode: CacheMode
    not_before: datetime | None
    expires_at: datetime
    retry: RetryPolicy
    callback_url: str
    callback_secret: str = field(repr=False)
    metadata: Mapping[str, str]
    method_class: str
    idempotent: bool
    attempt_timeout: timedelta
    connection: str = ""
    lane: str
    attachments: tuple[Attachment, ...] = ()
    idempotency_key: str
    fingerprint: bytes
    retry_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """A request for a batch that was found good.

    Args:
        jobs: In order.
        fingerprint: Equal for equal requests, whenever they are made.
    """

    jobs: tuple[JobRequest, ...]
    callback_url: str
    callback_secret: str = field(repr=False)
    idempotency_key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What asks to be admitted, all or none: a job, or a batch of them.

    Args:
        id: The job's or the batch's; what its idempotency key stands for.
        jobs: Each job's id, and the job as it will first be answered, in order.
        idempotency_key: Empty for none.
        fingerprint: Of the request.
    """

    id: str
    jobs: tuple[tuple[str, bytes], ...]
    idempotency_key: str
    fingerprint: bytes

    @property
    def is_batch(self) -> bool:
        """Whether it is a batch, of one job or more."""
        return self.jobs[0][0] != self.id


class Outcome(StrEnum):
    """What an admission comes to."""

    #: The job may be published.
    ADMITTED = "admitted"
    #: The key is known, for the same request, and its job was accepted.
    KNOWN = "known"
    #: The same, but its job was never seen to be accepted, and nobody is at it any more.
    LAPSED = "lapsed"
    #: The same, and someone is at it.
    IN_FLIGHT = "in_flight"
    #: The key is known, for another request.
    REUSED = "reused"
    #: The tenant has as many unfinished jobs as it may have.
    FULL = "full"
    #: All tenants together have.
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """How fast jobs end.

    Args:
        ended: How many have within the window.
        window: How long it is.
        silence: Since when none has; None where none is remembered.
    """

    ended: int = 0
    window: timedelta = timedelta(minutes=1)
    silence: timedelta | None = None

    @property
    def per_s(self) -> float:
        """Jobs a second."""
        return self.ended / self.window.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The store's answer to a request.

    Args:
        id: The job or batch admitted, or the one that the key stands for.
        standing: Of each job, where an earlier try has left its record behind: that record, which stands.
        pending: The tenant's unfinished jobs, where it was refused.
        drain: How fast they end, where it was refused.
    """

    outcome: Outcome
    id: str
    standing: tuple[bytes | None, ...] = ()
    pending: int = 0
    drain: Drain = Drain()
