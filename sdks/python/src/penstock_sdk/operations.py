"""Every call of the API: where it goes, and how it may be repeated.

Made by `make sdks` of the API's document; do not edit.
"""

from __future__ import annotations

from penstock_sdk.operation import Operation, Repeat

AUTHORIZE_CONNECTION = Operation(
    name="ConnectionService.AuthorizeConnection",
    verb="POST",
    path="/api/v1/connections:authorize",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
CANCEL_BATCH = Operation(
    name="JobService.CancelBatch",
    verb="POST",
    path="/api/v1/batches/{batchId}:cancel",
    path_names=("batchId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
CANCEL_JOB = Operation(
    name="JobService.CancelJob",
    verb="POST",
    path="/api/v1/jobs/{jobId}:cancel",
    path_names=("jobId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
CANCEL_JOBS = Operation(
    name="HistoryService.CancelJobs",
    verb="POST",
    path="/api/v1/jobs:cancel",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.KEYED,
)
CANCEL_OPERATION = Operation(
    name="Operations.CancelOperation",
    verb="POST",
    path="/api/v1/operations/{operationId}:cancel",
    path_names=("operationId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
CANCEL_REPLAY = Operation(
    name="DeliveryService.CancelReplay",
    verb="POST",
    path="/api/v1/replays/{replayId}:cancel",
    path_names=("replayId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
COMPLETE_CONNECTION = Operation(
    name="ConnectionService.CompleteConnection",
    verb="POST",
    path="/api/v1/connections:complete",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
COMPLETE_UPLOAD = Operation(
    name="UploadService.CompleteUpload",
    verb="POST",
    path="/api/v1/uploads/{uploadId}:complete",
    path_names=("uploadId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
CREATE_CONNECTION = Operation(
    name="ConnectionService.CreateConnection",
    verb="POST",
    path="/api/v1/connections",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
CREATE_ENDPOINT = Operation(
    name="EndpointService.CreateEndpoint",
    verb="POST",
    path="/api/v1/endpoints",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
CREATE_KEY = Operation(
    name="KeyService.CreateKey",
    verb="POST",
    path="/api/v1/keys",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
CREATE_TENANT = Operation(
    name="TenantService.CreateTenant",
    verb="POST",
    path="/api/v1/tenants",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
CREATE_UPLOAD = Operation(
    name="UploadService.CreateUpload",
    verb="POST",
    path="/api/v1/uploads",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
DELETE_CONNECTION = Operation(
    name="ConnectionService.DeleteConnection",
    verb="DELETE",
    path="/api/v1/connections/{connectionId}",
    path_names=("connectionId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
DELETE_ENDPOINT = Operation(
    name="EndpointService.DeleteEndpoint",
    verb="DELETE",
    path="/api/v1/endpoints/{endpointId}",
    path_names=("endpointId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
DELETE_OPERATION = Operation(
    name="Operations.DeleteOperation",
    verb="DELETE",
    path="/api/v1/operations/{operationId}",
    path_names=("operationId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
DELETE_UPLOAD = Operation(
    name="UploadService.DeleteUpload",
    verb="DELETE",
    path="/api/v1/uploads/{uploadId}",
    path_names=("uploadId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
ENABLE_ENDPOINT = Operation(
    name="EndpointService.EnableEndpoint",
    verb="POST",
    path="/api/v1/endpoints/{endpointId}:enable",
    path_names=("endpointId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
ERASE_DATA = Operation(
    name="DataService.EraseData",
    verb="POST",
    path="/api/v1/data:erase",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
EXPLAIN_JOB = Operation(
    name="JobService.ExplainJob",
    verb="GET",
    path="/api/v1/jobs/{jobId}:explain",
    path_names=("jobId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
EXPORT_DATA = Operation(
    name="DataService.ExportData",
    verb="POST",
    path="/api/v1/data:export",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
EXPORT_JOBS = Operation(
    name="HistoryService.ExportJobs",
    verb="GET",
    path="/api/v1/jobs:export",
    path_names=(),
    query_names=(
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
    ),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_BATCH = Operation(
    name="JobService.GetBatch",
    verb="GET",
    path="/api/v1/batches/{batchId}",
    path_names=("batchId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_CALLBACK_SECRET = Operation(
    name="CallbackSecretService.GetCallbackSecret",
    verb="GET",
    path="/api/v1/callbackSecret",
    path_names=(),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_CONNECTION = Operation(
    name="ConnectionService.GetConnection",
    verb="GET",
    path="/api/v1/connections/{connectionId}",
    path_names=("connectionId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_DELIVERY = Operation(
    name="DeliveryService.GetDelivery",
    verb="GET",
    path="/api/v1/deliveries/{deliveryId}",
    path_names=("deliveryId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_ENDPOINT = Operation(
    name="EndpointService.GetEndpoint",
    verb="GET",
    path="/api/v1/endpoints/{endpointId}",
    path_names=("endpointId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_ENDPOINT_SECRET = Operation(
    name="EndpointService.GetEndpointSecret",
    verb="GET",
    path="/api/v1/endpoints/{endpointId}/secret",
    path_names=("endpointId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_ENDPOINT_STATS = Operation(
    name="EndpointService.GetEndpointStats",
    verb="GET",
    path="/api/v1/endpoints/{endpointId}/stats",
    path_names=("endpointId",),
    query_names=("period",),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_JOB = Operation(
    name="JobService.GetJob",
    verb="GET",
    path="/api/v1/jobs/{jobId}",
    path_names=("jobId",),
    query_names=("upstream", "view"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_JOB_RESULT = Operation(
    name="JobService.GetJobResult",
    verb="GET",
    path="/api/v1/jobs/{jobId}/result",
    path_names=("jobId",),
    query_names=("upstream",),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_KEY = Operation(
    name="KeyService.GetKey",
    verb="GET",
    path="/api/v1/keys/{keyId}",
    path_names=("keyId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_KEY_USAGE = Operation(
    name="KeyService.GetKeyUsage",
    verb="GET",
    path="/api/v1/keys/{keyId}/usage",
    path_names=("keyId",),
    query_names=("days",),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_OPERATION = Operation(
    name="Operations.GetOperation",
    verb="GET",
    path="/api/v1/operations/{operationId}",
    path_names=("operationId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_QUEUE = Operation(
    name="QueueService.GetQueue",
    verb="GET",
    path="/api/v1/queues/{upstream}",
    path_names=("upstream",),
    query_names=("tenant", "lanes"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_QUEUE_SETTINGS = Operation(
    name="QueueService.GetQueueSettings",
    verb="GET",
    path="/api/v1/queues/{upstream}/settings",
    path_names=("upstream",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_REPLAY = Operation(
    name="DeliveryService.GetReplay",
    verb="GET",
    path="/api/v1/replays/{replayId}",
    path_names=("replayId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_RETENTION = Operation(
    name="RetentionService.GetRetention",
    verb="GET",
    path="/api/v1/retention",
    path_names=(),
    query_names=("tenant",),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_STATS = Operation(
    name="HistoryService.GetStats",
    verb="GET",
    path="/api/v1/stats",
    path_names=(),
    query_names=("startTime", "endTime", "interval", "upstream", "method", "connectionId"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_TENANT = Operation(
    name="TenantService.GetTenant",
    verb="GET",
    path="/api/v1/tenants/{tenant}",
    path_names=("tenant",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_UPLOAD = Operation(
    name="UploadService.GetUpload",
    verb="GET",
    path="/api/v1/uploads/{uploadId}",
    path_names=("uploadId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
GET_UPSTREAM = Operation(
    name="UpstreamService.GetUpstream",
    verb="GET",
    path="/api/v1/upstreams/{upstream}",
    path_names=("upstream",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
INVALIDATE_CACHE = Operation(
    name="CacheService.InvalidateCache",
    verb="POST",
    path="/api/v1/cache:invalidate",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
LIST_AUDIT_ENTRIES = Operation(
    name="AuditService.ListAuditEntries",
    verb="GET",
    path="/api/v1/audit",
    path_names=(),
    query_names=(
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
    ),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_CONNECTIONS = Operation(
    name="ConnectionService.ListConnections",
    verb="GET",
    path="/api/v1/connections",
    path_names=(),
    query_names=("pageSize", "pageToken", "upstream", "state"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_DATA_KEYS = Operation(
    name="DataKeyService.ListDataKeys",
    verb="GET",
    path="/api/v1/dataKeys",
    path_names=(),
    query_names=("pageSize", "pageToken"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_DELIVERIES = Operation(
    name="DeliveryService.ListDeliveries",
    verb="GET",
    path="/api/v1/deliveries",
    path_names=(),
    query_names=("pageSize", "pageToken", "endpointId", "state", "eventType", "about", "createdAfter", "createdBefore"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_ENDPOINTS = Operation(
    name="EndpointService.ListEndpoints",
    verb="GET",
    path="/api/v1/endpoints",
    path_names=(),
    query_names=("pageSize", "pageToken", "enabled"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_EVENT_TYPES = Operation(
    name="EndpointService.ListEventTypes",
    verb="GET",
    path="/api/v1/event-types",
    path_names=(),
    query_names=("pageSize", "pageToken"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_JOBS = Operation(
    name="HistoryService.ListJobs",
    verb="GET",
    path="/api/v1/jobs",
    path_names=(),
    query_names=(
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
    ),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_KEYS = Operation(
    name="KeyService.ListKeys",
    verb="GET",
    path="/api/v1/keys",
    path_names=(),
    query_names=("pageSize", "pageToken"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_OPERATIONS = Operation(
    name="Operations.ListOperations",
    verb="GET",
    path="/api/v1/operations",
    path_names=(),
    query_names=("filter", "pageSize", "pageToken", "returnPartialSuccess"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_PROVIDERS = Operation(
    name="ConnectionService.ListProviders",
    verb="GET",
    path="/api/v1/providers",
    path_names=(),
    query_names=("pageSize", "pageToken"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_QUEUES = Operation(
    name="QueueService.ListQueues",
    verb="GET",
    path="/api/v1/queues",
    path_names=(),
    query_names=("pageSize", "pageToken", "tenant"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_REPLAYS = Operation(
    name="DeliveryService.ListReplays",
    verb="GET",
    path="/api/v1/replays",
    path_names=(),
    query_names=("pageSize", "pageToken"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_TENANTS = Operation(
    name="TenantService.ListTenants",
    verb="GET",
    path="/api/v1/tenants",
    path_names=(),
    query_names=("pageSize", "pageToken", "state"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_TOP_CALLERS = Operation(
    name="KeyService.ListTopCallers",
    verb="GET",
    path="/api/v1/keys:topCallers",
    path_names=(),
    query_names=("days", "measure", "limit", "tenant"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
LIST_UPSTREAMS = Operation(
    name="UpstreamService.ListUpstreams",
    verb="GET",
    path="/api/v1/upstreams",
    path_names=(),
    query_names=("pageSize", "pageToken"),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
PAUSE_QUEUE = Operation(
    name="QueueService.PauseQueue",
    verb="POST",
    path="/api/v1/queues/{upstream}:pause",
    path_names=("upstream",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
RECOVER_QUEUE = Operation(
    name="QueueService.RecoverQueue",
    verb="POST",
    path="/api/v1/queues/{upstream}:recover",
    path_names=("upstream",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
REPLAY_DELIVERIES = Operation(
    name="DeliveryService.ReplayDeliveries",
    verb="POST",
    path="/api/v1/deliveries:replay",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
REPLAY_DELIVERY = Operation(
    name="DeliveryService.ReplayDelivery",
    verb="POST",
    path="/api/v1/deliveries/{deliveryId}:replay",
    path_names=("deliveryId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
RESUME_QUEUE = Operation(
    name="QueueService.ResumeQueue",
    verb="POST",
    path="/api/v1/queues/{upstream}:resume",
    path_names=("upstream",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
RESUME_TENANT = Operation(
    name="TenantService.ResumeTenant",
    verb="POST",
    path="/api/v1/tenants/{tenant}:resume",
    path_names=("tenant",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
RETRY_JOB = Operation(
    name="JobService.RetryJob",
    verb="POST",
    path="/api/v1/jobs/{jobId}:retry",
    path_names=("jobId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.KEYED,
)
RETRY_JOBS = Operation(
    name="HistoryService.RetryJobs",
    verb="POST",
    path="/api/v1/jobs:retry",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.KEYED,
)
REVOKE_KEY = Operation(
    name="KeyService.RevokeKey",
    verb="DELETE",
    path="/api/v1/keys/{keyId}",
    path_names=("keyId",),
    query_names=(),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
ROTATE_DATA_KEY = Operation(
    name="DataKeyService.RotateDataKey",
    verb="POST",
    path="/api/v1/dataKeys:rotate",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
ROTATE_ENDPOINT_SECRET = Operation(
    name="EndpointService.RotateEndpointSecret",
    verb="POST",
    path="/api/v1/endpoints/{endpointId}:rotateSecret",
    path_names=("endpointId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
ROTATE_KEY = Operation(
    name="KeyService.RotateKey",
    verb="POST",
    path="/api/v1/keys/{keyId}:rotate",
    path_names=("keyId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
SET_QUEUE_SETTINGS = Operation(
    name="QueueService.SetQueueSettings",
    verb="PUT",
    path="/api/v1/queues/{upstream}/settings",
    path_names=("upstream",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
STREAM_JOB = Operation(
    name="JobService.StreamJob",
    verb="GET",
    path="/api/v1/jobs/{jobId}:watch",
    path_names=("jobId",),
    query_names=("afterRevision",),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
SUBMIT_BATCH = Operation(
    name="JobService.SubmitBatch",
    verb="POST",
    path="/api/v1/batches",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.KEYED,
)
SUBMIT_JOB = Operation(
    name="JobService.SubmitJob",
    verb="POST",
    path="/api/v1/jobs",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.KEYED,
)
SUSPEND_TENANT = Operation(
    name="TenantService.SuspendTenant",
    verb="POST",
    path="/api/v1/tenants/{tenant}:suspend",
    path_names=("tenant",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
TEST_ENDPOINT = Operation(
    name="EndpointService.TestEndpoint",
    verb="POST",
    path="/api/v1/endpoints/{endpointId}:test",
    path_names=("endpointId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.REFUSED_ONLY,
)
UPDATE_CONNECTION = Operation(
    name="ConnectionService.UpdateConnection",
    verb="PATCH",
    path="/api/v1/connections/{connectionId}",
    path_names=("connectionId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
UPDATE_ENDPOINT = Operation(
    name="EndpointService.UpdateEndpoint",
    verb="PATCH",
    path="/api/v1/endpoints/{endpointId}",
    path_names=("endpointId",),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
UPDATE_RETENTION = Operation(
    name="RetentionService.UpdateRetention",
    verb="PATCH",
    path="/api/v1/retention",
    path_names=(),
    query_names=(),
    has_body=True,
    repeat=Repeat.ALWAYS,
)
WAIT_JOB = Operation(
    name="JobService.WaitJob",
    verb="GET",
    path="/api/v1/jobs/{jobId}:wait",
    path_names=("jobId",),
    query_names=("timeout",),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
WAIT_OPERATION = Operation(
    name="Operations.WaitOperation",
    verb="GET",
    path="/api/v1/operations/{operationId}:wait",
    path_names=("operationId",),
    query_names=("timeout",),
    has_body=False,
    repeat=Repeat.ALWAYS,
)
