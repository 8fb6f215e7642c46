// Made by `make sdks` of the API's document; do not edit.

import type { CallOptions, Calls, KeyedCallOptions } from "./calls.js";
import type {
  AuditEntry,
  AuthorizeConnectionResponse,
  Batch,
  Batching,
  BreakerPolicy,
  CallbackSecret,
  Connection,
  ConnectionReauthPolicy,
  ConnectionState,
  CreateEndpointResponse,
  CreateKeyResponse,
  CustomHeaders,
  DataKey,
  Delivery,
  DeliveryFilter,
  DeliveryRate,
  DeliveryRetry,
  DeliveryState,
  EnableEndpointResponse,
  Endpoint,
  EndpointOrder,
  EndpointSecret,
  EndpointStats,
  EventFilter,
  EventType,
  InvalidateCacheResponse,
  Job,
  JobExplanation,
  JobFilter,
  JobPriority,
  JobState,
  JobView,
  Key,
  KeyRole,
  KeyUsage,
  Limits,
  ListTopCallersRequestMeasure,
  ListTopCallersResponse,
  Operation,
  Provider,
  Queue,
  QueueSettings,
  Replay,
  Retention,
  RotateKeyResponse,
  StaticSecret,
  Stats,
  Tenant,
  TenantState,
  TestEndpointResponse,
  Upload,
  Upstream,
} from "./models.js";
import * as operations from "./operations.js";
import type { Pages } from "./pages.js";

/** What `jobs.get` may be asked with. */
export interface GetJobRequest {
  /** Where given (by the path), must be the job's own. */
  readonly upstream?: string | undefined;
  /** BASIC unless told. */
  readonly view?: JobView | undefined;
}

/** What `jobs.list` may be asked with. */
export interface ListJobsRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
  /** Of this upstream alone. */
  readonly upstream?: string | undefined;
  /** Called with this connection alone. */
  readonly connectionId?: string | undefined;
  /** Any of these. */
  readonly state?: readonly JobState[] | undefined;
  /** Of this method alone. */
  readonly method?: string | undefined;
  /** Priority orders one tenant's jobs, never one tenant over another. */
  readonly priority?: JobPriority | undefined;
  /** Of this batch alone. */
  readonly batchId?: string | undefined;
  /** At or after this time. */
  readonly createdAfter?: string | Date | undefined;
  /** Before this time. */
  readonly createdBefore?: string | Date | undefined;
  /**
   * `key=value` each, all of which the job's metadata has; keys are those that the tenant's retention names as indexed.
   */
  readonly metadata?: readonly string[] | undefined;
  /** `createdAt desc` unless told, or `createdAt`: the oldest first (AIP-132). */
  readonly orderBy?: string | undefined;
  /** Whether the answer tells how many jobs match. */
  readonly includeTotalSize?: boolean | undefined;
}

/** What `jobs.cancel` may be asked with. */
export interface CancelJobRequest {
  /** Where given (by the path), must be the job's own. */
  readonly upstream?: string | undefined;
  /** Cancels the job also when it runs: its call is broken off, and may have taken effect at the upstream. */
  readonly force?: boolean | undefined;
}

/** What `jobs.cancelMany` may be asked with. */
export interface CancelJobsRequest {
  /** Cancels also the jobs that run: their calls are broken off, and may have taken effect at the upstream. */
  readonly force?: boolean | undefined;
  /** Counts, and changes nothing. */
  readonly validateOnly?: boolean | undefined;
}

/** What `jobs.retryMany` may be asked with. */
export interface RetryJobsRequest {
  /** Counts, and changes nothing. */
  readonly validateOnly?: boolean | undefined;
  /** At most so many are made in a second: 1 to 1,000. Default 100. */
  readonly maxPerSecond?: number | undefined;
}

/** What `batches.cancel` may be asked with. */
export interface CancelBatchRequest {
  /** Cancels also the jobs that run: their calls are broken off, and may have taken effect at the upstream. */
  readonly force?: boolean | undefined;
}

/** What `uploads.create` may be asked with. */
export interface CreateUploadRequest {
  /** Default `application/octet-stream`. */
  readonly contentType?: string | undefined;
}

/** What `operations.list` may be asked with. */
export interface ListOperationsRequest {
  /** Which operations. */
  readonly filter?: string | undefined;
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
  /** Not offered; leave it out. */
  readonly returnPartialSuccess?: boolean | undefined;
}

/** What `operations.waitOnce` may be asked with. */
export interface WaitOperationRequest {
  /** Default 30 s, at most 60 s. */
  readonly timeout?: string | undefined;
}

/** What `stats.get` may be asked with. */
export interface GetStatsRequest {
  /** From the bucket that holds this time on; 24 h before `endTime` unless told, at most 90 days before now. */
  readonly startTime?: string | Date | undefined;
  /** Up to the bucket that holds it; now unless told. */
  readonly endTime?: string | Date | undefined;
  /**
   * How long a bucket is: 1 minute (for ranges of the last 48 h), 1 hour or 1 day. Unless told, such that there are at
   * most 100.
   */
  readonly interval?: string | undefined;
  /** Of this upstream alone. */
  readonly upstream?: string | undefined;
  /** Of this method alone. */
  readonly method?: string | undefined;
  /** Called with this connection alone. */
  readonly connectionId?: string | undefined;
}

/** What `upstreams.list` may be asked with. */
export interface ListUpstreamsRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
}

/** What `queues.get` may be asked with. */
export interface GetQueueRequest {
  /** Whose jobs are counted: the caller's where not given; `-` for all tenants', as operator. */
  readonly tenant?: string | undefined;
  /** How many lanes at most. Default 10, at most 100. */
  readonly lanes?: number | undefined;
}

/** What `queues.list` may be asked with. */
export interface ListQueuesRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
  /** Whose jobs are counted: the caller's where not given; `-` for all tenants', as operator. */
  readonly tenant?: string | undefined;
}

/** What `queues.pause` may be asked with. */
export interface PauseQueueRequest {
  /** Whose jobs: the caller's where not given; `-` for all tenants', as operator. */
  readonly tenant?: string | undefined;
  /** Of one lane: a connection, or what stands for one. Not with all tenants. */
  readonly lane?: string | undefined;
  /** Shown by explain and in the queue; at most 256 characters. */
  readonly reason?: string | undefined;
}

/** What `queues.resume` may be asked with. */
export interface ResumeQueueRequest {
  /** Whose jobs: the caller's where not given; `-` for all tenants', as operator. */
  readonly tenant?: string | undefined;
  /** Of one lane. Not with all tenants. */
  readonly lane?: string | undefined;
}

/** What `queues.setSettings` may be asked with. */
export interface SetQueueSettingsRequest {
  /** In place of the upstream's own limits; not set to go by those. */
  readonly limits?: Limits | undefined;
  /** In place of the upstream's own policy; not set to go by that. */
  readonly breaker?: BreakerPolicy | undefined;
  /**
   * By tenant, 1 to 100: a tenant with 3 is given three times the calls of one with 1 while both have work. Default 1.
   */
  readonly weights?: { [name: string]: number } | undefined;
}

/** What `cache.invalidate` may be asked with. */
export interface InvalidateCacheRequest {
  /** The connection, as `con_<uuidv7>`. */
  readonly connectionId?: string | undefined;
  /** Those of this upstream. */
  readonly upstream?: string | undefined;
  /** Those of this method. */
  readonly method?: string | undefined;
}

