"""Tells the mesh which tenants are suspended: what is written first is told until that is on disk.

A tenant that was changed is untold until its notice was acknowledged, whoever dies meanwhile. So a notice may go out
more than once, and late; its revision says which of two is the newer one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from penstock.events.v1 import notices_pb2

from services.auth.times import timestamp
from shared import observability, streams
from shared.bus import Outgoing
from shared.errors import Unavailable
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.domain import Tenant
    from services.auth.tenant_store import TenantStore

log = observability.logger()

#: Between two looks where nothing has changed here: for what a replica has changed that died before it was told.
LOOK_INTERVAL = timedelta(seconds=30)
_AT_ONCE = 100
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=5))


class Publisher(Protocol):
    """Puts notices on disk; `shared.bus.Bus` is one."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """On return all of them are on disk.

        Raises:
            Unavailable: Any of them may be, or not.
        """
        ...


class TenantNotices:
    """Publishes `tenant_suspended` and `tenant_resumed`.

    Args:
        store: Knows what is untold.
        publisher: Takes the notices.
    """

    def __init__(self, *, store: TenantStore, publisher: Publisher) -> None:
        self._store = store
        self._publisher = publisher
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Has it look at once: a tenant was changed."""
        self._changed.set()

    async def run(self) -> None:
        """Tells what is untold: at the start, after each change, and what others have left; until canceled."""
        while True:
            self._changed.clear()
            await until_done(
                self.tell,
                retry_on=(Unavailable,),
                backoff=_BACKOFF,
                on_failure=lambda error, pause: log.warning(
                    "tenant_notices_delayed", error=str(error), pause_s=round(pause.total_seconds(), 2)
                ),
            )
            with suppress(TimeoutError):  # time for the next look
                async with asyncio.timeout(LOOK_INTERVAL.total_seconds()):
                    await self._changed.wait()

    async def tell(self) -> None:
        """Tells of every tenant how it is now, whose last change is untold.

        Raises:
            Unavailable: MongoDB or NATS is away; what was told is told again, which changes nothing.
        """
        while tenants := await self._store.untold_tenants(limit=_AT_ONCE):
            await self._publisher.publish([_notice(tenant) for tenant in tenants])
            for tenant in tenants:
                await self._store.note_told(tenant.name, tenant.revision)
                log.info(
                    "tenant_told",
                    owner=tenant.name,
                    revision=tenant.revision,
                    suspended=tenant.suspension is not None,
                )


def _notice(tenant: Tenant) -> Outgoing:
    notice = notices_pb2.Notice(
        id=f"{tenant.name}:{tenant.revision}",
        tenant=tenant.name,
        time=timestamp(tenant.changed_at or tenant.created_at),
    )
    suspension = tenant.suspension
    if suspension is not None:
        notice.tenant_suspended.revision = tenant.revision
        notice.tenant_suspended.reason = suspension.reason
        notice.tenant_suspended.suspended_at.CopyFrom(timestamp(suspension.at))
    else:
        notice.tenant_resumed.revision = tenant.revision
    return Outgoing(
        subject=streams.notice_subject("tenant_resumed" if suspension is None else "tenant_suspended"),
        payload=notice.SerializeToString(),
        message_id=notice.id,
    )
