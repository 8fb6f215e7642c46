"""The command that rebuilds history from the log: `python -m services.history.rebuild`.

It takes history's settings, but for MongoDB and NATS users who may more than a service: make, drop and rename
collections of the database `history`, and pause the service's consumer.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import uvloop

from services.history.config import Config
from services.history.data.domain import BRINGS_BACK
from services.history.data.erasures import Erasures, MongoErasureStore
from services.history.jobs.reading import Reading
from services.history.leases import LeaseLostError, Leases
from services.history.rebuild.rebuild import Rebuild
from services.history.retention.retentions import Retentions
from services.history.retention.store import MongoRetentionStore
from shared import bus as bus_
from shared import mongo, observability
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.lifecycle import load_or_exit

if TYPE_CHECKING:
    from services.history.rebuild.rebuild import Rebuilt


async def rebuild(config: Config) -> Rebuilt:
    """Rebuilds history once.

    Raises:
        Unavailable: MongoDB or NATS does not answer at the start.
        LeaseLostError: Another one has taken over.
    """
    client = await mongo.connect(config.mongo_url)
    try:
        bus = await bus_.connect(config.nats_url, "history")
        try:
            retentions = Retentions(MongoRetentionStore(client), default=config.default_retention)
            noted = MongoErasureStore(client)
            erasures = Erasures(noted, clock=SystemClock())
            await erasures.look()
            return await Rebuild(
                client,
                bus=bus,
                leases=Leases(client),
                reading=Reading(indexed=retentions, erasures=erasures),
                keeping=retentions,
                erased=lambda: noted.noted_since(datetime.now(UTC) - BRINGS_BACK),
            ).run()
        finally:
            await bus.close()
    finally:
        await mongo.close(client)


def main() -> int:
    """Runs the command; answers with its exit status."""
    config = load_or_exit("history", Config)
    observability.set_up("history", log_level=config.log_level, otlp_address="", metrics_address="")
    try:
        uvloop.run(rebuild(config))
    except (Unavailable, LeaseLostError) as error:
        print(f"history was not rebuilt: {error}; run it again", file=sys.stderr)  # noqa: T201  the answer to the command
        return 1
    finally:
        observability.shut_down()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
