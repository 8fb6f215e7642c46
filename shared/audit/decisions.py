"""The one table of what is audited. An RPC that is in neither half of it fails a test.

Refusals (UNAUTHENTICATED, PERMISSION_DENIED) are audited of every RPC, whatever stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """An RPC of which every call is audited; it is unary.

    Args:
        kind: What a call is about.
        id: The fields of the request that name it, the wider thing first.
        made: The field of the answer that does, where the call makes it.
        tenant: The field of the request by which an operator names another tenant than its own.
    """

    kind: str
    id: tuple[str, ...] = ()
    made: str = ""
    tenant: str = "tenant"


_QUEUE = Audited(kind="queue", id=("upstream",))
_LANE = Audited(kind="queue", id=("upstream", "lane"))
_KEY = Audited(kind="key", id=("key_id",))
_TENANT = Audited(kind="tenant", id=("tenant",))
_CONNECTION = Audited(kind="connection", id=("connection_id",))
_ENDPOINT = Audited(kind="endpoint", id=("endpoint_id",))
_BEGUN = Audited(kind="operation", made="name")
_OPERATION = Audited(kind="operation", id=("name",), tenant="")

#: By the RPC's full name, as gRPC spells it.
AUDITED: Mapping[str, Audited] = MappingProxyType(
    {
        "/penstock.scheduler.v1.QueueService/PauseQueue": _LANE,
        "/penstock.scheduler.v1.QueueService/ResumeQueue": _LANE,
        "/penstock.scheduler.v1.QueueService/SetQueueSettings": _QUEUE,
        "/penstock.scheduler.v1.QueueService/RecoverQueue": _QUEUE,
        "/penstock.auth.v1.KeyService/CreateKey": Audited(kind="key", made="key.id"),
        "/penstock.auth.v1.KeyService/RotateKey": _KEY,
        "/penstock.auth.v1.KeyService/RevokeKey": _KEY,
        "/penstock.auth.v1.ConnectionService/CreateConnection": Audited(kind="connection", made="id"),
        "/penstock.auth.v1.ConnectionService/AuthorizeConnection": Audited(kind="provider", id=("provider",)),
        "/penstock.auth.v1.ConnectionService/CompleteConnection": Audited(kind="connection", made="id"),
        "/penstock.auth.v1.ConnectionService/UpdateConnection": _CONNECTION,
        "/penstock.auth.v1.ConnectionService/DeleteConnection": _CONNECTION,
        "/penstock.auth.v1.DataKeyService/RotateDataKey": Audited(kind="data_key", made="id"),
        "/penstock.upstream.v1.CacheService/InvalidateCache": Audited(kind="cache", id=("connection_id",)),
        "/penstock.auth.v1.TenantService/CreateTenant": Audited(kind="tenant", id=("name",), tenant="name"),
        "/penstock.auth.v1.TenantService/SuspendTenant": _TENANT,
        "/penstock.auth.v1.TenantService/ResumeTenant": _TENANT,
        "/penstock.webhooks.v1.EndpointService/CreateEndpoint": Audited(kind="endpoint", made="endpoint.id"),
        "/penstock.webhooks.v1.EndpointService/UpdateEndpoint": _ENDPOINT,
        "/penstock.webhooks.v1.EndpointService/DeleteEndpoint": _ENDPOINT,
        "/penstock.webhooks.v1.EndpointService/EnableEndpoint": _ENDPOINT,
        "/penstock.webhooks.v1.EndpointService/RotateEndpointSecret": _ENDPOINT,
        "/penstock.webhooks.v1.EndpointService/TestEndpoint": _ENDPOINT,
        "/penstock.webhooks.v1.DeliveryService/ReplayDelivery": Audited(kind="delivery", id=("delivery_id",)),
        "/penstock.webhooks.v1.DeliveryService/ReplayDeliveries": Audited(kind="replay", made="id"),
        "/penstock.webhooks.v1.DeliveryService/CancelReplay": Audited(kind="replay", id=("replay_id",)),
        # Operations over a tenant's jobs or data: begun by few, and of consequence.
        "/penstock.history.v1.HistoryService/CancelJobs": _BEGUN,
        "/penstock.history.v1.HistoryService/RetryJobs": _BEGUN,
        "/penstock.history.v1.RetentionService/UpdateRetention": Audited(kind="retention"),
        "/penstock.history.v1.DataService/ExportData": _BEGUN,
        "/penstock.history.v1.DataService/EraseData": _BEGUN,
        "/google.longrunning.Operations/CancelOperation": _OPERATION,
        "/google.longrunning.Operations/DeleteOperation": _OPERATION,
        # They change nothing; whoever has read the secret can sign.
        "/penstock.webhooks.v1.CallbackSecretService/GetCallbackSecret": Audited(kind="callback_secret"),
        "/penstock.webhooks.v1.EndpointService/GetEndpointSecret": _ENDPOINT,
    }
)

_HISTORY_HAS_IT = "history has every job and who made it; they come by the million"
_UPLOADS_ARE_JOBS = "an upload is a part of jobs, which history has"
_READS = "it changes nothing and shows no secret"
_OF_SERVICES = "services call it among themselves, for jobs that history has"
_OF_OPERATIONS = "services call it among themselves, for an operation whose beginning is audited"
_OF_ANYONE = "it asks for nobody and changes nothing"
_BY_ITSELF = "auth notes by itself what it completes or refuses: a browser shows no key, and the state says whose it is"

#: What is not audited, and why.
UNAUDITED: Mapping[str, str] = MappingProxyType(
    {
        "/penstock.jobs.v1.JobService/SubmitJob": _HISTORY_HAS_IT,
        "/penstock.jobs.v1.JobService/GetJob": _READS,
        "/penstock.jobs.v1.JobService/WaitJob": _READS,
        "/penstock.jobs.v1.JobService/WatchJob": _READS,
        "/penstock.jobs.v1.JobService/StreamJob": _READS,
        "/penstock.jobs.v1.JobService/ExplainJob": _READS,
        "/penstock.jobs.v1.JobService/CancelJob": _HISTORY_HAS_IT,
        "/penstock.jobs.v1.JobService/RetryJob": _HISTORY_HAS_IT,
        "/penstock.jobs.v1.BulkService/CancelMany": _OF_OPERATIONS,
        "/penstock.jobs.v1.BulkService/RetryMany": _OF_OPERATIONS,
        "/penstock.jobs.v1.JobService/GetJobResult": _READS,
        "/penstock.jobs.v1.JobService/SubmitBatch": _HISTORY_HAS_IT,
        "/penstock.jobs.v1.JobService/GetBatch": _READS,
        "/penstock.jobs.v1.JobService/CancelBatch": _HISTORY_HAS_IT,
        "/penstock.jobs.v1.UploadService/CreateUpload": _UPLOADS_ARE_JOBS,
        "/penstock.jobs.v1.UploadService/GetUpload": _READS,
        "/penstock.jobs.v1.UploadService/CompleteUpload": _UPLOADS_ARE_JOBS,
        "/penstock.jobs.v1.UploadService/DeleteUpload": _UPLOADS_ARE_JOBS,
        "/penstock.scheduler.v1.SchedulerService/Lease": _OF_SERVICES,
        "/penstock.scheduler.v1.SchedulerService/Begin": _OF_SERVICES,
        "/penstock.scheduler.v1.SchedulerService/Extend": _OF_SERVICES,
        "/penstock.scheduler.v1.SchedulerService/Cancel": _OF_SERVICES,
        "/penstock.scheduler.v1.SchedulerService/Explain": _READS,
        "/penstock.scheduler.v1.QueueService/ListQueues": _READS,
        "/penstock.scheduler.v1.QueueService/GetQueue": _READS,
        "/penstock.scheduler.v1.QueueService/GetQueueSettings": _READS,
        "/penstock.upstream.v1.UpstreamService/ListUpstreams": _READS,
        "/penstock.upstream.v1.UpstreamService/GetUpstream": _READS,
        "/penstock.auth.v1.ConnectionService/ListProviders": _READS,
        "/penstock.auth.v1.ConnectionService/ListConnections": _READS,
        "/penstock.auth.v1.ConnectionService/GetConnection": _READS,
        "/penstock.auth.v1.ConnectionService/ReceiveCallback": _BY_ITSELF,
        "/penstock.auth.v1.CredentialService/DescribeConnection": _OF_SERVICES,
        "/penstock.auth.v1.CredentialService/GetCredential": _OF_SERVICES,
        "/penstock.auth.v1.CredentialService/ReportRefusedCredential": _OF_SERVICES,
        "/penstock.auth.v1.DataKeyService/ListDataKeys": _READS,
        "/penstock.auth.v1.KeyService/ListKeys": _READS,
        "/penstock.auth.v1.KeyService/GetKey": _READS,
        "/penstock.auth.v1.KeyService/GetKeyUsage": _READS,
        "/penstock.auth.v1.KeyService/ListTopCallers": _READS,
        "/penstock.auth.v1.TenantService/ListTenants": _READS,
        "/penstock.auth.v1.TenantService/GetTenant": _READS,
        "/penstock.auth.v1.AuditService/ListAuditEntries": _READS,
        "/penstock.history.v1.HistoryService/ListJobs": _READS,
        "/penstock.history.v1.HistoryService/GetRecordedJob": _READS,
        "/penstock.history.v1.HistoryService/GetRecordedBatch": _READS,
        "/penstock.history.v1.HistoryService/LocateSubmission": _READS,
        "/penstock.history.v1.HistoryService/ExportJobs": _READS,
        "/penstock.history.v1.HistoryService/GetStats": _READS,
        "/penstock.history.v1.RetentionService/GetRetention": _READS,
        "/penstock.history.v1.RetentionService/ListRetentions": _READS,
        "/penstock.holdings.v1.HoldingService/ExportHoldings": _OF_OPERATIONS,
        "/penstock.holdings.v1.HoldingService/EraseHoldings": _OF_OPERATIONS,
        "/google.longrunning.Operations/ListOperations": _READS,
        "/google.longrunning.Operations/GetOperation": _READS,
        "/google.longrunning.Operations/WaitOperation": _READS,
        "/penstock.webhooks.v1.EndpointService/ListEndpoints": _READS,
        "/penstock.webhooks.v1.EndpointService/GetEndpoint": _READS,
        "/penstock.webhooks.v1.EndpointService/GetEndpointStats": _READS,
        "/penstock.webhooks.v1.EndpointService/ListEventTypes": _READS,
        "/penstock.webhooks.v1.DeliveryService/ListDeliveries": _READS,
        "/penstock.webhooks.v1.DeliveryService/GetDelivery": _READS,
        "/penstock.webhooks.v1.DeliveryService/ListReplays": _READS,
        "/penstock.webhooks.v1.DeliveryService/GetReplay": _READS,
        # What it refuses, auth notes by itself: it knows more of it than the gateway is told.
        "/envoy.service.auth.v3.Authorization/Check": _OF_ANYONE,
        "/grpc.health.v1.Health/Check": _OF_ANYONE,
        "/grpc.health.v1.Health/List": _OF_ANYONE,
        "/grpc.health.v1.Health/Watch": _OF_ANYONE,
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _OF_ANYONE,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _OF_ANYONE,
    }
)
