"""The job store in memory; `tests/contract/test_intake_store.py` holds it to what the real one does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.intake.domain import CLAIM_LIFETIME, FIRST_REVISION, IDEMPOTENCY_WINDOW, Admission, Drain, Outcome, Record
from services.intake.known_servers import being_rebuilt
from services.intake.store import (
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

    from services.intake.domain import Change


@dataclass(slots=True)
class _Key:
    fingerprint: bytes
    job_id: str
    ends: float
    #: Until when someone is at it; None once the job was accepted.
    claim: float | None = None

    def outcome(self, fingerprint: bytes, job_id: str, now: float) -> Outcome | None:
        """What a request under this key comes to; None where it takes up the key's job."""
        if self.fingerprint != fingerprint:
            return Outcome.REUSED
        if self.claim is None:
            return Outcome.KNOWN
        if self.claim > now:
            return Outcome.IN_FLIGHT
        return Outcome.LAPSED if self.job_id != job_id else None


@dataclass(slots=True)
class _Job:
    job: bytes | None = None
    event: bytes | None = None
    revision: int = 0
    #: By revision, but for `submitted`.
    events: dict[int, bytes] = field(default_factory=dict)
    ends: float = 0.0


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

    async def admit(
        self,
        tenant: str,
        job_id: str,
        job: bytes,
        *,
        idempotency_key: str,
        fingerprint: bytes,
        max_pending: int,
        closed: bool = False,
    ) -> Admission:
        here, now = self._tenant(tenant), self._now()
        if self.rebuilding:
            raise being_rebuilt()
        known = here.keys.get(idempotency_key)
        outcome = known.outcome(fingerprint, job_id, now) if known is not None else None
        if known is not None and outcome is not None:
            return Admission(outcome=outcome, job_id=known.job_id)
        record = here.jobs.get(job_id)
        if known is not None and record is not None and record.revision:
            known.claim = None
            return Admission(outcome=Outcome.KNOWN, job_id=job_id)
        if job_id not in here.pending:
            full = len(here.pending) >= max_pending
            if full or closed:
                refused = Outcome.FULL if full else Outcome.CLOSED
                drain = here.drain.told(now)
                return Admission(outcome=refused, job_id=job_id, pending=len(here.pending), drain=drain)
            here.pending[job_id] = now + self._unseen_pending_s
        if idempotency_key:
            ends = known.ends if known is not None else now + IDEMPOTENCY_WINDOW.total_seconds()
            here.keys[idempotency_key] = _Key(fingerprint, job_id, ends, claim=now + self._claim_s)
        if record is not None and record.job is not None:
            return Admission(outcome=Outcome.ADMITTED, job_id=job_id, job=record.job)
        here.jobs[job_id] = _Job(job=job, ends=now + UNSEEN_LIFETIME.total_seconds())
        return Admission(outcome=Outcome.ADMITTED, job_id=job_id)

    async def find(self, tenant: str, idempotency_key: str, *, fingerprint: bytes) -> str | None:
        known = self._tenant(tenant).keys.get(idempotency_key)
        accepted = known is not None and known.fingerprint == fingerprint and known.claim is None
        return known.job_id if known is not None and accepted else None

    async def accept(self, tenant: str, job_id: str, *, idempotency_key: str) -> None:
        known = self._tenant(tenant).keys.get(idempotency_key)
        if known is not None and known.job_id == job_id:
            known.claim = None

    async def release(self, tenant: str, job_id: str, *, idempotency_key: str) -> None:
        here = self._tenant(tenant)
        record = here.jobs.get(job_id)
        if record is None or not record.revision:
            here.pending.pop(job_id, None)
        known = here.keys.get(idempotency_key)
        if known is not None and known.job_id == job_id and known.claim is not None:
            known.claim = 0.0

    async def read(self, tenant: str, job_id: str) -> Record | None:
        record = self._tenant(tenant).jobs.get(job_id)
        return Record(job=record.job, event=record.event) if record is not None else None

    async def events(self, tenant: str, job_id: str) -> list[bytes]:
        record = self._tenant(tenant).jobs.get(job_id)
        return [record.events[revision] for revision in sorted(record.events)] if record is not None else []

    async def apply(self, changes: Sequence[Change]) -> list[bool]:
        return [self._apply(change) for change in changes]

    async def confirm(self) -> None:
        if self.away:
            raise _away()
        if self.rebuilding:
            raise being_rebuilt()

    def _apply(self, change: Change) -> bool:
        here, now = self._tenant(change.tenant), self._now()
        record = here.jobs.setdefault(change.job_id, _Job())
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
        if known is not None and known.job_id == change.job_id:
            known.claim = None
        elif known is None and ends > time.time():
            here.keys[change.idempotency_key] = _Key(change.fingerprint, change.job_id, ends)

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
