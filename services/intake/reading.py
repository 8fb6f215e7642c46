"""Reads a request off the wire into a draft; what cannot be read at all becomes a fault of its field."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from penstock.jobs.v1 import jobs_pb2

from services.intake.canonical import number, shortened
from services.intake.domain import MAX_BATCH_JOBS, MAX_PARAMS_BYTES, MAX_WAIT, BatchDraft, CacheMode, Draft, Priority
from shared.errors import FieldViolation, InvalidArgument
from shared.idempotency import read_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.struct_pb2 import Struct, Value
    from google.protobuf.timestamp_pb2 import Timestamp
    from penstock.jobs.v1 import batches_pb2

_PRIORITIES = {
    jobs_pb2.Job.PRIORITY_UNSPECIFIED: Priority.NORMAL,
    jobs_pb2.Job.HIGH: Priority.HIGH,
    jobs_pb2.Job.NORMAL: Priority.NORMAL,
    jobs_pb2.Job.LOW: Priority.LOW,
}
_CACHE_MODES = {
    jobs_pb2.CachePolicy.MODE_UNSPECIFIED: CacheMode.DEFAULT,
    jobs_pb2.CachePolicy.DEFAULT: CacheMode.DEFAULT,
    jobs_pb2.CachePolicy.BYPASS: CacheMode.BYPASS,
    jobs_pb2.CachePolicy.REFRESH: CacheMode.REFRESH,
}
_CONNECTION_FIELDS = {"connection_id": "connectionId", "token_id": "tokenId"}
#: A Struct takes at most 11 bytes where JSON takes 2 (a number in a list), so that one of this size is too large in
#: JSON too; what is refused anyway is not worth the time that reading it takes.
_MAX_STRUCT_BYTES = 6 * MAX_PARAMS_BYTES
#: Of `google.protobuf.Timestamp` and `Duration`.
_MAX_NANOS = 999_999_999
_MIN_TIME_S = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())
_MAX_TIME_S = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
_MAX_DURATION_S = 315_576_000_000


#: How a client of server-sent events says where it was left (WHATWG HTML, 9.2.4), and the same as gRPC spells it.
_LAST_EVENT_ID = "Last-Event-ID"
_LAST_EVENT_ID_KEY = "last-event-id"
_REVISION = re.compile(r"[0-9]{1,19}")
_MAX_REVISION = 2**63 - 1
_MAX_SHOWN_CHARACTERS = 80


def read_draft(request: jobs_pb2.SubmitJobRequest, metadata: Mapping[str, str]) -> Draft:
    """The request as a draft.

    Args:
        request: As it came.
        metadata: The call's, which may carry the idempotency key.
    """
    faults: list[FieldViolation] = []
    connection = request.WhichOneof("connection")
    if request.priority not in _PRIORITIES:
        faults.append(FieldViolation("priority", f"{request.priority} is none; send one of {', '.join(Priority)}"))
    if request.cache_policy not in _CACHE_MODES:
        faults.append(
            FieldViolation("cachePolicy", f"{request.cache_policy} is none; send one of {', '.join(CacheMode)}")
        )
    key, key_faults = read_key(request.request_id, metadata)
    params_bytes = request.params.ByteSize()
    too_large = params_bytes > _MAX_STRUCT_BYTES
    retry = request.retry
    return Draft(
        upstream=request.upstream,
        method=request.method,
        params={} if too_large else read_struct(request.params),
        params_bytes=params_bytes,
        params_too_large=too_large,
        connection_field=_CONNECTION_FIELDS[connection] if connection else "",
        connection=request.connection_id or request.token_id,  # pyright: ignore[reportDeprecated]  it goes on to work
        priority=_PRIORITIES.get(request.priority, Priority.NORMAL),
        cache_mode=_CACHE_MODES.get(request.cache_policy, CacheMode.DEFAULT),
        not_before=_time(request.not_before, "notBefore", faults) if request.HasField("not_before") else None,
        expires_at=_time(request.expires_at, "expiresAt", faults) if request.HasField("expires_at") else None,
        max_attempts=retry.max_attempts,
        initial_backoff=(
            read_duration(retry.initial_backoff, "retry.initialBackoff", faults)
            if retry.HasField("initial_backoff")
            else None
        ),
        max_backoff=(
            read_duration(retry.max_backoff, "retry.maxBackoff", faults) if retry.HasField("max_backoff") else None
        ),
        callback_url=request.callback_url,
        callback_secret=request.callback_secret,
        metadata=request.metadata,
        idempotency_key=key,
        faults=(*faults, *key_faults),
    )


def read_batch_draft(request: batches_pb2.SubmitBatchRequest, metadata: Mapping[str, str]) -> BatchDraft:
    """The request for a batch as a draft; of its jobs no more are read than a batch may have.

    Args:
        request: As it came.
        metadata: The call's, which may carry the idempotency key.
    """
    key, faults = read_key(request.request_id, metadata)
    count = len(request.jobs)
    if not 1 <= count <= MAX_BATCH_JOBS:
        faults.append(FieldViolation("jobs", f"has {count} jobs; a batch takes 1 to {MAX_BATCH_JOBS}"))
    else:
        faults += [fault for index, job in enumerate(request.jobs) for fault in _batch_job_faults(request, job, index)]
    return BatchDraft(
        jobs=tuple(_read_batch_job(request, job) for job in request.jobs[:MAX_BATCH_JOBS]),
        callback_url=request.callback_url,
        callback_secret=request.callback_secret,
        idempotency_key=key,
        faults=tuple(faults),
    )


def _read_batch_job(request: batches_pb2.SubmitBatchRequest, job: jobs_pb2.SubmitJobRequest) -> Draft:
    draft = read_draft(job, {})
    return replace(draft, upstream=draft.upstream or request.upstream, idempotency_key="")


def _batch_job_faults(
    request: batches_pb2.SubmitBatchRequest, job: jobs_pb2.SubmitJobRequest, index: int
) -> Iterable[FieldViolation]:
    if job.request_id:
        yield FieldViolation(
            f"jobs[{index}].requestId", "stands for all of a batch; send it beside jobs, or as Idempotency-Key"
        )
    if request.upstream and job.upstream not in {"", request.upstream}:
        given, all_of_it = (shortened(name, _MAX_SHOWN_CHARACTERS) for name in (job.upstream, request.upstream))
        yield FieldViolation(
            f"jobs[{index}].upstream",
            f"is {given!r}, and the batch is for {all_of_it!r}; leave one of them out, or send it to /api/v1/batches",
        )


def read_struct(struct: Struct) -> dict[str, Any]:
    """A JSON object; whole numbers are integers in it."""
    return {name: _value(value) for name, value in struct.fields.items()}


def _value(value: Value) -> Any:  # whatever JSON holds
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return number(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return read_struct(value.struct_value)
    if kind == "list_value":
        return [_value(item) for item in value.list_value.values]
    return None


def _time(timestamp: Timestamp, path: str, faults: list[FieldViolation]) -> datetime | None:
    if not (_MIN_TIME_S <= timestamp.seconds <= _MAX_TIME_S and 0 <= timestamp.nanos <= _MAX_NANOS):
        faults.append(FieldViolation(path, "is no time between the years 1 and 9999"))
        return None
    return timestamp.ToDatetime(tzinfo=UTC)


def read_duration(duration: Duration, path: str, faults: list[FieldViolation]) -> timedelta | None:
    """A duration; where it is none, None and a fault."""
    seconds, nanos = duration.seconds, duration.nanos
    if abs(seconds) > _MAX_DURATION_S or abs(nanos) > _MAX_NANOS or seconds * nanos < 0:
        faults.append(FieldViolation(path, "is no duration; send seconds such as 30s"))
        return None
    return timedelta(seconds=seconds, microseconds=nanos // 1000)


def is_full(view: int) -> bool:
    """Whether a caller wants a job with its attempts.

    Raises:
        InvalidArgument: It is no view.
    """
    if view not in jobs_pb2.Job.View.values():
        raise InvalidArgument.field("view", f"is {view}; it takes BASIC or FULL")
    return view == jobs_pb2.Job.FULL


def read_timeout(duration: Duration) -> timedelta:
    """How long a caller wants to wait.

    Raises:
        InvalidArgument: It is none, negative, or more than `MAX_WAIT`.
    """
    faults: list[FieldViolation] = []
    timeout = read_duration(duration, "timeout", faults)
    if timeout is None:
        raise InvalidArgument.of(faults)
    if not timedelta(0) <= timeout <= MAX_WAIT:
        shown, most = timeout.total_seconds(), MAX_WAIT.total_seconds()
        raise InvalidArgument.field("timeout", f"is {shown:g}s; it must be 0s to {most:g}s; call again to wait longer")
    return timeout


def read_after(after_revision: int, metadata: Mapping[str, str] | None = None) -> int:
    """The revision that a watcher saw last; 0 for none.

    Args:
        after_revision: The request's field.
        metadata: The call's, where it may carry the id of the last event, which wins over the field.

    Raises:
        InvalidArgument: It is no revision.
    """
    text = (metadata or {}).get(_LAST_EVENT_ID_KEY)
    if text is not None:
        if not _REVISION.fullmatch(text) or int(text) > _MAX_REVISION:
            shown = text[:_MAX_SHOWN_CHARACTERS]
            raise InvalidArgument.field(_LAST_EVENT_ID, f"is {shown!r}; send the id of the last event, a whole number")
        return int(text)
    if after_revision < 0:
        raise InvalidArgument.field("afterRevision", f"is {after_revision}; send the last revision seen, or 0 for none")
    return after_revision
