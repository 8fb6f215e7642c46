"""Submits a job: judge, admit, publish, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.jobs.v1 import jobs_pb2

from services.intake.acceptance import ACCEPTED, REPLAYED, counted, record_lost
from services.intake.contract import first_job, submitted_message, view
from services.intake.domain import Candidate, Outcome
from shared import errors, ids, observability

if TYPE_CHECKING:
    from datetime import datetime

    from services.intake.acceptance import Acceptor
    from services.intake.domain import Draft, JobRequest
    from services.intake.judge import Judge
    from services.intake.recorded import RecordedJobs
    from services.intake.store import JobStore
    from shared.clock import Clock
    from shared.identity import Principal
    from shared.sealing import Sealer

log = observability.logger()


class Submitter:
    """Submits jobs.

    Args:
        judge: Judges requests.
        acceptor: Admits them, and puts them on disk.
        store: Knows what a known key stands for.
        recorded: Where jobs are when they have left the hot view.
        sealer: Seals callback secrets.
        clock: Tells the time.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        acceptor: Acceptor,
        store: JobStore,
        recorded: RecordedJobs,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._judge = judge
        self._acceptor = acceptor
        self._store = store
        self._recorded = recorded
        self._sealer = sealer
        self._clock = clock

    async def submit(self, draft: Draft, principal: Principal, *, remaining_s: float | None) -> jobs_pb2.Job:
        """The job that the request makes, QUEUED and on disk; or, under a key that is known, the job it has made.

        Args:
            draft: The request.
            principal: Who submits.
            remaining_s: Until the caller's deadline; None where there is none.

        Raises:
            InvalidArgument: Fields are wrong.
            IdempotencyKeyReused: The key was used for another request.
            IdempotencyKeyInFlight: The first request with the key is still being accepted.
            QueueFull: The tenant, or all tenants together, have as many unfinished jobs as they may have.
            Unavailable: A dependency is away. The metadata names the job where it may have been accepted.
        """
        return await counted(self._submit(draft, principal, remaining_s))

    async def _submit(self, draft: Draft, principal: Principal, remaining_s: float | None) -> tuple[jobs_pb2.Job, str]:
        now = self._clock.now()
        request = await self._judge.job(draft, principal.tenant, now)
        if isinstance(request, str):
            return await self.replay(request, principal.tenant), REPLAYED
        made, job = await self.accept(request, principal, now=now, remaining_s=remaining_s)
        return (job, ACCEPTED) if job is not None else (await self.replay(made, principal.tenant), REPLAYED)

    async def accept(
        self, request: JobRequest, principal: Principal, *, now: datetime, remaining_s: float | None
    ) -> tuple[str, jobs_pb2.Job | None]:
        """Accepts a request that was found good: the id of the job that it makes, and the job, QUEUED and on disk.

        Under a key that is known, the id of the job that it has made, and None.

        Args:
            request: As it was judged.
            principal: Who submits.
            now: When it was.
            remaining_s: Until the caller's deadline; None where there is none.

        Raises:
            PenstockError: As `submit` does, but for what is wrong with the request.
        """
        job = first_job(request, now=now, trace_id=observability.current_trace_id())

        def candidate(job_id: str) -> Candidate:
            job.id = job_id
            return Candidate(
                id=job_id,
                jobs=((job_id, job.SerializeToString()),),
                idempotency_key=request.idempotency_key,
                fingerprint=request.fingerprint,
            )

        admitted, admission = await self._acceptor.admit(candidate, ids.new_job_id(request.upstream), principal.tenant)
        if admission.outcome is Outcome.KNOWN:
            return admission.id, None
        [standing] = admission.standing
        if standing is not None:
            job = jobs_pb2.Job.FromString(standing)
        await self._acceptor.publish(
            admitted,
            [submitted_message(job, request, principal=principal, sealer=self._sealer)],
            params=[request.params],
            tenant=principal.tenant,
            remaining_s=remaining_s,
        )
        log.info("job_accepted", job=job.id, method=request.method)
        return job.id, job

    async def replay(self, job_id: str, tenant: str) -> jobs_pb2.Job:
        """The first answer again: the same job with the same contents, and in the state it has now.

        A state that was true once would only send the caller to ask again; AIP-155 allows either.
        """
        record = await self._store.read(tenant, job_id)
        job = view(record) if record is not None else None
        if job is not None:
            return job
        try:
            return await self._recorded.get(job_id)  # it has ended, and its record went before the key
        except errors.JobNotFound as error:
            raise record_lost(job_id) from error
