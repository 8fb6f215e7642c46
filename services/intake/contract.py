"""Domain to protos and back: a job as first answered, its `submitted` event, and the view of a job at any time."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.intake.changes import BatchPlace, Change
from services.intake.domain import FIRST_REVISION, State
from services.intake.offload import is_large, stored
from shared import observability, streams, views
from shared.bus import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from services.intake.changes import Record
    from services.intake.domain import Attachment, JobRequest
    from shared.identity import Principal
    from shared.sealing import Sealer


def first_job(request: JobRequest, *, now: datetime, trace_id: str) -> jobs_pb2.Job:
    """The job as it is first answered: QUEUED. Its id, and its batch's, come with its admission."""
    job = jobs_pb2.Job(
        upstream=request.upstream,
        method=request.method,
        connection_id=request.connection,
        state=jobs_pb2.Job.QUEUED,
        priority=jobs_pb2.Job.Priority.Value(request.priority),
        max_attempts=request.retry.max_attempts,
        metadata=request.metadata,
        trace_id=trace_id,
        retry_of=request.retry_of,
        revision=FIRST_REVISION,
    )
    job.created_at.FromDatetime(now)
    job.updated_at.FromDatetime(now)
    job.expires_at.FromDatetime(request.expires_at)
    if request.not_before is not None:
        job.not_before.FromDatetime(request.not_before)
    return job


def submitted_message(
    job: jobs_pb2.Job,
    request: JobRequest,
    *,
    principal: Principal,
    sealer: Sealer,
    membership: events_pb2.BatchMembership | None = None,
) -> Outgoing:
    """The `submitted` event of the job as a message; its id is the job's, so that the log takes it once.

    Args:
        job: As first answered.
        request: What was asked for.
        principal: Who submits.
        sealer: Seals its callback secret.
        membership: Its place in a batch.
    """
    retry = jobs_pb2.RetryPolicy(max_attempts=request.retry.max_attempts)
    retry.initial_backoff.FromTimedelta(request.retry.initial_backoff)
    retry.max_backoff.FromTimedelta(request.retry.max_backoff)
    submission = events_pb2.Submission(
        job=job,
        params=b"" if is_large(request.params) else request.params,
        stored_params=stored(request.params) if is_large(request.params) else None,
        uploads=_uploads(request.attachments),
        cache_policy=jobs_pb2.CachePolicy.Mode.Value(request.cache_mode),
        retry=retry,
        callback_url=request.callback_url,
        sealed_callback_secret=sealed(request.callback_secret, sealer, principal.tenant, job.id),
        method_class=request.method_class,
        idempotent=request.idempotent,
        principal=principal.id,
        idempotency_key=request.idempotency_key,
        fingerprint=request.fingerprint,
        lane=request.lane,
        batch=membership,
    )
    submission.attempt_timeout.FromTimedelta(request.attempt_timeout)
    event = events_pb2.JobEvent(
        type=events_pb2.JobEvent.SUBMITTED,
        job_id=job.id,
        tenant=principal.tenant,
        upstream=job.upstream,
        revision=FIRST_REVISION,
        time=job.created_at,
        state=jobs_pb2.Job.QUEUED,
        submission=submission,
    )
    return Outgoing(
        subject=streams.job_subject("submitted", job.upstream),
        payload=event.SerializeToString(),
        message_id=job.id,
        traceparent=observability.current_traceparent(),
    )


def sealed(secret: str, sealer: Sealer, tenant: str, signs_for: str) -> bytes:
    """A callback secret as the log may hold it; none for none.

    Args:
        secret: Empty for none.
        sealer: Of the purpose `CALLBACK_SECRET`.
        tenant: Whose.
        signs_for: The id of the job or batch of whose end it signs the news; it opens for nothing else.
    """
    return sealer.seal(secret.encode(), tenant, signs_for) if secret else b""


def _uploads(attachments: Iterable[Attachment]) -> list[events_pb2.AttachedUpload]:
    """Each upload once, though several params may name it."""
    return [
        events_pb2.AttachedUpload(
            upload_id=each.upload_id,
            content_type=each.content.content_type,
            size=each.content.size,
            sha256=each.content.sha256,
        )
        for each in {each.upload_id: each for each in attachments}.values()
    ]


def change_of(event: events_pb2.JobEvent) -> Change:
    """What the event changes in the hot view."""
    newest = events_pb2.JobEvent()
    newest.CopyFrom(event)
    newest.ClearField("submission")  # the view has it as the job's own record
    submission = event.submission if event.HasField("submission") else None
    state = state_of(event.state)
    ended = state.terminal
    end = event.finished_at if event.HasField("finished_at") else event.time
    return Change(
        tenant=event.tenant,
        job_id=event.job_id,
        revision=event.revision,
        event=newest.SerializeToString(),
        at=event.time.ToDatetime(tzinfo=UTC),
        job=submission.job.SerializeToString() if submission else None,
        finished_at=end.ToDatetime(tzinfo=UTC) if ended else None,
        state=state,
        idempotency_key=submission.idempotency_key if submission else "",
        fingerprint=submission.fingerprint if submission else b"",
        place=_place(submission.batch) if submission and submission.HasField("batch") else None,
    )


def _place(membership: events_pb2.BatchMembership) -> BatchPlace:
    return BatchPlace(
        batch_id=membership.id,
        index=membership.index,
        size=membership.size,
        callback=membership.SerializeToString() if membership.index == 0 else None,
    )


def state_of(state: jobs_pb2.Job.State.ValueType) -> State:
    """The state by its name.

    Raises:
        ValueError: It is none, or one that this program does not know.
    """
    return State(jobs_pb2.Job.State.Name(state))


def view(record: Record) -> jobs_pb2.Job | None:
    """The job as it stands by the hot view, or None while its first record has not been seen."""
    if record.job is None:
        return None
    first = jobs_pb2.Job.FromString(record.job)
    return first if record.event is None else left_by(events_pb2.JobEvent.FromString(record.event), first)


def left_by(event: events_pb2.JobEvent, first: jobs_pb2.Job) -> jobs_pb2.Job:
    """The job as the event left it: every event carries the whole of what changes, so those between are not needed."""
    job = jobs_pb2.Job()
    job.CopyFrom(first)
    views.apply(event, job)
    return job
