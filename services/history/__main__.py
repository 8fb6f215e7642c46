"""Wires history: the store, the projection that fills it, the RPCs that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.history.v1 import history_pb2_grpc

from services.history.config import Config
from services.history.projection import CONSUMER, Projection
from services.history.servicer import HistoryServicer
from services.history.store import MongoHistory
from shared import mongo, streams
from shared.errors import Unavailable
from shared.lifecycle import run
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
    store = MongoHistory(mongo.database(client, "history"))
    await until_done(store.create_indexes, retry_on=(Unavailable,))

    projection = Projection(store)
    events = bus.consumer(streams.JOBS, CONSUMER)
    process.loop("projection", lambda: events.run(projection.handle, gather=config.gather))
    servicer = HistoryServicer(store=store, tokens=PageTokens(config.service_key.reveal().encode()))
    await process.serve(
        (history_pb2_grpc.add_HistoryServiceServicer_to_server, servicer, "penstock.history.v1.HistoryService")
    )


if __name__ == "__main__":
    run("history", Config, serve)
