"""What intake owes its callers under an idempotency key, in plain Python: the model beside the real thing.

It says what each answer must be, what counts as pending, and what is left after Redis has lost its last writes or all
of them, and got back what the log tells.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from shared import ids

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
    """A request: whose, under which key, and which of some bodies.

    Args:
        jobs: Of the batch; 0 for a job by itself.
    """

    tenant: str
    key: str
    body: int
    jobs: int = 0

    @property
    def kind(self) -> str:
        return "batch" if self.jobs else "job"

    @property
    def request(self) -> tuple[int, int]:
        """What makes it another request than others under its key."""
        return self.body, self.jobs

    def job_ids(self, made: str) -> list[str]:
        """The jobs of what it made."""
        return [ids.job_id_in_batch(made, index, "http") for index in range(self.jobs)] if self.jobs else [made]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event in the log.

    Args:
        asked: What the job was made from.
        made: What was made of that: the job, or the batch in which it came.
        first_sight: When its id was made.
    """

    job_id: str
    revision: int
    at: int
    asked: Asked
    made: str
    first_sight: int

    @property
    def tells_key(self) -> bool:
        """A key comes with the submission of its job, or of the first job of its batch."""
        first = self.asked.job_ids(self.made)[0] == self.job_id
        return bool(self.asked.key) and self.revision == SUBMITTED and first


@dataclass(slots=True, kw_only=True)
class Key:
    """What a key stands for.

    Args:
        made: The job or batch that its first request has made.
        claim: Until when someone is at it; None once that was accepted.
    """

    asked: Asked
    made: str
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


@dataclass(slots=True, kw_only=True)
class Batch:
    """What is known of a batch.

    Args:
        jobs: Those that are known to be in it.
        record_ends: Until when, unless something is noted of it again.
    """

    jobs: set[str] = field(default_factory=set)
    record_ends: int = 0