/** What `connections.authorize` may be asked with. */
export interface AuthorizeConnectionRequest {
  /** What to ask for; the provider's default where none are given. */
  readonly scopes?: readonly string[] | undefined;
  /** What people call it. */
  readonly displayName?: string | undefined;
  /** ReauthPolicy says what becomes of jobs while the connection needs to be authorized anew. */
  readonly reauthPolicy?: ConnectionReauthPolicy | undefined;
  /** A connection of this provider to authorize anew; a new one is made where it is not given. */
  readonly connectionId?: string | undefined;
  /** The provider shows a code, which is handed to CompleteConnection; no browser comes back. */
  readonly outOfBand?: boolean | undefined;
  /**
   * Where the browser is sent in the end, with `connectionId` or `error` in its query; a page says how it went where it
   * is not given. An https:// URL, or one of this machine.
   */
  readonly returnUrl?: string | undefined;
}

/** What `connections.create` may be asked with. */
export interface CreateConnectionRequest {
  /** The upstream to call with it. Default `http`, or the provider's. */
  readonly upstream?: string | undefined;
  /** What people call it. */
  readonly displayName?: string | undefined;
  /**
   * The hosts that may be called with it, such as `api.example.com`, at most 20; with a port where it is not the usual
   * one. REQUIRED with a secret; a provider has its own.
   */
  readonly hosts?: readonly string[] | undefined;
  /** ReauthPolicy says what becomes of jobs while the connection needs to be authorized anew. */
  readonly reauthPolicy?: ConnectionReauthPolicy | undefined;
  /** StaticSecret is a secret that the caller has. */
  readonly secret?: StaticSecret | undefined;
  /** The provider at which the client's own credentials are used (RFC 6749, 4.4). */
  readonly provider?: string | undefined;
  /** What to ask the provider for; its default where none are given. */
  readonly scopes?: readonly string[] | undefined;
}

/** What `connections.list` may be asked with. */
export interface ListConnectionsRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
  /** Of this upstream alone. */
  readonly upstream?: string | undefined;
  /** In this state alone. */
  readonly state?: ConnectionState | undefined;
}

/** What `connections.update` may be asked with. */
export interface UpdateConnectionRequest {
  /** What people call it. */
  readonly displayName?: string | undefined;
  /** ReauthPolicy says what becomes of jobs while the connection needs to be authorized anew. */
  readonly reauthPolicy?: ConnectionReauthPolicy | undefined;
  /** Takes the place of a secret that the caller had. */
  readonly secret?: StaticSecret | undefined;
  /**
   * Take the place of the hosts of a secret that the caller had; taken with the secret alone, so that nobody who does
   * not know it has it sent elsewhere.
   */
  readonly hosts?: readonly string[] | undefined;
}

/** What `providers.list` may be asked with. */
export interface ListProvidersRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
}

/** What `endpoints.create` may be asked with. */
export interface CreateEndpointRequest {
  /** At most 500 characters. */
  readonly description?: string | undefined;
  /** All events where it is not given. */
  readonly filter?: EventFilter | undefined;
  /**
   * CustomHeaders are headers that every POST to an endpoint has, at most 20. Their values are secrets, and shown to
   * nobody.
   */
  readonly headers?: CustomHeaders | undefined;
  /** Order is how the deliveries of an endpoint stand to each other. */
  readonly order?: EndpointOrder | undefined;
  /** DeliveryRate bounds how often an endpoint is called. */
  readonly rateLimit?: DeliveryRate | undefined;
  /** Batching has several events sent in one POST, in the order in which they came. */
  readonly batching?: Batching | undefined;
  /**
   * DeliveryRetry says when a failed delivery is tried again; the mesh's own schedule where neither is given. Every
   * pause is taken up to 20 % longer or shorter, at random; a longer one that the receiver asks for is obeyed.
   */
  readonly retry?: DeliveryRetry | undefined;
  /** Default true. */
  readonly enabled?: boolean | undefined;
  /** A secret to sign with: `whsec_` and 24 to 64 bytes in base64. A random one where it is not given. */
  readonly secret?: string | undefined;
}

/** What `endpoints.list` may be asked with. */
export interface ListEndpointsRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
  /** Those that are enabled, or are not; all where it is not given. */
  readonly enabled?: boolean | undefined;
}

/** What `endpoints.update` may be asked with. */
export interface UpdateEndpointRequest {
  /**
   * Another URL takes the custom headers away, unless they are given too: whoever does not know them does not have them
   * sent elsewhere.
   */
  readonly url?: string | undefined;
  /** What it is for; at most 500 characters. */
  readonly description?: string | undefined;
  /** EventFilter says which events; each part lets all pass where it is empty, and an event must pass all of them. */
  readonly filter?: EventFilter | undefined;
  /**
   * CustomHeaders are headers that every POST to an endpoint has, at most 20. Their values are secrets, and shown to
   * nobody.
   */
  readonly headers?: CustomHeaders | undefined;
  /** Order is how the deliveries of an endpoint stand to each other. */
  readonly order?: EndpointOrder | undefined;
  /** `deliveries` 0 ends it. */
  readonly rateLimit?: DeliveryRate | undefined;
  /** `maxEvents` 0 ends it. */
  readonly batching?: Batching | undefined;
  /** An empty one goes back to the mesh's own. */
  readonly retry?: DeliveryRetry | undefined;
  /** Whether anything is to be sent to it. */
  readonly enabled?: boolean | undefined;
}

/** What `endpoints.enable` may be asked with. */
export interface EnableEndpointRequest {
  /** Has what was skipped delivered too. */
  readonly replaySkipped?: boolean | undefined;
}

/** What `endpoints.rotateSecret` may be asked with. */
export interface RotateEndpointSecretRequest {
  /** How long the old one signs too: 0 s to 7 days; the mesh's own (24 h unless set) where it is not given. */
  readonly grace?: string | undefined;
  /** As of CreateEndpoint. */
  readonly secret?: string | undefined;
}

/** What `endpoints.test` may be asked with. */
export interface TestEndpointRequest {
  /** Default `job.succeeded`. */
  readonly eventType?: string | undefined;
}

/** What `endpoints.stats` may be asked with. */
export interface GetEndpointStatsRequest {
  /** How far back to look: 1 h to 30 days, in whole hours. Default 24 h. */
  readonly period?: string | undefined;
}

/** What `eventTypes.list` may be asked with. */
export interface ListEventTypesRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
}

/** What `deliveries.list` may be asked with. */
export interface ListDeliveriesRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
  /** To this endpoint alone. */
  readonly endpointId?: string | undefined;
  /** In any of these states. */
  readonly state?: readonly DeliveryState[] | undefined;
  /** Of this type of events alone. */
  readonly eventType?: string | undefined;
  /** The job, batch, connection or endpoint that they tell of. */
  readonly about?: string | undefined;
  /** Made at or after this time. */
  readonly createdAfter?: string | Date | undefined;
  /** Made before this time. */
  readonly createdBefore?: string | Date | undefined;
}

/** What `deliveries.replayMany` may be asked with. */
export interface ReplayDeliveriesRequest {
  /** Those that are FAILED and SKIPPED, where it gives no state. What is made later than the replay is not of it. */
  readonly filter?: DeliveryFilter | undefined;
  /** At most so many are put back in a second: 1 to 1,000. Default 100. */
  readonly maxPerSecond?: number | undefined;
}

/** What `replays.list` may be asked with. */
export interface ListReplaysRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
}

/** What `keys.create` may be asked with. */
export interface CreateKeyRequest {
  /** At least one where there is no role, each of them the maker's own. */
  readonly scopes?: readonly string[] | undefined;
  /** The key works until then; for good where not set. */
  readonly expiresAt?: string | Date | undefined;
  /** Makes the key for another tenant; needs `operator`. */
  readonly tenant?: string | undefined;
  /** Instead of scopes; its scopes must be the maker's own. */
  readonly role?: KeyRole | undefined;
  /** At most 20 networks, IPv4 or IPv6. */
  readonly allowedCidrs?: readonly string[] | undefined;
  /** Requests a minute, 1 to 1,000,000; 0 for as many as the server's setting says. */
  readonly rateLimit?: number | undefined;
}

