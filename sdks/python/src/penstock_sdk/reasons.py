"""An error for each reason that a call is refused for or a job fails for.

Made by `make sdks` of the API's document; do not edit.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from penstock_sdk.errors import ApiError, JobFailed

if TYPE_CHECKING:
    from collections.abc import Mapping


class AuthorizationNotFound(ApiError):
    """No such authorization: it is unknown, has ended, was completed, or was begun by somebody else or in another
    browser.
    """


class AuthorizationRefused(ApiError):
    """The provider refuses to give a token, or the account's owner has said no; the message has what the provider says."""


class BadRequest(ApiError):
    """The HTTP request itself is malformed (its line, a header, its encoding)."""


class BatchNotFound(ApiError):
    """No such batch, or it belongs to another tenant."""


class Cancelled(ApiError):
    """The caller ended the call before it was answered."""


class ConnectionLimitReached(ApiError):
    """The tenant has as many connections as it may have."""


class ConnectionNeedsReauth(ApiError):
    """The connection's credentials are refused, by its provider or by the upstream: it has to be authorized anew. Also
    a job's error.
    """


class ConnectionNotFound(ApiError):
    """No such connection, or it belongs to another tenant. Also a job's error, whose connection was deleted."""


class DeadlineExceeded(ApiError):
    """The call took longer than its deadline."""


class DeliveryAtWork(ApiError):
    """The delivery is being attempted now; it can be replayed when the attempt has come out."""


class DeliveryNotFound(ApiError):
    """No such delivery, or it belongs to another tenant."""


class EndpointDisabled(ApiError):
    """The endpoint is disabled, and nothing is delivered to it; `POST /api/v1/endpoints/{id}:enable` enables it."""


class EndpointLimitReached(ApiError):
    """The tenant has as many endpoints as it may have."""


class EndpointNotFound(ApiError):
    """No such endpoint, or it belongs to another tenant."""


class IdempotencyKeyInFlight(ApiError):
    """The first request with this idempotency key is still being accepted; try again shortly."""


class IdempotencyKeyReused(ApiError):
    """The idempotency key was used within its window for another request."""


class Internal(ApiError):
    """A fault of Penstock itself; quote the error id when you report it."""


class InvalidArgument(ApiError):
    """One or more fields of the request are wrong; `google.rpc.BadRequest` names each by its path."""


class JobFinished(ApiError):
    """The job has ended, so it can no longer be canceled."""


class JobNotFinished(ApiError):
    """The job has not ended, so there is no result yet."""


class JobNotFound(ApiError):
    """No such job, or it belongs to another tenant."""


class JobRunning(ApiError):
    """The job runs, so it can only be canceled with force."""


class KeyNotActive(ApiError):
    """The API key was revoked or has expired, so it gets no new secret."""


class KeyNotFound(ApiError):
    """No such API key, or it belongs to another tenant."""


class LeaseLost(ApiError):
    """The lease under this fence is gone: it ran out, or a newer one was given."""


class MethodNotAllowed(ApiError):
    """The path exists and takes other methods; the `Allow` header names them."""


class OperationNotFinished(ApiError):
    """The operation has not ended; cancel it first, or wait for its end."""


class OperationNotFound(ApiError):
    """No such operation, or it belongs to another tenant."""


class OwnTenant(ApiError):
    """The tenant is the one of the API key that asks for it to be suspended, which would end that key too."""


class PermissionDenied(ApiError):
    """The principal is known and may not call this RPC."""


class ProviderNotFound(ApiError):
    """No such provider."""


class QueueFull(ApiError):
    """The tenant, or all tenants together, have as many unfinished jobs as they may have; `Retry-After` goes by how
    fast jobs end.
    """


class RangeNotSatisfiable(ApiError):
    """The header `Range` asks for nothing that the result has; `Content-Range` tells how many bytes it has."""


class RateLimited(ApiError):
    """More calls than the limit allows; try again after `Retry-After`."""


