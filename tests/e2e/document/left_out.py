"""All that is not tried of the document, or not in full, with the reasons."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Checks of schemathesis that are not made.
CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "positive_data_acceptance": (
            "The document says what form a request has. What else it takes is for services to say, in words that name "
            "the field: which upstreams, methods, params, providers, URLs and hosts there are, which times lie ahead."
        ),
        "ignored_auth": (
            "Its requests without a key have auth answer their address with 429, which is the address of all tests. "
            "tests/e2e/attacks calls every RPC without a key."
        ),
        "missing_required_header": "No operation needs a header beside the key's.",
    }
)
#: What is taken though its schema says otherwise, as schemathesis calls it: schemas have the form that is written, and
#: the document's description says what is read besides (proto3 JSON: null as if it were left out, 64-bit numbers as
#: numbers, enums by number). tests/integration/gateway/test_bodies.py has what of that is refused.
READ_TOO = "incorrect type"
#: HTTP methods that a path does not have and that are tried. Of the others Envoy's parser of HTTP/1 does not know QUERY
#: and answers 400 before it reads the path; tests/integration/gateway sends all of them.
UNEXPECTED_METHODS = ("PUT", "PATCH")
#: Operations that are called with wrong data alone, by their operationId.
WRONG_DATA_ALONE: Mapping[str, str] = MappingProxyType(
    {
        "DataService_EraseData": (
            "It suspends the tenant that calls, and erases it. tests/e2e/test_erasing.py has tenants for that."
        ),
        "JobService_StreamJob": "It goes on until the job ends. tests/e2e/test_watch.py reads streams.",
    }
)
#: Operations that none but an operator may call. The key is an admin's of one tenant, and they answer it with 400 or
#: 403: an operator's could suspend tenants, rotate data keys and rebuild queues under the tests that share the mesh.
OPERATORS_ALONE = frozenset(
    {
        "DataKeyService_ListDataKeys",
        "DataKeyService_RotateDataKey",
        "QueueService_GetQueueSettings",
        "QueueService_RecoverQueue",
        "QueueService_SetQueueSettings",
        "TenantService_CreateTenant",
        "TenantService_GetTenant",
        "TenantService_ListTenants",
        "TenantService_ResumeTenant",
        "TenantService_SuspendTenant",
    }
)
#: What a 5xx may be for, by its reason: no fault of Penstock's then.
EXCUSED: Mapping[str, str] = MappingProxyType(
    {
        "QUEUE_FULL": "The tenant has as many unfinished jobs as it may have, which it was asked to make.",
        "UNAVAILABLE": "A provider of OAuth is asked, which tests do not reach; of PROVIDERS_ASKED alone.",
    }
)
#: Operations that ask providers.
PROVIDERS_ASKED = frozenset(
    {
        "ConnectionService_AuthorizeConnection",
        "ConnectionService_CompleteConnection",
        "ConnectionService_CreateConnection",
    }
)
