"""How statistics are wired: what counts jobs, and what tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.history.leases import Leases
from services.history.stats.backfill import Backfill
from services.history.stats.reader import StatsReader
from services.history.stats.servicer import StatsAnswers
from services.history.stats.tally import Tally
from services.history.stats.tally_store import MongoTallyStore

if TYPE_CHECKING:
    from services.history.stats.store import StatsStore
    from shared.clock import Clock
    from shared.lifecycle import Process
    from shared.mongo import Client


def running_tally(process: Process, client: Client, *, clock: Clock) -> Tally:
    """Counts what is marked for as long as the process runs; to be woken when jobs were written."""
    leases = Leases(client)
    backfill = Backfill(client, clock=clock)
    tally = Tally(MongoTallyStore(client, leases), leases, clock=clock, idle=backfill.step)
    process.loop("tally", tally.run)
    process.on_close(tally.leave)
    return tally


def stats_answers(store: StatsStore, *, clock: Clock) -> StatsAnswers:
    """GetStats, over what was counted."""
    return StatsAnswers(StatsReader(store), clock=clock)
