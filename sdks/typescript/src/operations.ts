// Made by `make sdks` of the API's document; do not edit.

import type { Operation } from "./operation.js";

/** ConnectionService.AuthorizeConnection */
export const AUTHORIZE_CONNECTION: Operation = {
  name: "ConnectionService.AuthorizeConnection",
  verb: "POST",
  path: "/api/v1/connections:authorize",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** JobService.CancelBatch */
export const CANCEL_BATCH: Operation = {
  name: "JobService.CancelBatch",
  verb: "POST",
  path: "/api/v1/batches/{batchId}:cancel",
  pathNames: ["batchId"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** JobService.CancelJob */
export const CANCEL_JOB: Operation = {
  name: "JobService.CancelJob",
  verb: "POST",
  path: "/api/v1/jobs/{jobId}:cancel",
  pathNames: ["jobId"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** HistoryService.CancelJobs */
export const CANCEL_JOBS: Operation = {
  name: "HistoryService.CancelJobs",
  verb: "POST",
  path: "/api/v1/jobs:cancel",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "KEYED",
};

/** Operations.CancelOperation */
export const CANCEL_OPERATION: Operation = {
  name: "Operations.CancelOperation",
  verb: "POST",
  path: "/api/v1/operations/{operationId}:cancel",
  pathNames: ["operationId"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** DeliveryService.CancelReplay */
export const CANCEL_REPLAY: Operation = {
  name: "DeliveryService.CancelReplay",
  verb: "POST",
  path: "/api/v1/replays/{replayId}:cancel",
  pathNames: ["replayId"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** ConnectionService.CompleteConnection */
export const COMPLETE_CONNECTION: Operation = {
  name: "ConnectionService.CompleteConnection",
  verb: "POST",
  path: "/api/v1/connections:complete",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** UploadService.CompleteUpload */
export const COMPLETE_UPLOAD: Operation = {
  name: "UploadService.CompleteUpload",
  verb: "POST",
  path: "/api/v1/uploads/{uploadId}:complete",
  pathNames: ["uploadId"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** ConnectionService.CreateConnection */
export const CREATE_CONNECTION: Operation = {
  name: "ConnectionService.CreateConnection",
  verb: "POST",
  path: "/api/v1/connections",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** EndpointService.CreateEndpoint */
export const CREATE_ENDPOINT: Operation = {
  name: "EndpointService.CreateEndpoint",
  verb: "POST",
  path: "/api/v1/endpoints",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** KeyService.CreateKey */
export const CREATE_KEY: Operation = {
  name: "KeyService.CreateKey",
  verb: "POST",
  path: "/api/v1/keys",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** TenantService.CreateTenant */
export const CREATE_TENANT: Operation = {
  name: "TenantService.CreateTenant",
  verb: "POST",
  path: "/api/v1/tenants",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** UploadService.CreateUpload */
export const CREATE_UPLOAD: Operation = {
  name: "UploadService.CreateUpload",
  verb: "POST",
  path: "/api/v1/uploads",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** ConnectionService.DeleteConnection */
export const DELETE_CONNECTION: Operation = {
  name: "ConnectionService.DeleteConnection",
  verb: "DELETE",
  path: "/api/v1/connections/{connectionId}",
  pathNames: ["connectionId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** EndpointService.DeleteEndpoint */
export const DELETE_ENDPOINT: Operation = {
  name: "EndpointService.DeleteEndpoint",
  verb: "DELETE",
  path: "/api/v1/endpoints/{endpointId}",
  pathNames: ["endpointId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** Operations.DeleteOperation */
export const DELETE_OPERATION: Operation = {
  name: "Operations.DeleteOperation",
  verb: "DELETE",
  path: "/api/v1/operations/{operationId}",
  pathNames: ["operationId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** UploadService.DeleteUpload */
export const DELETE_UPLOAD: Operation = {
  name: "UploadService.DeleteUpload",
  verb: "DELETE",
  path: "/api/v1/uploads/{uploadId}",
  pathNames: ["uploadId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** EndpointService.EnableEndpoint */
export const ENABLE_ENDPOINT: Operation = {
  name: "EndpointService.EnableEndpoint",
  verb: "POST",
  path: "/api/v1/endpoints/{endpointId}:enable",
  pathNames: ["endpointId"],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** DataService.EraseData */
export const ERASE_DATA: Operation = {
  name: "DataService.EraseData",
  verb: "POST",
  path: "/api/v1/data:erase",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** JobService.ExplainJob */
export const EXPLAIN_JOB: Operation = {
  name: "JobService.ExplainJob",
  verb: "GET",
  path: "/api/v1/jobs/{jobId}:explain",
  pathNames: ["jobId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** DataService.ExportData */
export const EXPORT_DATA: Operation = {
  name: "DataService.ExportData",
  verb: "POST",
  path: "/api/v1/data:export",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** HistoryService.ExportJobs */
export const EXPORT_JOBS: Operation = {
  name: "HistoryService.ExportJobs",
  verb: "GET",
  path: "/api/v1/jobs:export",
  pathNames: [],
  queryNames: [
    "upstream",
    "connectionId",
    "state",
    "method",
    "priority",
    "batchId",
    "createdAfter",
    "createdBefore",
    "metadata",
    "orderBy",
    "afterJobId",
  ],
  hasBody: false,
  repeat: "ALWAYS",
};

/** JobService.GetBatch */
export const GET_BATCH: Operation = {
  name: "JobService.GetBatch",
  verb: "GET",
  path: "/api/v1/batches/{batchId}",
  pathNames: ["batchId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** CallbackSecretService.GetCallbackSecret */
export const GET_CALLBACK_SECRET: Operation = {
  name: "CallbackSecretService.GetCallbackSecret",
  verb: "GET",
  path: "/api/v1/callbackSecret",
  pathNames: [],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** ConnectionService.GetConnection */
export const GET_CONNECTION: Operation = {
  name: "ConnectionService.GetConnection",
  verb: "GET",
  path: "/api/v1/connections/{connectionId}",
  pathNames: ["connectionId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** DeliveryService.GetDelivery */
export const GET_DELIVERY: Operation = {
  name: "DeliveryService.GetDelivery",
  verb: "GET",
  path: "/api/v1/deliveries/{deliveryId}",
  pathNames: ["deliveryId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** EndpointService.GetEndpoint */
export const GET_ENDPOINT: Operation = {
  name: "EndpointService.GetEndpoint",
  verb: "GET",
  path: "/api/v1/endpoints/{endpointId}",
  pathNames: ["endpointId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** EndpointService.GetEndpointSecret */
export const GET_ENDPOINT_SECRET: Operation = {
  name: "EndpointService.GetEndpointSecret",
  verb: "GET",
  path: "/api/v1/endpoints/{endpointId}/secret",
  pathNames: ["endpointId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** EndpointService.GetEndpointStats */
export const GET_ENDPOINT_STATS: Operation = {
  name: "EndpointService.GetEndpointStats",
  verb: "GET",
  path: "/api/v1/endpoints/{endpointId}/stats",
  pathNames: ["endpointId"],
  queryNames: ["period"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** JobService.GetJob */
export const GET_JOB: Operation = {
  name: "JobService.GetJob",
  verb: "GET",
  path: "/api/v1/jobs/{jobId}",
  pathNames: ["jobId"],
  queryNames: ["upstream", "view"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** JobService.GetJobResult */
export const GET_JOB_RESULT: Operation = {
  name: "JobService.GetJobResult",
  verb: "GET",
  path: "/api/v1/jobs/{jobId}/result",
  pathNames: ["jobId"],
  queryNames: ["upstream"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** KeyService.GetKey */
export const GET_KEY: Operation = {
  name: "KeyService.GetKey",
  verb: "GET",
  path: "/api/v1/keys/{keyId}",
  pathNames: ["keyId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** KeyService.GetKeyUsage */
export const GET_KEY_USAGE: Operation = {
  name: "KeyService.GetKeyUsage",
  verb: "GET",
  path: "/api/v1/keys/{keyId}/usage",
  pathNames: ["keyId"],
  queryNames: ["days"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** Operations.GetOperation */
export const GET_OPERATION: Operation = {
  name: "Operations.GetOperation",
  verb: "GET",
  path: "/api/v1/operations/{operationId}",
  pathNames: ["operationId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** QueueService.GetQueue */
export const GET_QUEUE: Operation = {
  name: "QueueService.GetQueue",
  verb: "GET",
  path: "/api/v1/queues/{upstream}",
  pathNames: ["upstream"],
  queryNames: ["tenant", "lanes"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** QueueService.GetQueueSettings */
export const GET_QUEUE_SETTINGS: Operation = {
  name: "QueueService.GetQueueSettings",
  verb: "GET",
  path: "/api/v1/queues/{upstream}/settings",
  pathNames: ["upstream"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** DeliveryService.GetReplay */
export const GET_REPLAY: Operation = {
  name: "DeliveryService.GetReplay",
  verb: "GET",
  path: "/api/v1/replays/{replayId}",
  pathNames: ["replayId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** RetentionService.GetRetention */
export const GET_RETENTION: Operation = {
  name: "RetentionService.GetRetention",
  verb: "GET",
  path: "/api/v1/retention",
  pathNames: [],
  queryNames: ["tenant"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** HistoryService.GetStats */
export const GET_STATS: Operation = {
  name: "HistoryService.GetStats",
  verb: "GET",
  path: "/api/v1/stats",
  pathNames: [],
  queryNames: ["startTime", "endTime", "interval", "upstream", "method", "connectionId"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** TenantService.GetTenant */
export const GET_TENANT: Operation = {
  name: "TenantService.GetTenant",
  verb: "GET",
  path: "/api/v1/tenants/{tenant}",
  pathNames: ["tenant"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** UploadService.GetUpload */
export const GET_UPLOAD: Operation = {
  name: "UploadService.GetUpload",
  verb: "GET",
  path: "/api/v1/uploads/{uploadId}",
  pathNames: ["uploadId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** UpstreamService.GetUpstream */
export const GET_UPSTREAM: Operation = {
  name: "UpstreamService.GetUpstream",
  verb: "GET",
  path: "/api/v1/upstreams/{upstream}",
  pathNames: ["upstream"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** CacheService.InvalidateCache */
export const INVALIDATE_CACHE: Operation = {
  name: "CacheService.InvalidateCache",
  verb: "POST",
  path: "/api/v1/cache:invalidate",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** AuditService.ListAuditEntries */
export const LIST_AUDIT_ENTRIES: Operation = {
  name: "AuditService.ListAuditEntries",
  verb: "GET",
  path: "/api/v1/audit",
  pathNames: [],
  queryNames: [
    "pageSize",
    "pageToken",
    "tenant",
    "principal",
    "action",
    "target",
    "outcome",
    "refusedOnly",
    "clientAddress",
    "requestId",
    "startTime",
    "endTime",
  ],
  hasBody: false,
  repeat: "ALWAYS",
};

/** ConnectionService.ListConnections */
export const LIST_CONNECTIONS: Operation = {
  name: "ConnectionService.ListConnections",
  verb: "GET",
  path: "/api/v1/connections",
  pathNames: [],
  queryNames: ["pageSize", "pageToken", "upstream", "state"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** DataKeyService.ListDataKeys */
export const LIST_DATA_KEYS: Operation = {
  name: "DataKeyService.ListDataKeys",
  verb: "GET",
  path: "/api/v1/dataKeys",
  pathNames: [],
  queryNames: ["pageSize", "pageToken"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** DeliveryService.ListDeliveries */
export const LIST_DELIVERIES: Operation = {
  name: "DeliveryService.ListDeliveries",
  verb: "GET",
  path: "/api/v1/deliveries",
  pathNames: [],
  queryNames: ["pageSize", "pageToken", "endpointId", "state", "eventType", "about", "createdAfter", "createdBefore"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** EndpointService.ListEndpoints */
export const LIST_ENDPOINTS: Operation = {
  name: "EndpointService.ListEndpoints",
  verb: "GET",
  path: "/api/v1/endpoints",
  pathNames: [],
  queryNames: ["pageSize", "pageToken", "enabled"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** EndpointService.ListEventTypes */
export const LIST_EVENT_TYPES: Operation = {
  name: "EndpointService.ListEventTypes",
  verb: "GET",
  path: "/api/v1/event-types",
  pathNames: [],
  queryNames: ["pageSize", "pageToken"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** HistoryService.ListJobs */
export const LIST_JOBS: Operation = {
  name: "HistoryService.ListJobs",
  verb: "GET",
  path: "/api/v1/jobs",
  pathNames: [],
  queryNames: [
    "pageSize",
    "pageToken",
    "upstream",
    "connectionId",
    "state",
    "method",
    "priority",
    "batchId",
    "createdAfter",
    "createdBefore",
    "metadata",
    "orderBy",
    "includeTotalSize",
  ],
  hasBody: false,
  repeat: "ALWAYS",
};

/** KeyService.ListKeys */
export const LIST_KEYS: Operation = {
  name: "KeyService.ListKeys",
  verb: "GET",
  path: "/api/v1/keys",
  pathNames: [],
  queryNames: ["pageSize", "pageToken"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** Operations.ListOperations */
export const LIST_OPERATIONS: Operation = {
  name: "Operations.ListOperations",
  verb: "GET",
  path: "/api/v1/operations",
  pathNames: [],
  queryNames: ["filter", "pageSize", "pageToken", "returnPartialSuccess"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** ConnectionService.ListProviders */
export const LIST_PROVIDERS: Operation = {
  name: "ConnectionService.ListProviders",
  verb: "GET",
  path: "/api/v1/providers",
  pathNames: [],
  queryNames: ["pageSize", "pageToken"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** QueueService.ListQueues */
export const LIST_QUEUES: Operation = {
  name: "QueueService.ListQueues",
  verb: "GET",
  path: "/api/v1/queues",
  pathNames: [],
  queryNames: ["pageSize", "pageToken", "tenant"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** DeliveryService.ListReplays */
export const LIST_REPLAYS: Operation = {
  name: "DeliveryService.ListReplays",
  verb: "GET",
  path: "/api/v1/replays",
  pathNames: [],
  queryNames: ["pageSize", "pageToken"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** TenantService.ListTenants */
export const LIST_TENANTS: Operation = {
  name: "TenantService.ListTenants",
  verb: "GET",
  path: "/api/v1/tenants",
  pathNames: [],
  queryNames: ["pageSize", "pageToken", "state"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** KeyService.ListTopCallers */
export const LIST_TOP_CALLERS: Operation = {
  name: "KeyService.ListTopCallers",
  verb: "GET",
  path: "/api/v1/keys:topCallers",
  pathNames: [],
  queryNames: ["days", "measure", "limit", "tenant"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** UpstreamService.ListUpstreams */
export const LIST_UPSTREAMS: Operation = {
  name: "UpstreamService.ListUpstreams",
  verb: "GET",
  path: "/api/v1/upstreams",
  pathNames: [],
  queryNames: ["pageSize", "pageToken"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** QueueService.PauseQueue */
export const PAUSE_QUEUE: Operation = {
  name: "QueueService.PauseQueue",
  verb: "POST",
  path: "/api/v1/queues/{upstream}:pause",
  pathNames: ["upstream"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** QueueService.RecoverQueue */
export const RECOVER_QUEUE: Operation = {
  name: "QueueService.RecoverQueue",
  verb: "POST",
  path: "/api/v1/queues/{upstream}:recover",
  pathNames: ["upstream"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** DeliveryService.ReplayDeliveries */
export const REPLAY_DELIVERIES: Operation = {
  name: "DeliveryService.ReplayDeliveries",
  verb: "POST",
  path: "/api/v1/deliveries:replay",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** DeliveryService.ReplayDelivery */
export const REPLAY_DELIVERY: Operation = {
  name: "DeliveryService.ReplayDelivery",
  verb: "POST",
  path: "/api/v1/deliveries/{deliveryId}:replay",
  pathNames: ["deliveryId"],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** QueueService.ResumeQueue */
export const RESUME_QUEUE: Operation = {
  name: "QueueService.ResumeQueue",
  verb: "POST",
  path: "/api/v1/queues/{upstream}:resume",
  pathNames: ["upstream"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** TenantService.ResumeTenant */
export const RESUME_TENANT: Operation = {
  name: "TenantService.ResumeTenant",
  verb: "POST",
  path: "/api/v1/tenants/{tenant}:resume",
  pathNames: ["tenant"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** JobService.RetryJob */
export const RETRY_JOB: Operation = {
  name: "JobService.RetryJob",
  verb: "POST",
  path: "/api/v1/jobs/{jobId}:retry",
  pathNames: ["jobId"],
  queryNames: [],
  hasBody: true,
  repeat: "KEYED",
};

/** HistoryService.RetryJobs */
export const RETRY_JOBS: Operation = {
  name: "HistoryService.RetryJobs",
  verb: "POST",
  path: "/api/v1/jobs:retry",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "KEYED",
};

/** KeyService.RevokeKey */
export const REVOKE_KEY: Operation = {
  name: "KeyService.RevokeKey",
  verb: "DELETE",
  path: "/api/v1/keys/{keyId}",
  pathNames: ["keyId"],
  queryNames: [],
  hasBody: false,
  repeat: "ALWAYS",
};

/** DataKeyService.RotateDataKey */
export const ROTATE_DATA_KEY: Operation = {
  name: "DataKeyService.RotateDataKey",
  verb: "POST",
  path: "/api/v1/dataKeys:rotate",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** EndpointService.RotateEndpointSecret */
export const ROTATE_ENDPOINT_SECRET: Operation = {
  name: "EndpointService.RotateEndpointSecret",
  verb: "POST",
  path: "/api/v1/endpoints/{endpointId}:rotateSecret",
  pathNames: ["endpointId"],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** KeyService.RotateKey */
export const ROTATE_KEY: Operation = {
  name: "KeyService.RotateKey",
  verb: "POST",
  path: "/api/v1/keys/{keyId}:rotate",
  pathNames: ["keyId"],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** QueueService.SetQueueSettings */
export const SET_QUEUE_SETTINGS: Operation = {
  name: "QueueService.SetQueueSettings",
  verb: "PUT",
  path: "/api/v1/queues/{upstream}/settings",
  pathNames: ["upstream"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** JobService.StreamJob */
export const STREAM_JOB: Operation = {
  name: "JobService.StreamJob",
  verb: "GET",
  path: "/api/v1/jobs/{jobId}:watch",
  pathNames: ["jobId"],
  queryNames: ["afterRevision"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** JobService.SubmitBatch */
export const SUBMIT_BATCH: Operation = {
  name: "JobService.SubmitBatch",
  verb: "POST",
  path: "/api/v1/batches",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "KEYED",
};

/** JobService.SubmitJob */
export const SUBMIT_JOB: Operation = {
  name: "JobService.SubmitJob",
  verb: "POST",
  path: "/api/v1/jobs",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "KEYED",
};

/** TenantService.SuspendTenant */
export const SUSPEND_TENANT: Operation = {
  name: "TenantService.SuspendTenant",
  verb: "POST",
  path: "/api/v1/tenants/{tenant}:suspend",
  pathNames: ["tenant"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** EndpointService.TestEndpoint */
export const TEST_ENDPOINT: Operation = {
  name: "EndpointService.TestEndpoint",
  verb: "POST",
  path: "/api/v1/endpoints/{endpointId}:test",
  pathNames: ["endpointId"],
  queryNames: [],
  hasBody: true,
  repeat: "REFUSED_ONLY",
};

/** ConnectionService.UpdateConnection */
export const UPDATE_CONNECTION: Operation = {
  name: "ConnectionService.UpdateConnection",
  verb: "PATCH",
  path: "/api/v1/connections/{connectionId}",
  pathNames: ["connectionId"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** EndpointService.UpdateEndpoint */
export const UPDATE_ENDPOINT: Operation = {
  name: "EndpointService.UpdateEndpoint",
  verb: "PATCH",
  path: "/api/v1/endpoints/{endpointId}",
  pathNames: ["endpointId"],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** RetentionService.UpdateRetention */
export const UPDATE_RETENTION: Operation = {
  name: "RetentionService.UpdateRetention",
  verb: "PATCH",
  path: "/api/v1/retention",
  pathNames: [],
  queryNames: [],
  hasBody: true,
  repeat: "ALWAYS",
};

/** JobService.WaitJob */
export const WAIT_JOB: Operation = {
  name: "JobService.WaitJob",
  verb: "GET",
  path: "/api/v1/jobs/{jobId}:wait",
  pathNames: ["jobId"],
  queryNames: ["timeout"],
  hasBody: false,
  repeat: "ALWAYS",
};

/** Operations.WaitOperation */
export const WAIT_OPERATION: Operation = {
  name: "Operations.WaitOperation",
  verb: "GET",
  path: "/api/v1/operations/{operationId}:wait",
  pathNames: ["operationId"],
  queryNames: ["timeout"],
  hasBody: false,
  repeat: "ALWAYS",
};
