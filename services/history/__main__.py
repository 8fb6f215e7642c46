"""Wires history: the store, the projection that fills it, the RPCs that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.history.v1 import history_pb2_grpc

from services.history.config import Config
from services.history.data.wiring import own_holdings, running_erasures, wire_data
from services.history.jobs.store import MongoHistory
from services.history.jobs.wiring import run_projection
from services.history.listing.wiring import job_lists, running_exporter
from services.history.operations.bulk.orders import BulkOrders
from services.history.operations.wiring import bulk_runners, running_operations
from services.history.retention.wiring import retention_servicer, running_retentions, running_sweep
from services.history.servicer import HistoryServicer
from services.history.stats.store import MongoStatsStore
from services.history.stats.wiring import running_tally, stats_answers
from shared import mongo
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.lifecycle import run
from shared.objects import Objects, open_objects
from shared.paging import PageTokens
from shared.retry import until_done

if TYPE_CHECKING:
    from shared.lifecycle import Process


async def serve(config: Config, process: Process) -> None:
    """Runs the service until it is told to stop."""
    client = await process.depend_on(
        "mongodb", lambda: mongo.connect(config.mongo_url), check=mongo.ping, close=mongo.close
    )
    bus = await process.connect_bus(config.nats_url)
    store = MongoHistory(client)
    stats = MongoStatsStore(client, reads=mongo.read_mode(config.read_preference))
    for each in (store, stats):
        await until_done(each.prepare, retry_on=(Unavailable,))
    clock = SystemClock()
    objects = process.lean_on("objects", await open_objects(config.objects), check=Objects.check, close=Objects.close)
    retentions = running_retentions(config, process, client)
    sweep = await running_sweep(config, process, client, objects, retentions, clock=clock)
    erasures = await running_erasures(process, client, clock=clock)
    run_projection(
        config,
        process,
        bus,
        store,
        indexed=retentions,
        erasures=erasures,
        applied=running_tally(process, client, clock=clock).wake,
    )
    lists = job_lists(config, client)
    own = own_holdings(client, objects, figures=stats, clearing=sweep, retentions=retentions, clock=clock)
    data = wire_data(config, process, client, objects, own, erasures=erasures, clock=clock)
    runners = {**bulk_runners(config, process, bus, client, clock=clock), **data.runners}
    running = await running_operations(config, process, client, runners=runners, clock=clock)
    servicer = HistoryServicer(
        store=store,
        lists=lists,
        exporter=await running_exporter(process, bus, lists),
        bulk=BulkOrders(operations=running.operations, lists=lists, indexed=retentions, clock=clock),
        indexed=retentions,
        stats=stats_answers(stats, clock=clock),
        tokens=PageTokens(config.service_key.reveal().encode()),
    )
    await process.serve(
        (history_pb2_grpc.add_HistoryServiceServicer_to_server, servicer, "penstock.history.v1.HistoryService"),
        retention_servicer(retentions),
        running.servicer,
        data.servicer(running.operations, running.answers.shown),
    )


if __name__ == "__main__":
    run("history", Config, serve)
