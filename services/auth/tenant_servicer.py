"""TenantService: protos to the domain and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.auth.v1 import tenants_pb2, tenants_pb2_grpc

from services.auth.tenants import TenantOrder
from shared.errors import InvalidArgument
from shared.paging import Position, page_size
from shared.rpc.call import current_principal
from shared.times import timestamp

if TYPE_CHECKING:
    import grpc

    from services.auth.domain import Tenant
    from services.auth.tenants import Tenants
    from shared.paging import PageTokens

    Context = grpc.aio.ServicerContext[Any, Any]

_State = tenants_pb2.Tenant.State
#: By state, whether a tenant in it is suspended; None for all.
_SUSPENDED = {_State.STATE_UNSPECIFIED: None, _State.ACTIVE: False, _State.SUSPENDED: True}


class TenantServicer(tenants_pb2_grpc.TenantServiceServicer):
    """Answers operators about all tenants.

    Args:
        tenants: The tenants.
        page_tokens: What pages are asked for by.
    """

    def __init__(self, *, tenants: Tenants, page_tokens: PageTokens) -> None:
        self._tenants = tenants
        self._page_tokens = page_tokens

    async def CreateTenant(  # noqa: N802  gRPC's name
        self, request: tenants_pb2.CreateTenantRequest, context: Context
    ) -> tenants_pb2.Tenant:
        """Makes a tenant."""
        del context
        order = TenantOrder(name=request.name, display_name=request.display_name)
        return _message(await self._tenants.create(order, maker=current_principal()))

    async def ListTenants(  # noqa: N802  gRPC's name
        self, request: tenants_pb2.ListTenantsRequest, context: Context
    ) -> tenants_pb2.ListTenantsResponse:
        """Answers with a page of tenants, newest first."""
        del context
        if request.state not in _SUSPENDED:
            raise InvalidArgument.field("state", f"is {request.state}; there are ACTIVE and SUSPENDED")
        list_ = f"tenants {request.state}"
        size = page_size(request.page_size)
        tenants = await self._tenants.tenants(
            limit=size + 1,  # one more tells whether there are more
            suspended=_SUSPENDED[request.state],
            after=self._page_tokens.read(request.page_token, bound_to=list_),
        )
        page = tenants[:size]
        token = ""
        if len(tenants) > size:
            last = Position(created_at=page[-1].created_at, id=page[-1].name)
            token = self._page_tokens.make(last, bound_to=list_)
        return tenants_pb2.ListTenantsResponse(tenants=[_message(tenant) for tenant in page], next_page_token=token)

    async def GetTenant(  # noqa: N802  gRPC's name
        self, request: tenants_pb2.GetTenantRequest, context: Context
    ) -> tenants_pb2.Tenant:
        """Answers with one tenant."""
        del context
        return _message(await self._tenants.tenant(request.tenant))

    async def SuspendTenant(  # noqa: N802  gRPC's name
        self, request: tenants_pb2.SuspendTenantRequest, context: Context
    ) -> tenants_pb2.Tenant:
        """Suspends one tenant until it is resumed."""
        del context
        return _message(await self._tenants.suspend(request.tenant, request.reason, by=current_principal()))

    async def ResumeTenant(  # noqa: N802  gRPC's name
        self, request: tenants_pb2.ResumeTenantRequest, context: Context
    ) -> tenants_pb2.Tenant:
        """Takes a suspension back."""
        del context
        return _message(await self._tenants.resume(request.tenant, by=current_principal()))


def _message(tenant: Tenant) -> tenants_pb2.Tenant:
    message = tenants_pb2.Tenant(
        name=tenant.name,
        display_name=tenant.display_name,
        created_at=timestamp(tenant.created_at),
        state=_State.ACTIVE,
    )
    if tenant.suspension is not None:
        message.state = _State.SUSPENDED
        message.suspended_at.CopyFrom(timestamp(tenant.suspension.at))
        message.suspension_reason = tenant.suspension.reason
        message.suspended_by = tenant.suspension.by
    return message
