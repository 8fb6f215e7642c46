"""Tells which endpoints were disabled though nobody has asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from penstock.events.v1 import notices_pb2

from shared import streams
from shared.bus import Outgoing
from shared.guarded_http import url_as_given

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.webhooks.endpoints.domain import Endpoint


class Store(Protocol):
    """Knows what is untold; `services.webhooks.endpoints.store.EndpointStore` is one."""

    async def untold(self, *, limit: int) -> Sequence[Endpoint]:
        """Endpoints whose being disabled is untold."""
        ...

    async def note_told(self, endpoint: Endpoint) -> None:
        """Notes that it was told how the endpoint is at this revision; a newer change stays untold."""
        ...


class UntoldEndpoints:
    """The notice `endpoint_disabled`, of which `Notices` sees that it is told.

    Args:
        store: Knows what is untold.
    """

    kind = "endpoint"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def untold(self, *, limit: int) -> Sequence[Endpoint]:
        """Endpoints that were disabled."""
        return await self._store.untold(limit=limit)

    async def note_told(self, thing: Endpoint) -> None:
        """Notes that this revision of an endpoint was told."""
        await self._store.note_told(thing)

    def notice(self, thing: Endpoint) -> Outgoing:
        """That it is disabled, since when and why."""
        disabled_at = thing.disabled_at or thing.updated_at
        notice = notices_pb2.Notice(id=f"{thing.id}:{thing.revision}", tenant=thing.tenant)
        notice.time.FromDatetime(disabled_at)
        fact = notice.endpoint_disabled
        fact.endpoint_id = thing.id
        fact.url = str(url_as_given(thing.url).origin())  # a path or a query may be what lets its owner in
        fact.reason = thing.disabled_reason or ""
        fact.disabled_at.FromDatetime(disabled_at)
        if thing.failing_since is not None:
            fact.failing_since.FromDatetime(thing.failing_since)
        fact.revision = thing.revision
        return Outgoing(
            subject=streams.notice_subject("endpoint_disabled"),
            payload=notice.SerializeToString(),
            message_id=notice.id,
        )
