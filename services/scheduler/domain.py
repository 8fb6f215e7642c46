"""What the scheduler speaks of: jobs as the queue knows them, leases, outcomes, and facts about jobs.

The rules that change a job's state are in `lua/`, where they are atomic, and only there. Times are milliseconds since
the Unix epoch by Redis' clock (`…_ms`), as the scripts have them; 0 stands for none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.scheduler.limits import Quota

#: Jobs that one call of a script works on; a script keeps everyone else waiting.
MAX_BATCH = 64
#: The lane of the jobs that name no connection.
DEFAULT_LANE = "-"


class State(IntEnum):
    """Where a job stands; numbered as `penstock.jobs.v1.Job.State`."""

    QUEUED = 1
    RUNNING = 2
    RETRYING = 3
    SUCCEEDED = 4
    FAILED = 5
    OUTCOME_UNKNOWN = 6
    CANCELED = 7
    EXPIRED = 8

    @property
    def terminal(self) -> bool:
        """Whether the job has ended; a terminal state never changes."""
        return self >= State.SUCCEEDED


class Priority(IntEnum):
    """What orders one tenant's jobs; numbered as `penstock.jobs.v1.Job.Priority`."""

    HIGH = 1
    NORMAL = 2
    LOW = 3


#: Classes of methods; within a lane each has a FIFO of its own.
METHOD_CLASSES = ("read", "write", "upload")


class Health(IntEnum):
    """What an attempt says of the upstream; numbered as `penstock.events.v1.Attempt.Health`."""

    NOTHING = 0
    HEALTHY = 1
    FAILING = 2
    THROTTLED = 3


@dataclass(frozen=True, slots=True)
class Fence:
    """Grows with every lease of a job (`count`), and across recoveries (`epoch`); only the newest counts."""

    epoch: int
    count: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """How long things last in the queue."""

    #: What a lease lasts beyond its attempt's timeout.
    lease_margin: timedelta = timedelta(seconds=15)
    #: Having waited longer, a tenant's oldest job has one of eight turns.
    max_priority_delay: timedelta = timedelta(seconds=60)
    #: A finished job is remembered: longer than any redelivery of a message about it.
    memory: timedelta = timedelta(hours=1)
    #: A cancel waits for its job's enqueue: as long as JOBS keeps messages.
    cancel_mark: timedelta = timedelta(days=7)
    #: A fact is left to whoever made it, before a sweep publishes it: longer than a publish takes.
    outbox_delay: timedelta = timedelta(seconds=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to enqueue.

    Args:
        lane: The connection to call with, or `DEFAULT_LANE`.
        sequence: Of its `submitted` in the stream JOBS: where its payload is read back from, and its place in its lane.
        method_class: One of `METHOD_CLASSES`.
    """

    id: str
    tenant: str
    lane: str
    priority: Priority
    method_class: str
    idempotent: bool
    sequence: int
    not_before_ms: int
    expires_at_ms: int
    max_attempts: int
    initial_backoff_ms: int
    max_backoff_ms: int
    timeout_ms: int
    has_callback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What has happened to a job: all that its event needs but the payloads.

    Args:
        uncounted: Of its attempts, those that do not count against the most that it may have.
        reason: A name of `ErrorReason`, where the scheduler itself has ended an attempt or the job; else empty.
        sequence: Of the job's `submitted` in JOBS; 0 where the job has not been enqueued.
        fence: Of the job's newest lease.
        worker: Who holds or held that lease.
        posted: The fact as it stands in the outbox, from which it is removed when its event is on disk; empty where it
            is not there, because a message brings it about again.
    """

    job_id: str
    tenant: str
    revision: int
    time_ms: int
    state: State
    attempt: int
    started_at_ms: int
    not_before_ms: int
    finished_at_ms: int
    reason: str
    sequence: int
    has_callback: bool
    fence: Fence
    worker: str
    uncounted: int = 0
    posted: str = ""


@dataclass(frozen=True, slots=True)
class LeaseKey:
    """Names one lease."""

    job_id: str
    fence: Fence


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to make one attempt.

    Args:
        started: That the attempt was begun: a fact once it is marked so; until then what will be.
    """

    key: LeaseKey
    idempotent: bool
    deadline_ms: int
    started: Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """The answer to one asking for leases.

    Args:
        expired: Jobs that were found expired on the way.
        next_due: When there may be something to lease; None where no such time is known.
        again: Asking again at once may give more.
    """

    leases: tuple[Lease, ...]
    expired: tuple[Fact, ...]
    next_due: timedelta | None
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An attempt that is marked as begun, and when its lease ends."""

    started: Fact
    deadline_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt came out.

    Args:
        unknown: The call may have reached the upstream, and its answer is lost.
        uncounted: As retryable, it leaves the job as many attempts as before.
        unspent: No call went out: what its lease took of rates and quotas is given back.
        retry_after_ms: The upstream asked for this pause.
        jitter: From 0 to 1: which part of the longest pause is taken before another attempt, and by a breaker.
        reason: A name of `ErrorReason`, where the scheduler itself gives the job up before any attempt.
        health: What it says of the upstream.
        quotas: What the upstream said of its quotas.
    """

    key: LeaseKey
    succeeded: bool = False
    unknown: bool = False
    retryable: bool = False
    uncounted: bool = False
    unspent: bool = False
    retry_after_ms: int = 0
    jitter: float = 1.0
    reason: str = ""
    health: Health = Health.NOTHING
    quotas: tuple[Quota, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """An outcome that changed nothing, for its lease is not out any more.

    Args:
        state: The job's; None where the job is not known.
    """

    state: State | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A breaker opened.

    Args:
        tenant: Whose lane's; empty for the upstream's.
        lane: Which; empty for the upstream's.
        cause: `throttled` or `failing`.
    """

    tenant: str
    lane: str
    cause: str
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What outcomes came to.

    Args:
        answers: For each outcome.
        opened: The breakers that opened by them.
        room: Somebody who waits for leases may be served now.
    """

    answers: tuple[Fact | Late, ...]
    opened: tuple[Opened, ...]
    room: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """A job that is canceled.

    Args:
        running: Its call may still be under way, and has to be broken off.
    """

    fact: Fact
    running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """What an enqueue came to.

    Args:
        fresh: How many jobs were not known before.
        canceled: Those of them that a cancel had overtaken.
    """

    fresh: int
    canceled: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How many jobs a queue holds.

    Args:
        ready: They may be leased now.
        delayed: They may be leased later.
        leased: An attempt is under way, or about to be.
    """

    ready: int
    delayed: int
    leased: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep came to.

    Args:
        facts: What it did; to be published.
        unpublished: What others did and have not published.
        lost: How many leases it took back.
        again: There is more to do.
        depth: What it has left in the queue.
        canceling: Jobs that were canceled while they ran, and whose attempts have not come out.
        room: Somebody who waits for leases may be served now.
        oldest_sequence: Of a job's `submitted` in JOBS, below which every job has ended; 0 where all have.
    """

    facts: tuple[Fact, ...]
    unpublished: tuple[Fact, ...]
    lost: int
    again: bool
    depth: Depth
    canceling: tuple[str, ...]
    room: bool
    oldest_sequence: int
