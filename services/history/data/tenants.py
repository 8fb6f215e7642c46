"""Tenants and connections, as auth knows them: asked for, shut out, and let in again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from penstock.auth.v1 import credentials_pb2, tenants_pb2

from shared.errors import ConnectionNotFound

if TYPE_CHECKING:
    from penstock.auth.v1.credentials_pb2_grpc import CredentialServiceAsyncStub
    from penstock.auth.v1.tenants_pb2_grpc import TenantServiceAsyncStub


class Tenants(Protocol):
    """What is asked of auth. Everything raises `Unavailable` or `DeadlineExceeded` where it is away."""

    async def is_suspended(self, tenant: str) -> bool:
        """Whether a tenant is suspended.

        Raises:
            TenantNotFound: There is none of this name.
        """
        ...

    async def suspend(self, tenant: str, reason: str) -> None:
        """Shuts a tenant out.

        Raises:
            TenantNotFound: There is none of this name.
        """
        ...

    async def resume(self, tenant: str) -> None:
        """Lets a tenant in again.

        Raises:
            TenantNotFound: There is none of this name.
        """
        ...

    async def has_connection(self, tenant: str, connection_id: str) -> bool:
        """Whether a tenant has such a connection."""
        ...


class AuthTenants:
    """Auth itself.

    Args:
        tenants: Asks it of tenants.
        credentials: Asks it of connections.
    """

    def __init__(self, tenants: TenantServiceAsyncStub, credentials: CredentialServiceAsyncStub) -> None:
        self._tenants = tenants
        self._credentials = credentials

    async def is_suspended(self, tenant: str) -> bool:
        """See `Tenants`."""
        found = await self._tenants.GetTenant(tenants_pb2.GetTenantRequest(tenant=tenant))
        return found.state == tenants_pb2.Tenant.SUSPENDED

    async def suspend(self, tenant: str, reason: str) -> None:
        """See `Tenants`."""
        await self._tenants.SuspendTenant(tenants_pb2.SuspendTenantRequest(tenant=tenant, reason=reason))

    async def resume(self, tenant: str) -> None:
        """See `Tenants`."""
        await self._tenants.ResumeTenant(tenants_pb2.ResumeTenantRequest(tenant=tenant))

    async def has_connection(self, tenant: str, connection_id: str) -> bool:
        """See `Tenants`."""
        asked = credentials_pb2.DescribeConnectionRequest(tenant=tenant, connection_id=connection_id)
        try:
            await self._credentials.DescribeConnection(asked)
        except ConnectionNotFound:  # which the answer says
            return False
        return True