class ReplayNotFound(ApiError):
    """No such replay, or it belongs to another tenant."""


class ResultNotFound(ApiError):
    """The job has ended without a result; the metadata name its state. Or its result is no longer kept."""


class RouteNotFound(ApiError):
    """No route of the API has this path."""


class SubmissionGone(ApiError):
    """What the job asked for is known no more, so that it cannot be tried again: that is kept for 7 days. Submit it
    anew.
    """


class TenantExists(ApiError):
    """There is a tenant of this name already."""


class TenantNotFound(ApiError):
    """No such tenant."""


class TenantSuspended(ApiError):
    """The tenant is suspended: none of its API keys works, and none of its jobs is called, until an operator resumes
    it.
    """


class TooLarge(ApiError):
    """The body, or a field of it, is larger than the limit named in the metadata."""


class Unauthenticated(ApiError):
    """The request carries no API key, or one that is malformed, unknown, expired or revoked."""


class Unavailable(ApiError):
    """A part of Penstock is away; the call may be repeated after `google.rpc.RetryInfo`."""


class Unimplemented(ApiError):
    """This method is not offered by this server."""


class UnsupportedMediaType(ApiError):
    """The body's media type is not one the API takes."""


class UploadIncomplete(ApiError):
    """The upload's bytes are not there yet, or are not those that were told."""


class UploadNotFound(ApiError):
    """No such upload, or it belongs to another tenant, or its time is over."""


class UpstreamNotFound(ApiError):
    """No such upstream."""


class AddressForbidden(JobFailed):
    """A job's error: its URL leads to an address that must not be called (private, loopback, link-local, metadata,
    multicast).
    """


class AttemptLost(JobFailed):
    """A job's error: its attempts were begun and lost (a worker died) as often as it may be tried."""


class ConnectionForbidden(JobFailed):
    """A job's error: the URL, or one that it redirects to, is at a host that its connection is not for."""


class JobConnectionNeedsReauth(JobFailed):
    """The connection's credentials are refused, by its provider or by the upstream: it has to be authorized anew. Also
    a job's error.
    """


class JobConnectionNotFound(JobFailed):
    """No such connection, or it belongs to another tenant. Also a job's error, whose connection was deleted."""


class ContentGone(JobFailed):
    """A job's error: its params or an upload that it names are no longer in the object store."""


class JobCanceled(JobFailed):
    """A job's error: it was canceled."""


class JobExpired(JobFailed):
    """A job's error: it was still queued at its `expiresAt`."""


class OutcomeUnknown(JobFailed):
    """A job's error: the call was begun and its outcome is lost; it was not repeated, for its method is not idempotent."""


class ResultTooLarge(JobFailed):
    """A job's error: the result is larger than a result may be."""


class UpstreamProtocol(JobFailed):
    """A job's error: the upstream's answer could not be understood."""


class UpstreamRefused(JobFailed):
    """A job's error: the upstream has answered in its own way that it does not do what was asked; `upstreamCode` is its
    code.
    """


class UpstreamStatus(JobFailed):
    """A job's error: the upstream answered with a status that counts as a failure."""


class UpstreamTimeout(JobFailed):
    """A job's error: the upstream did not answer within the attempt's timeout."""


class UpstreamUnreachable(JobFailed):
    """A job's error: the upstream could not be reached, or broke the connection."""