/** What `keys.list` may be asked with. */
export interface ListKeysRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
}

/** What `keys.usage` may be asked with. */
export interface GetKeyUsageRequest {
  /** How many days, today included: 1 to 90; 30 where not set. */
  readonly days?: number | undefined;
}

/** What `keys.topCallers` may be asked with. */
export interface ListTopCallersRequest {
  /** How many days, today included: 1 to 90; 7 where not set. */
  readonly days?: number | undefined;
  /** Measure is what callers are ranked by. */
  readonly measure?: ListTopCallersRequestMeasure | undefined;
  /** How many keys at most: 1 to 100; 10 where not set. */
  readonly limit?: number | undefined;
  /** Another tenant, or `-` for the keys of all tenants; needs `operator`. */
  readonly tenant?: string | undefined;
}

/** What `keys.rotate` may be asked with. */
export interface RotateKeyRequest {
  /** How long the secret until now works on: 0 s to 7 days; 24 hours where not set. */
  readonly gracePeriod?: string | undefined;
}

/** What `audit.list` may be asked with. */
export interface ListAuditEntriesRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
  /** As operator: another tenant's, or `-` for all, those among them that belong to no tenant. */
  readonly tenant?: string | undefined;
  /** Who made the call: a key's id, or a service's name. */
  readonly principal?: string | undefined;
  /** The RPC, as `KeyService.CreateKey`. */
  readonly action?: string | undefined;
  /** The id of what the call was about: a key's, a tenant's name, an upstream or `<upstream>/<lane>`. */
  readonly target?: string | undefined;
  /** `OK`, or the reason of an error. */
  readonly outcome?: string | undefined;
  /** Only calls that were refused because of who made them. */
  readonly refusedOnly?: boolean | undefined;
  /** The address that the call came from. */
  readonly clientAddress?: string | undefined;
  /** The `X-Request-Id` of the call. */
  readonly requestId?: string | undefined;
  /** At or after this time. */
  readonly startTime?: string | Date | undefined;
  /** Before this time. */
  readonly endTime?: string | Date | undefined;
}

/** What `retention.get` may be asked with. */
export interface GetRetentionRequest {
  /** For operators: whose; the caller's own unless told. */
  readonly tenant?: string | undefined;
}

/** What `retention.update` may be asked with. */
export interface UpdateRetentionRequest {
  /**
   * Which fields, or `*` for all; those that are given unless told. One that is named and not given becomes what holds
   * unless told: so a list of keys is emptied, and a span given back.
   */
  readonly updateMask?: string | undefined;
  /** For operators: whose; the caller's own unless told. */
  readonly tenant?: string | undefined;
}

/** What `data.export` may be asked with. */
export interface ExportDataRequest {
  /** For operators: whose; the caller's own unless told. */
  readonly tenant?: string | undefined;
  /** One connection's alone. */
  readonly connectionId?: string | undefined;
}

/** What `data.erase` may be asked with. */
export interface EraseDataRequest {
  /**
   * The tenant, again by its name, so that nobody erases one by an empty request; the caller's own, or for operators
   * any. Not with `connectionId`.
   */
  readonly tenant?: string | undefined;
  /** One connection's alone. */
  readonly connectionId?: string | undefined;
  /** How long it can still be canceled. 7 days unless told for a tenant, none for a connection; at most 30 days. */
  readonly grace?: string | undefined;
  /** For the audit. At most 1,000 characters. */
  readonly reason?: string | undefined;
}

/** What `tenants.create` may be asked with. */
export interface CreateTenantRequest {
  /** At most 100 characters. */
  readonly displayName?: string | undefined;
}

/** What `tenants.list` may be asked with. */
export interface ListTenantsRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
  /** Only tenants in this state; all where not set. */
  readonly state?: TenantState | undefined;
}

/** What `dataKeys.list` may be asked with. */
export interface ListDataKeysRequest {
  /** Default 50, at most 500. */
  readonly pageSize?: number | undefined;
}

/**
 * JobService takes jobs in and tells how they stand.
 *
 * The base of `Jobs`, which has more.
 */
export class JobCalls {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with a job as it stands now.
   *
   * Takes a key with the scope `jobs:read`.
   *
   * @param jobId The job, as `<upstream>-<uuidv7>`.
   * @throws {@link JobNotFound} No such job, or it belongs to another tenant.
   */
  get(jobId: string, request: GetJobRequest & CallOptions = {}): Promise<Job> {
    return this.calls.call<Job>(operations.GET_JOB, { ...request, jobId });
  }

  /**
   * Answers with the tenant's jobs, newest first; those that were just accepted may take a moment to be listed.
   *
   * Takes a key with the scope `jobs:read`.
   */
  list(request: ListJobsRequest & CallOptions = {}): Pages<Job> {
    return this.calls.pages<Job>(operations.LIST_JOBS, "jobs", request);
  }

  /**
   * Says why a job waits: what holds it back, how many stand before it, and when it may have its turn.
   *
   * Takes a key with the scope `jobs:read`.
   *
   * @param jobId The job, as `<upstream>-<uuidv7>`.
   * @throws {@link JobNotFound} No such job, or it belongs to another tenant.
   */
  explain(jobId: string, request: CallOptions = {}): Promise<JobExplanation> {
    return this.calls.call<JobExplanation>(operations.EXPLAIN_JOB, { ...request, jobId });
  }

  /**
   * Cancels a job that is queued or waits to be retried, and with `force` one that runs; canceling a canceled job
   * answers with it. A canceled job never has a result, whatever becomes of a call that was under way.
   *
   * Takes a key with the scope `jobs:write`.
   *
   * @param jobId The job, as `<upstream>-<uuidv7>`.
   * @throws {@link JobFinished} The job has ended, so it can no longer be canceled.
   * @throws {@link JobNotFound} No such job, or it belongs to another tenant.
   * @throws {@link JobRunning} The job runs, so it can only be canceled with force.
   */
  cancel(jobId: string, request: CancelJobRequest & CallOptions = {}): Promise<Job> {
    return this.calls.call<Job>(operations.CANCEL_JOB, { ...request, jobId });
  }

  /**
   * Tries a job again that has ended: makes a new job of the same request, under the idempotency key that is given and
   * no other, with `retryOf`; the old one stays as it is. What was asked for is known for 7 days.
   *
   * Takes a key with the scope `jobs:write`.
   *
   * @param jobId The job, as `<upstream>-<uuidv7>`.
   * @throws {@link ConnectionNeedsReauth} The connection's credentials are refused, by its provider or by the upstream:
   *   it has to be authorized anew. Also a job's error.
   * @throws {@link IdempotencyKeyInFlight} The first request with this idempotency key is still being accepted; try
   *   again shortly.
   * @throws {@link IdempotencyKeyReused} The idempotency key was used within its window for another request.
   * @throws {@link JobNotFinished} The job has not ended, so there is no result yet.
   * @throws {@link JobNotFound} No such job, or it belongs to another tenant.
   * @throws {@link QueueFull} The tenant, or all tenants together, have as many unfinished jobs as they may have;
   *   `Retry-After` goes by how fast jobs end.
   * @throws {@link SubmissionGone} What the job asked for is known no more, so that it cannot be tried again: that is
   *   kept for 7 days. Submit it anew.
   */
  retry(jobId: string, request: KeyedCallOptions = {}): Promise<Job> {
    return this.calls.call<Job>(operations.RETRY_JOB, { ...request, jobId });
  }

