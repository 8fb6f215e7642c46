"""How far history is behind the log."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.history import metrics
from shared import observability, streams
from shared.errors import Unavailable

if TYPE_CHECKING:
    from shared.bus import Lag
    from shared.clock import Clock

log = observability.logger()

#: As often as metrics are read, more or less.
LOOK_INTERVAL = timedelta(seconds=10)


class Log(Protocol):
    """Where events come from; `shared.bus.Bus` is one."""

    async def lag(self, stream: str, durable: str, subject: str) -> Lag:
        """How far a consumer is behind."""
        ...


class LagWatch:
    """Shows it, as the server of the log knows it: also while nothing can be applied at all.

    Args:
        source: Of the events.
        clock: The time.
    """

    def __init__(self, source: Log, *, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    async def run(self) -> None:
        """Looks again and again, until canceled."""
        while True:
            try:
                await self.look()
            except Unavailable as error:  # what was seen last stays; that the log is away shows by itself
                log.debug("lag_unknown", error=error.message)
            await asyncio.sleep(LOOK_INTERVAL.total_seconds())

    async def look(self) -> None:
        """Looks once.

        Raises:
            Unavailable: NATS is away.
        """
        lag = await self._source.lag(streams.JOBS, streams.HISTORY_CONSUMER, streams.job_subject("*", "*"))
        age = self._clock.now() - lag.oldest if lag.oldest is not None else timedelta()
        metrics.LAG_MESSAGES.set(lag.messages)
        metrics.LAG_SECONDS.set(max(age.total_seconds(), 0.0))
