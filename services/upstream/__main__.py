"""How the upstream service is wired."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from penstock.auth.v1 import credentials_pb2_grpc
from penstock.scheduler.v1 import scheduler_pb2_grpc
from penstock.upstream.v1 import cache_pb2_grpc, upstream_pb2_grpc

from services.upstream import holdings, urls
from services.upstream.attempts import Attempts
from services.upstream.cache import wiring as cache
from services.upstream.cancels import Cancels
from services.upstream.catalogue import Catalogue
from services.upstream.config import Config
from services.upstream.connections import Connections
from services.upstream.connectors import every_connector
from services.upstream.contents import Contents
from services.upstream.http_client import HttpClient
from services.upstream.leases import Leases
from services.upstream.requests import Requests
from services.upstream.servicer import UpstreamServicer
from services.upstream.worker import Worker
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from shared.lifecycle import run
from shared.objects import OF_UPSTREAM, Objects, Sweep, open_objects
from shared.streams import CONNECTION_CHANGED_SIGNAL, cancel_signal

if TYPE_CHECKING:
    from shared.bus import Bus
    from shared.clock import Clock
    from shared.lifecycle import Process


async def serve(config: Config, process: Process) -> None:
    """Wires the service and runs it until the process is told to stop."""
    bus = await process.connect_bus(config.nats_url)
    objects = process.lean_on("objects", await open_objects(config.objects), check=Objects.check, close=Objects.close)
    publisher = bus.group_publisher()
    process.loop("publisher", publisher.run)

    clock = SystemClock()
    guard = AddressGuard(allow_loopback=config.allow_loopback)
    sweep = Sweep(objects, prefixes=OF_UPSTREAM, clock=clock, interval=config.objects_sweep_interval)
    process.loop("sweep", sweep.run)
    contents = Contents(objects, max_result_bytes=config.max_result_bytes)
    client = HttpClient(guard, limit=config.concurrency)
    process.on_close(client.close)
    catalogue = Catalogue(every_connector(client, clock, urls.parse(config.upstream_urls)), guard)
    cached = await cache.wire(config, process, bus=bus, objects=objects, catalogue=catalogue)
    scheduler = scheduler_pb2_grpc.SchedulerServiceStub(process.channel(config.scheduler_address))
    connections = await _connections(config, process, bus, clock)
    cancels = Cancels()
    await bus.on_signal(cancel_signal("*"), cancels.receive)
    name = f"{socket.gethostname()}:{os.getpid()}"
    for connector in catalogue:
        upstream = connector.upstream.name
        attempts = Attempts(
            connector,
            requests=Requests(connector.upstream, catalogue=catalogue, contents=contents, connections=connections),
            scheduler=scheduler,
            publisher=publisher,
            cache=cached.cache,
            cancels=cancels,
            clock=clock,
            worker=name,
        )
        worker = Worker(
            upstream,
            scheduler=scheduler,
            attempts=attempts,
            leases=Leases(upstream, scheduler),
            clock=clock,
            concurrency=config.concurrency,
            name=name,
        )
        process.loop(f"worker-{upstream}", worker.run)
        process.on_drain(worker.drain)
    await process.serve(
        (
            upstream_pb2_grpc.add_UpstreamServiceServicer_to_server,
            UpstreamServicer(catalogue, cached.ttls),
            "penstock.upstream.v1.UpstreamService",
        ),
        (
            cache_pb2_grpc.add_CacheServiceServicer_to_server,
            cached.servicer,
            "penstock.upstream.v1.CacheService",
        ),
        holdings.servicer(cached.redis, objects, cached.servicer),
    )


async def _connections(config: Config, process: Process, bus: Bus, clock: Clock) -> Connections:
    """What jobs are called with; forgotten when auth says that it has changed, or may have."""
    auth = credentials_pb2_grpc.CredentialServiceStub(process.channel(config.auth_address))
    connections = Connections(auth, clock=clock)
    await bus.on_signal(CONNECTION_CHANGED_SIGNAL, connections.changed)
    bus.on_reconnect(connections.forget_all)
    return connections


if __name__ == "__main__":
    run("upstream", Config, serve)