  /**
   * Cancels all of the tenant's jobs that match and have not ended, as an operation. What is submitted later is not of
   * it. With `validateOnly` nothing is canceled: the operation that is answered with is done, has no name, and tells
   * how many jobs match.
   *
   * Takes a key with the scope `jobs:write`.
   *
   * @param filter Its states are of those that have not ended: QUEUED, RETRYING and, with `force`, RUNNING; all of them
   *   where it gives none. At least one part must be given: `createdBefore` stands for everything until then.
   * @throws {@link IdempotencyKeyReused} The idempotency key was used within its window for another request.
   */
  cancelMany(filter: JobFilter, request: CancelJobsRequest & KeyedCallOptions = {}): Promise<Operation> {
    return this.calls.call<Operation>(operations.CANCEL_JOBS, { ...request, filter });
  }

  /**
   * Tries all of the tenant's jobs again that match and have ended without success, as an operation: makes new jobs
   * with `retryOf`. With `validateOnly` nothing is made, as with CancelJobs.
   *
   * Takes a key with the scope `jobs:write`.
   *
   * @param filter Its states are of those that ended without success: FAILED, EXPIRED, CANCELED; OUTCOME_UNKNOWN only
   *   where it names it, for those calls may have taken effect. FAILED where it gives none. At least one other part
   *   must be given.
   * @throws {@link IdempotencyKeyReused} The idempotency key was used within its window for another request.
   */
  retryMany(filter: JobFilter, request: RetryJobsRequest & KeyedCallOptions = {}): Promise<Operation> {
    return this.calls.call<Operation>(operations.RETRY_JOBS, { ...request, filter });
  }
}

/**
 * JobService takes jobs in and tells how they stand.
 *
 * The base of `Batches`, which has more.
 */
export class BatchCalls {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with a batch as it stands now: its counts by state, and its jobs.
   *
   * Takes a key with the scope `jobs:read`.
   *
   * @param batchId The batch, as `batch_<uuidv7>`.
   * @throws {@link BatchNotFound} No such batch, or it belongs to another tenant.
   */
  get(batchId: string, request: CallOptions = {}): Promise<Batch> {
    return this.calls.call<Batch>(operations.GET_BATCH, { ...request, batchId });
  }

  /**
   * Cancels the jobs of a batch that wait, and with `force` those that run; what has ended stays as it is. Answers with
   * the batch as that leaves it.
   *
   * Takes a key with the scope `jobs:write`.
   *
   * @param batchId The batch, as `batch_<uuidv7>`.
   * @throws {@link BatchNotFound} No such batch, or it belongs to another tenant.
   */
  cancel(batchId: string, request: CancelBatchRequest & CallOptions = {}): Promise<Batch> {
    return this.calls.call<Batch>(operations.CANCEL_BATCH, { ...request, batchId });
  }
}

/**
 * UploadService takes in what is too large for params: create an upload, PUT its bytes to the link, complete it, and
 * name it in the params of jobs. The bytes go straight to the object store.
 *
 * The base of `Uploads`, which has more.
 */
export class UploadCalls {
  constructor(protected readonly calls: Calls) {}

  /**
   * Says where the bytes of a new upload go, by a signed link.
   *
   * Takes a key with the scope `jobs:write`.
   *
   * @param size Bytes, 1 to 104857600.
   * @param sha256 SHA-256 of the bytes, 64 hexadecimal digits.
   */
  create(size: string | number, sha256: string, request: CreateUploadRequest & CallOptions = {}): Promise<Upload> {
    return this.calls.call<Upload>(operations.CREATE_UPLOAD, { ...request, size, sha256 });
  }

  /**
   * Answers with an upload.
   *
   * Takes a key with the scope `jobs:read`.
   *
   * @param uploadId The upload, as `upl_<uuidv7>`.
   * @throws {@link UploadNotFound} No such upload, or it belongs to another tenant, or its time is over.
   */
  get(uploadId: string, request: CallOptions = {}): Promise<Upload> {
    return this.calls.call<Upload>(operations.GET_UPLOAD, { ...request, uploadId });
  }

  /**
   * Checks that the bytes are there, with the size, type and SHA-256 that were told, and makes the upload READY: from
   * now on jobs may name it, and nobody can change it. Completing a READY upload answers with it.
   *
   * Takes a key with the scope `jobs:write`.
   *
   * @param uploadId The upload, as `upl_<uuidv7>`.
   * @throws {@link UploadIncomplete} The upload's bytes are not there yet, or are not those that were told.
   * @throws {@link UploadNotFound} No such upload, or it belongs to another tenant, or its time is over.
   */
  complete(uploadId: string, request: CallOptions = {}): Promise<Upload> {
    return this.calls.call<Upload>(operations.COMPLETE_UPLOAD, { ...request, uploadId });
  }

  /**
   * Deletes an upload. A job that names it and has not been called yet will fail.
   *
   * Takes a key with the scope `jobs:write`.
   *
   * @param uploadId The upload, as `upl_<uuidv7>`.
   * @throws {@link UploadNotFound} No such upload, or it belongs to another tenant, or its time is over.
   */
  delete(uploadId: string, request: CallOptions = {}): Promise<void> {
    return this.calls.call<void>(operations.DELETE_UPLOAD, { ...request, uploadId });
  }
}

/**
 * Operations are what takes longer than a call: jobs canceled or tried again in bulk, data exported or erased.
 *
 * The base of `Operations`, which has more.
 */
export class OperationCalls {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with an operation as it stands now.
   *
   * Takes a key with the scope `jobs:read`.
   *
   * @param operationId `op_<uuidv7>`.
   * @throws {@link OperationNotFound} No such operation, or it belongs to another tenant.
   */
  get(operationId: string, request: CallOptions = {}): Promise<Operation> {
    return this.calls.call<Operation>(operations.GET_OPERATION, { ...request, operationId });
  }

  /**
   * Answers with the tenant's operations, newest first.
   *
   * Takes a key with the scope `jobs:read`.
   */
  list(request: ListOperationsRequest & CallOptions = {}): Pages<Operation> {
    return this.calls.pages<Operation>(operations.LIST_OPERATIONS, "operations", request);
  }

  /**
   * Answers when the operation has ended, or as it stands when `timeout` is over.
   *
   * Takes a key with the scope `jobs:read`.
   *
   * @param operationId `op_<uuidv7>`.
   * @throws {@link OperationNotFound} No such operation, or it belongs to another tenant.
   */
  waitOnce(operationId: string, request: WaitOperationRequest & CallOptions = {}): Promise<Operation> {
    return this.calls.call<Operation>(operations.WAIT_OPERATION, { ...request, operationId });
  }

  /**
   * Asks for an operation's end; what it has done already stays done. An erasure can be canceled until its grace is
   * over.
   *
   * Takes a key with the scope `jobs:write` or `data:write`.
   *
   * @param operationId `op_<uuidv7>`.
   * @throws {@link OperationNotFound} No such operation, or it belongs to another tenant.
   */
  cancel(operationId: string, request: CallOptions = {}): Promise<void> {
    return this.calls.call<void>(operations.CANCEL_OPERATION, { ...request, operationId });
  }

  /**
   * Forgets an operation that has ended.
   *
   * Takes a key with the scope `jobs:write` or `data:write`.
   *
   * @param operationId `op_<uuidv7>`.
   * @throws {@link OperationNotFinished} The operation has not ended; cancel it first, or wait for its end.
   * @throws {@link OperationNotFound} No such operation, or it belongs to another tenant.
   */
  delete(operationId: string, request: CallOptions = {}): Promise<void> {
    return this.calls.call<void>(operations.DELETE_OPERATION, { ...request, operationId });
  }
}

/** HistoryService answers for jobs long after they ended. */
export class StatsCalls {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with counts and latencies of the tenant's jobs over time, up to 90 days back.
   *
   * Takes a key with the scope `jobs:read`.
   */
  get(request: GetStatsRequest & CallOptions = {}): Promise<Stats> {
    return this.calls.call<Stats>(operations.GET_STATS, request);
  }
}

