"""Submits a job: judge, admit, publish, answer.

Round trips of a submit: one script in Redis, one group commit in JetStream; and where it carries an idempotency key,
one command more, so that a retry finds the job accepted. Without a key nobody asks; the projection notes it in time.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from penstock.jobs.v1 import jobs_pb2

from services.intake import backpressure, canonical, metrics
from services.intake.aside import aside
from services.intake.contract import first_job, submitted_message, view
from services.intake.domain import Outcome
from shared import crash_points, errors, ids, observability
from shared.crash_points import CrashPoint
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from services.intake.attachments import Attacher
    from services.intake.catalogue import Catalogue
    from services.intake.domain import Admission, Draft, JobRequest
    from services.intake.limits import PendingLimits
    from services.intake.offload import Offloader
    from services.intake.store import JobStore
    from services.intake.tally import Tally
    from services.intake.validation import Validator
    from shared.bus import Outgoing
    from shared.clock import Clock
    from shared.identity import Principal
    from shared.sealing import Sealer

log = observability.logger()

#: How long a publish may take where the caller set no deadline.
PUBLISH_TIMEOUT = timedelta(seconds=10)
#: The same however late the deadline is: the job counts as pending for longer.
MAX_PUBLISH_TIMEOUT = timedelta(minutes=1)
#: What is kept of the caller's time to answer that the publish took too long.
_ANSWER_MARGIN_S = 0.1
_PUBLISH_BACKOFF = Backoff(initial=timedelta(milliseconds=50), maximum=timedelta(seconds=1))
_RETRY_AFTER = timedelta(seconds=1)


class Publisher(Protocol):
    """Puts messages on disk."""

    async def publish(self, message: Outgoing) -> None:
        """On return the message is on disk.

        Raises:
            Unavailable: It may be on disk, or not.
        """
        ...


class Submitter:
    """Submits jobs.

    Args:
        catalogue: What can be called.
        validator: Judges requests.
        store: Admits them.
        publisher: Puts them into the log.
        sealer: Seals callback secrets.
        clock: Tells the time.
        limits: Of unfinished jobs, for each tenant.
        tally: Knows whether there is room for more jobs of all tenants.
        attacher: Looks up the uploads that params name.
        offloader: Keeps params that are too large to travel.
        publish_timeout: How long a publish may take where the caller set no deadline.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        validator: Validator,
        store: JobStore,
        publisher: Publisher,
        sealer: Sealer,
        clock: Clock,
        limits: PendingLimits,
        tally: Tally,
        attacher: Attacher,
        offloader: Offloader,
        publish_timeout: timedelta = PUBLISH_TIMEOUT,
    ) -> None:
        self._catalogue = catalogue
        self._validator = validator
        self._store = store
        self._publisher = publisher
        self._sealer = sealer
        self._clock = clock
        self._limits = limits
        self._tally = tally
        self._attacher = attacher
        self._offloader = offloader
        self._publish_timeout_s = publish_timeout.total_seconds()

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
        try:
            job, outcome = await self._submit(draft, principal, remaining_s)
        except errors.PenstockError as error:
            metrics.SUBMITS.labels(error.reason.lower()).inc()
            raise
        metrics.SUBMITS.labels(outcome).inc()
        return job

    async def _submit(self, draft: Draft, principal: Principal, remaining_s: float | None) -> tuple[jobs_pb2.Job, str]:
        now = self._clock.now()
        upstreams = self._catalogue.upstreams()
        [draft] = await self._attacher.attach([draft], principal.tenant, upstreams)
        try:
            request = await aside(
                lambda: self._validator.judge(draft, upstreams=upstreams, now=now), size=draft.params_bytes
            )
        except errors.InvalidArgument:
            replayed = await self._replay_of_refused(draft, principal.tenant)
            if replayed is None:
                raise
            return replayed, "replayed"
        job = first_job(ids.new_job_id(request.upstream), request, now=now, trace_id=observability.current_trace_id())
        admission = await self._admit(job, request, principal.tenant)
        if admission.outcome is Outcome.LAPSED:
            job.id = admission.job_id
            admission = await self._admit(job, request, principal.tenant)
        if admission.outcome is Outcome.KNOWN:
            return await self._replay(admission.job_id, principal.tenant), "replayed"
        self._check(admission, principal.tenant)
        self._tally.admitted(principal.tenant)
        if admission.job is not None:
            job = jobs_pb2.Job.FromString(admission.job)
        crash_points.reach(CrashPoint.INTAKE_ADMITTED)
        await self._publish(job, request, principal, remaining_s)
        crash_points.reach(CrashPoint.INTAKE_PUBLISHED)
        log.info("job_accepted", job=job.id, method=request.method)
        return job, "accepted"

    async def _admit(self, job: jobs_pb2.Job, request: JobRequest, tenant: str) -> Admission:
        return await self._store.admit(
            tenant,
            job.id,
            job.SerializeToString(),
            idempotency_key=request.idempotency_key,
            fingerprint=request.fingerprint,
            max_pending=self._limits.of(tenant),
            closed=self._tally.is_full(),
        )

    def _check(self, admission: Admission, tenant: str) -> None:
        match admission.outcome:
            case Outcome.FULL:
                raise backpressure.tenant_full(admission.pending, self._limits.of(tenant), admission.drain)
            case Outcome.CLOSED:
                raise backpressure.all_full(self._tally.drain)
            case Outcome.REUSED:
                raise errors.IdempotencyKeyReused(
                    f"this idempotency key made the job {admission.job_id} from another request; use a new key for a "
                    "new request",
                    metadata={"job": admission.job_id},
                )
            case Outcome.IN_FLIGHT | Outcome.LAPSED:  # lapsed again: another retry took it up in between
                raise errors.IdempotencyKeyInFlight(
                    f"the first request with this idempotency key is still being accepted, as {admission.job_id}; "
                    "try again shortly",
                    metadata={"job": admission.job_id},
                    retry_after=_RETRY_AFTER,
                )
            case _:
                return

    async def _publish(
        self, job: jobs_pb2.Job, request: JobRequest, principal: Principal, remaining_s: float | None
    ) -> None:
        """Keeps params that are too large, and publishes the same message until it is acknowledged, or time is up."""
        secret = request.callback_secret
        message = submitted_message(
            job,
            request,
            tenant=principal.tenant,
            principal=principal.id,
            sealed_secret=self._sealer.seal(secret.encode(), principal.tenant, job.id) if secret else b"",
            traceparent=observability.current_traceparent(),
        )
        timeout_s = self._publish_timeout_s
        if remaining_s is not None:
            timeout_s = min(remaining_s - _ANSWER_MARGIN_S, MAX_PUBLISH_TIMEOUT.total_seconds())
        try:
            async with asyncio.timeout(timeout_s):
                await self._store_large(job.id, request, principal.tenant)
                await until_done(
                    lambda: self._publisher.publish(message),
                    retry_on=(errors.Unavailable,),
                    backoff=_PUBLISH_BACKOFF,
                    on_failure=lambda error, _: log.warning("publish_repeated", job=job.id, error=str(error)),
                )
        except TimeoutError:
            await self._give_up(job.id, request, principal.tenant)
        if request.idempotency_key:
            await self._accept(job.id, request.idempotency_key, principal.tenant)

    async def _store_large(self, job_id: str, request: JobRequest, tenant: str) -> None:
        """Keeps params that are too large to travel; where that fails, the job was never accepted."""
        try:
            await self._offloader.store(tenant, [request.params])
        except errors.Unavailable:
            await self._release(job_id, request, tenant)
            raise

    async def _release(self, job_id: str, request: JobRequest, tenant: str) -> None:
        try:
            await self._store.release(tenant, job_id, idempotency_key=request.idempotency_key)
        except errors.Unavailable as error:  # it lapses by itself
            log.warning("admission_not_released", job=job_id, error=error.message)

    async def _give_up(self, job_id: str, request: JobRequest, tenant: str) -> None:
        await self._release(job_id, request, tenant)
        raise errors.Unavailable(
            f"the log of jobs does not answer, so that it is not known whether {job_id} was accepted; repeat the call "
            "with the same idempotency key, or look for the job before you submit it again",
            metadata={"dependency": "nats", "job": job_id},
            retry_after=_RETRY_AFTER,
        )

    async def _accept(self, job_id: str, key: str, tenant: str) -> None:
        try:
            await self._store.accept(tenant, key)
        except errors.Unavailable as error:  # the job is on disk, which is what was asked for; the projection notes it
            log.warning("acceptance_not_noted", job=job_id, error=error.message)

    async def _replay(self, job_id: str, tenant: str) -> jobs_pb2.Job:
        """The first answer again: the same job with the same contents, and in the state it has now.

        A state that was true once would only send the caller to ask again; AIP-155 allows either.
        """
        record = await self._store.read(tenant, job_id)
        job = view(record) if record is not None else None
        if job is None:
            raise errors.Unavailable(
                f"this idempotency key made the job {job_id}, whose record is not to be had now; try again shortly",
                metadata={"job": job_id},
                retry_after=_RETRY_AFTER,
            )
        return job

    async def _replay_of_refused(self, draft: Draft, tenant: str) -> jobs_pb2.Job | None:
        """The first answer to what was good when it first came, such as a request whose `expiresAt` is past by now."""
        if not draft.idempotency_key or draft.faults or draft.params_too_large:
            return None
        try:
            params = canonical.canonical_json(draft.params)
        except ValueError:  # NaN, which was never good
            return None
        known = await self._store.find(
            tenant, draft.idempotency_key, fingerprint=self._validator.fingerprint(draft, params)
        )
        return await self._replay(known, tenant) if known is not None else None
