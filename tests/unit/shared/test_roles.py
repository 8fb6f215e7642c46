"""The matrix of roles, RPC by RPC; and the page that tells of it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from shared.errors import PermissionDenied
from shared.identity import Principal, PrincipalKind
from shared.permissions import PERMISSIONS, ROLE_SCOPES, Role, Scope

PAGE = Path(__file__).parents[3] / "docs" / "access.md"

#: Who may call what, written out: a new RPC, or a change of what a role may do, is decided here once more.
VIEWERS = {
    "jobs.v1.JobService": {
        "GetJob",
        "WaitJob",
        "WatchJob",
        "StreamJob",
        "ExplainJob",
        "GetJobResult",
        "GetBatch",
    },
    "jobs.v1.UploadService": {"GetUpload"},
    "scheduler.v1.QueueService": {"ListQueues", "GetQueue"},
    "upstream.v1.UpstreamService": {"ListUpstreams", "GetUpstream"},
    "auth.v1.ConnectionService": {"ListProviders", "ListConnections", "GetConnection"},
    "auth.v1.KeyService": {"ListKeys", "GetKey", "GetKeyUsage", "ListTopCallers"},
    "webhooks.v1.EndpointService": {"ListEndpoints", "GetEndpoint", "GetEndpointStats", "ListEventTypes"},
    "webhooks.v1.DeliveryService": {"ListDeliveries", "GetDelivery", "ListReplays", "GetReplay"},
    "history.v1.HistoryService": {
        "ListJobs",
        "ExportJobs",
        "GetStats",
        "GetRecordedJob",
        "GetRecordedBatch",
        "LocateSubmission",
    },
    "history.v1.RetentionService": {"GetRetention"},
    "google.longrunning.Operations": {"ListOperations", "GetOperation", "WaitOperation"},
}
DEVELOPERS = {
    "jobs.v1.JobService": {"SubmitJob", "CancelJob", "RetryJob", "SubmitBatch", "CancelBatch"},
    "jobs.v1.UploadService": {"CreateUpload", "CompleteUpload", "DeleteUpload"},
    "upstream.v1.CacheService": {"InvalidateCache"},
    "auth.v1.ConnectionService": {
        "CreateConnection",
        "AuthorizeConnection",
        "CompleteConnection",
        "UpdateConnection",
        "DeleteConnection",
    },
    "webhooks.v1.CallbackSecretService": {"GetCallbackSecret"},
    "webhooks.v1.EndpointService": {
        "CreateEndpoint",
        "UpdateEndpoint",
        "DeleteEndpoint",
        "EnableEndpoint",
        "RotateEndpointSecret",
        "GetEndpointSecret",
        "TestEndpoint",
    },
    "webhooks.v1.DeliveryService": {"ReplayDelivery", "ReplayDeliveries", "CancelReplay"},
    "history.v1.HistoryService": {"CancelJobs", "RetryJobs"},
    "google.longrunning.Operations": {"CancelOperation", "DeleteOperation"},
}
ADMINS = {
    "auth.v1.AuditService": {"ListAuditEntries"},
    "auth.v1.KeyService": {"CreateKey", "RotateKey", "RevokeKey"},
    "scheduler.v1.QueueService": {"PauseQueue", "ResumeQueue"},
    "history.v1.RetentionService": {"UpdateRetention"},
    "history.v1.DataService": {"ExportData", "EraseData"},
}
OPERATORS = {
    "scheduler.v1.QueueService": {"GetQueueSettings", "SetQueueSettings", "RecoverQueue"},
    "auth.v1.DataKeyService": {"ListDataKeys", "RotateDataKey"},
    "auth.v1.TenantService": {"CreateTenant", "ListTenants", "GetTenant", "SuspendTenant", "ResumeTenant"},
}
#: What services alone call.
NOBODY = {
    "scheduler.v1.SchedulerService": {"Lease", "Begin", "Extend", "Cancel", "Explain"},
    "auth.v1.CredentialService": {"DescribeConnection", "GetCredential", "ReportRefusedCredential"},
    "jobs.v1.BulkService": {"CancelMany", "RetryMany"},
    "history.v1.RetentionService": {"ListRetentions"},
    "holdings.v1.HoldingService": {"ExportHoldings", "EraseHoldings"},
}
TABLE = {rpc: permission for rpc, permission in PERMISSIONS.items() if not permission.anonymous}


def path(rpc: str) -> str:
    """As gRPC spells it; ours are named without what they have in common."""
    return f"/{rpc}" if rpc.startswith("google.") else f"/penstock.{rpc}"


def rpcs(*groups: dict[str, set[str]]) -> set[str]:
    return {path(f"{service}/{rpc}") for group in groups for service, names in group.items() for rpc in names}


MATRIX = {
    Role.VIEWER: rpcs(VIEWERS),
    Role.DEVELOPER: rpcs(VIEWERS, DEVELOPERS),
    Role.ADMIN: rpcs(VIEWERS, DEVELOPERS, ADMINS),
    Role.OPERATOR: rpcs(VIEWERS, DEVELOPERS, ADMINS, OPERATORS),
}


def may(role: Role, rpc: str) -> bool:
    scopes = frozenset(map(str, ROLE_SCOPES[role]))
    try:
        TABLE[rpc].check(rpc, Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=scopes))
    except PermissionDenied:
        return False
    return True


def test_every_rpc_is_decided_here() -> None:
    assert rpcs(VIEWERS, DEVELOPERS, ADMINS, OPERATORS, NOBODY) == set(TABLE)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("rpc", sorted(TABLE))
def test_a_role_may_call_what_the_matrix_says(rpc: str, role: Role) -> None:
    assert may(role, rpc) is (rpc in MATRIX[role])


def test_a_higher_role_may_all_that_a_lower_one_may() -> None:
    ladder = [ROLE_SCOPES[role] for role in (Role.VIEWER, Role.DEVELOPER, Role.ADMIN, Role.OPERATOR)]
    assert all(lower < higher for lower, higher in pairwise(ladder))
    assert ROLE_SCOPES[Role.OPERATOR] - ROLE_SCOPES[Role.ADMIN] == {Scope.OPERATOR}


def rows(heading: str) -> dict[str, list[str]]:
    """A table of the page: its rows without the first column, by that."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    return {cells[0]: cells[1:] for cells in lines if not re.fullmatch(r"-+", cells[0])}


def test_the_page_has_the_matrix_of_scopes() -> None:
    table = rows("Roles")
    roles = [Role(name) for name in table.pop("scope")]
    assert roles == list(ROLE_SCOPES)
    assert table == {
        scope.value: ["yes" if scope in ROLE_SCOPES[role] else "" for role in roles] for scope in sorted(Scope)
    }


def test_the_page_has_the_matrix_of_rpcs() -> None:
    table = rows("What each role may call")
    assert [Role(name) for name in table.pop("RPC")] == list(ROLE_SCOPES)
    told = {
        path(rpc): {role for role, cell in zip(ROLE_SCOPES, cells, strict=True) if cell == "yes"}
        for rpc, cells in table.items()
    }
    assert told == {rpc: {role for role in Role if rpc in MATRIX[role]} for rpc in TABLE if rpc not in rpcs(NOBODY)}
