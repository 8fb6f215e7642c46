"""How jobs are wired: what brings them from the log into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.history.jobs.lag import LagWatch
from services.history.jobs.projection import CONSUMER, Projection
from services.history.jobs.reading import Reading
from shared import streams
from shared.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.history.config import Config
    from services.history.jobs.reading import Erasures, IndexedMetadata
    from services.history.jobs.store import HistoryStore
    from shared.bus import Bus
    from shared.lifecycle import Process


def run_projection(
    config: Config,
    process: Process,
    bus: Bus,
    store: HistoryStore,
    *,
    indexed: IndexedMetadata,
    erasures: Erasures,
    applied: Callable[[], None],
) -> None:
    """Applies the log's events to the store for as long as the process runs, and shows how far it is behind."""
    reading = Reading(indexed=indexed, erasures=erasures)
    projection = Projection(store, reading=reading, applied=applied)
    events = bus.consumer(streams.JOBS, CONSUMER)
    process.loop("projection", lambda: events.run(projection.handle, gather=config.gather))
    process.loop("lag", LagWatch(bus, clock=SystemClock()).run)
