// Made by `make sdks` of the API's document; do not edit.

import { ApiError, JobFailed } from "./errors.js";

/**
 * No such authorization: it is unknown, has ended, was completed, or was begun by somebody else or in another browser.
 */
export class AuthorizationNotFound extends ApiError {}

/** The provider refuses to give a token, or the account's owner has said no; the message has what the provider says. */
export class AuthorizationRefused extends ApiError {}

/** The HTTP request itself is malformed (its line, a header, its encoding). */
export class BadRequest extends ApiError {}

/** No such batch, or it belongs to another tenant. */
export class BatchNotFound extends ApiError {}

/** The caller ended the call before it was answered. */
export class Cancelled extends ApiError {}

/** The tenant has as many connections as it may have. */
export class ConnectionLimitReached extends ApiError {}

/**
 * The connection's credentials are refused, by its provider or by the upstream: it has to be authorized anew. Also a
 * job's error.
 */
export class ConnectionNeedsReauth extends ApiError {}

/** No such connection, or it belongs to another tenant. Also a job's error, whose connection was deleted. */
export class ConnectionNotFound extends ApiError {}

/** The call took longer than its deadline. */
export class DeadlineExceeded extends ApiError {}

/** The delivery is being attempted now; it can be replayed when the attempt has come out. */
export class DeliveryAtWork extends ApiError {}

/** No such delivery, or it belongs to another tenant. */
export class DeliveryNotFound extends ApiError {}

/** The endpoint is disabled, and nothing is delivered to it; `POST /api/v1/endpoints/{id}:enable` enables it. */
export class EndpointDisabled extends ApiError {}

/** The tenant has as many endpoints as it may have. */
export class EndpointLimitReached extends ApiError {}

/** No such endpoint, or it belongs to another tenant. */
export class EndpointNotFound extends ApiError {}

/** The first request with this idempotency key is still being accepted; try again shortly. */
export class IdempotencyKeyInFlight extends ApiError {}

/** The idempotency key was used within its window for another request. */
export class IdempotencyKeyReused extends ApiError {}

/** A fault of Penstock itself; quote the error id when you report it. */
export class Internal extends ApiError {}

/** One or more fields of the request are wrong; `google.rpc.BadRequest` names each by its path. */
export class InvalidArgument extends ApiError {}

/** The job has ended, so it can no longer be canceled. */
export class JobFinished extends ApiError {}

/** The job has not ended, so there is no result yet. */
export class JobNotFinished extends ApiError {}

/** No such job, or it belongs to another tenant. */
export class JobNotFound extends ApiError {}

/** The job runs, so it can only be canceled with force. */
export class JobRunning extends ApiError {}

/** The API key was revoked or has expired, so it gets no new secret. */
export class KeyNotActive extends ApiError {}

/** No such API key, or it belongs to another tenant. */
export class KeyNotFound extends ApiError {}

/** The lease under this fence is gone: it ran out, or a newer one was given. */
export class LeaseLost extends ApiError {}

/** The path exists and takes other methods; the `Allow` header names them. */
export class MethodNotAllowed extends ApiError {}

/** The operation has not ended; cancel it first, or wait for its end. */
export class OperationNotFinished extends ApiError {}

/** No such operation, or it belongs to another tenant. */
export class OperationNotFound extends ApiError {}

/** The tenant is the one of the API key that asks for it to be suspended, which would end that key too. */
export class OwnTenant extends ApiError {}

/** The principal is known and may not call this RPC. */
export class PermissionDenied extends ApiError {}

/** No such provider. */
export class ProviderNotFound extends ApiError {}

/**
 * The tenant, or all tenants together, have as many unfinished jobs as they may have; `Retry-After` goes by how fast
 * jobs end.
 */
export class QueueFull extends ApiError {}

/** The header `Range` asks for nothing that the result has; `Content-Range` tells how many bytes it has. */
export class RangeNotSatisfiable extends ApiError {}

