"""Submits a batch of jobs, all or none: judge, admit, publish, answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.intake.acceptance import ACCEPTED, REPLAYED, counted, record_lost
from services.intake.contract import first_job, sealed, submitted_message
from services.intake.domain import Candidate, Outcome
from shared import errors, ids, observability, views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.jobs.v1 import batches_pb2

    from services.intake.acceptance import Acceptor
    from services.intake.batch_reader import BatchReader
    from services.intake.domain import BatchDraft, BatchRequest
    from services.intake.judge import Judge
    from shared.bus import Outgoing
    from shared.clock import Clock
    from shared.identity import Principal
    from shared.sealing import Sealer

log = observability.logger()


class BatchSubmitter:
    """Submits batches.

    Args:
        judge: Judges requests.
        acceptor: Admits them, and puts them on disk.
        reader: Answers with batches that were accepted before.
        sealer: Seals callback secrets.
        clock: Tells the time.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        acceptor: Acceptor,
        reader: BatchReader,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._judge = judge
        self._acceptor = acceptor
        self._reader = reader
        self._sealer = sealer
        self._clock = clock

    async def submit(self, draft: BatchDraft, principal: Principal, *, remaining_s: float | None) -> batches_pb2.Batch:
        """The batch that the request makes, on disk; or, under a key that is known, the batch it has made.

        Args:
            draft: The request.
            principal: Who submits.
            remaining_s: Until the caller's deadline; None where there is none.

        Raises:
            InvalidArgument: Fields are wrong, of the batch or of any job.
            IdempotencyKeyReused: The key was used for another request.
            IdempotencyKeyInFlight: The first request with the key is still being accepted.
            QueueFull: There is no room for all of the jobs.
            Unavailable: A dependency is away. The metadata names the batch where it may have been accepted.
        """
        return await counted(self._submit(draft, principal, remaining_s))

    async def _submit(
        self, draft: BatchDraft, principal: Principal, remaining_s: float | None
    ) -> tuple[batches_pb2.Batch, str]:
        now = self._clock.now()
        request = await self._judge.batch(draft, principal.tenant, now)
        if isinstance(request, str):
            return await self._replay(request, principal.tenant), REPLAYED
        trace_id = observability.current_trace_id()
        jobs = [first_job(job, now=now, trace_id=trace_id) for job in request.jobs]

        def candidate(batch_id: str) -> Candidate:
            for index, job in enumerate(jobs):
                job.id, job.batch_id = ids.job_id_in_batch(batch_id, index, job.upstream), batch_id
            return Candidate(
                id=batch_id,
                jobs=tuple((job.id, job.SerializeToString()) for job in jobs),
                idempotency_key=request.idempotency_key,
                fingerprint=request.fingerprint,
            )

        admitted, admission = await self._acceptor.admit(candidate, ids.new_batch_id(), principal.tenant)
        if admission.outcome is Outcome.KNOWN:
            return await self._replay(admission.id, principal.tenant), REPLAYED
        jobs = [
            job if standing is None else jobs_pb2.Job.FromString(standing)
            for job, standing in zip(jobs, admission.standing, strict=True)
        ]
        await self._acceptor.publish(
            admitted,
            self._messages(admission.id, jobs, request, principal),
            params=[job.params for job in request.jobs],
            tenant=principal.tenant,
            remaining_s=remaining_s,
        )
        log.info("batch_accepted", batch=admission.id, jobs=len(jobs))
        return views.batch_of(admission.id, jobs), ACCEPTED

    def _messages(
        self, batch_id: str, jobs: Sequence[jobs_pb2.Job], request: BatchRequest, principal: Principal
    ) -> list[Outgoing]:
        """The `submitted` of each job; what is the batch's own goes with the first."""
        memberships = [events_pb2.BatchMembership(id=batch_id, index=at, size=len(jobs)) for at in range(len(jobs))]
        memberships[0].callback_url = request.callback_url
        memberships[0].sealed_callback_secret = sealed(
            request.callback_secret, self._sealer, principal.tenant, batch_id
        )
        first = replace(request.jobs[0], idempotency_key=request.idempotency_key, fingerprint=request.fingerprint)
        return [
            submitted_message(job, asked, principal=principal, sealer=self._sealer, membership=membership)
            for job, asked, membership in zip(jobs, (first, *request.jobs[1:]), memberships, strict=True)
        ]

    async def _replay(self, batch_id: str, tenant: str) -> batches_pb2.Batch:
        """The first answer again: the same batch, as it stands now."""
        try:
            return await self._reader.get(tenant, batch_id)
        except errors.BatchNotFound as error:
            raise record_lost(batch_id) from error
