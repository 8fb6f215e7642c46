"""AuditService: protos to the store and back."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import TYPE_CHECKING, Any

from penstock.auth.v1 import audit_pb2, audit_pb2_grpc

from services.auth.audit_filter import AuditFilter
from services.auth.audit_store import OPERATORS
from services.auth.domain import to_milliseconds
from shared.errors import InvalidArgument
from shared.paging import Position, page_size
from shared.rpc.call import asked_tenant
from shared.times import time_of

if TYPE_CHECKING:
    import grpc

    from services.auth.audit_store import AuditStore
    from shared.paging import PageTokens


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Shows each tenant its own entries, and operators all.

    Args:
        store: Where they are kept.
        page_tokens: What pages are asked for by.
    """

    def __init__(self, *, store: AuditStore, page_tokens: PageTokens) -> None:
        self._store = store
        self._page_tokens = page_tokens

    async def ListAuditEntries(  # noqa: N802  gRPC's name
        self, request: audit_pb2.ListAuditEntriesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> audit_pb2.ListAuditEntriesResponse:
        """Answers with a page of entries, newest first."""
        del context
        reader = asked_tenant(request.tenant) or OPERATORS
        wanted = _filter(request)
        size = page_size(request.page_size)
        bound_to = f"audit {reader} {hashlib.sha256(repr(wanted).encode()).hexdigest()}"
        after = self._page_tokens.read(request.page_token, bound_to=bound_to)
        entries = await self._store.list(
            reader, wanted, after=after, limit=size + 1
        )  # one more tells if there are more
        page = entries[:size]
        token = ""
        if len(entries) > size:
            last_at = to_milliseconds(page[-1].time.ToDatetime(tzinfo=UTC))
            token = self._page_tokens.make(Position(created_at=last_at, id=page[-1].id), bound_to=bound_to)
        return audit_pb2.ListAuditEntriesResponse(entries=page, next_page_token=token)


def _filter(request: audit_pb2.ListAuditEntriesRequest) -> AuditFilter:
    wanted = AuditFilter(
        principal=request.principal,
        action=request.action,
        target=request.target,
        outcome=request.outcome,
        refused_only=request.refused_only,
        client_address=request.client_address,
        request_id=request.request_id,
        start=time_of(request.start_time, "startTime") if request.HasField("start_time") else None,
        end=time_of(request.end_time, "endTime") if request.HasField("end_time") else None,
    )
    violations = list(wanted.violations())
    if violations:
        raise InvalidArgument.of(violations)
    return wanted