/** More calls than the limit allows; try again after `Retry-After`. */
export class RateLimited extends ApiError {}

/** No such replay, or it belongs to another tenant. */
export class ReplayNotFound extends ApiError {}

/** The job has ended without a result; the metadata name its state. Or its result is no longer kept. */
export class ResultNotFound extends ApiError {}

/** No route of the API has this path. */
export class RouteNotFound extends ApiError {}

/**
 * What the job asked for is known no more, so that it cannot be tried again: that is kept for 7 days. Submit it anew.
 */
export class SubmissionGone extends ApiError {}

/** There is a tenant of this name already. */
export class TenantExists extends ApiError {}

/** No such tenant. */
export class TenantNotFound extends ApiError {}

/**
 * The tenant is suspended: none of its API keys works, and none of its jobs is called, until an operator resumes it.
 */
export class TenantSuspended extends ApiError {}

/** The body, or a field of it, is larger than the limit named in the metadata. */
export class TooLarge extends ApiError {}

/** The request carries no API key, or one that is malformed, unknown, expired or revoked. */
export class Unauthenticated extends ApiError {}

/** A part of Penstock is away; the call may be repeated after `google.rpc.RetryInfo`. */
export class Unavailable extends ApiError {}

/** This method is not offered by this server. */
export class Unimplemented extends ApiError {}

/** The body's media type is not one the API takes. */
export class UnsupportedMediaType extends ApiError {}

/** The upload's bytes are not there yet, or are not those that were told. */
export class UploadIncomplete extends ApiError {}

/** No such upload, or it belongs to another tenant, or its time is over. */
export class UploadNotFound extends ApiError {}

/** No such upstream. */
export class UpstreamNotFound extends ApiError {}

/**
 * A job's error: its URL leads to an address that must not be called (private, loopback, link-local, metadata,
 * multicast).
 */
export class AddressForbidden extends JobFailed {}

/** A job's error: its attempts were begun and lost (a worker died) as often as it may be tried. */
export class AttemptLost extends JobFailed {}

/** A job's error: the URL, or one that it redirects to, is at a host that its connection is not for. */
export class ConnectionForbidden extends JobFailed {}

/**
 * The connection's credentials are refused, by its provider or by the upstream: it has to be authorized anew. Also a
 * job's error.
 */
export class JobConnectionNeedsReauth extends JobFailed {}

/** No such connection, or it belongs to another tenant. Also a job's error, whose connection was deleted. */
export class JobConnectionNotFound extends JobFailed {}

/** A job's error: its params or an upload that it names are no longer in the object store. */
export class ContentGone extends JobFailed {}

/** A job's error: it was canceled. */
export class JobCanceled extends JobFailed {}

/** A job's error: it was still queued at its `expiresAt`. */
export class JobExpired extends JobFailed {}

/** A job's error: the call was begun and its outcome is lost; it was not repeated, for its method is not idempotent. */
export class OutcomeUnknown extends JobFailed {}

/** A job's error: the result is larger than a result may be. */
export class ResultTooLarge extends JobFailed {}

/** A job's error: the upstream's answer could not be understood. */
export class UpstreamProtocol extends JobFailed {}

/**
 * A job's error: the upstream has answered in its own way that it does not do what was asked; `upstreamCode` is its
 * code.
 */
export class UpstreamRefused extends JobFailed {}

/** A job's error: the upstream answered with a status that counts as a failure. */
export class UpstreamStatus extends JobFailed {}

/** A job's error: the upstream did not answer within the attempt's timeout. */
export class UpstreamTimeout extends JobFailed {}

/** A job's error: the upstream could not be reached, or broke the connection. */
export class UpstreamUnreachable extends JobFailed {}

