"""Tells of changes of endpoints that are on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import to_milliseconds
from shared import observability
from shared.errors import Unavailable
from shared.streams import ENDPOINT_CHANGED_SIGNAL

if TYPE_CHECKING:
    from services.webhooks.endpoints.surroundings import Announcer, Signals
    from shared.clock import Clock

log = observability.logger()


class Changes:
    """Has what follows from a change be done soon. Where both ways of it fail, it is when the next delivery is due.

    Args:
        announcer: Has the endpoint's receiver looked at, by whichever replica takes it.
        signals: Tell the replica that holds it now.
        clock: The time.
    """

    def __init__(self, *, announcer: Announcer, signals: Signals, clock: Clock) -> None:
        self._announcer = announcer
        self._signals = signals
        self._clock = clock

    async def tell(self, endpoint_id: str) -> None:
        """Tells that an endpoint was changed or deleted."""
        for telling in (
            self._announcer.announce({endpoint_id: to_milliseconds(self._clock.now())}),
            self._signals.signal(ENDPOINT_CHANGED_SIGNAL, endpoint_id.encode()),
        ):
            try:
                await telling
            except Unavailable as error:  # whoever works it looks at its endpoint every few seconds
                log.warning("endpoint_change_not_told", endpoint=endpoint_id, error=error.message)