/** UpstreamService is the catalogue of upstreams and their methods. */
export class Upstreams {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with one upstream.
   *
   * Takes a key with the scope `upstreams:read`.
   *
   * @param upstream The upstream, such as `http` or `flickr`; ListUpstreams has them all.
   * @throws {@link UpstreamNotFound} No such upstream.
   */
  get(upstream: string, request: CallOptions = {}): Promise<Upstream> {
    return this.calls.call<Upstream>(operations.GET_UPSTREAM, { ...request, upstream });
  }

  /**
   * Answers with every upstream, in the order of their names.
   *
   * Takes a key with the scope `upstreams:read`.
   */
  list(request: ListUpstreamsRequest & CallOptions = {}): Pages<Upstream> {
    return this.calls.pages<Upstream>(operations.LIST_UPSTREAMS, "upstreams", request);
  }
}

/**
 * QueueService shows the queue of each upstream, and holds it back. A tenant sees and pauses what is its own; what
 * crosses tenants needs the scope `operator`.
 */
export class Queues {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with one queue and its deepest lanes.
   *
   * Takes a key with the scope `queues:read`.
   *
   * @param upstream The upstream, such as `http` or `flickr`; ListUpstreams has them all.
   * @throws {@link UpstreamNotFound} No such upstream.
   */
  get(upstream: string, request: GetQueueRequest & CallOptions = {}): Promise<Queue> {
    return this.calls.call<Queue>(operations.GET_QUEUE, { ...request, upstream });
  }

  /**
   * Answers with the queue of every upstream, in the order of their names, without lanes.
   *
   * Takes a key with the scope `queues:read`.
   */
  list(request: ListQueuesRequest & CallOptions = {}): Pages<Queue> {
    return this.calls.pages<Queue>(operations.LIST_QUEUES, "queues", request);
  }

  /**
   * Gives no more leases to the tenant's jobs, or to those of one lane; as operator to all, or to another tenant's.
   * Calls that are under way go on. Pausing what is paused changes its reason.
   *
   * Takes a key with the scope `queues:write`.
   *
   * @param upstream The upstream, such as `http` or `flickr`; ListUpstreams has them all.
   * @throws {@link UpstreamNotFound} No such upstream.
   */
  pause(upstream: string, request: PauseQueueRequest & CallOptions = {}): Promise<Queue> {
    return this.calls.call<Queue>(operations.PAUSE_QUEUE, { ...request, upstream });
  }

  /**
   * Takes a pause back. Resuming what is not paused changes nothing; a pause of something wider stays.
   *
   * Takes a key with the scope `queues:write`.
   *
   * @param upstream The upstream, such as `http` or `flickr`; ListUpstreams has them all.
   * @throws {@link UpstreamNotFound} No such upstream.
   */
  resume(upstream: string, request: ResumeQueueRequest & CallOptions = {}): Promise<Queue> {
    return this.calls.call<Queue>(operations.RESUME_QUEUE, { ...request, upstream });
  }

  /**
   * Answers with what an operator has set for a queue. Only for operators.
   *
   * Takes a key with the scope `operator`.
   *
   * @param upstream The upstream, such as `http` or `flickr`; ListUpstreams has them all.
   * @throws {@link UpstreamNotFound} No such upstream.
   */
  settings(upstream: string, request: CallOptions = {}): Promise<QueueSettings> {
    return this.calls.call<QueueSettings>(operations.GET_QUEUE_SETTINGS, { ...request, upstream });
  }

  /**
   * Replaces what an operator has set for a queue, at once and without losing what was counted. Only for operators.
   *
   * Takes a key with the scope `operator`.
   *
   * @param upstream The upstream, such as `http` or `flickr`; ListUpstreams has them all.
   * @throws {@link UpstreamNotFound} No such upstream.
   */
  setSettings(upstream: string, request: SetQueueSettingsRequest & CallOptions = {}): Promise<QueueSettings> {
    return this.calls.call<QueueSettings>(operations.SET_QUEUE_SETTINGS, { ...request, upstream });
  }

  /**
   * Rebuilds a queue from the log of jobs as after a loss of Redis; no lease is given until that is done. Only for
   * operators.
   *
   * Takes a key with the scope `operator`.
   *
   * @param upstream The upstream, such as `http` or `flickr`; ListUpstreams has them all.
   * @throws {@link UpstreamNotFound} No such upstream.
   */
  recover(upstream: string, request: CallOptions = {}): Promise<Queue> {
    return this.calls.call<Queue>(operations.RECOVER_QUEUE, { ...request, upstream });
  }
}

/** CacheService forgets answers that are kept to serve again. */
export class Cache {
  constructor(protected readonly calls: Calls) {}

  /**
   * Forgets the tenant's answers that fit all that is given, or all of them; a call that is under way now keeps none
   * either. The canonical path takes what is given as its body, the others take it as their query.
   *
   * Takes a key with the scope `cache:write`.
   */
  invalidate(request: InvalidateCacheRequest & CallOptions = {}): Promise<InvalidateCacheResponse> {
    return this.calls.call<InvalidateCacheResponse>(operations.INVALIDATE_CACHE, request);
  }
}

/**
 * ConnectionService makes connections: a tenant's credentials at upstreams, with which its jobs call. No answer holds a
 * secret.
 */
export class Connections {
  constructor(protected readonly calls: Calls) {}

  /**
   * Begins to authorize a connection at a provider: somebody opens the link that it answers with.
   *
   * Takes a key with the scope `connections:write`.
   *
   * @param provider The provider, such as `flickr`; ListProviders has them all.
   * @throws {@link AuthorizationRefused} The provider refuses to give a token, or the account's owner has said no; the
   *   message has what the provider says.
   * @throws {@link ConnectionLimitReached} The tenant has as many connections as it may have.
   * @throws {@link ConnectionNotFound} No such connection, or it belongs to another tenant. Also a job's error, whose
   *   connection was deleted.
   * @throws {@link ProviderNotFound} No such provider.
   */
  authorize(
    provider: string,
    request: AuthorizeConnectionRequest & CallOptions = {},
  ): Promise<AuthorizeConnectionResponse> {
    return this.calls.call<AuthorizeConnectionResponse>(operations.AUTHORIZE_CONNECTION, { ...request, provider });
  }

  /**
   * Completes an authorization that was begun out of band, with what the provider has shown. Only who has begun it may.
   *
   * Takes a key with the scope `connections:write`.
   *
   * @param state As AuthorizeConnection has answered it.
   * @param code The verifier of OAuth 1.0a, or the code of OAuth 2.
   * @throws {@link AuthorizationNotFound} No such authorization: it is unknown, has ended, was completed, or was begun
   *   by somebody else or in another browser.
   * @throws {@link AuthorizationRefused} The provider refuses to give a token, or the account's owner has said no; the
   *   message has what the provider says.
   * @throws {@link ConnectionLimitReached} The tenant has as many connections as it may have.
   * @throws {@link ConnectionNotFound} No such connection, or it belongs to another tenant. Also a job's error, whose
   *   connection was deleted.
   * @throws {@link ProviderNotFound} No such provider.
   */
  complete(state: string, code: string, request: CallOptions = {}): Promise<Connection> {
    return this.calls.call<Connection>(operations.COMPLETE_CONNECTION, { ...request, state, code });
  }

  /**
   * Makes a connection of a secret that the caller has, or of a client's own credentials at a provider.
   *
   * Takes a key with the scope `connections:write`.
   *
   * @throws {@link AuthorizationRefused} The provider refuses to give a token, or the account's owner has said no; the
   *   message has what the provider says.
   * @throws {@link ConnectionLimitReached} The tenant has as many connections as it may have.
   * @throws {@link ProviderNotFound} No such provider.
   */
  create(request: CreateConnectionRequest & CallOptions = {}): Promise<Connection> {
    return this.calls.call<Connection>(operations.CREATE_CONNECTION, request);
  }

