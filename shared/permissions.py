"""The one table of who may call what. An RPC without an entry is refused, and fails a test."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from shared.errors import PermissionDenied
from shared.identity import Principal, PrincipalKind

if TYPE_CHECKING:
    from collections.abc import Mapping


class Scope(StrEnum):
    """What an API key may be allowed to do."""

    #: What shows who did or tried what.
    AUDIT_READ = "audit:read"
    #: What forgets answers that would be served again.
    CACHE_WRITE = "cache:write"
    CONNECTIONS_READ = "connections:read"
    #: What makes, authorizes and deletes connections.
    CONNECTIONS_WRITE = "connections:write"
    #: What says how long things are kept, and exports and erases them.
    DATA_WRITE = "data:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    QUEUES_READ = "queues:read"
    #: What pauses and resumes the tenant's jobs.
    QUEUES_WRITE = "queues:write"
    UPSTREAMS_READ = "upstreams:read"
    #: What shows endpoints and deliveries.
    WEBHOOKS_READ = "webhooks:read"
    #: What shows secrets that sign, changes endpoints, and has deliveries made again.
    WEBHOOKS_WRITE = "webhooks:write"
    #: What crosses tenants.
    OPERATOR = "operator"


#: What a tenant's first key may do; `operator` is given by hand.
ADMIN_SCOPES = frozenset(Scope) - {Scope.OPERATOR}


class Role(StrEnum):
    """What an API key may be instead of a list of scopes."""

    ADMIN = "ADMIN"
    OPERATOR = "OPERATOR"
    DEVELOPER = "DEVELOPER"
    VIEWER = "VIEWER"


_VIEWER_SCOPES = frozenset(
    {
        Scope.CONNECTIONS_READ,
        Scope.JOBS_READ,
        Scope.KEYS_READ,
        Scope.QUEUES_READ,
        Scope.UPSTREAMS_READ,
        Scope.WEBHOOKS_READ,
    }
)
#: The one matrix of roles; a key that has a role has these scopes, and gains what the role gains.
ROLE_SCOPES: Mapping[Role, frozenset[Scope]] = MappingProxyType(
    {
        Role.ADMIN: ADMIN_SCOPES,
        Role.OPERATOR: frozenset(Scope),
        Role.DEVELOPER: _VIEWER_SCOPES
        | {Scope.CACHE_WRITE, Scope.CONNECTIONS_WRITE, Scope.JOBS_WRITE, Scope.WEBHOOKS_WRITE},
        Role.VIEWER: _VIEWER_SCOPES,
    }
)


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may call an RPC: principals with the scope, the services named, or anyone.

    Args:
        scope: What a principal must be allowed to do.
        or_scope: What will do as well.
        services: Which services may call it.
        anonymous: Whether it asks for nobody.
        inner: Whether services alone call it, in a caller's name: what they are answered is no answer to that caller.
    """

    scope: Scope | None = None
    or_scope: Scope | None = None
    services: frozenset[str] = frozenset()
    anonymous: bool = False
    inner: bool = False

    def check(self, rpc: str, principal: Principal) -> None:
        """Lets the principal pass.

        Raises:
            PermissionDenied: It may not call this RPC.
        """
        if principal.kind is PrincipalKind.SERVICE:
            if principal.id not in self.services:
                raise PermissionDenied(f"the service {principal.id} may not call {rpc}")
        elif self.scope is None:
            raise PermissionDenied(f"{rpc} is internal; no API key may call it")
        elif not {self.scope, self.or_scope} & principal.scopes:
            raise PermissionDenied(
                f"this API key lacks the scope {self.scope.value!r}; use a key that has it",
                metadata={"scope": self.scope.value},
            )


def _scope(scope: Scope, *services: str) -> Permission:
    return Permission(scope=scope, services=frozenset(services))


def _services(*services: str) -> Permission:
    return Permission(services=frozenset(services))


