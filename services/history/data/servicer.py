"""DataService: what is asked for becomes an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from penstock.history.v1 import data_pb2, data_pb2_grpc

from services.history.data.messages import Phase, metadata
from services.history.data.orders import EraseOrder, ExportOrder
from services.history.operations.domain import Asked, Kind, to_milliseconds
from shared.errors import ConnectionNotFound
from shared.rpc.call import current_principal, current_tenant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime, timedelta

    import grpc
    from google.longrunning import operations_pb2

    from services.history.data.tenants import Tenants
    from services.history.operations.domain import Operation
    from services.history.operations.operations import Operations

    Context = grpc.aio.ServicerContext[Any, Any]
    Shown = Callable[[Operation], Awaitable[operations_pb2.Operation]]


class Jobs(Protocol):
    """Knows which connections jobs were called with."""

    async def has_any_of(self, tenant: str, connection_id: str) -> bool:
        """Whether any job was called with it."""
        ...


class DataServicer(data_pb2_grpc.DataServiceServicer):
    """Begins exports and erasures.

    Args:
        operations: What goes on with them.
        shown: An operation as callers see it.
        tenants: Knows which tenants and connections there are.
        jobs: Knows connections that are gone.
    """

    def __init__(self, *, operations: Operations, shown: Shown, tenants: Tenants, jobs: Jobs) -> None:
        self._operations = operations
        self._shown = shown
        self._tenants = tenants
        self._jobs = jobs

    async def ExportData(  # noqa: N802  gRPC's name
        self, request: data_pb2.ExportDataRequest, context: Context
    ) -> operations_pb2.Operation:
        """Begins an export."""
        del context
        tenant = ExportOrder(tenant=request.tenant, connection_id=request.connection_id).check()
        await self._check(tenant, request.connection_id)
        asked = data_pb2.ExportDataRequest(tenant=tenant, connection_id=request.connection_id)

        def begun(now: datetime) -> bytes:
            return metadata(tenant=tenant, connection_id=request.connection_id, phase=Phase.WORKING, created_at=now)

        return await self._begin(Kind.EXPORT_DATA, asked.SerializeToString(deterministic=True), begun)

    async def EraseData(  # noqa: N802  gRPC's name
        self, request: data_pb2.EraseDataRequest, context: Context
    ) -> operations_pb2.Operation:
        """Begins an erasure."""
        del context
        order = EraseOrder(
            tenant=request.tenant,
            connection_id=request.connection_id,
            grace=_grace(request),
            reason=request.reason,
        )
        tenant, grace = order.check(current_principal())
        await self._check(tenant, request.connection_id)
        asked = data_pb2.EraseDataRequest(tenant=tenant, connection_id=request.connection_id, reason=request.reason)
        asked.grace.FromTimedelta(grace)

        def begun(now: datetime) -> bytes:
            return metadata(
                tenant=tenant,
                connection_id=request.connection_id,
                phase=Phase.SOFT,
                created_at=now,
                erases_at=to_milliseconds(now + grace),
            )

        return await self._begin(Kind.ERASE_DATA, asked.SerializeToString(deterministic=True), begun)

    async def _check(self, tenant: str, connection_id: str) -> None:
        """Lets pass what there is; of a connection that was deleted, there may be jobs.

        Raises:
            TenantNotFound: There is no such tenant.
            ConnectionNotFound: The tenant has no such connection, and never had.
        """
        if not connection_id:
            await self._tenants.is_suspended(tenant)
        elif not await self._tenants.has_connection(tenant, connection_id) and not await self._jobs.has_any_of(
            tenant, connection_id
        ):
            raise ConnectionNotFound(
                f"there is no connection {connection_id}, and no job was called with one; list them",
                metadata={"connection": connection_id},
            )

    async def _begin(self, kind: Kind, request: bytes, begun: Callable[[datetime], bytes]) -> operations_pb2.Operation:
        asked = Asked(
            tenant=current_tenant(), principal=current_principal().id, kind=kind, request_id="", request=request
        )
        return await self._shown(await self._operations.begin(asked, begun))


def _grace(request: data_pb2.EraseDataRequest) -> timedelta | None:
    return request.grace.ToTimedelta() if request.HasField("grace") else None