  /**
   * Answers with one connection.
   *
   * Takes a key with the scope `connections:read`.
   *
   * @param connectionId The connection, as `con_<uuidv7>`.
   * @throws {@link ConnectionNotFound} No such connection, or it belongs to another tenant. Also a job's error, whose
   *   connection was deleted.
   */
  get(connectionId: string, request: CallOptions = {}): Promise<Connection> {
    return this.calls.call<Connection>(operations.GET_CONNECTION, { ...request, connectionId });
  }

  /**
   * Answers with the tenant's connections, newest first.
   *
   * Takes a key with the scope `connections:read`.
   */
  list(request: ListConnectionsRequest & CallOptions = {}): Pages<Connection> {
    return this.calls.pages<Connection>(operations.LIST_CONNECTIONS, "connections", request);
  }

  /**
   * Changes what is given of a connection. Another secret makes it ACTIVE again.
   *
   * Takes a key with the scope `connections:write`.
   *
   * @param connectionId The connection, as `con_<uuidv7>`.
   * @throws {@link ConnectionNotFound} No such connection, or it belongs to another tenant. Also a job's error, whose
   *   connection was deleted.
   */
  update(connectionId: string, request: UpdateConnectionRequest & CallOptions = {}): Promise<Connection> {
    return this.calls.call<Connection>(operations.UPDATE_CONNECTION, { ...request, connectionId });
  }

  /**
   * Deletes a connection and its secrets at once; jobs of it that are still queued fail. Answers with it as it was.
   *
   * Takes a key with the scope `connections:write`.
   *
   * @param connectionId The connection, as `con_<uuidv7>`.
   * @throws {@link ConnectionNotFound} No such connection, or it belongs to another tenant. Also a job's error, whose
   *   connection was deleted.
   */
  delete(connectionId: string, request: CallOptions = {}): Promise<Connection> {
    return this.calls.call<Connection>(operations.DELETE_CONNECTION, { ...request, connectionId });
  }
}

/**
 * ConnectionService makes connections: a tenant's credentials at upstreams, with which its jobs call. No answer holds a
 * secret.
 */
export class Providers {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with the providers, at which connections can be authorized, in the order of their names.
   *
   * Takes a key with the scope `connections:read`.
   */
  list(request: ListProvidersRequest & CallOptions = {}): Pages<Provider> {
    return this.calls.pages<Provider>(operations.LIST_PROVIDERS, "providers", request);
  }
}

/**
 * EndpointService makes endpoints: a tenant's receivers of events. Each event that an endpoint's filter lets pass is
 * delivered to it as a POST that is signed as Standard Webhooks 1.0.0 has it, with its secret (`v1`) and with its key
 * pair (`v1a`).
 */
export class Endpoints {
  constructor(protected readonly calls: Calls) {}

  /**
   * Makes an endpoint. The answer alone, and GetEndpointSecret, show its secret.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @param url https://, to a public address, at one of the mesh's ports for webhooks.
   * @throws {@link EndpointLimitReached} The tenant has as many endpoints as it may have.
   */
  create(url: string, request: CreateEndpointRequest & CallOptions = {}): Promise<CreateEndpointResponse> {
    return this.calls.call<CreateEndpointResponse>(operations.CREATE_ENDPOINT, { ...request, url });
  }

  /**
   * Answers with one endpoint.
   *
   * Takes a key with the scope `webhooks:read`.
   *
   * @param endpointId The endpoint, as `ep_<uuidv7>`.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  get(endpointId: string, request: CallOptions = {}): Promise<Endpoint> {
    return this.calls.call<Endpoint>(operations.GET_ENDPOINT, { ...request, endpointId });
  }

  /**
   * Answers with the tenant's endpoints, newest first.
   *
   * Takes a key with the scope `webhooks:read`.
   */
  list(request: ListEndpointsRequest & CallOptions = {}): Pages<Endpoint> {
    return this.calls.pages<Endpoint>(operations.LIST_ENDPOINTS, "endpoints", request);
  }

  /**
   * Changes what is given of an endpoint; what is not yet delivered goes by the change. One that is disabled is called
   * no more, and what it would be sent is kept as SKIPPED.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @param endpointId The endpoint, as `ep_<uuidv7>`.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  update(endpointId: string, request: UpdateEndpointRequest & CallOptions = {}): Promise<Endpoint> {
    return this.calls.call<Endpoint>(operations.UPDATE_ENDPOINT, { ...request, endpointId });
  }

  /**
   * Enables an endpoint, and says how much was skipped while it was disabled; replays that, if asked to.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @param endpointId The endpoint, as `ep_<uuidv7>`.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  enable(endpointId: string, request: EnableEndpointRequest & CallOptions = {}): Promise<EnableEndpointResponse> {
    return this.calls.call<EnableEndpointResponse>(operations.ENABLE_ENDPOINT, { ...request, endpointId });
  }

  /**
   * Deletes an endpoint and its secrets; what is not yet delivered to it ends as FAILED. Answers with it as it was.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @param endpointId The endpoint, as `ep_<uuidv7>`.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  delete(endpointId: string, request: CallOptions = {}): Promise<Endpoint> {
    return this.calls.call<Endpoint>(operations.DELETE_ENDPOINT, { ...request, endpointId });
  }

  /**
   * Answers with an endpoint's newest secret.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @param endpointId The endpoint, as `ep_<uuidv7>`.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  secret(endpointId: string, request: CallOptions = {}): Promise<EndpointSecret> {
    return this.calls.call<EndpointSecret>(operations.GET_ENDPOINT_SECRET, { ...request, endpointId });
  }

  /**
   * Gives an endpoint another secret and key pair. The ones that it has now sign beside the new ones until the grace is
   * over; older ones end at once.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @param endpointId The endpoint, as `ep_<uuidv7>`.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  rotateSecret(endpointId: string, request: RotateEndpointSecretRequest & CallOptions = {}): Promise<EndpointSecret> {
    return this.calls.call<EndpointSecret>(operations.ROTATE_ENDPOINT_SECRET, { ...request, endpointId });
  }

  /**
   * Sends the example of an event type to an endpoint now, once, enabled or not, and answers with what the receiver
   * said within 15 s. Receivers tell it from an event by its `webhook-id`.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @param endpointId The endpoint, as `ep_<uuidv7>`.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  test(endpointId: string, request: TestEndpointRequest & CallOptions = {}): Promise<TestEndpointResponse> {
    return this.calls.call<TestEndpointResponse>(operations.TEST_ENDPOINT, { ...request, endpointId });
  }

  /**
   * Answers with how an endpoint has fared: attempts, latency, success.
   *
   * Takes a key with the scope `webhooks:read`.
   *
   * @param endpointId The endpoint, as `ep_<uuidv7>`.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  stats(endpointId: string, request: GetEndpointStatsRequest & CallOptions = {}): Promise<EndpointStats> {
    return this.calls.call<EndpointStats>(operations.GET_ENDPOINT_STATS, { ...request, endpointId });
  }
}

/**
 * EndpointService makes endpoints: a tenant's receivers of events. Each event that an endpoint's filter lets pass is
 * delivered to it as a POST that is signed as Standard Webhooks 1.0.0 has it, with its secret (`v1`) and with its key
 * pair (`v1a`).
 */
export class EventTypes {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with the types of events that there are, in the order of their names.
   *
   * Takes a key with the scope `webhooks:read`.
   */
  list(request: ListEventTypesRequest & CallOptions = {}): Pages<EventType> {
    return this.calls.pages<EventType>(operations.LIST_EVENT_TYPES, "eventTypes", request);
  }
}

/** DeliveryService shows deliveries, and has them made again. */
export class Deliveries {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with one delivery, its body, and what the receiver has said to each attempt.
   *
   * Takes a key with the scope `webhooks:read`.
   *
   * @param deliveryId The delivery, as `dlv_` and 32 hexadecimal digits.
   * @throws {@link DeliveryNotFound} No such delivery, or it belongs to another tenant.
   */
  get(deliveryId: string, request: CallOptions = {}): Promise<Delivery> {
    return this.calls.call<Delivery>(operations.GET_DELIVERY, { ...request, deliveryId });
  }

