"""The one tree of errors.

    PenstockError
    ├── InvalidArgument           400  one or more fields are wrong, each named by its path
    ├── TooLarge                  413  (INVALID_ARGUMENT in gRPC)
    ├── BadRequest                400
    ├── UnsupportedMediaType      415  (INVALID_ARGUMENT in gRPC)
    ├── RangeNotSatisfiable       416
    ├── Unauthenticated           401
    ├── PermissionDenied          403
    │   └── TenantSuspended
    ├── NotFound                  404
    │   ├── AuthorizationNotFound
    │   ├── BatchNotFound
    │   ├── ConnectionNotFound
    │   ├── JobNotFound
    │   ├── KeyNotFound
    │   ├── ProviderNotFound
    │   ├── ResultNotFound
    │   ├── TenantNotFound
    │   ├── UploadNotFound
    │   └── UpstreamNotFound
    ├── FailedPrecondition        400
    │   ├── AuthorizationRefused
    │   ├── ConnectionLimitReached
    │   ├── ConnectionNeedsReauth
    │   ├── JobRunning
    │   ├── JobFinished
    │   ├── JobNotFinished
    │   ├── KeyNotActive
    │   ├── LeaseLost
    │   ├── OwnTenant
    │   ├── SubmissionGone
    │   └── UploadIncomplete
    ├── TenantExists              409
    ├── IdempotencyKeyReused      422  (FAILED_PRECONDITION in gRPC)
    ├── IdempotencyKeyInFlight    409  (ABORTED in gRPC)
    ├── QueueFull                 503  (RESOURCE_EXHAUSTED in gRPC)
    ├── RateLimited               429
    ├── Unavailable               503
    ├── DeadlineExceeded          504
    ├── Unimplemented             501
    │   └── MethodNotAllowed      405
    └── Internal                  500

Code that finds a fault raises; `shared.rpc.interceptors` alone turns an error into a status, and `shared.rpc.client`
alone turns a status back. A message says what was wrong, with which value, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta


#: Of a wrong value that is shown again in an error.
_SHOWN_CHARACTERS = 60


def shown(value: str) -> str:
    """A caller's value in an error: quoted, escaped, and cut where it is long."""
    return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…")


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field: its path as the caller wrote it (`params.url`), and what to do about it."""

    field: str
    description: str


class PenstockError(Exception):
    """An error that a caller may see.

    Args:
        message: For people: what was wrong, with which value, and what to do.
        metadata: For programs: the values that the message speaks of; never a secret.
        retry_after: After how long the call may be repeated, where that could help.
    """

    #: The gRPC status code's name.
    code: ClassVar[str] = "UNKNOWN"
    #: A name of `penstock.errors.v1.ErrorReason`.
    reason: ClassVar[str] = "INTERNAL"
    #: The HTTP status, where gRPC's code maps to another one.
    http_status: ClassVar[int | None] = None

    def __init__(
        self, message: str, *, metadata: Mapping[str, str] | None = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after


class InvalidArgument(PenstockError):
    """One or more fields of a request are wrong."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_ARGUMENT"

    def __init__(
        self, message: str, violations: Sequence[FieldViolation] = (), *, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, metadata=metadata)
        self.violations = tuple(violations)

    @classmethod
    def of(cls, violations: Sequence[FieldViolation]) -> InvalidArgument:
        """An error whose message names every violation."""
        return cls("; ".join(f"{violation.field}: {violation.description}" for violation in violations), violations)

    @classmethod
    def field(cls, field: str, description: str) -> InvalidArgument:
        """An error about one field."""
        return cls.of([FieldViolation(field, description)])


class TooLarge(InvalidArgument):
    """A body or a field is larger than its limit."""

    reason = "TOO_LARGE"
    http_status = 413


class BadRequest(PenstockError):
    """The HTTP request itself is malformed; the gateway alone finds that."""

    code = "INVALID_ARGUMENT"
    reason = "BAD_REQUEST"


class UnsupportedMediaType(PenstockError):
    """The body is no JSON; the gateway alone finds that."""

    code = "INVALID_ARGUMENT"
    reason = "UNSUPPORTED_MEDIA_TYPE"
    http_status = 415


class RangeNotSatisfiable(PenstockError):
    """The content has nothing of the range that was asked for; the metadata name its `size`."""

    code = "OUT_OF_RANGE"
    reason = "RANGE_NOT_SATISFIABLE"
    http_status = 416


class Unauthenticated(PenstockError):
    """Nobody vouches for the caller."""

    code = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"


class PermissionDenied(PenstockError):
    """The caller is known and may not do this."""

    code = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"


class TenantSuspended(PermissionDenied):
    """The caller's tenant may do nothing until an operator resumes it."""

    reason = "TENANT_SUSPENDED"


class NotFound(PenstockError):
    """There is no such thing, or it is another tenant's."""

    code = "NOT_FOUND"
    reason = "ROUTE_NOT_FOUND"


