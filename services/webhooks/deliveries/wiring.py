"""How deliveries are wired: what is shown of them, what has them made again, and what deletes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.webhooks.deliveries.deliveries import Deliveries
from services.webhooks.deliveries.replays import Replays
from services.webhooks.deliveries.retention import DeliveryRetention
from services.webhooks.deliveries.servicer import DeliveryServicer
from services.webhooks.deliveries.tally import Tally
from shared.paging import PageTokens
from shared.retentions import told_retentions

if TYPE_CHECKING:
    from collections.abc import Collection

    from services.webhooks.config import Config
    from services.webhooks.deliveries.domain import RetrySchedule
    from services.webhooks.deliveries.replay_store import ReplayStore
    from services.webhooks.deliveries.replays import Announcer
    from services.webhooks.deliveries.stats import StatsStore
    from services.webhooks.deliveries.store import DeliveryStore
    from services.webhooks.endpoints.store import EndpointStore
    from shared.clock import Clock
    from shared.lifecycle import Process
    from shared.mongo import Client


def running_tally(process: Process, stats: StatsStore, *, clock: Clock) -> Tally:
    """Counts attempts, and writes what it has counted for as long as the process runs, and at its end."""
    tally = Tally(stats, clock=clock)
    process.loop("tally", tally.run)
    process.on_close(tally.flush)
    return tally


def run_retention(config: Config, process: Process, client: Client, *, clock: Clock) -> None:
    """Deletes deliveries that have had their time, for as long as the process runs."""
    retentions = told_retentions(process, config.history_address)
    retention = DeliveryRetention(client, retentions=retentions, clock=clock, interval=config.retention_interval)
    process.loop("retentions", retentions.run)
    process.loop("delivery retention", retention.run)


def running_replays(
    process: Process,
    store: ReplayStore,
    *,
    deliveries: DeliveryStore,
    endpoints: EndpointStore,
    announcer: Announcer,
    clock: Clock,
) -> Replays:
    """Begins replays, and works them until the process is told to stop."""
    replays = Replays(store=store, deliveries=deliveries, endpoints=endpoints, announcer=announcer, clock=clock)
    process.loop("replays", replays.run)
    process.on_drain(replays.drain)
    return replays


def delivery_servicer(
    config: Config,
    *,
    deliveries: DeliveryStore,
    endpoints: EndpointStore,
    replay_store: ReplayStore,
    replays: Replays,
    announcer: Announcer,
    schedule: RetrySchedule,
    event_types: Collection[str],
    clock: Clock,
) -> DeliveryServicer:
    """DeliveryService, over what the rest of the service has."""
    return DeliveryServicer(
        deliveries=Deliveries(
            store=deliveries,
            endpoints=endpoints,
            replays=replays,
            announcer=announcer,
            schedule=schedule,
            clock=clock,
        ),
        replays=replay_store,
        event_types=event_types,
        page_tokens=PageTokens(config.service_key.reveal().encode()),
        clock=clock,
    )
