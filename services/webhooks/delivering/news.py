"""Says that there is something new for receivers: in the store, to who holds them here, and by signals elsewhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from shared import observability, streams
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

log = observability.logger()

#: Of one signal, so that it stays small.
_MOST_TOLD = 500


class Receivers(Protocol):
    """Is told who has something due; `services.webhooks.delivering.receivers.ReceiverStore` is one."""

    async def note_due(self, due: Mapping[str, datetime]) -> None:
        """Notes that receivers have deliveries that are due at these times."""
        ...


class Dispatching(Protocol):
    """Is told of news; `services.webhooks.delivering.dispatcher.Dispatcher` is one."""

    def wake(self, receivers: Collection[str]) -> Collection[str]:
        """Of what this replica has stored; answers with those that another one may hold."""
        ...

    def hear(self, receivers: Collection[str]) -> None:
        """Of what any replica has stored."""
        ...


class Signals(Protocol):
    """Sends what may be lost; `shared.bus.Bus` is one."""

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        """Publishes a signal.

        Raises:
            Unavailable: NATS is away.
        """
        ...


class News:
    """Spreads news of receivers.

    Args:
        receivers: Is told first: what of the rest is lost is made good by looks at it.
        dispatcher: Of this replica.
        signals: To the others.
    """

    def __init__(self, *, receivers: Receivers, dispatcher: Dispatching, signals: Signals) -> None:
        self._receivers = receivers
        self._dispatcher = dispatcher
        self._signals = signals
        self._untold: dict[str, None] = {}
        self._changed = asyncio.Event()

    async def announce(self, due: Mapping[str, datetime]) -> None:
        """Notes that receivers have deliveries that are due at these times, and says so here and to other replicas.

        To be called after the deliveries were stored, and before their events are acknowledged.

        Raises:
            Unavailable: The store is away; it may be noted.
        """
        if due:
            await self._receivers.note_due(due)
            self.tell(due.keys())

    def tell(self, receivers: Collection[str]) -> None:
        """Says of receivers that something was noted of them already, or that their endpoints have changed."""
        if elsewhere := self._dispatcher.wake(receivers):  # what is held here, nobody else holds
            self._untold |= dict.fromkeys(elsewhere)
            self._changed.set()

    async def run(self) -> None:
        """Sends signals, until canceled: what is told while one goes out goes together in the next."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._untold:
                told = list(self._untold)[:_MOST_TOLD]
                for each in told:
                    del self._untold[each]
                try:
                    await self._signals.signal(streams.DELIVERIES_DUE_SIGNAL, "\n".join(told).encode())
                except Unavailable as error:  # whoever holds them looks by itself, a little later
                    log.warning("due_signal_lost", receivers=len(told), error=error.message)

    async def hear(self, payload: bytes) -> None:
        """What `signal.webhooks.due` is handled by."""
        self._dispatcher.hear(payload.decode(errors="replace").split("\n"))