  /**
   * Answers with the tenant's deliveries, newest first. Those that are FAILED are the dead letters.
   *
   * Takes a key with the scope `webhooks:read`.
   */
  list(request: ListDeliveriesRequest & CallOptions = {}): Pages<Delivery> {
    return this.calls.pages<Delivery>(operations.LIST_DELIVERIES, "deliveries", request);
  }

  /**
   * Has one delivery made again from its first attempt on, whatever has become of it, with the same body and
   * `webhook-id`. One of a batch goes by itself.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @param deliveryId The delivery, as `dlv_` and 32 hexadecimal digits.
   * @throws {@link DeliveryAtWork} The delivery is being attempted now; it can be replayed when the attempt has come
   *   out.
   * @throws {@link DeliveryNotFound} No such delivery, or it belongs to another tenant.
   * @throws {@link EndpointDisabled} The endpoint is disabled, and nothing is delivered to it; `POST
   *   /api/v1/endpoints/{id}:enable` enables it.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  replay(deliveryId: string, request: CallOptions = {}): Promise<Delivery> {
    return this.calls.call<Delivery>(operations.REPLAY_DELIVERY, { ...request, deliveryId });
  }

  /**
   * Begins to have many deliveries made again, as ReplayDelivery does with one; those whose endpoint is gone or
   * disabled are passed over. Answers at once; GetReplay tells how far it is. A tenant has at most 20 replays that run.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @throws {@link EndpointDisabled} The endpoint is disabled, and nothing is delivered to it; `POST
   *   /api/v1/endpoints/{id}:enable` enables it.
   * @throws {@link EndpointNotFound} No such endpoint, or it belongs to another tenant.
   */
  replayMany(request: ReplayDeliveriesRequest & CallOptions = {}): Promise<Replay> {
    return this.calls.call<Replay>(operations.REPLAY_DELIVERIES, request);
  }
}

/** DeliveryService shows deliveries, and has them made again. */
export class Replays {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with one replay.
   *
   * Takes a key with the scope `webhooks:read`.
   *
   * @param replayId The replay, as `rpl_<uuidv7>`.
   * @throws {@link ReplayNotFound} No such replay, or it belongs to another tenant.
   */
  get(replayId: string, request: CallOptions = {}): Promise<Replay> {
    return this.calls.call<Replay>(operations.GET_REPLAY, { ...request, replayId });
  }

  /**
   * Answers with the tenant's replays, newest first.
   *
   * Takes a key with the scope `webhooks:read`.
   */
  list(request: ListReplaysRequest & CallOptions = {}): Pages<Replay> {
    return this.calls.pages<Replay>(operations.LIST_REPLAYS, "replays", request);
  }

  /**
   * Ends a replay; what it has put back already stays so.
   *
   * Takes a key with the scope `webhooks:write`.
   *
   * @param replayId The replay, as `rpl_<uuidv7>`.
   * @throws {@link ReplayNotFound} No such replay, or it belongs to another tenant.
   */
  cancel(replayId: string, request: CallOptions = {}): Promise<Replay> {
    return this.calls.call<Replay>(operations.CANCEL_REPLAY, { ...request, replayId });
  }
}

/** CallbackSecretService shows the secret that signs a tenant's callbacks. */
export class CallbackSecretCalls {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with the tenant's own secret: it signs the callbacks of jobs that name no `callbackSecret` of their own.
   * The signature follows Standard Webhooks 1.0.0.
   *
   * Takes a key with the scope `webhooks:write`.
   */
  get(request: CallOptions = {}): Promise<CallbackSecret> {
    return this.calls.call<CallbackSecret>(operations.GET_CALLBACK_SECRET, request);
  }
}

/** KeyService makes, rotates and revokes a tenant's API keys. */
export class Keys {
  constructor(protected readonly calls: Calls) {}

  /**
   * Makes a key; its secret is in this answer and never again. A key can grant only what its maker may do.
   *
   * Takes a key with the scope `keys:write`.
   *
   * @param name What it is for; 1 to 100 characters.
   * @throws {@link TenantNotFound} No such tenant.
   */
  create(name: string, request: CreateKeyRequest & CallOptions = {}): Promise<CreateKeyResponse> {
    return this.calls.call<CreateKeyResponse>(operations.CREATE_KEY, { ...request, name });
  }

  /**
   * Answers with one key, without its secret.
   *
   * Takes a key with the scope `keys:read`.
   *
   * @param keyId The API key, as `key_<uuidv7>`.
   * @throws {@link KeyNotFound} No such API key, or it belongs to another tenant.
   */
  get(keyId: string, request: CallOptions = {}): Promise<Key> {
    return this.calls.call<Key>(operations.GET_KEY, { ...request, keyId });
  }

  /**
   * Answers with the tenant's keys, newest first, revoked ones included.
   *
   * Takes a key with the scope `keys:read`.
   */
  list(request: ListKeysRequest & CallOptions = {}): Pages<Key> {
    return this.calls.pages<Key>(operations.LIST_KEYS, "keys", request);
  }

  /**
   * Answers with how often a key was used, day by day.
   *
   * Takes a key with the scope `keys:read`.
   *
   * @param keyId The API key, as `key_<uuidv7>`.
   * @throws {@link KeyNotFound} No such API key, or it belongs to another tenant.
   */
  usage(keyId: string, request: GetKeyUsageRequest & CallOptions = {}): Promise<KeyUsage> {
    return this.calls.call<KeyUsage>(operations.GET_KEY_USAGE, { ...request, keyId });
  }

  /**
   * Answers with the keys that were used most over some days, the most used first.
   *
   * Takes a key with the scope `keys:read`.
   */
  topCallers(request: ListTopCallersRequest & CallOptions = {}): Promise<ListTopCallersResponse> {
    return this.calls.call<ListTopCallersResponse>(operations.LIST_TOP_CALLERS, request);
  }

  /**
   * Gives a key a new secret, which is in this answer and never again; all else of it stays. The secret that it takes
   * the place of works on until the grace period is over. One whose grace period runs already ends at once.
   *
   * Takes a key with the scope `keys:write`.
   *
   * @param keyId The API key, as `key_<uuidv7>`.
   * @throws {@link KeyNotActive} The API key was revoked or has expired, so it gets no new secret.
   * @throws {@link KeyNotFound} No such API key, or it belongs to another tenant.
   */
  rotate(keyId: string, request: RotateKeyRequest & CallOptions = {}): Promise<RotateKeyResponse> {
    return this.calls.call<RotateKeyResponse>(operations.ROTATE_KEY, { ...request, keyId });
  }

