"""The job store in memory; `tests/contract/intake_store` holds it to what the real one does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.intake.changes import Applied, BatchEnd, Record
from services.intake.domain import CLAIM_LIFETIME, FIRST_REVISION, IDEMPOTENCY_WINDOW, Admission, Drain, Outcome
from services.intake.known_servers import being_rebuilt
from services.intake.layout import (
    FINISHED_LIFETIME,
    MIN_LIFETIME,
    UNFINISHED_LIFETIME,
    UNSEEN_LIFETIME,
    UNSEEN_PENDING_LIFETIME,
)
from shared import ids
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.intake.changes import Change
    from services.intake.domain import Candidate, State


@dataclass(slots=True)
class _Key:
    fingerprint: bytes
    #: The id of a job or batch.
    stands_for: str
    ends: float
    #: Until when someone is at it; None once the job was accepted.
    claim: float | None = None

    def outcome(self, fingerprint: bytes, asked_as: str, now: float) -> Outcome | None:
        """What a request under this key comes to; None where it takes up what the key stands for."""
        if self.fingerprint != fingerprint:
            return Outcome.REUSED
        if self.claim is None:
            return Outcome.KNOWN
        if self.claim > now:
            return Outcome.IN_FLIGHT
        return Outcome.LAPSED if self.stands_for != asked_as else None


@dataclass(slots=True)
class _Job:
    job: bytes | None = None
    event: bytes | None = None
    revision: int = 0
    #: By revision, but for `submitted`.
    events: dict[int, bytes] = field(default_factory=dict)
    ends: float = 0.0
    #: The batch that it came in, and its index there.
    place: tuple[str, int] | None = None
    #: As which it ended and when, where its submission is still to come.
    end: tuple[State, datetime] | None = None

    def ended_in(self, change: Change) -> BatchEnd | None:
        """The end in a batch that the change tells of."""
        end: tuple[State, datetime] | None = None
        if change.finished_at is not None:
            end = (change.state, change.finished_at)
            if self.place is None and self.job is None:
                self.end = end
        elif change.place is not None:
            self.place, end = (change.place.batch_id, change.place.index), self.end
        if self.place is None or end is None:
            return None
        (batch_id, index), (state, at) = self.place, end
        return BatchEnd(
            batch_id=batch_id, index=index, state=state, at=at.replace(microsecond=at.microsecond // 1000 * 1000)
        )


_SLOT_S, _SLOTS = 10, 6


@dataclass(slots=True)
class _Drain:
    """When jobs ended, within a minute in sub-windows."""

    ends: list[float] = field(default_factory=list)

    def told(self, now: float) -> Drain:
        oldest = (now // _SLOT_S - _SLOTS + 1) * _SLOT_S
        return Drain(
            ended=sum(1 for end in self.ends if end >= oldest),
            window=timedelta(seconds=now - oldest),
            silence=timedelta(seconds=max(0.0, now - max(self.ends))) if self.ends else None,
        )


@dataclass(slots=True)
class _Tenant:
    keys: dict[str, _Key] = field(default_factory=dict)
    jobs: dict[str, _Job] = field(default_factory=dict)
    pending: dict[str, float] = field(default_factory=dict)
    drain: _Drain = field(default_factory=_Drain)

    def admitted(self, candidate: Candidate, index: int, now: float) -> bytes | None:
        """Makes the record of a candidate's job, or answers with the one that stands."""
        job_id, job = candidate.jobs[index]
        record = self.jobs.get(job_id)
        standing = record.job if record is not None else None
        if standing is None:
            record = self.jobs[job_id] = _Job(job=job, ends=now + UNSEEN_LIFETIME.total_seconds())
        if candidate.is_batch and record is not None:
            record.place = (candidate.id, index)
        return standing