_ANYONE = Permission(anonymous=True)
_READ_OR_WRITE = Permission(scope=Scope.JOBS_READ, or_scope=Scope.JOBS_WRITE, inner=True)
_CHANGE_OPERATIONS = Permission(scope=Scope.JOBS_WRITE, or_scope=Scope.DATA_WRITE)

#: By the RPC's full name, as gRPC spells it.
PERMISSIONS: Mapping[str, Permission] = MappingProxyType(
    {
        "/penstock.jobs.v1.JobService/SubmitJob": _scope(Scope.JOBS_WRITE),
        "/penstock.jobs.v1.JobService/GetJob": _scope(Scope.JOBS_READ),
        "/penstock.jobs.v1.JobService/WaitJob": _scope(Scope.JOBS_READ),
        "/penstock.jobs.v1.JobService/WatchJob": _scope(Scope.JOBS_READ),
        "/penstock.jobs.v1.JobService/StreamJob": _scope(Scope.JOBS_READ),
        "/penstock.jobs.v1.JobService/ExplainJob": _scope(Scope.JOBS_READ),
        "/penstock.jobs.v1.JobService/CancelJob": _scope(Scope.JOBS_WRITE),
        "/penstock.jobs.v1.JobService/RetryJob": _scope(Scope.JOBS_WRITE),
        "/penstock.jobs.v1.JobService/GetJobResult": _scope(Scope.JOBS_READ),
        "/penstock.jobs.v1.JobService/SubmitBatch": _scope(Scope.JOBS_WRITE),
        "/penstock.jobs.v1.JobService/GetBatch": _scope(Scope.JOBS_READ),
        "/penstock.jobs.v1.JobService/CancelBatch": _scope(Scope.JOBS_WRITE),
        "/penstock.jobs.v1.BulkService/CancelMany": _services("history"),
        "/penstock.jobs.v1.BulkService/RetryMany": _services("history"),
        "/penstock.jobs.v1.UploadService/CreateUpload": _scope(Scope.JOBS_WRITE),
        "/penstock.jobs.v1.UploadService/GetUpload": _scope(Scope.JOBS_READ),
        "/penstock.jobs.v1.UploadService/CompleteUpload": _scope(Scope.JOBS_WRITE),
        "/penstock.jobs.v1.UploadService/DeleteUpload": _scope(Scope.JOBS_WRITE),
        "/penstock.scheduler.v1.SchedulerService/Lease": _services("upstream"),
        "/penstock.scheduler.v1.SchedulerService/Begin": _services("upstream"),
        "/penstock.scheduler.v1.SchedulerService/Extend": _services("upstream"),
        "/penstock.scheduler.v1.SchedulerService/Cancel": _services("intake"),
        "/penstock.scheduler.v1.SchedulerService/Explain": _services("intake"),
        # Each refuses by itself what is another tenant's, but to an operator.
        "/penstock.scheduler.v1.QueueService/ListQueues": _scope(Scope.QUEUES_READ),
        "/penstock.scheduler.v1.QueueService/GetQueue": _scope(Scope.QUEUES_READ),
        "/penstock.scheduler.v1.QueueService/PauseQueue": _scope(Scope.QUEUES_WRITE),
        "/penstock.scheduler.v1.QueueService/ResumeQueue": _scope(Scope.QUEUES_WRITE),
        "/penstock.scheduler.v1.QueueService/GetQueueSettings": _scope(Scope.OPERATOR),
        "/penstock.scheduler.v1.QueueService/SetQueueSettings": _scope(Scope.OPERATOR),
        "/penstock.scheduler.v1.QueueService/RecoverQueue": _scope(Scope.OPERATOR),
        "/penstock.upstream.v1.UpstreamService/ListUpstreams": _scope(Scope.UPSTREAMS_READ, "intake", "scheduler"),
        "/penstock.upstream.v1.UpstreamService/GetUpstream": _scope(Scope.UPSTREAMS_READ, "intake"),
        "/penstock.upstream.v1.CacheService/InvalidateCache": _scope(Scope.CACHE_WRITE),
        "/penstock.auth.v1.ConnectionService/ListProviders": _scope(Scope.CONNECTIONS_READ),
        "/penstock.auth.v1.ConnectionService/CreateConnection": _scope(Scope.CONNECTIONS_WRITE),
        "/penstock.auth.v1.ConnectionService/AuthorizeConnection": _scope(Scope.CONNECTIONS_WRITE),
        "/penstock.auth.v1.ConnectionService/CompleteConnection": _scope(Scope.CONNECTIONS_WRITE),
        "/penstock.auth.v1.ConnectionService/ListConnections": _scope(Scope.CONNECTIONS_READ),
        "/penstock.auth.v1.ConnectionService/GetConnection": _scope(Scope.CONNECTIONS_READ),
        "/penstock.auth.v1.ConnectionService/UpdateConnection": _scope(Scope.CONNECTIONS_WRITE),
        "/penstock.auth.v1.ConnectionService/DeleteConnection": _scope(Scope.CONNECTIONS_WRITE),
        # A browser has no key; the state and its cookie say what it is about.
        "/penstock.auth.v1.ConnectionService/ReceiveCallback": _ANYONE,
        "/penstock.auth.v1.CredentialService/DescribeConnection": _services("history", "intake"),
        "/penstock.auth.v1.CredentialService/GetCredential": _services("upstream"),
        "/penstock.auth.v1.CredentialService/ReportRefusedCredential": _services("upstream"),
        "/penstock.auth.v1.DataKeyService/ListDataKeys": _scope(Scope.OPERATOR),
        "/penstock.auth.v1.DataKeyService/RotateDataKey": _scope(Scope.OPERATOR),
        "/penstock.auth.v1.KeyService/CreateKey": _scope(Scope.KEYS_WRITE),
        "/penstock.auth.v1.KeyService/ListKeys": _scope(Scope.KEYS_READ),
        "/penstock.auth.v1.KeyService/GetKey": _scope(Scope.KEYS_READ),
        "/penstock.auth.v1.KeyService/RotateKey": _scope(Scope.KEYS_WRITE),
        "/penstock.auth.v1.KeyService/GetKeyUsage": _scope(Scope.KEYS_READ),
        # Refuses by itself what is another tenant's, but to an operator.
        "/penstock.auth.v1.KeyService/ListTopCallers": _scope(Scope.KEYS_READ),
        "/penstock.auth.v1.KeyService/RevokeKey": _scope(Scope.KEYS_WRITE),
        "/penstock.auth.v1.TenantService/CreateTenant": _scope(Scope.OPERATOR),
        "/penstock.auth.v1.TenantService/ListTenants": _scope(Scope.OPERATOR),
        "/penstock.auth.v1.TenantService/GetTenant": _scope(Scope.OPERATOR, "history"),
        # History shuts out who is to be erased.
        "/penstock.auth.v1.TenantService/SuspendTenant": _scope(Scope.OPERATOR, "history"),
        "/penstock.auth.v1.TenantService/ResumeTenant": _scope(Scope.OPERATOR, "history"),
        # It refuses by itself what is another tenant's, but to an operator.
        "/penstock.auth.v1.AuditService/ListAuditEntries": _scope(Scope.AUDIT_READ),
        "/penstock.history.v1.HistoryService/ListJobs": _scope(Scope.JOBS_READ),
        # Intake has judged the caller, who may be one that submits again, or cancels.
        "/penstock.history.v1.HistoryService/GetRecordedJob": _READ_OR_WRITE,
        "/penstock.history.v1.HistoryService/GetRecordedBatch": _READ_OR_WRITE,
        "/penstock.history.v1.HistoryService/LocateSubmission": _READ_OR_WRITE,
        "/penstock.history.v1.HistoryService/ExportJobs": _scope(Scope.JOBS_READ),
        "/penstock.history.v1.HistoryService/GetStats": _scope(Scope.JOBS_READ),
        "/penstock.history.v1.HistoryService/CancelJobs": _scope(Scope.JOBS_WRITE),
        "/penstock.history.v1.HistoryService/RetryJobs": _scope(Scope.JOBS_WRITE),
        # Each refuses by itself what is another tenant's, but to an operator.
        "/penstock.history.v1.RetentionService/GetRetention": _scope(Scope.JOBS_READ),
        "/penstock.history.v1.RetentionService/UpdateRetention": _scope(Scope.DATA_WRITE),
        "/penstock.history.v1.RetentionService/ListRetentions": _services("auth", "webhooks"),
        "/penstock.history.v1.DataService/ExportData": _scope(Scope.DATA_WRITE),
        "/penstock.history.v1.DataService/EraseData": _scope(Scope.DATA_WRITE),
        "/penstock.holdings.v1.HoldingService/ExportHoldings": _services("history"),
        "/penstock.holdings.v1.HoldingService/EraseHoldings": _services("history"),
        # What an operation does decides which scope it takes to end or forget it; they refuse that by themselves.
        "/google.longrunning.Operations/ListOperations": _scope(Scope.JOBS_READ),
        "/google.longrunning.Operations/GetOperation": _scope(Scope.JOBS_READ),
        "/google.longrunning.Operations/WaitOperation": _scope(Scope.JOBS_READ),
        "/google.longrunning.Operations/CancelOperation": _CHANGE_OPERATIONS,
        "/google.longrunning.Operations/DeleteOperation": _CHANGE_OPERATIONS,
        "/penstock.webhooks.v1.CallbackSecretService/GetCallbackSecret": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.EndpointService/CreateEndpoint": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.EndpointService/ListEndpoints": _scope(Scope.WEBHOOKS_READ),
        "/penstock.webhooks.v1.EndpointService/GetEndpoint": _scope(Scope.WEBHOOKS_READ),
        "/penstock.webhooks.v1.EndpointService/UpdateEndpoint": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.EndpointService/DeleteEndpoint": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.EndpointService/EnableEndpoint": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.EndpointService/RotateEndpointSecret": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.EndpointService/GetEndpointSecret": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.EndpointService/TestEndpoint": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.EndpointService/GetEndpointStats": _scope(Scope.WEBHOOKS_READ),
        "/penstock.webhooks.v1.EndpointService/ListEventTypes": _scope(Scope.WEBHOOKS_READ),
        "/penstock.webhooks.v1.DeliveryService/ListDeliveries": _scope(Scope.WEBHOOKS_READ),
        "/penstock.webhooks.v1.DeliveryService/GetDelivery": _scope(Scope.WEBHOOKS_READ),
        "/penstock.webhooks.v1.DeliveryService/ReplayDelivery": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.DeliveryService/ReplayDeliveries": _scope(Scope.WEBHOOKS_WRITE),
        "/penstock.webhooks.v1.DeliveryService/ListReplays": _scope(Scope.WEBHOOKS_READ),
        "/penstock.webhooks.v1.DeliveryService/GetReplay": _scope(Scope.WEBHOOKS_READ),
        "/penstock.webhooks.v1.DeliveryService/CancelReplay": _scope(Scope.WEBHOOKS_WRITE),
        # Envoy asks before anyone is known; the answer is worth only what the key in the question is worth.
        "/envoy.service.auth.v3.Authorization/Check": _ANYONE,
        "/grpc.health.v1.Health/Check": _ANYONE,
        "/grpc.health.v1.Health/List": _ANYONE,
        "/grpc.health.v1.Health/Watch": _ANYONE,
        # The protos are public.
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _ANYONE,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _ANYONE,
    }
)


def permission_for(rpc: str) -> Permission:
    """The RPC's entry.

    Raises:
        PermissionDenied: It has none.
    """
    permission = PERMISSIONS.get(rpc)
    if permission is None:
        raise PermissionDenied(f"{rpc} is in no permission table")
    return permission
