"""Tells the mesh how connections stand, and which are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events.v1 import notices_pb2

from services.auth.connections.domain import State
from shared import observability, streams
from shared.bus import Outgoing
from shared.errors import Unavailable
from shared.streams import CONNECTION_CHANGED_SIGNAL
from shared.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.auth.connections.domain import Standing
    from services.auth.connections.store import ConnectionStore
    from services.auth.keyring import Signals

log = observability.logger()


class Changes:
    """Tells of a change that is on disk: at once to who listens, and in the end to all.

    Args:
        signals: Upon which services forget the credentials that they hold.
        changed: Called when there may be a notice to be told.
    """

    def __init__(self, *, signals: Signals, changed: Callable[[], None]) -> None:
        self._signals = signals
        self._changed = changed

    async def tell(self, connection_id: str) -> None:
        """Tells that a connection stands otherwise, has another secret or other hosts, or is gone."""
        self._changed()
        try:
            await self._signals.signal(CONNECTION_CHANGED_SIGNAL, connection_id.encode())
        except Unavailable as error:  # who holds a credential asks anew when its time is over
            log.warning("connection_signal_lost", connection=connection_id, error=error.message)


class UntoldConnections:
    """The notices `connection_needs_reauth`, `connection_restored` and `connection_deleted`.

    Args:
        store: Knows what is untold.
    """

    kind = "connection"

    def __init__(self, store: ConnectionStore) -> None:
        self._store = store

    async def untold(self, *, limit: int) -> Sequence[Standing]:
        """Connections that stand otherwise than before, or are gone."""
        return await self._store.untold(limit=limit)

    async def note_told(self, thing: Standing) -> None:
        """Notes that this revision of a connection was told."""
        await self._store.note_told(thing)

    def notice(self, thing: Standing) -> Outgoing:
        """How it stands."""
        notice = notices_pb2.Notice(
            id=f"{thing.connection_id}:{thing.revision}", tenant=thing.tenant, time=timestamp(thing.since)
        )
        if thing.state is None:
            notice.connection_deleted.connection_id = thing.connection_id
            notice.connection_deleted.upstream = thing.upstream
            notice.connection_deleted.revision = thing.revision
        elif thing.state is State.ACTIVE:
            notice.connection_restored.connection_id = thing.connection_id
            notice.connection_restored.upstream = thing.upstream
            notice.connection_restored.revision = thing.revision
        else:
            notice.connection_needs_reauth.CopyFrom(_needs_reauth(thing))
        return Outgoing(
            subject=streams.notice_subject(notice.WhichOneof("fact") or ""),
            payload=notice.SerializeToString(),
            message_id=notice.id,
        )


def _needs_reauth(thing: Standing) -> notices_pb2.ConnectionNeedsReauth:
    return notices_pb2.ConnectionNeedsReauth(
        connection_id=thing.connection_id,
        upstream=thing.upstream,
        provider=thing.provider,
        revision=thing.revision,
        reason=thing.reason,
        needed_since=timestamp(thing.since),
        jobs_wait=thing.jobs_wait,
    )
