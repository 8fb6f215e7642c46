"""What the audit is told of a request that the gateway refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import audit
from shared.audit import Subject

if TYPE_CHECKING:
    from penstock.gateway.v1 import external_auth_pb2 as envoy

    from services.auth.domain import Key
    from services.auth.networks import Address
    from shared.audit import AuditEntry
    from shared.errors import PenstockError

#: Where the gateway says which RPC a request's route leads to.
RPC_EXTENSION = "rpc"
#: What is refused where it leads to none.
_NO_RPC = "Authorization.Check"


def entry_of(
    request: envoy.CheckRequest,
    error: PenstockError,
    detail: str,
    *,
    address: Address | None,
    prefix: str | None = None,
    key: Key | None = None,
) -> AuditEntry:
    """The entry.

    Args:
        request: The gateway's question.
        error: What the caller is told.
        detail: Why, in one word.
        address: From where the request comes.
        prefix: The public start of the key that it carries, where that is well formed.
        key: The key, where its secret was right.
    """
    attributes = request.attributes
    return audit.refusal_of(
        attributes.request.http.headers,
        attributes.context_extensions.get(RPC_EXTENSION, _NO_RPC),
        error=error,
        detail=detail,
        subject=Subject(
            tenant=key.tenant if key is not None else "",
            key_id=key.id if key is not None else "",
            key_prefix=prefix or "",
        ),
        address=str(address) if address is not None else "",
    )
