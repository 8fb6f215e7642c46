"""A job in the plain queue, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from services.scheduler.domain import Fact, Fence, LeaseKey, Priority, State

if TYPE_CHECKING:
    from services.scheduler.domain import NewJob

NO_FENCE = Fence(0, 0)


class Fifo(NamedTuple):
    """Jobs of one lane, priority and class stand in line behind each other."""

    tenant: str
    priority: Priority
    method_class: str
    lane: str

    def __str__(self) -> str:
        return f"{self.tenant}:{self.priority}:{self.method_class}:{self.lane}"


@dataclass(slots=True, kw_only=True)
class Job:
    new: NewJob
    ready_ms: int
    changed_ms: int
    state: State = State.QUEUED
    revision: int = 1
    attempt: int = 0
    leased_ms: int = 0
    deadline_ms: int = 0
    fence: Fence = NO_FENCE
    started_ms: int = 0
    worker: str = ""
    #: Attempts that do not count, and how many of them were the last in a row.
    uncounted: int = 0
    in_row: int = 0
    #: Of the rules under which it was leased.
    rules_version: int = 0
    #: The outcome that was applied last, by its fence, and what it came to.
    settled: dict[Fence, Fact] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        return not self.state.terminal and not self.leased_ms

    @property
    def counted_attempts(self) -> int:
        return self.attempt - self.uncounted

    @property
    def fifo(self) -> Fifo:
        return Fifo(self.new.tenant, self.new.priority, self.new.method_class, self.new.lane)

    @property
    def key(self) -> LeaseKey:
        return LeaseKey(self.new.id, self.fence)


def fact_of(job: Job) -> Fact:
    return Fact(
        job_id=job.new.id,
        tenant=job.new.tenant,
        revision=job.revision,
        time_ms=job.changed_ms,
        state=job.state,
        attempt=job.attempt,
        uncounted=job.uncounted,
        started_at_ms=job.started_ms,
        not_before_ms=job.ready_ms if job.state is State.RETRYING else 0,
        finished_at_ms=job.changed_ms if job.state.terminal else 0,
        reason="",
        sequence=job.new.sequence,
        has_callback=job.new.has_callback,
        fence=job.fence,
        worker=job.worker,
    )


def expected_cancel(job_id: str, tenant: str, now_ms: int) -> Fact:
    return Fact(
        job_id=job_id,
        tenant=tenant,
        revision=2,
        time_ms=now_ms,
        state=State.CANCELED,
        attempt=0,
        started_at_ms=0,
        not_before_ms=0,
        finished_at_ms=now_ms,
        reason="",
        sequence=0,
        has_callback=False,
        fence=NO_FENCE,
        worker="",
    )