class FakeJobStore:
    """Keeps jobs in memory; can be away."""

    def __init__(
        self,
        *,
        claim_lifetime: timedelta = CLAIM_LIFETIME,
        unseen_pending_lifetime: timedelta = UNSEEN_PENDING_LIFETIME,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._claim_s = claim_lifetime.total_seconds()
        self._unseen_pending_s = unseen_pending_lifetime.total_seconds()
        self._now = now
        self._tenants: dict[str, _Tenant] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False
        #: It has lost something, and admits nothing while it is.
        self.rebuilding = False

    async def admit(self, tenant: str, candidate: Candidate, *, max_pending: int, closed: bool = False) -> Admission:
        here, now = self._tenant(tenant), self._now()
        if self.rebuilding:
            raise being_rebuilt()
        known = here.keys.get(candidate.idempotency_key)
        outcome = known.outcome(candidate.fingerprint, candidate.id, now) if known is not None else None
        if known is not None and outcome is not None:
            return Admission(outcome=outcome, id=known.stands_for)
        records = [here.jobs.get(job_id) for job_id, _ in candidate.jobs]
        if known is not None and any(record is not None and record.revision for record in records):
            known.claim = None
            return Admission(outcome=Outcome.KNOWN, id=candidate.id)
        new = [job_id for job_id, _ in candidate.jobs if job_id not in here.pending]
        full = len(here.pending) + len(new) > max_pending
        if new and (full or closed):
            refused = Outcome.FULL if full else Outcome.CLOSED
            drain = here.drain.told(now)
            return Admission(outcome=refused, id=candidate.id, pending=len(here.pending), drain=drain)
        here.pending |= dict.fromkeys(new, now + self._unseen_pending_s)
        if candidate.idempotency_key:
            ends = known.ends if known is not None else now + IDEMPOTENCY_WINDOW.total_seconds()
            claim = now + self._claim_s
            here.keys[candidate.idempotency_key] = _Key(candidate.fingerprint, candidate.id, ends, claim=claim)
        standing = [here.admitted(candidate, index, now) for index in range(len(candidate.jobs))]
        return Admission(outcome=Outcome.ADMITTED, id=candidate.id, standing=tuple(standing))

    async def find(self, tenant: str, idempotency_key: str, *, fingerprint: bytes) -> str | None:
        known = self._tenant(tenant).keys.get(idempotency_key)
        accepted = known is not None and known.fingerprint == fingerprint and known.claim is None
        return known.stands_for if known is not None and accepted else None

    async def accept(self, tenant: str, accepted: str, *, idempotency_key: str) -> None:
        known = self._tenant(tenant).keys.get(idempotency_key)
        if known is not None and known.stands_for == accepted:
            known.claim = None

    async def release(self, tenant: str, given_up: str, job_ids: Sequence[str], *, idempotency_key: str) -> None:
        here = self._tenant(tenant)
        for job_id in job_ids:
            record = here.jobs.get(job_id)
            if record is None or not record.revision:
                here.pending.pop(job_id, None)
        known = here.keys.get(idempotency_key)
        if known is not None and known.stands_for == given_up and known.claim is not None:
            known.claim = 0.0

    async def read(self, tenant: str, job_id: str) -> Record | None:
        record = self._tenant(tenant).jobs.get(job_id)
        return Record(job=record.job, event=record.event) if record is not None else None

    async def read_many(self, tenant: str, job_ids: Sequence[str]) -> list[Record | None]:
        return [await self.read(tenant, job_id) for job_id in job_ids]

    async def events(self, tenant: str, job_id: str) -> list[bytes]:
        record = self._tenant(tenant).jobs.get(job_id)
        return [record.events[revision] for revision in sorted(record.events)] if record is not None else []

    async def apply(self, changes: Sequence[Change]) -> list[Applied]:
        return [self._apply(change) for change in changes]

    async def confirm(self) -> None:
        if self.away:
            raise _away()
        if self.rebuilding:
            raise being_rebuilt()

    def _apply(self, change: Change) -> Applied:
        here = self._tenant(change.tenant)
        record = here.jobs.setdefault(change.job_id, _Job())
        ended_in = record.ended_in(change)
        return Applied(ended=self._apply_to(record, here, change), ended_in=ended_in)

    def _apply_to(self, record: _Job, here: _Tenant, change: Change) -> bool:
        now = self._now()
        if change.job is not None:
            record.job = change.job
            self._note_key(here, change)
        if change.revision > FIRST_REVISION:
            record.events.setdefault(change.revision, change.event)
        if change.revision <= record.revision:
            return False
        record.revision, record.event = change.revision, change.event
        ended = change.finished_at is not None
        until = change.finished_at + FINISHED_LIFETIME if change.finished_at else change.at + UNFINISHED_LIFETIME
        record.ends = now + max(until - datetime.now(UTC), MIN_LIFETIME).total_seconds()
        if change.finished_at is None:
            here.pending[change.job_id] = record.ends
        else:
            here.pending.pop(change.job_id, None)
            if now - change.finished_at.timestamp() < _SLOT_S * _SLOTS:
                here.drain.ends.append(now)
        return ended

    @staticmethod
    def _note_key(here: _Tenant, change: Change) -> None:
        if not change.idempotency_key:
            return
        known = here.keys.get(change.idempotency_key)
        ends = (ids.made_at(change.job_id) + IDEMPOTENCY_WINDOW).timestamp()
        if known is not None and known.stands_for == change.key_stands_for:
            known.claim = None
        elif known is None and ends > time.time():
            here.keys[change.idempotency_key] = _Key(change.fingerprint, change.key_stands_for, ends)

    def _tenant(self, name: str) -> _Tenant:
        """The tenant's, without what has lapsed."""
        if self.away:
            raise _away()
        here, now = self._tenants.setdefault(name, _Tenant()), self._now()
        here.keys = {key: known for key, known in here.keys.items() if known.ends > now}
        here.jobs = {job_id: job for job_id, job in here.jobs.items() if not job.ends or job.ends > now}
        here.pending = {job_id: lapses for job_id, lapses in here.pending.items() if lapses > now}
        return here


def _away() -> Unavailable:
    return Unavailable("the store is away", metadata={"dependency": "redis"}, retry_after=timedelta(seconds=1))