@dataclass(slots=True)
class Ledger:
    """Times are in milliseconds, by the test's clock.

    Args:
        cap: Unfinished jobs that a tenant may have.
    """

    cap: int
    keys: dict[tuple[str, str], Key] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)

    def copy(self) -> Ledger:
        return copy.deepcopy(self)

    def pending(self, tenant: str, now: int) -> int:
        return sum(job.tenant == tenant and job.counts_until > now for job in self.jobs.values())

    def key(self, asked: Asked, now: int) -> Key | None:
        """What the key stands for, within its window."""
        known = self.keys.get((asked.tenant, asked.key)) if asked.key else None
        return known if known is not None and known.ends > now else None

    def judge(self, asked: Asked, now: int) -> tuple[Verdict, str]:
        """What a good request comes to, and what it has made, if that is known already."""
        known = self.key(asked, now)
        if known is None:
            return (Verdict.NEW if self._has_room(asked.tenant, asked.jobs or 1, now) else Verdict.FULL), ""
        if known.asked.request != asked.request:
            return Verdict.REUSED, known.made
        if known.claim is not None and known.claim > now:
            return Verdict.IN_FLIGHT, known.made
        job_ids = asked.job_ids(known.made)
        jobs = [self._record(job_id, now) for job_id in job_ids]
        if known.claim is None or any(job is not None and job.newest for job in jobs):
            return self._replay(known, now), known.made
        new = sum(job_id not in self.jobs or self.jobs[job_id].counts_until <= now for job_id in job_ids)
        return (Verdict.TAKEN_UP if self._has_room(asked.tenant, new, now) else Verdict.FULL), known.made

    def judge_late(self, asked: Asked, now: int) -> tuple[Verdict, str]:
        """The same of a request that was good once: it stands as it stood, or is refused."""
        known = self.key(asked, now)
        if known is None or known.asked.request != asked.request or known.claim is not None:
            return Verdict.INVALID, ""
        return self._replay(known, now), known.made

    def admit(self, asked: Asked, made: str, now: int) -> None:
        """Takes in what was judged new or to be taken up."""
        known = self.key(asked, now)
        if asked.key:
            ends = known.ends if known is not None else now + WINDOW
            self.keys[asked.tenant, asked.key] = Key(asked=asked, made=made, ends=ends, claim=now + CLAIM)
        for job_id in asked.job_ids(made):
            job = self._record(job_id, now) or self._anew(job_id, asked.tenant, record_ends=now + UNSEEN)
            job.answerable = True
            if job.counts_until <= now:
                job.counts_until = now + UNSEEN_PENDING
        if asked.jobs:
            self.batches[made] = Batch(jobs=set(asked.job_ids(made)), record_ends=now + UNSEEN)

    def accept(self, asked: Asked, made: str, now: int) -> None:
        """Notes that what was made is in the log."""
        known = self.key(asked, now)
        if known is not None and known.made == made:
            known.claim = None

    def release(self, asked: Asked, made: str, now: int) -> None:
        """Gives up what could not be published."""
        for job_id in asked.job_ids(made):
            job = self._record(job_id, now)
            if job is None or not job.newest:
                self.jobs.setdefault(job_id, Job(tenant=asked.tenant)).counts_until = 0
        known = self.key(asked, now)
        if known is not None and known.made == made and known.claim is not None:
            known.claim = 0

    def show(self, told: Told, now: int) -> None:
        """Applies what the log tells of a job; any number of times, in any order."""
        ended = told.revision == LAST
        until = told.at + (FINISHED if ended else UNFINISHED)
        keep = max(until, now + HOUR)
        job = self._record(told.job_id, now) or self._anew(told.job_id, told.asked.tenant, record_ends=keep)
        if told.revision == SUBMITTED:
            job.answerable = True
        if told.tells_key:
            self._show_key(told, now)
        if told.revision > job.newest:
            job.newest = told.revision
            job.record_ends = keep
            job.counts_until = 0 if ended else keep

    def note(self, told: Told, now: int) -> None:
        """Notes what that says of the job's batch."""
        if not told.asked.jobs or told.revision not in {SUBMITTED, LAST}:
            return
        batch = self.batches.get(told.made)
        if batch is None or batch.record_ends <= now:
            batch = self.batches[told.made] = Batch()
        if told.revision == SUBMITTED:
            batch.jobs.add(told.job_id)
        batch.record_ends = now + FINISHED  # or longer; no key is asked for by then

    def rebuild(self, log: Sequence[Told], now: int, *, noting: bool = True) -> None:
        """Gets back what the log tells, but for what ended too long ago."""
        ended = {told.job_id for told in log if told.revision == LAST and told.at + FINISHED < now}
        gone = {told.made for told in log if ended.issuperset(told.asked.job_ids(told.made))}
        for told in log:
            if told.made not in gone:
                self.show(told, now)
                if noting:
                    self.note(told, now)

    def _replay(self, known: Key, now: int) -> Verdict:
        jobs = [self._record(job_id, now) for job_id in known.asked.job_ids(known.made)]
        answerable = all(job is not None and job.answerable for job in jobs)
        if known.asked.jobs:
            batch = self.batches.get(known.made)
            whole = batch is not None and batch.record_ends > now and len(batch.jobs) == known.asked.jobs
            answerable = answerable and whole
        return Verdict.REPLAYED if answerable else Verdict.NO_RECORD

    def _show_key(self, told: Told, now: int) -> None:
        asked = told.asked
        known = self.key(asked, now)
        if known is not None and known.made == told.made:
            known.claim = None
        elif known is None and told.first_sight + WINDOW > now:
            ends = told.first_sight + WINDOW
            self.keys[asked.tenant, asked.key] = Key(asked=asked, made=told.made, ends=ends, claim=None)

    def _has_room(self, tenant: str, new: int, now: int) -> bool:
        return not new or self.pending(tenant, now) + new <= self.cap

    def _record(self, job_id: str, now: int) -> Job | None:
        job = self.jobs.get(job_id)
        return job if job is not None and job.record_ends > now else None

    def _anew(self, job_id: str, tenant: str, *, record_ends: int) -> Job:
        """A record, where there is none; what counts as pending is kept beside records, and goes on counting."""
        before = self.jobs.get(job_id)
        counts_until = before.counts_until if before is not None else 0
        self.jobs[job_id] = Job(tenant=tenant, counts_until=counts_until, record_ends=record_ends)
        return self.jobs[job_id]
