"""Judges a draft: everything that is wrong with it at once, each fault under the path that the caller wrote."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.intake import canonical, naming
from services.intake.canonical import join
from services.intake.domain import DEFAULT_LIFETIME, MAX_AHEAD, MAX_PARAMS_BYTES, BatchRequest, JobRequest, RetryPolicy
from services.intake.lanes import lane_of
from shared.addresses import ForbiddenAddressError
from shared.errors import FieldViolation, InvalidArgument, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from services.intake.catalogue import Method, Upstream
    from services.intake.domain import BatchDraft, Draft
    from shared.addresses import AddressGuard

MAX_ATTEMPTS = 20
MAX_BACKOFF = timedelta(hours=1)
MAX_METADATA_ENTRIES = 20
MAX_METADATA_KEY_CHARACTERS = 64
MAX_METADATA_VALUE_CHARACTERS = 256
#: Enough that it cannot be guessed; no more than one block of HMAC-SHA256 has use for twice over.
CALLBACK_SECRET_CHARACTERS = range(24, 129)
#: Of secrets in the form of Standard Webhooks 1.0.0; the rest is base64.
WEBHOOK_SECRET_PREFIX = "whsec_"  # noqa: S105  how such a secret begins
#: Told at once; what is wrong with a request in more places is told when these are mended. Errors travel in headers.
MAX_FAULTS = 32
_TOO_LARGE = FieldViolation("params", f"are too large; at most {MAX_PARAMS_BYTES} bytes of JSON are allowed")
#: The param by which a method lets its caller say how long one attempt may take.
_TIMEOUT_PARAM = "timeoutS"


class Validator:
    """Judges drafts.

    Args:
        guard: Decides where callbacks may lead.
        digest: A keyed digest, by which callback secrets enter the fingerprint.
    """

    def __init__(self, *, guard: AddressGuard, digest: Callable[[bytes], bytes]) -> None:
        self._guard = guard
        self._digest = digest

    def judge(self, draft: Draft, *, upstreams: Mapping[str, Upstream], now: datetime) -> JobRequest:
        """The request that the draft is, found good.

        Raises:
            InvalidArgument: It names every fault, up to `MAX_FAULTS`.
            TooLarge: The same, where the params are too large.
        """
        judged = self._judged(draft, upstreams, now)
        if isinstance(judged, JobRequest):
            return judged
        raise _refusal(judged)

    def judge_batch(self, draft: BatchDraft, *, upstreams: Mapping[str, Upstream], now: datetime) -> BatchRequest:
        """The request for a batch that the draft is, found good.

        Raises:
            InvalidArgument: It names every fault of every job, up to `MAX_FAULTS`, and all jobs that have any.
            TooLarge: The same, where params are too large.
        """
        faults = [*draft.faults, *self._callback_faults(draft.callback_url, draft.callback_secret)]
        good: list[JobRequest] = []
        faulty: list[int] = []
        for index, job in enumerate(draft.jobs):
            judged = self._judged(job, upstreams, now)
            if isinstance(judged, JobRequest):
                good.append(judged)
            else:
                faulty.append(index)
                faults += [FieldViolation(f"jobs[{index}].{fault.field}", fault.description) for fault in judged]
        if faults:
            raise _refusal(faults, faulty_jobs=faulty)
        return BatchRequest(
            jobs=tuple(good),
            callback_url=draft.callback_url,
            callback_secret=draft.callback_secret,
            idempotency_key=draft.idempotency_key,
            fingerprint=self.fingerprint_of_batch(draft, [job.fingerprint for job in good]),
        )

    def _judged(
        self, draft: Draft, upstreams: Mapping[str, Upstream], now: datetime
    ) -> JobRequest | list[FieldViolation]:
        """The request, or all that is wrong with it."""
        faults = list(draft.faults)
        method = naming.method(draft, upstreams, faults)
        params, params_faults = _params(draft, method)
        faults += params_faults
        faults += naming.connection_faults(draft, upstreams.get(draft.upstream))
        faults += _metadata_faults(draft.metadata)
        faults += self._callback_faults(draft.callback_url, draft.callback_secret)
        faults += _retry_faults(draft)
        faults += _time_faults(draft, now)
        if faults or method is None or params is None:
            return faults
        retry = _retry_policy(draft)
        return JobRequest(
            upstream=draft.upstream,
            method=draft.method,
            params=params,
            priority=draft.priority,
            cache_mode=draft.cache_mode,
            not_before=draft.not_before,
            expires_at=draft.expires_at or _default_end(draft, now),
            retry=retry,
            callback_url=draft.callback_url,
            callback_secret=draft.callback_secret,
            metadata=draft.metadata,
            method_class=method.kind,
            idempotent=method.idempotent,
            attempt_timeout=_attempt_timeout(draft.params, method),
            attachments=draft.attachments,
            connection=draft.connection,
            lane=lane_of(draft.params, connection=draft.connection, lane_param=upstreams[draft.upstream].lane_param),
            idempotency_key=draft.idempotency_key,
            fingerprint=self.fingerprint(draft, params),
        )

    def fingerprint(self, draft: Draft, params: bytes) -> bytes:
        """What tells this request from others; it does not hang on the catalogue, nor on the time."""
        secret_digest = self._digest(draft.callback_secret.encode())
        params = canonical.by_content(draft, params)
        return canonical.fingerprint(draft, params=params, retry=_retry_policy(draft), secret_digest=secret_digest)

    def fingerprint_of_batch(self, draft: BatchDraft, jobs: Sequence[bytes]) -> bytes:
        """What tells a batch from others, and from every job.

        Args:
            draft: The batch.
            jobs: The fingerprints of its jobs, in order.
        """
        return canonical.fingerprint_of_batch(
            jobs, callback_url=draft.callback_url, secret_digest=self._digest(draft.callback_secret.encode())
        )

    def _callback_faults(self, url: str, secret: str) -> Iterable[FieldViolation]:
        if url:
            try:
                self._guard.check_url(url)
            except ForbiddenAddressError as error:
                yield FieldViolation("callbackUrl", str(error))
        if not secret:
            return
        if not url:
            yield FieldViolation(
                "callbackSecret", "signs a callback, and there is no callbackUrl; give both or neither"
            )
        if len(secret) not in CALLBACK_SECRET_CHARACTERS:
            least, most = CALLBACK_SECRET_CHARACTERS[0], CALLBACK_SECRET_CHARACTERS[-1]
            yield FieldViolation("callbackSecret", f"has {len(secret)} characters; it must have {least} to {most}")
        if secret.startswith(WEBHOOK_SECRET_PREFIX) and not _is_base64(secret.removeprefix(WEBHOOK_SECRET_PREFIX)):
            yield FieldViolation(
                "callbackSecret",
                f"begins with {WEBHOOK_SECRET_PREFIX}, and base64 must follow; send that, or another text",
            )


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _params(draft: Draft, method: Method | None) -> tuple[bytes | None, list[FieldViolation]]:
    """The params as canonical JSON, and what is wrong with them."""
    try:
        params = canonical.canonical_json(draft.params)
    except ValueError:
        paths = canonical.not_finite(draft.params, "params")
        return None, [FieldViolation(path, "is no number that JSON has; send a finite one") for path in paths]
    if draft.params_too_large or len(params) > MAX_PARAMS_BYTES:
        return None, [_TOO_LARGE]
    return params, method.schema.faults(draft.params) if method is not None else []


def _metadata_faults(metadata: Mapping[str, str]) -> Iterable[FieldViolation]:
    if len(metadata) > MAX_METADATA_ENTRIES:
        yield FieldViolation("metadata", f"has {len(metadata)} entries; at most {MAX_METADATA_ENTRIES} are allowed")
        return
    for key, value in metadata.items():
        path = join("metadata", key)
        if not key:
            yield FieldViolation(path, "has an empty key; give it a name")
        if len(key) > MAX_METADATA_KEY_CHARACTERS:
            yield FieldViolation(path, f"has a key of {len(key)} characters; at most {MAX_METADATA_KEY_CHARACTERS}")
        if len(value) > MAX_METADATA_VALUE_CHARACTERS:
            yield FieldViolation(path, f"has {len(value)} characters; at most {MAX_METADATA_VALUE_CHARACTERS}")


def _retry_policy(draft: Draft) -> RetryPolicy:
    """The policy that the draft asks for, with the defaults filled in."""
    default = RetryPolicy()
    first = draft.initial_backoff or min(default.initial_backoff, draft.max_backoff or default.initial_backoff)
    most = draft.max_backoff or max(default.max_backoff, first)
    return RetryPolicy(max_attempts=draft.max_attempts or default.max_attempts, initial_backoff=first, max_backoff=most)


def _retry_faults(draft: Draft) -> Iterable[FieldViolation]:
    if not 0 <= draft.max_attempts <= MAX_ATTEMPTS:  # 0 stands for the default
        yield FieldViolation("retry.maxAttempts", f"is {draft.max_attempts}; it must be 1 to {MAX_ATTEMPTS}")
    named = {"retry.initialBackoff": draft.initial_backoff, "retry.maxBackoff": draft.max_backoff}
    well = True
    for path, backoff in named.items():
        if backoff is not None and not timedelta(0) < backoff <= MAX_BACKOFF:
            well = False
            yield FieldViolation(path, f"is {backoff.total_seconds():g}s; it must be more than 0s and at most 3600s")
    policy = _retry_policy(draft)
    if well and policy.initial_backoff > policy.max_backoff:
        first, most = policy.initial_backoff.total_seconds(), policy.max_backoff.total_seconds()
        yield FieldViolation("retry.initialBackoff", f"is {first:g}s, more than retry.maxBackoff ({most:g}s)")


def _time_faults(draft: Draft, now: datetime) -> Iterable[FieldViolation]:
    latest = now + MAX_AHEAD
    if draft.not_before is not None and draft.not_before >= latest:  # at the very end no time would be left to run
        yield FieldViolation("notBefore", f"is {draft.not_before.isoformat()}; it must be less than 7 days ahead")
    if draft.expires_at is None:
        return
    if draft.expires_at <= now:
        yield FieldViolation("expiresAt", f"is {draft.expires_at.isoformat()}; it must be in the future")
    elif draft.expires_at > latest:
        yield FieldViolation("expiresAt", f"is {draft.expires_at.isoformat()}; it must be at most 7 days ahead")
    elif draft.not_before is not None and draft.expires_at <= draft.not_before:
        yield FieldViolation("expiresAt", f"is {draft.expires_at.isoformat()}; it must be after notBefore")


def _default_end(draft: Draft, now: datetime) -> datetime:
    """A day after the job may begin, and no later than any job may end."""
    return min(max(now, draft.not_before or now) + DEFAULT_LIFETIME, now + MAX_AHEAD)


def _attempt_timeout(params: Mapping[str, Any], method: Method) -> timedelta:
    asked = params.get(_TIMEOUT_PARAM)
    return timedelta(seconds=asked) if isinstance(asked, int | float) else method.timeout


def _refusal(faults: list[FieldViolation], *, faulty_jobs: Iterable[int] = ()) -> InvalidArgument:
    told = faults[:MAX_FAULTS]
    message = InvalidArgument.of(told).message
    metadata = {"faulty_jobs": jobs} if (jobs := ",".join(map(str, faulty_jobs))) else {}
    if len(faults) > MAX_FAULTS:
        message += f"; and {len(faults) - MAX_FAULTS} more faults"
        message += f", in all of the jobs {jobs}" if jobs else ""
    if any(fault.description == _TOO_LARGE.description for fault in faults):
        return TooLarge(message, told, metadata={"limit_bytes": str(MAX_PARAMS_BYTES), **metadata})
    return InvalidArgument(message, told, metadata=metadata)
