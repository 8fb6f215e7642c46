"""How the webhooks service is wired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.webhooks.v1 import deliveries_pb2_grpc, endpoints_pb2_grpc, webhooks_pb2_grpc

from services.webhooks import holdings
from services.webhooks.collecting.event_types.catalogue import EventTypes
from services.webhooks.collecting.wiring import run_collectors
from services.webhooks.config import Config
from services.webhooks.deliveries.domain import RetrySchedule
from services.webhooks.deliveries.replay_store import MongoReplayStore
from services.webhooks.deliveries.servicer import SkippedReplays
from services.webhooks.deliveries.stats import EndpointStatistics
from services.webhooks.deliveries.stats_store import MongoStatsStore
from services.webhooks.deliveries.store import MongoDeliveryStore
from services.webhooks.deliveries.upgrade import Upgrade
from services.webhooks.deliveries.wiring import delivery_servicer, run_retention, running_replays, running_tally
from services.webhooks.delivering.receivers import MongoReceiverStore
from services.webhooks.delivering.sender import tls_context
from services.webhooks.delivering.wiring import running_news
from services.webhooks.delivering.work_store import MongoWorkStore
from services.webhooks.endpoints.store import MongoEndpointStore
from services.webhooks.endpoints.wiring import endpoint_servicer
from services.webhooks.servicer import CallbackSecretServicer
from services.webhooks.signing import TenantSecrets
from shared import mongo as mongo_
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.lifecycle import run
from shared.retry import until_done

if TYPE_CHECKING:
    from shared.lifecycle import Process


async def serve(config: Config, process: Process) -> None:
    """Wires the service and runs it until the process is told to stop."""
    mongo = await process.depend_on(
        "mongodb", lambda: mongo_.connect(config.mongo_url), check=mongo_.ping, close=mongo_.close
    )
    bus = await process.connect_bus(config.nats_url)
    deliveries = MongoDeliveryStore(mongo)
    endpoints, replay_store, stats = MongoEndpointStore(mongo), MongoReplayStore(mongo), MongoStatsStore(mongo)
    receivers, work = MongoReceiverStore(mongo), MongoWorkStore(mongo)
    for store in (deliveries, endpoints, replay_store, stats, receivers, work):
        await until_done(store.prepare, retry_on=(Unavailable,))

    clock, secrets = SystemClock(), TenantSecrets(config.callback_key)
    guard = AddressGuard(allow_loopback=config.allow_loopback, ports=config.webhook_ports)
    event_types = await asyncio.to_thread(EventTypes.shipped)  # this and the next one read files for a while
    tls = await asyncio.to_thread(tls_context, config.ca_files)
    schedule = RetrySchedule(config.retry_schedule)
    news = await running_news(
        config,
        process,
        bus,
        receivers=receivers,
        endpoints=endpoints,
        work=work,
        guard=guard,
        tls=tls,
        secrets=secrets,
        schedule=schedule,
        tally=running_tally(process, stats, clock=clock),
        clock=clock,
    )
    replays = running_replays(
        process, replay_store, deliveries=deliveries, endpoints=endpoints, announcer=news, clock=clock
    )
    run_retention(config, process, mongo, clock=clock)
    process.loop("earlier deliveries", Upgrade(mongo, receivers).run)
    run_collectors(process, bus, deliveries=deliveries, endpoints=endpoints, announcer=news, clock=clock)
    shown = delivery_servicer(
        config,
        deliveries=deliveries,
        endpoints=endpoints,
        replay_store=replay_store,
        replays=replays,
        announcer=news,
        schedule=schedule,
        event_types=event_types.names(),
        clock=clock,
    )
    changed = endpoint_servicer(
        config,
        process,
        store=endpoints,
        guard=guard,
        tls=tls,
        event_types=event_types,
        announcer=news,
        signals=bus,
        statistics=EndpointStatistics(stats=stats, deliveries=deliveries, clock=clock),
        replays=SkippedReplays(replays),
        clock=clock,
    )
    add_endpoints = endpoints_pb2_grpc.add_EndpointServiceServicer_to_server
    add_deliveries = deliveries_pb2_grpc.add_DeliveryServiceServicer_to_server
    add_secrets = webhooks_pb2_grpc.add_CallbackSecretServiceServicer_to_server
    await process.serve(
        (add_endpoints, changed, "penstock.webhooks.v1.EndpointService"),
        (add_deliveries, shown, "penstock.webhooks.v1.DeliveryService"),
        (add_secrets, CallbackSecretServicer(secrets), "penstock.webhooks.v1.CallbackSecretService"),
        holdings.servicer(mongo, bus),
    )


if __name__ == "__main__":
    run("webhooks", Config, serve)
