"""What jobs asked for: read back from the log, which keeps it for 7 days, and made a draft of again."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import DecodeError
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.intake.aside import aside
from services.intake.domain import MAX_PARAMS_BYTES, CacheMode, Draft, Priority
from shared import observability, streams
from shared.errors import SubmissionGone
from shared.objects import ObjectNotFoundError, params_key
from shared.sealing import SealBrokenError

if TYPE_CHECKING:
    from datetime import datetime

    from shared.sealing import Sealer

log = observability.logger()


class ReadingLog(Protocol):
    """The log, as far as this needs it: `shared.bus.Bus`."""

    async def read(self, stream: str, sequence: int) -> bytes | None:
        """One message, or None when it is no longer kept."""
        ...


class ReadingObjects(Protocol):
    """The object store, as far as this needs it: `shared.objects.Objects`."""

    async def get(self, key: str, *, at_most: int) -> bytes:
        """The bytes of an object."""
        ...


class Submissions:
    """Reads what jobs asked for.

    Args:
        job_log: Has it.
        objects: Have the params that were too large for it.
        sealer: Opens callback secrets.
    """

    def __init__(self, *, job_log: ReadingLog, objects: ReadingObjects, sealer: Sealer) -> None:
        self._log = job_log
        self._objects = objects
        self._sealer = sealer

    async def draft(self, tenant: str, job_id: str, sequence: int, *, now: datetime) -> tuple[Draft, bytes]:
        """The request that a job was made from, to be made now, and its params as they were.

        What was its own then is not of it: its times, of which the span that it may live for is left, its idempotency
        key, and its batch.

        Args:
            tenant: Whose.
            job_id: Its id.
            sequence: Of its `submitted` in the log; 0 where nobody knows.
            now: The time.

        Raises:
            SubmissionGone: It is not kept any more.
            Unavailable: NATS or the object store is away.
        """
        submission = await self._read(tenant, job_id, sequence)
        params = await self._params(tenant, job_id, submission)
        job = submission.job
        begins = job.not_before if job.HasField("not_before") else job.created_at
        draft = Draft(
            upstream=job.upstream,
            method=job.method,
            params=await aside(lambda: json.loads(params), size=len(params)),
            params_bytes=len(params),
            connection_field="connectionId" if job.connection_id else "",
            connection=job.connection_id,
            priority=Priority(jobs_pb2.Job.Priority.Name(job.priority)),
            cache_mode=CacheMode(jobs_pb2.CachePolicy.Mode.Name(submission.cache_policy)),
            expires_at=now + (job.expires_at.ToDatetime() - begins.ToDatetime()),
            max_attempts=submission.retry.max_attempts,
            initial_backoff=submission.retry.initial_backoff.ToTimedelta(),
            max_backoff=submission.retry.max_backoff.ToTimedelta(),
            callback_url=submission.callback_url,
            callback_secret=self._secret(tenant, job_id, submission.sealed_callback_secret),
            metadata=dict(job.metadata),
        )
        return draft, params

    async def _read(self, tenant: str, job_id: str, sequence: int) -> events_pb2.Submission:
        payload = await self._log.read(streams.JOBS, sequence) if sequence > 0 else None
        try:
            event = events_pb2.JobEvent.FromString(payload or b"")
        except DecodeError:  # another message lies there now
            event = events_pb2.JobEvent()
        if (event.job_id, event.tenant) != (job_id, tenant) or not event.HasField("submission"):
            raise _gone(job_id, "what it asked for is not kept any more")
        return event.submission

    async def _params(self, tenant: str, job_id: str, submission: events_pb2.Submission) -> bytes:
        if not submission.HasField("stored_params"):
            return submission.params
        digest = submission.stored_params.sha256
        try:
            params = await self._objects.get(params_key(tenant, digest), at_most=MAX_PARAMS_BYTES)
        except ObjectNotFoundError:
            raise _gone(job_id, "its params are not kept any more") from None
        if hashlib.sha256(params).digest() != digest:
            log.error("stored_params_differ", job=job_id, tenant=tenant)
            raise _gone(job_id, "its params are not kept any more")
        return params

    def _secret(self, tenant: str, job_id: str, sealed: bytes) -> str:
        if not sealed:
            return ""
        try:
            return self._sealer.open(sealed, tenant, job_id).decode()
        except SealBrokenError:
            log.warning("callback_secret_not_opened", job=job_id, tenant=tenant)
            raise _gone(job_id, "its callback secret was sealed under a key that is not known any more") from None


def _gone(job_id: str, why: str) -> SubmissionGone:
    return SubmissionGone(f"{job_id} cannot be tried again: {why}; submit it anew", metadata={"job": job_id})
