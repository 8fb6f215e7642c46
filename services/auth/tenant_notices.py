"""Tells the mesh which tenants are suspended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events.v1 import notices_pb2

from shared import streams
from shared.bus import Outgoing
from shared.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.domain import Tenant
    from services.auth.tenant_store import TenantStore


class UntoldTenants:
    """The notices `tenant_suspended` and `tenant_resumed`, of which `Notices` sees that they are told.

    Args:
        store: Knows what is untold.
    """

    kind = "tenant"

    def __init__(self, store: TenantStore) -> None:
        self._store = store

    async def untold(self, *, limit: int) -> Sequence[Tenant]:
        """Tenants that were suspended or resumed."""
        return await self._store.untold_tenants(limit=limit)

    async def note_told(self, thing: Tenant) -> None:
        """Notes that this revision of a tenant was told."""
        await self._store.note_told(thing.name, thing.revision)

    def notice(self, thing: Tenant) -> Outgoing:
        """That it is suspended, or not any more."""
        notice = notices_pb2.Notice(
            id=f"{thing.name}:{thing.revision}",
            tenant=thing.name,
            time=timestamp(thing.changed_at or thing.created_at),
        )
        suspension = thing.suspension
        if suspension is not None:
            notice.tenant_suspended.revision = thing.revision
            notice.tenant_suspended.reason = suspension.reason
            notice.tenant_suspended.suspended_at.CopyFrom(timestamp(suspension.at))
        else:
            notice.tenant_resumed.revision = thing.revision
        return Outgoing(
            subject=streams.notice_subject("tenant_resumed" if suspension is None else "tenant_suspended"),
            payload=notice.SerializeToString(),
            message_id=notice.id,
        )
