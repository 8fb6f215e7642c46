"""What intake owes its callers under an idempotency key, in plain Python: the model beside the real thing.

It says what each answer must be, what counts as pending, and what is left after Redis has lost its last writes or all
of them, and got back what the log tells.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
WINDOW, CLAIM = DAY, 30 * SECOND
#: How long a job that the log has not shown counts as pending, and can be asked for.
UNSEEN_PENDING, UNSEEN = 10 * MINUTE, HOUR
#: How long a job can be asked for: from its submission while it has not ended, and from its end.
UNFINISHED, FINISHED = 8 * DAY, DAY
#: Revisions: of `submitted`, and of the event that ends a job.
SUBMITTED, LAST = 1, 3


class Verdict(StrEnum):
    """What a request comes to."""

    NEW = "new"
    TAKEN_UP = "taken up"
    REPLAYED = "replayed"
    IN_FLIGHT = "in flight"
    REUSED = "reused"
    FULL = "full"
    NO_RECORD = "no record"
    INVALID = "invalid"
    REBUILDING = "rebuilding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: whose, under which key, and which of some bodies."""

    tenant: str
    key: str
    body: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event in the log.

    Args:
        asked: What the job was made from.
        first_sight: When its id was made.
    """

    job_id: str
    revision: int
    at: int
    asked: Asked
    first_sight: int


@dataclass(slots=True, kw_only=True)
class Key:
    """What a key stands for.

    Args:
        claim: Until when someone is at it; None once its job was accepted.
    """

    body: int
    job_id: str
    ends: int
    claim: int | None


@dataclass(slots=True, kw_only=True)
class Job:
    """What is known of a job.

    Args:
        newest: The newest event that was applied, by revision.
        counts_until: Until when it counts as pending.
        record_ends: Until when it can be asked for.
        answerable: Whether the job as first answered is known.
    """

    tenant: str
    newest: int = 0
    counts_until: int = 0
    record_ends: int = 0
    answerable: bool = False


@dataclass(slots=True)
class Ledger:
    """Times are in milliseconds, by the test's clock.

    Args:
        cap: Unfinished jobs that a tenant may have.
    """

    cap: int
    keys: dict[tuple[str, str], Key] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    def copy(self) -> Ledger:
        return copy.deepcopy(self)

    def pending(self, tenant: str, now: int) -> int:
        return sum(job.tenant == tenant and job.counts_until > now for job in self.jobs.values())

    def key(self, asked: Asked, now: int) -> Key | None:
        """What the key stands for, within its window."""
        known = self.keys.get((asked.tenant, asked.key)) if asked.key else None
        return known if known is not None and known.ends > now else None

    def judge(self, asked: Asked, now: int) -> tuple[Verdict, str]:
        """What a good request comes to, and the job that it comes to if that is known already."""
        known = self.key(asked, now)
        if known is None:
            return (Verdict.NEW if self._has_room(asked.tenant, now) else Verdict.FULL), ""
        job = self._record(known.job_id, now)
        if known.body != asked.body:
            return Verdict.REUSED, known.job_id
        shown = job is not None and job.newest > 0
        if known.claim is not None and known.claim > now:
            return Verdict.IN_FLIGHT, known.job_id
        if known.claim is None or shown:
            answerable = job is not None and job.answerable
            return (Verdict.REPLAYED if answerable else Verdict.NO_RECORD), known.job_id
        counts = self.jobs[known.job_id].counts_until > now if known.job_id in self.jobs else False
        room = counts or self._has_room(asked.tenant, now)
        return (Verdict.TAKEN_UP if room else Verdict.FULL), known.job_id

    def judge_late(self, asked: Asked, now: int) -> tuple[Verdict, str]:
        """The same of a request that was good once: it stands as it stood, or is refused."""
        known = self.key(asked, now)
        if known is None or known.body != asked.body or known.claim is not None:
            return Verdict.INVALID, ""
        job = self._record(known.job_id, now)
        answerable = job is not None and job.answerable
        return (Verdict.REPLAYED if answerable else Verdict.NO_RECORD), known.job_id

    def admit(self, asked: Asked, job_id: str, now: int) -> None:
        """Takes in a job that was judged new or to be taken up."""
        known = self.key(asked, now)
        if asked.key:
            ends = known.ends if known is not None else now + WINDOW
            self.keys[asked.tenant, asked.key] = Key(body=asked.body, job_id=job_id, ends=ends, claim=now + CLAIM)
        job = self._record(job_id, now) or self._anew(job_id, asked.tenant, record_ends=now + UNSEEN)
        job.answerable = True
        if job.counts_until <= now:
            job.counts_until = now + UNSEEN_PENDING

    def accept(self, asked: Asked, job_id: str, now: int) -> None:
        """Notes that the job is in the log."""
        known = self.key(asked, now)
        if known is not None and known.job_id == job_id:
            known.claim = None

    def release(self, asked: Asked, job_id: str, now: int) -> None:
        """Gives up a job that could not be published."""
        job = self._record(job_id, now)
        if job is None or not job.newest:
            self.jobs.setdefault(job_id, Job(tenant=asked.tenant)).counts_until = 0
        known = self.key(asked, now)
        if known is not None and known.job_id == job_id and known.claim is not None:
            known.claim = 0

    def show(self, told: Told, now: int) -> None:
        """Applies what the log tells; any number of times, in any order."""
        ended = told.revision == LAST
        until = told.at + (FINISHED if ended else UNFINISHED)
        keep = max(until, now + HOUR)
        job = self._record(told.job_id, now) or self._anew(told.job_id, told.asked.tenant, record_ends=keep)
        if told.revision == SUBMITTED:
            job.answerable = True
            self._show_key(told, now)
        if told.revision > job.newest:
            job.newest = told.revision
            job.record_ends = keep
            job.counts_until = 0 if ended else keep

    def rebuild(self, log: Sequence[Told], now: int) -> None:
        """Gets back what the log tells, but for jobs that ended too long ago."""
        gone = {told.job_id for told in log if told.revision == LAST and told.at + FINISHED < now}
        for told in log:
            if told.job_id not in gone:
                self.show(told, now)

    def _show_key(self, told: Told, now: int) -> None:
        asked = told.asked
        if not asked.key:
            return
        known = self.key(asked, now)
        if known is not None and known.job_id == told.job_id:
            known.claim = None
        elif known is None and told.first_sight + WINDOW > now:
            ends = told.first_sight + WINDOW
            self.keys[asked.tenant, asked.key] = Key(body=asked.body, job_id=told.job_id, ends=ends, claim=None)

    def _has_room(self, tenant: str, now: int) -> bool:
        return self.pending(tenant, now) < self.cap

    def _record(self, job_id: str, now: int) -> Job | None:
        job = self.jobs.get(job_id)
        return job if job is not None and job.record_ends > now else None

    def _anew(self, job_id: str, tenant: str, *, record_ends: int) -> Job:
        """A record, where there is none; what counts as pending is kept beside records, and goes on counting."""
        before = self.jobs.get(job_id)
        counts_until = before.counts_until if before is not None else 0
        self.jobs[job_id] = Job(tenant=tenant, counts_until=counts_until, record_ends=record_ends)
        return self.jobs[job_id]