#: The error of each reason that a call is refused for.
API_ERRORS: Mapping[str, type[ApiError]] = MappingProxyType(
    {
        "AUTHORIZATION_NOT_FOUND": AuthorizationNotFound,
        "AUTHORIZATION_REFUSED": AuthorizationRefused,
        "BAD_REQUEST": BadRequest,
        "BATCH_NOT_FOUND": BatchNotFound,
        "CANCELLED": Cancelled,
        "CONNECTION_LIMIT_REACHED": ConnectionLimitReached,
        "CONNECTION_NEEDS_REAUTH": ConnectionNeedsReauth,
        "CONNECTION_NOT_FOUND": ConnectionNotFound,
        "DEADLINE_EXCEEDED": DeadlineExceeded,
        "DELIVERY_AT_WORK": DeliveryAtWork,
        "DELIVERY_NOT_FOUND": DeliveryNotFound,
        "ENDPOINT_DISABLED": EndpointDisabled,
        "ENDPOINT_LIMIT_REACHED": EndpointLimitReached,
        "ENDPOINT_NOT_FOUND": EndpointNotFound,
        "IDEMPOTENCY_KEY_IN_FLIGHT": IdempotencyKeyInFlight,
        "IDEMPOTENCY_KEY_REUSED": IdempotencyKeyReused,
        "INTERNAL": Internal,
        "INVALID_ARGUMENT": InvalidArgument,
        "JOB_FINISHED": JobFinished,
        "JOB_NOT_FINISHED": JobNotFinished,
        "JOB_NOT_FOUND": JobNotFound,
        "JOB_RUNNING": JobRunning,
        "KEY_NOT_ACTIVE": KeyNotActive,
        "KEY_NOT_FOUND": KeyNotFound,
        "LEASE_LOST": LeaseLost,
        "METHOD_NOT_ALLOWED": MethodNotAllowed,
        "OPERATION_NOT_FINISHED": OperationNotFinished,
        "OPERATION_NOT_FOUND": OperationNotFound,
        "OWN_TENANT": OwnTenant,
        "PERMISSION_DENIED": PermissionDenied,
        "PROVIDER_NOT_FOUND": ProviderNotFound,
        "QUEUE_FULL": QueueFull,
        "RANGE_NOT_SATISFIABLE": RangeNotSatisfiable,
        "RATE_LIMITED": RateLimited,
        "REPLAY_NOT_FOUND": ReplayNotFound,
        "RESULT_NOT_FOUND": ResultNotFound,
        "ROUTE_NOT_FOUND": RouteNotFound,
        "SUBMISSION_GONE": SubmissionGone,
        "TENANT_EXISTS": TenantExists,
        "TENANT_NOT_FOUND": TenantNotFound,
        "TENANT_SUSPENDED": TenantSuspended,
        "TOO_LARGE": TooLarge,
        "UNAUTHENTICATED": Unauthenticated,
        "UNAVAILABLE": Unavailable,
        "UNIMPLEMENTED": Unimplemented,
        "UNSUPPORTED_MEDIA_TYPE": UnsupportedMediaType,
        "UPLOAD_INCOMPLETE": UploadIncomplete,
        "UPLOAD_NOT_FOUND": UploadNotFound,
        "UPSTREAM_NOT_FOUND": UpstreamNotFound,
    }
)

#: The error of each reason that a job fails for.
JOB_FAILURES: Mapping[str, type[JobFailed]] = MappingProxyType(
    {
        "ADDRESS_FORBIDDEN": AddressForbidden,
        "ATTEMPT_LOST": AttemptLost,
        "CONNECTION_FORBIDDEN": ConnectionForbidden,
        "CONNECTION_NEEDS_REAUTH": JobConnectionNeedsReauth,
        "CONNECTION_NOT_FOUND": JobConnectionNotFound,
        "CONTENT_GONE": ContentGone,
        "JOB_CANCELED": JobCanceled,
        "JOB_EXPIRED": JobExpired,
        "OUTCOME_UNKNOWN": OutcomeUnknown,
        "RESULT_TOO_LARGE": ResultTooLarge,
        "UPSTREAM_PROTOCOL": UpstreamProtocol,
        "UPSTREAM_REFUSED": UpstreamRefused,
        "UPSTREAM_STATUS": UpstreamStatus,
        "UPSTREAM_TIMEOUT": UpstreamTimeout,
        "UPSTREAM_UNREACHABLE": UpstreamUnreachable,
    }
)
