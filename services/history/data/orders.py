"""Whose data somebody wants exported or erased, as the caller has said it and as it is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.history.data.domain import CONNECTION_GRACE, MAX_GRACE, MAX_REASON_CHARACTERS, TENANT_GRACE
from shared import ids
from shared.errors import FieldViolation, InvalidArgument, OwnTenant, shown
from shared.permissions import Scope
from shared.rpc.call import ALL_TENANTS, asked_tenant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from shared.identity import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseOrder:
    """What somebody wants erased.

    Args:
        tenant: By its name; empty beside a connection.
        connection_id: One connection's alone.
        grace: How long it can be taken back; None for the usual.
        reason: For the audit.
    """

    tenant: str
    connection_id: str
    grace: timedelta | None
    reason: str

    def check(self, by: Principal) -> tuple[str, timedelta]:
        """Whose it is, and how long it can be taken back.

        Raises:
            InvalidArgument: A field is wrong.
            OwnTenant: An operator would shut itself out.
            PermissionDenied: It is not the caller's, and that is no operator.
        """
        faults = list(self._faults())
        if faults:
            raise InvalidArgument.of(faults)
        if self.connection_id:
            return by.tenant, CONNECTION_GRACE if self.grace is None else self.grace
        tenant = asked_tenant(self.tenant)
        if tenant == by.tenant and Scope.OPERATOR in by.scopes:
            raise OwnTenant(
                f"{tenant!r} is the tenant of the API key that asks, an operator's, which would work no more and could "
                "not take it back; use an operator's key of another tenant",
                metadata={"tenant": tenant},
            )
        return tenant, TENANT_GRACE if self.grace is None else self.grace

    def _faults(self) -> Iterator[FieldViolation]:
        if self.tenant and self.connection_id:
            yield FieldViolation("tenant", "is not to be given with connectionId; give the one that is meant")
        elif not self.tenant and not self.connection_id:
            yield FieldViolation(
                "tenant", "is missing; name the tenant again to have all of it erased, or give a connectionId"
            )
        elif self.tenant == ALL_TENANTS or (self.tenant and not ids.is_slug(self.tenant)):
            yield FieldViolation("tenant", f"is {shown(self.tenant)}, which is no tenant's name")
        yield from _connection_faults(self.connection_id)
        if self.grace is not None and not CONNECTION_GRACE <= self.grace <= MAX_GRACE:
            yield FieldViolation("grace", f"is {self.grace.total_seconds():g}s; it takes 0s to {MAX_GRACE.days} days")
        if len(self.reason) > MAX_REASON_CHARACTERS:
            yield FieldViolation(
                "reason", f"has {len(self.reason)} characters; it takes {MAX_REASON_CHARACTERS} at most"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOrder:
    """What somebody wants exported.

    Args:
        tenant: The caller's own where it is empty.
        connection_id: One connection's alone; empty for all of the tenant's.
    """

    tenant: str
    connection_id: str

    def check(self) -> str:
        """Whose it is.

        Raises:
            InvalidArgument: A field is wrong.
            PermissionDenied: It is not the caller's, and that is no operator.
        """
        faults = list(_connection_faults(self.connection_id))
        if self.tenant == ALL_TENANTS:
            faults.append(FieldViolation("tenant", f"is {shown(self.tenant)}; an export is of one tenant"))
        if faults:
            raise InvalidArgument.of(faults)
        return asked_tenant(self.tenant)


def _connection_faults(connection_id: str) -> Iterator[FieldViolation]:
    if connection_id and not ids.is_connection_id(connection_id):
        yield FieldViolation("connectionId", f"{shown(connection_id)} is no id of a connection, con_…")
