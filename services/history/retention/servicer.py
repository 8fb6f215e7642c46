"""RetentionService: protos to the domain and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.history.v1 import retention_pb2, retention_pb2_grpc

from services.history.retention.messages import change, retention_message
from shared.errors import FieldViolation, InvalidArgument
from shared.rpc.call import ALL_TENANTS, asked_tenant

if TYPE_CHECKING:
    import grpc

    from services.history.retention.retentions import Retentions

    Context = grpc.aio.ServicerContext[Any, Any]

_ALL = FieldViolation("tenant", f"is {ALL_TENANTS!r}, which stands for all; a retention is one tenant's")


class RetentionServicer(retention_pb2_grpc.RetentionServiceServicer):
    """Answers how long things are kept.

    Args:
        retentions: Know it.
    """

    def __init__(self, retentions: Retentions) -> None:
        self._retentions = retentions

    async def GetRetention(  # noqa: N802  gRPC's name
        self, request: retention_pb2.GetRetentionRequest, context: Context
    ) -> retention_pb2.Retention:
        """Answers with what holds for one tenant."""
        del context
        tenant = asked_tenant(request.tenant)
        if not tenant:
            raise InvalidArgument.of([_ALL])
        return retention_message(await self._retentions.get(tenant))

    async def UpdateRetention(  # noqa: N802  gRPC's name
        self, request: retention_pb2.UpdateRetentionRequest, context: Context
    ) -> retention_pb2.Retention:
        """Changes what is given of one tenant's."""
        del context
        violations: list[FieldViolation] = []
        tenant, changed = asked_tenant(request.tenant), None
        if not tenant:
            violations.append(_ALL)
        try:
            changed = change(request)
        except InvalidArgument as error:  # raised with what else is wrong
            violations += error.violations
        if changed is None or violations:
            raise InvalidArgument.of(violations)
        return retention_message(await self._retentions.change(tenant, changed))

    async def ListRetentions(  # noqa: N802  gRPC's name
        self, request: retention_pb2.ListRetentionsRequest, context: Context
    ) -> retention_pb2.ListRetentionsResponse:
        """Answers with what holds for each tenant that has a retention of its own, and for all others."""
        del request, context
        found = await self._retentions.all()
        return retention_pb2.ListRetentionsResponse(
            retentions={tenant: retention_message(retention) for tenant, retention in found.items()},
            default_retention=retention_message(self._retentions.default),
        )
