"""Accepts what was found good, a job or a batch of them: admits it, and puts it on disk.

Round trips of a submit: one script in Redis, one group commit in JetStream; and where it carries an idempotency key,
one command more, so that a retry finds it accepted. Without a key nobody asks; the projection notes it in time.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from services.intake import backpressure, metrics
from services.intake.domain import Outcome
from services.intake.offload import is_large
from shared import crash_points, errors, ids, observability
from shared.crash_points import CrashPoint
from shared.retry import Backoff, until_done
from shared.rpc import call as current_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from services.intake.domain import Admission, Candidate
    from services.intake.limits import PendingLimits
    from services.intake.offload import Offloader
    from services.intake.store import JobStore
    from services.intake.tally import Tally
    from shared.bus import Outgoing

log = observability.logger()
T = TypeVar("T")

#: How long a publish may take where the caller set no deadline.
PUBLISH_TIMEOUT = timedelta(seconds=10)
#: The same however late the deadline is: the jobs count as pending for longer.
MAX_PUBLISH_TIMEOUT = timedelta(minutes=1)
#: What is kept of the caller's time to answer that the publish took too long.
_ANSWER_MARGIN_S = 0.1
_PUBLISH_BACKOFF = Backoff(initial=timedelta(milliseconds=50), maximum=timedelta(seconds=1))
_RETRY_AFTER = timedelta(seconds=1)
#: How submits come out that do not fail.
ACCEPTED, REPLAYED = "accepted", "replayed"


class Publisher(Protocol):
    """Puts messages on disk."""

    async def publish_whole(self, messages: Sequence[Outgoing]) -> None:
        """On return all of the messages are on disk; none is without the others.

        Raises:
            Unavailable: They may be on disk, or not.
        """
        ...


class Acceptor:
    """Accepts candidates.

    Args:
        store: Admits them.
        publisher: Puts them into the log.
        offloader: Keeps params that are too large to travel.
        limits: Of unfinished jobs, for each tenant.
        tally: Knows whether there is room for more jobs of all tenants.
        publish_timeout: How long a publish may take where the caller set no deadline.
    """

    def __init__(
        self,
        *,
        store: JobStore,
        publisher: Publisher,
        offloader: Offloader,
        limits: PendingLimits,
        tally: Tally,
        publish_timeout: timedelta = PUBLISH_TIMEOUT,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._offloader = offloader
        self._limits = limits
        self._tally = tally
        self._publish_timeout_s = publish_timeout.total_seconds()

    async def admit(
        self, candidate_of: Callable[[str], Candidate], new_id: str, tenant: str
    ) -> tuple[Candidate, Admission]:
        """Admits a candidate: ADMITTED under the new id or the one that an earlier try has left behind, or KNOWN.

        Answers with the candidate as it was admitted, and what its admission came to.

        Args:
            candidate_of: Makes the candidate under an id.
            new_id: Where its idempotency key is new.
            tenant: Whose.

        Raises:
            IdempotencyKeyReused: The key was used for another request.
            IdempotencyKeyInFlight: The first request with the key is still being accepted.
            QueueFull: The tenant, or all tenants together, have as many unfinished jobs as they may have.
            Unavailable: The store is away, or is being rebuilt.
        """
        candidate = candidate_of(new_id)
        admission = await self._admit(candidate, tenant)
        if admission.outcome is Outcome.LAPSED:
            candidate = candidate_of(admission.id)
            admission = await self._admit(candidate, tenant)
        if admission.outcome is Outcome.KNOWN:
            return candidate, admission
        self._check(admission, tenant, size=len(candidate.jobs))
        self._tally.admitted(tenant, jobs=len(candidate.jobs))
        crash_points.reach(CrashPoint.INTAKE_ADMITTED)
        return candidate, admission

    async def publish(
        self,
        candidate: Candidate,
        messages: Sequence[Outgoing],
        *,
        params: Sequence[bytes],
        tenant: str,
        remaining_s: float | None,
    ) -> None:
        """Keeps params that are too large, and publishes the same messages until they are acknowledged, or time is up.

        Args:
            candidate: As it was admitted.
            messages: The `submitted` of each job, under its id.
            params: Those of each job.
            tenant: Whose.
            remaining_s: Until the caller's deadline; None where there is none.

        Raises:
            Unavailable: Time is up, and the metadata names what may have been accepted; or the object store is away,
                and nothing was.
        """
        timeout_s = self._publish_timeout_s
        if remaining_s is not None:
            timeout_s = min(remaining_s - _ANSWER_MARGIN_S, MAX_PUBLISH_TIMEOUT.total_seconds())
        told = {ids.kind_of(candidate.id): candidate.id}
        until = asyncio.get_running_loop().time() + timeout_s
        if any(map(is_large, params)):
            await self._keep_large(candidate, params, tenant, until=until)
        try:
            async with asyncio.timeout_at(until):
                await until_done(
                    lambda: self._publisher.publish_whole(messages),
                    retry_on=(errors.Unavailable,),
                    backoff=_PUBLISH_BACKOFF,
                    on_failure=lambda error, _: log.warning("publish_repeated", error=str(error), **told),
                )
        except TimeoutError:
            await self._give_up(candidate, tenant)
        current_call.note_jobs(len(messages))
        if candidate.idempotency_key:
            await self._note_accepted(candidate, tenant)
        crash_points.reach(CrashPoint.INTAKE_PUBLISHED)

    async def _admit(self, candidate: Candidate, tenant: str) -> Admission:
        return await self._store.admit(
            tenant, candidate, max_pending=self._limits.of(tenant), closed=self._tally.is_full()
        )

    def _check(self, admission: Admission, tenant: str, *, size: int) -> None:
        kind = ids.kind_of(admission.id)
        match admission.outcome:
            case Outcome.FULL:
                raise backpressure.tenant_full(
                    admission.pending, self._limits.of(tenant), admission.drain, submitted=size
                )
            case Outcome.CLOSED:
                raise backpressure.all_full(self._tally.drain)
            case Outcome.REUSED:
                raise errors.IdempotencyKeyReused(
                    f"this idempotency key made the {kind} {admission.id} from another request; use a new key for a "
                    "new request",
                    metadata={kind: admission.id},
                )
            case Outcome.IN_FLIGHT | Outcome.LAPSED:  # lapsed again: another retry took it up in between
                raise errors.IdempotencyKeyInFlight(
                    f"the first request with this idempotency key is still being accepted, as {admission.id}; "
                    "try again shortly",
                    metadata={kind: admission.id},
                    retry_after=_RETRY_AFTER,
                )
            case _:
                return

    async def _keep_large(self, candidate: Candidate, params: Sequence[bytes], tenant: str, *, until: float) -> None:
        """Keeps params that are too large to travel; where that fails, or time is up, nothing was ever accepted."""
        try:
            async with asyncio.timeout_at(until):
                await self._offloader.store(tenant, params)
        except (errors.Unavailable, TimeoutError) as error:
            await self._release(candidate, tenant)
            if isinstance(error, errors.Unavailable):
                raise
            raise errors.Unavailable(
                "the object store did not take the params in time; nothing was accepted, repeat the call",
                metadata={"dependency": "objects"},
                retry_after=_RETRY_AFTER,
            ) from error

    async def _release(self, candidate: Candidate, tenant: str) -> None:
        job_ids = [job_id for job_id, _ in candidate.jobs]
        try:
            await self._store.release(tenant, candidate.id, job_ids, idempotency_key=candidate.idempotency_key)
        except errors.Unavailable as error:  # it lapses by itself
            log.warning("admission_not_released", error=error.message, **{ids.kind_of(candidate.id): candidate.id})

    async def _give_up(self, candidate: Candidate, tenant: str) -> None:
        kind = ids.kind_of(candidate.id)
        await self._release(candidate, tenant)
        raise errors.Unavailable(
            f"the log of jobs does not answer, so that it is not known whether {candidate.id} was accepted; repeat the "
            f"call with the same idempotency key, or look for the {kind} before you submit it again",
            metadata={"dependency": "nats", kind: candidate.id},
            retry_after=_RETRY_AFTER,
        )

    async def _note_accepted(self, candidate: Candidate, tenant: str) -> None:
        try:
            await self._store.accept(tenant, candidate.id, idempotency_key=candidate.idempotency_key)
        except errors.Unavailable as error:  # it is on disk, which is what was asked for; the projection notes it
            log.warning("acceptance_not_noted", error=error.message, **{ids.kind_of(candidate.id): candidate.id})


async def counted(submit: Awaitable[tuple[T, str]]) -> T:
    """What a submit answers with, counted by how it came out."""
    try:
        answer, outcome = await submit
    except errors.PenstockError as error:
        metrics.SUBMITS.labels(error.reason.lower()).inc()
        raise
    metrics.SUBMITS.labels(outcome).inc()
    return answer


def record_lost(id_: str) -> errors.Unavailable:
    """A key stands for what is not to be had now: neither in the hot view nor, yet, in history."""
    kind = ids.kind_of(id_)
    return errors.Unavailable(
        f"this idempotency key made the {kind} {id_}, whose record is not to be had now; try again shortly",
        metadata={kind: id_},
        retry_after=_RETRY_AFTER,
    )
