"""What history speaks of: an entry for each job, what a batch of events says of it, and what a list is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime


class Mark(StrEnum):
    """What of a job the statistics have not counted yet."""

    SUBMISSION = "submission"
    END = "end"


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
    #: `key=value` of its metadata, of the keys by which its tenant lists.
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an event leaves a job."""

    revision: int
    state: str
    #: The event without the result's content, serialised.
    event: bytes
    #: The result, serialised, where the event carries one.
    result: bytes | None
    #: Set where the job has ended.
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What some events say of one job: all that is known of it, or a part."""

    job_id: str
    tenant: str
    submitted: Submitted | None
    #: Of its `submitted` in the log; 0 where that is not known.
    submitted_sequence: int = 0
    standing: Standing
    #: What each of the events leaves in the job's timeline, serialised, by revision.
    timeline: Mapping[int, bytes] = field(default_factory=lambda: MappingProxyType({}))

    def merged_with(self, other: Entry) -> Entry:
        """What both say together; of where the job stands, the newer word counts."""
        newer = self if self.standing.revision >= other.standing.revision else other
        known = [sequence for sequence in (self.submitted_sequence, other.submitted_sequence) if sequence]
        return Entry(
            job_id=self.job_id,
            tenant=self.tenant,
            submitted=self.submitted or other.submitted,
            submitted_sequence=min(known, default=0),
            standing=newer.standing,
            timeline={**self.timeline, **other.timeline},
        )


def merged(entries: Iterable[Entry]) -> list[Entry]:
    """What entries say together, one for each job."""
    found: dict[str, Entry] = {}
    for entry in entries:
        known = found.get(entry.job_id)
        found[entry.job_id] = entry if known is None else known.merged_with(entry)
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A job as it is kept."""

    #: The job as first answered, serialised.
    job: bytes
    #: The newest event without the result's content, serialised.
    event: bytes
    #: The result, serialised; None where there is none, or it was not asked for.
    result: bytes | None
    #: What its events have left, serialised, in order; empty where it was not asked for.
    timeline: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs a list is asked for; an empty text or tuple stands for any."""

    upstream: str = ""
    method: str = ""
    connection_id: str = ""
    batch_id: str = ""
    priority: str = ""
    #: Any of them.
    states: tuple[str, ...] = ()
    #: `key=value` of metadata, all of them.
    labels: tuple[str, ...] = ()
    #: At or after it, in whole milliseconds, as the store keeps times.
    created_after: datetime | None = None
    #: Before it, in whole milliseconds.
    created_before: datetime | None = None
