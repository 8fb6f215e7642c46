"""Tries jobs again that have ended: a new job of the same request, with `retry_of`; the old one stays as it is."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from services.intake.acceptance import ACCEPTED, REPLAYED, counted
from shared import observability
from shared.errors import (
    ConnectionNeedsReauth,
    InvalidArgument,
    JobNotFinished,
    JobNotFound,
    SubmissionGone,
)

if TYPE_CHECKING:
    from datetime import datetime

    from penstock.jobs.v1 import jobs_pb2

    from services.intake.domain import JobRequest
    from services.intake.judge import Judge
    from services.intake.reader import JobReader
    from services.intake.store import JobStore
    from services.intake.submissions import Submissions
    from services.intake.submitter import Submitter
    from shared.clock import Clock
    from shared.identity import Principal

log = observability.logger()

#: What a retry is refused with that may have been good when it first came: under its key it is answered as then.
_REFUSALS = (ConnectionNeedsReauth, InvalidArgument, JobNotFound, SubmissionGone)


class Retrier:
    """Tries jobs again.

    Args:
        reader: Knows how jobs stand.
        store: Knows what keys stand for.
        submissions: Know what jobs asked for.
        judge: Judges that as if it came anew.
        submitter: Accepts it.
        clock: Tells the time.
    """

    def __init__(
        self,
        *,
        reader: JobReader,
        store: JobStore,
        submissions: Submissions,
        judge: Judge,
        submitter: Submitter,
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._store = store
        self._submissions = submissions
        self._judge = judge
        self._submitter = submitter
        self._clock = clock

    async def retry(
        self, job_id: str, principal: Principal, *, idempotency_key: str, remaining_s: float | None
    ) -> jobs_pb2.Job:
        """The job that tries another one again, QUEUED and on disk; or, under a key that is known, the one it has made.

        Args:
            job_id: Of the job that has ended.
            principal: Who asks.
            idempotency_key: Empty for none.
            remaining_s: Until the caller's deadline; None where there is none.

        Raises:
            JobNotFound: The tenant has no such job.
            JobNotFinished: It has not ended.
            SubmissionGone: What it asked for is not known any more.
            PenstockError: As `Submitter.submit` does.
        """

        async def retried() -> tuple[jobs_pb2.Job, str]:
            made, job = await self._retry(
                job_id, None, principal, idempotency_key=idempotency_key, remaining_s=remaining_s
            )
            if job is not None:
                return job, ACCEPTED
            return await self._submitter.replay(made, principal.tenant), REPLAYED

        return await counted(retried())

    async def retry_ended(
        self, job_id: str, sequence: int, principal: Principal, *, idempotency_key: str, remaining_s: float | None
    ) -> str:
        """The id of the job that tries one again of which it is known that it has ended.

        Args:
            job_id: Of that.
            sequence: Of its `submitted` in the log; 0 where nobody knows.
            principal: In whose name.
            idempotency_key: By which the retry is known.
            remaining_s: Until the caller's deadline; None where there is none.

        Raises:
            SubmissionGone: What it asked for is not known any more.
            PenstockError: As `Submitter.submit` does.
        """

        async def retried() -> tuple[str, str]:
            made, job = await self._retry(
                job_id, sequence, principal, idempotency_key=idempotency_key, remaining_s=remaining_s
            )
            return made, REPLAYED if job is None else ACCEPTED

        return await counted(retried())

    async def _retry(
        self,
        job_id: str,
        sequence: int | None,
        principal: Principal,
        *,
        idempotency_key: str,
        remaining_s: float | None,
    ) -> tuple[str, jobs_pb2.Job | None]:
        """The id of the new job, and the job itself where it was not made before."""
        tenant, fingerprint, now = principal.tenant, _fingerprint(job_id), self._clock.now()
        try:
            if sequence is None:
                sequence = await self._located(tenant, job_id)
            request = await self._request(tenant, job_id, sequence, now=now)
        except _REFUSALS:
            known = await self._made_before(tenant, idempotency_key, fingerprint)
            if known is None:
                raise
            return known, None
        request = replace(request, retry_of=job_id, idempotency_key=idempotency_key, fingerprint=fingerprint)
        return await self._submitter.accept(request, principal, now=now, remaining_s=remaining_s)

    async def _located(self, tenant: str, job_id: str) -> int:
        """Where the submission is of a job that has ended."""
        state, sequence = await self._reader.ended_as(tenant, job_id)
        if not state.terminal:
            raise JobNotFinished(
                f"{job_id} is {state}, and goes on by itself; only a job that has ended can be tried again",
                metadata={"job": job_id, "state": state},
            )
        return sequence

    async def _request(self, tenant: str, job_id: str, sequence: int, *, now: datetime) -> JobRequest:
        draft, params = await self._submissions.draft(tenant, job_id, sequence, now=now)
        request = await self._judge.job(draft, tenant, now)
        if isinstance(request, str):  # a draft without a key has made nothing before
            raise TypeError(f"the draft of {job_id} is known as {request}")
        return replace(request, params=params)

    async def _made_before(self, tenant: str, idempotency_key: str, fingerprint: bytes) -> str | None:
        if not idempotency_key:
            return None
        known = await self._store.find(tenant, idempotency_key, fingerprint=fingerprint)
        if known is None:
            await self._store.confirm()
        return known


def _fingerprint(job_id: str) -> bytes:
    """What tells a retry from others, and from every submission: whatever became of what it hangs on."""
    return hashlib.sha256(b"retry\0" + job_id.encode()).digest()
