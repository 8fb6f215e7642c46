"""The connections that were asked about lately, their secrets sealed: the cache between services and the store.

When MongoDB is away, what was known is good for a while longer; a change that is signaled drops it at once all the
same.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client import Counter

from shared import observability
from shared.errors import Unavailable
from shared.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.auth.connections.domain import Connection
    from services.auth.connections.store import ConnectionStore

log = observability.logger()

STALE = Counter(
    "penstock_auth_stale_connections",
    "Times that a connection was taken from memory after its time, MongoDB being away.",
)

#: What is known of a connection is good for so long; a change whose signal was lost takes no longer than this.
TIME_TO_LIVE = timedelta(seconds=30)
#: It is good for so long when MongoDB is away.
STALE_TIME = timedelta(minutes=15)
#: After a failed lookup MongoDB counts as away for so long: nobody waits for it who has something to go by.
_AWAY_TIME_S = 2.0
#: For one lookup by who has something to go by; the driver's own time is longer than callers have.
_LOOKUP_TIMEOUT_S = 1.0
#: Connections in use at the same time; about 2 KB each.
MAX_CONNECTIONS = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store has said."""

    connection: Connection
    #: When it was asked, by the monotonic clock.
    asked_at: float


class KnownConnections:
    """Knows connections.

    Args:
        store: Asked for what is not known.
        monotonic: Seconds that only grow.
    """

    def __init__(self, store: ConnectionStore, *, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lookups: SingleFlight[tuple[str, str], Connection | None] = SingleFlight()
        self._away_until = 0.0

    async def get(self, tenant: str, connection_id: str) -> Connection | None:
        """A tenant's connection, as it is or was a moment ago; None where there is none.

        Raises:
            Unavailable: Nothing is known, and MongoDB is away.
        """
        known = self._known.get(connection_id)
        if known is None or known.connection.tenant != tenant:
            return await self.fresh(tenant, connection_id)
        age = self._monotonic() - known.asked_at
        if age < TIME_TO_LIVE.total_seconds():
            self._known.move_to_end(connection_id)
            return known.connection
        if age >= STALE_TIME.total_seconds():
            return await self.fresh(tenant, connection_id)
        return await self._refreshed(known.connection)

    async def fresh(self, tenant: str, connection_id: str) -> Connection | None:
        """The same as it is now; who wants to know at the same time shares one lookup, and none can cancel it.

        Raises:
            Unavailable: MongoDB is away.
        """

        def keep(found: Connection | None) -> None:
            if found is not None:
                self.note(found)
            elif (known := self._known.get(connection_id)) is not None and known.connection.tenant == tenant:
                del self._known[connection_id]

        return await self._lookups.ask(
            (tenant, connection_id), lambda: self._store.connection(tenant, connection_id), keep
        )

    def note(self, connection: Connection) -> None:
        """Knows a connection as the store has just answered with it."""
        known = self._known.get(connection.id)
        if known is not None and known.connection.version > connection.version:
            return
        self._known[connection.id] = _Known(connection, self._monotonic())
        self._known.move_to_end(connection.id)
        while len(self._known) > MAX_CONNECTIONS:
            self._known.popitem(last=False)

    def forget(self, connection_id: str) -> None:
        """Drops what is known of a connection, and what a lookup under way will say."""
        self._known.pop(connection_id, None)
        self._lookups.outdate(lambda named: named[1] == connection_id)

    def forget_all(self) -> None:
        """Holds nothing that is known for fresh: signals may have been missed. It serves while MongoDB is away."""
        long_ago = self._monotonic() - TIME_TO_LIVE.total_seconds()
        for connection_id, known in self._known.items():
            self._known[connection_id] = _Known(known.connection, min(known.asked_at, long_ago))
        self._lookups.outdate(lambda _: True)

    async def _refreshed(self, known: Connection) -> Connection | None:
        """What the store says, or what was known where it is away."""
        if self._monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(_LOOKUP_TIMEOUT_S):
                    return await self.fresh(known.tenant, known.id)
            except (Unavailable, TimeoutError):
                self._away_until = self._monotonic() + _AWAY_TIME_S
                if known.id not in self._known:  # changed meanwhile, or deleted
                    raise Unavailable(
                        "MongoDB does not answer; the call may be repeated", metadata={"dependency": "mongodb"}
                    ) from None
        STALE.inc()
        return known