class AuthorizationNotFound(NotFound):
    """There is no such authorization: not any more, or not for this principal or browser."""

    reason = "AUTHORIZATION_NOT_FOUND"


class BatchNotFound(NotFound):
    """There is no such batch for this tenant."""

    reason = "BATCH_NOT_FOUND"


class ConnectionNotFound(NotFound):
    """There is no such connection for this tenant."""

    reason = "CONNECTION_NOT_FOUND"


class JobNotFound(NotFound):
    """There is no such job for this tenant."""

    reason = "JOB_NOT_FOUND"


class KeyNotFound(NotFound):
    """There is no such API key for this tenant."""

    reason = "KEY_NOT_FOUND"


class ProviderNotFound(NotFound):
    """There is no such provider."""

    reason = "PROVIDER_NOT_FOUND"


class ResultNotFound(NotFound):
    """The job has ended without a result, or its result is no longer kept."""

    reason = "RESULT_NOT_FOUND"


class TenantNotFound(NotFound):
    """There is no such tenant."""

    reason = "TENANT_NOT_FOUND"


class UploadNotFound(NotFound):
    """There is no such upload for this tenant."""

    reason = "UPLOAD_NOT_FOUND"


class UpstreamNotFound(NotFound):
    """There is no such upstream."""

    reason = "UPSTREAM_NOT_FOUND"


class FailedPrecondition(PenstockError):
    """The thing is in a state that does not allow this."""

    code = "FAILED_PRECONDITION"


class AuthorizationRefused(FailedPrecondition):
    """The provider gives no token."""

    reason = "AUTHORIZATION_REFUSED"


class ConnectionLimitReached(FailedPrecondition):
    """The tenant has as many connections as it may have."""

    reason = "CONNECTION_LIMIT_REACHED"


class ConnectionNeedsReauth(FailedPrecondition):
    """The connection's credentials are refused until it is authorized anew."""

    reason = "CONNECTION_NEEDS_REAUTH"


class JobRunning(FailedPrecondition):
    """The job runs."""

    reason = "JOB_RUNNING"


class JobFinished(FailedPrecondition):
    """The job has ended."""

    reason = "JOB_FINISHED"


class JobNotFinished(FailedPrecondition):
    """The job has not ended."""

    reason = "JOB_NOT_FINISHED"


class KeyNotActive(FailedPrecondition):
    """The API key was revoked or has expired."""

    reason = "KEY_NOT_ACTIVE"


class LeaseLost(FailedPrecondition):
    """The lease under this fence is gone."""

    reason = "LEASE_LOST"


class OwnTenant(FailedPrecondition):
    """The tenant is the caller's own, which it must not shut out."""

    reason = "OWN_TENANT"


class SubmissionGone(FailedPrecondition):
    """What the job asked for is known no more."""

    reason = "SUBMISSION_GONE"


class UploadIncomplete(FailedPrecondition):
    """The upload's bytes are not there, or not those that were told."""

    reason = "UPLOAD_INCOMPLETE"


class TenantExists(PenstockError):
    """There is a tenant of this name already."""

    code = "ALREADY_EXISTS"
    reason = "TENANT_EXISTS"


class IdempotencyKeyReused(PenstockError):
    """The key was used for another request."""

    code = "FAILED_PRECONDITION"
    reason = "IDEMPOTENCY_KEY_REUSED"
    http_status = 422


class IdempotencyKeyInFlight(PenstockError):
    """The first request with this key is still being accepted."""

    code = "ABORTED"
    reason = "IDEMPOTENCY_KEY_IN_FLIGHT"
    http_status = 409


class QueueFull(PenstockError):
    """The tenant has as many unfinished jobs as it may have."""

    code = "RESOURCE_EXHAUSTED"
    reason = "QUEUE_FULL"
    http_status = 503


class RateLimited(PenstockError):
    """The caller makes more calls than it may."""

    code = "RESOURCE_EXHAUSTED"
    reason = "RATE_LIMITED"


class Unavailable(PenstockError):
    """A part of Penstock is away."""

    code = "UNAVAILABLE"
    reason = "UNAVAILABLE"


class DeadlineExceeded(PenstockError):
    """The call took longer than its deadline."""

    code = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"


class Unimplemented(PenstockError):
    """No such RPC is offered here."""

    code = "UNIMPLEMENTED"
    reason = "UNIMPLEMENTED"


class MethodNotAllowed(Unimplemented):
    """The path takes other methods; the gateway alone finds that."""

    reason = "METHOD_NOT_ALLOWED"
    http_status = 405


class Internal(PenstockError):
    """A fault of Penstock itself, known to the caller by an error id alone."""

    code = "INTERNAL"
    reason = "INTERNAL"


def every_error() -> list[type[PenstockError]]:
    """Every class of the tree, the most specific last; what a service derives for itself is not known to others."""
    found: list[type[PenstockError]] = []
    pending: list[type[PenstockError]] = [PenstockError]
    while pending:
        error = pending.pop(0)
        found.append(error)
        pending.extend(each for each in error.__subclasses__() if each.__module__ == __name__)
    return found
