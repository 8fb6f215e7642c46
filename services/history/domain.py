"""What history speaks of: an entry for each job, what a batch of events says of it, and what a list is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What never changes of a job, as its submission has it."""

    #: The job as first answered, serialised.
    job: bytes
    upstream: str
    method: str
    connection_id: str
    priority: str
    batch_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an event leaves a job."""

    revision: int
    state: str
    #: The event without the result's content, serialised.
    event: bytes
    #: The result, serialised, where the event carries one.
    result: bytes | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What some events say of one job: all that is known of it, or a part."""

    job_id: str
    tenant: str
    submitted: Submitted | None
    standing: Standing

    def merged_with(self, other: Entry) -> Entry:
        """What both say together; of where the job stands, the newer word counts."""
        newer = self if self.standing.revision >= other.standing.revision else other
        return Entry(
            job_id=self.job_id,
            tenant=self.tenant,
            submitted=self.submitted or other.submitted,
            standing=newer.standing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A job as it is kept."""

    #: The job as first answered, serialised.
    job: bytes
    #: The newest event without the result's content, serialised.
    event: bytes
    #: The result, serialised; None where there is none, or it was not asked for.
    result: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs a list is asked for; an empty text or tuple stands for any."""

    upstream: str = ""
    method: str = ""
    connection_id: str = ""
    batch_id: str = ""
    priority: str = ""
    states: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
