"""What the log of jobs says: what an event changes in the hot view, what that came to, and how a batch ends by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.intake.domain import State

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A job in the hot view.

    Args:
        job: The job as first answered; None where only later events have been seen so far.
        event: The newest event, without the submission; None before the first was seen.
    """

    job: bytes | None
    event: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlace:
    """A job's place in its batch.

    Args:
        batch_id: Whose.
        index: From 0.
        size: Jobs of the batch.
        callback: Only of the first job: whom to tell of the batch's end, as the log has it.
    """

    batch_id: str
    index: int
    size: int
    callback: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one event changes in the hot view.

    Args:
        at: When it happened.
        job: The job as first answered, where the event is `submitted`.
        finished_at: Set where the job has ended.
        state: Where the event leaves the job.
        idempotency_key: The key it came with, where the event is `submitted`; empty for none. A batch's key comes with
            its first job.
        place: In its batch, where the event is `submitted` and the job came in one.
        sequence: Of the event in the log; 0 where it did not come from there.
    """

    tenant: str
    job_id: str
    revision: int
    event: bytes
    at: datetime
    job: bytes | None = None
    finished_at: datetime | None = None
    state: State = State.QUEUED
    idempotency_key: str = ""
    fingerprint: bytes = b""
    place: BatchPlace | None = None
    sequence: int = 0

    @property
    def key_stands_for(self) -> str:
        """The id that its idempotency key stands for: the batch's, where the job came in one."""
        return self.place.batch_id if self.place is not None else self.job_id


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEnd:
    """A job of a batch has ended.

    Args:
        index: Of the job in the batch.
        state: As which it has.
        at: When, in whole milliseconds.
    """

    batch_id: str
    index: int
    state: State
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a change came to.

    Args:
        ended: The job has ended by it, just now.
        ended_in: Where the job has ended, now or before, and came in a batch: that end.
    """

    ended: bool
    ended_in: BatchEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNote:
    """What the log has said of one job of a batch.

    Args:
        at: When it was accepted, or ended.
        state: As which it has ended; None where this is its submission, which tells the rest.
    """

    tenant: str
    batch_id: str
    index: int
    at: datetime
    state: State | None = None
    job_id: str = ""
    size: int = 0
    callback: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedBatch:
    """A batch whose last job has ended.

    Args:
        ends: As which each of its jobs has ended, in order.
        created_at: When it was accepted.
        finished_at: When the last job ended.
        callback: Whom to tell, as the log has it.
    """

    tenant: str
    id: str
    ends: tuple[State, ...]
    created_at: datetime
    finished_at: datetime
    callback: bytes = field(repr=False)