/** The error of each reason that a call is refused for. */
export const API_ERRORS: Readonly<Record<string, typeof ApiError>> = {
  AUTHORIZATION_NOT_FOUND: AuthorizationNotFound,
  AUTHORIZATION_REFUSED: AuthorizationRefused,
  BAD_REQUEST: BadRequest,
  BATCH_NOT_FOUND: BatchNotFound,
  CANCELLED: Cancelled,
  CONNECTION_LIMIT_REACHED: ConnectionLimitReached,
  CONNECTION_NEEDS_REAUTH: ConnectionNeedsReauth,
  CONNECTION_NOT_FOUND: ConnectionNotFound,
  DEADLINE_EXCEEDED: DeadlineExceeded,
  DELIVERY_AT_WORK: DeliveryAtWork,
  DELIVERY_NOT_FOUND: DeliveryNotFound,
  ENDPOINT_DISABLED: EndpointDisabled,
  ENDPOINT_LIMIT_REACHED: EndpointLimitReached,
  ENDPOINT_NOT_FOUND: EndpointNotFound,
  IDEMPOTENCY_KEY_IN_FLIGHT: IdempotencyKeyInFlight,
  IDEMPOTENCY_KEY_REUSED: IdempotencyKeyReused,
  INTERNAL: Internal,
  INVALID_ARGUMENT: InvalidArgument,
  JOB_FINISHED: JobFinished,
  JOB_NOT_FINISHED: JobNotFinished,
  JOB_NOT_FOUND: JobNotFound,
  JOB_RUNNING: JobRunning,
  KEY_NOT_ACTIVE: KeyNotActive,
  KEY_NOT_FOUND: KeyNotFound,
  LEASE_LOST: LeaseLost,
  METHOD_NOT_ALLOWED: MethodNotAllowed,
  OPERATION_NOT_FINISHED: OperationNotFinished,
  OPERATION_NOT_FOUND: OperationNotFound,
  OWN_TENANT: OwnTenant,
  PERMISSION_DENIED: PermissionDenied,
  PROVIDER_NOT_FOUND: ProviderNotFound,
  QUEUE_FULL: QueueFull,
  RANGE_NOT_SATISFIABLE: RangeNotSatisfiable,
  RATE_LIMITED: RateLimited,
  REPLAY_NOT_FOUND: ReplayNotFound,
  RESULT_NOT_FOUND: ResultNotFound,
  ROUTE_NOT_FOUND: RouteNotFound,
  SUBMISSION_GONE: SubmissionGone,
  TENANT_EXISTS: TenantExists,
  TENANT_NOT_FOUND: TenantNotFound,
  TENANT_SUSPENDED: TenantSuspended,
  TOO_LARGE: TooLarge,
  UNAUTHENTICATED: Unauthenticated,
  UNAVAILABLE: Unavailable,
  UNIMPLEMENTED: Unimplemented,
  UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaType,
  UPLOAD_INCOMPLETE: UploadIncomplete,
  UPLOAD_NOT_FOUND: UploadNotFound,
  UPSTREAM_NOT_FOUND: UpstreamNotFound,
};

/** The error of each reason that a job fails for. */
export const JOB_FAILURES: Readonly<Record<string, typeof JobFailed>> = {
  ADDRESS_FORBIDDEN: AddressForbidden,
  ATTEMPT_LOST: AttemptLost,
  CONNECTION_FORBIDDEN: ConnectionForbidden,
  CONNECTION_NEEDS_REAUTH: JobConnectionNeedsReauth,
  CONNECTION_NOT_FOUND: JobConnectionNotFound,
  CONTENT_GONE: ContentGone,
  JOB_CANCELED: JobCanceled,
  JOB_EXPIRED: JobExpired,
  OUTCOME_UNKNOWN: OutcomeUnknown,
  RESULT_TOO_LARGE: ResultTooLarge,
  UPSTREAM_PROTOCOL: UpstreamProtocol,
  UPSTREAM_REFUSED: UpstreamRefused,
  UPSTREAM_STATUS: UpstreamStatus,
  UPSTREAM_TIMEOUT: UpstreamTimeout,
  UPSTREAM_UNREACHABLE: UpstreamUnreachable,
};