  /**
   * Revokes a key for good, with every secret of it; revoking a revoked key answers with it.
   *
   * Takes a key with the scope `keys:write`.
   *
   * @param keyId The API key, as `key_<uuidv7>`.
   * @throws {@link KeyNotFound} No such API key, or it belongs to another tenant.
   */
  revoke(keyId: string, request: CallOptions = {}): Promise<Key> {
    return this.calls.call<Key>(operations.REVOKE_KEY, { ...request, keyId });
  }
}

/**
 * AuditService shows who did or tried what. A tenant sees what was done to its own things, or tried with its own keys;
 * what crosses tenants needs the scope `operator`.
 */
export class Audit {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with audit entries, newest first; they are kept for a year. One of just now may take a moment to be listed.
   *
   * Takes a key with the scope `audit:read`.
   */
  list(request: ListAuditEntriesRequest & CallOptions = {}): Pages<AuditEntry> {
    return this.calls.pages<AuditEntry>(operations.LIST_AUDIT_ENTRIES, "entries", request);
  }
}

/** RetentionService says how long a tenant's things are kept. */
export class RetentionCalls {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with the tenant's retention.
   *
   * Takes a key with the scope `jobs:read`.
   */
  get(request: GetRetentionRequest & CallOptions = {}): Promise<Retention> {
    return this.calls.call<Retention>(operations.GET_RETENTION, request);
  }

  /**
   * Changes it; what is not in the mask, or without a mask not given, stays as it is.
   *
   * Takes a key with the scope `data:write`.
   *
   * @param retention Retention is how long a tenant's things are kept after they ended. Each is a whole number of days.
   */
  update(retention: Retention, request: UpdateRetentionRequest & CallOptions = {}): Promise<Retention> {
    return this.calls.call<Retention>(operations.UPDATE_RETENTION, { ...request, retention });
  }
}

/** DataService exports and erases what every service holds of a tenant or of a connection. */
export class Data {
  constructor(protected readonly calls: Calls) {}

  /**
   * Writes all that is held of a tenant, or of one connection, into one file, as an operation.
   *
   * Takes a key with the scope `data:write`.
   *
   * @throws {@link ConnectionNotFound} No such connection, or it belongs to another tenant. Also a job's error, whose
   *   connection was deleted.
   * @throws {@link TenantNotFound} No such tenant.
   */
  export(request: ExportDataRequest & CallOptions = {}): Promise<Operation> {
    return this.calls.call<Operation>(operations.EXPORT_DATA, request);
  }

  /**
   * Erases all that is held of a tenant, or of one connection, as an operation. First softly: the tenant is suspended,
   * the connection deleted, and until the grace is over the operation can be canceled. Then for good, everywhere; the
   * report says what was removed from which store, or by when a store forgets it.
   *
   * Takes a key with the scope `data:write`.
   *
   * @throws {@link ConnectionNotFound} No such connection, or it belongs to another tenant. Also a job's error, whose
   *   connection was deleted.
   * @throws {@link OwnTenant} The tenant is the one of the API key that asks for it to be suspended, which would end
   *   that key too.
   * @throws {@link TenantNotFound} No such tenant.
   */
  erase(request: EraseDataRequest & CallOptions = {}): Promise<Operation> {
    return this.calls.call<Operation>(operations.ERASE_DATA, request);
  }
}

/** TenantService makes tenants, suspends and resumes them. All of it is for operators. */
export class Tenants {
  constructor(protected readonly calls: Calls) {}

  /**
   * Makes a tenant, which has nothing yet: CreateKey with `tenant` makes its first key.
   *
   * Takes a key with the scope `operator`.
   *
   * @param name A lower-case slug of at most 40 characters, such as `acme-eu`.
   * @throws {@link TenantExists} There is a tenant of this name already.
   */
  create(name: string, request: CreateTenantRequest & CallOptions = {}): Promise<Tenant> {
    return this.calls.call<Tenant>(operations.CREATE_TENANT, { ...request, name });
  }

  /**
   * Answers with one tenant.
   *
   * Takes a key with the scope `operator`.
   *
   * @param tenant The name of the tenant.
   * @throws {@link TenantNotFound} No such tenant.
   */
  get(tenant: string, request: CallOptions = {}): Promise<Tenant> {
    return this.calls.call<Tenant>(operations.GET_TENANT, { ...request, tenant });
  }

  /**
   * Answers with the tenants, newest first.
   *
   * Takes a key with the scope `operator`.
   */
  list(request: ListTenantsRequest & CallOptions = {}): Pages<Tenant> {
    return this.calls.pages<Tenant>(operations.LIST_TENANTS, "tenants", request);
  }

  /**
   * Suspends a tenant until it is resumed: its keys are refused, its streams end, and its jobs wait. Calls under way go
   * on to their end. Suspending a suspended tenant answers with it; another reason takes the place of the one it had.
   *
   * Takes a key with the scope `operator`.
   *
   * @param tenant The name of the tenant.
   * @param reason Why: 1 to 256 characters. The tenant's callers are told it.
   * @throws {@link OwnTenant} The tenant is the one of the API key that asks for it to be suspended, which would end
   *   that key too.
   * @throws {@link TenantNotFound} No such tenant.
   */
  suspend(tenant: string, reason: string, request: CallOptions = {}): Promise<Tenant> {
    return this.calls.call<Tenant>(operations.SUSPEND_TENANT, { ...request, tenant, reason });
  }

  /**
   * Takes a suspension back: keys work, and jobs are called again, but for those that are paused. Resuming a tenant
   * that is not suspended answers with it.
   *
   * Takes a key with the scope `operator`.
   *
   * @param tenant The name of the tenant.
   * @throws {@link TenantNotFound} No such tenant.
   */
  resume(tenant: string, request: CallOptions = {}): Promise<Tenant> {
    return this.calls.call<Tenant>(operations.RESUME_TENANT, { ...request, tenant });
  }
}

/** DataKeyService rotates the keys under which connections are sealed. All of it is for operators. */
export class DataKeys {
  constructor(protected readonly calls: Calls) {}

  /**
   * Answers with the data keys that are not destroyed, newest first, and how much each still seals.
   *
   * Takes a key with the scope `operator`.
   */
  list(request: ListDataKeysRequest & CallOptions = {}): Pages<DataKey> {
    return this.calls.pages<DataKey>(operations.LIST_DATA_KEYS, "dataKeys", request);
  }

  /**
   * Makes a new data key, under which connections are sealed from now on; those sealed under others are sealed anew in
   * the background, and then the others are destroyed.
   *
   * Takes a key with the scope `operator`.
   */
  rotate(request: CallOptions = {}): Promise<DataKey> {
    return this.calls.call<DataKey>(operations.ROTATE_DATA_KEY, request);
  }
}

/** What the client has by name, but for what is written by hand. */
export abstract class Resources {
  readonly stats: StatsCalls;
  readonly upstreams: Upstreams;
  readonly queues: Queues;
  readonly cache: Cache;
  readonly connections: Connections;
  readonly providers: Providers;
  readonly endpoints: Endpoints;
  readonly eventTypes: EventTypes;
  readonly deliveries: Deliveries;
  readonly replays: Replays;
  readonly callbackSecret: CallbackSecretCalls;
  readonly keys: Keys;
  readonly audit: Audit;
  readonly retention: RetentionCalls;
  readonly data: Data;
  readonly tenants: Tenants;
  readonly dataKeys: DataKeys;

  constructor(calls: Calls) {
    this.stats = new StatsCalls(calls);
    this.upstreams = new Upstreams(calls);
    this.queues = new Queues(calls);
    this.cache = new Cache(calls);
    this.connections = new Connections(calls);
    this.providers = new Providers(calls);
    this.endpoints = new Endpoints(calls);
    this.eventTypes = new EventTypes(calls);
    this.deliveries = new Deliveries(calls);
    this.replays = new Replays(calls);
    this.callbackSecret = new CallbackSecretCalls(calls);
    this.keys = new Keys(calls);
    this.audit = new Audit(calls);
    this.retention = new RetentionCalls(calls);
    this.data = new Data(calls);
    this.tenants = new Tenants(calls);
    this.dataKeys = new DataKeys(calls);
  }
}
