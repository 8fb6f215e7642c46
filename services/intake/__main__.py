"""How intake is put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.history.v1 import history_pb2_grpc
from penstock.jobs.v1 import job_service_pb2_grpc, uploads_pb2_grpc
from penstock.scheduler.v1 import scheduler_pb2_grpc
from penstock.upstream.v1 import upstream_pb2_grpc

from services.intake import metrics, projection
from services.intake.acceptance import Acceptor
from services.intake.attachments import Attacher
from services.intake.batch_ends import BatchEnds
from services.intake.batch_reader import BatchReader
from services.intake.batch_store import RedisBatchStore
from services.intake.batch_submitter import BatchSubmitter
from services.intake.canceler import Canceler
from services.intake.catalogue import Catalogue
from services.intake.config import Config
from services.intake.explainer import Explainer
from services.intake.floor import Floor
from services.intake.hot_view import HotView, RedisKeptRecords
from services.intake.known_servers import KnownServers
from services.intake.offload import Offloader
from services.intake.projection import Projection
from services.intake.reader import JobReader
from services.intake.rebuild import Rebuilder
from services.intake.rebuilds import Rebuilds
from services.intake.recorded import RecordedJobs
from services.intake.results import Results
from services.intake.servicer import JobServicer
from services.intake.store import RedisJobStore
from services.intake.submitter import Submitter
from services.intake.tally import RedisCounts, Tally
from services.intake.upload_servicer import UploadServicer
from services.intake.upload_store import RedisUploadStore
from services.intake.uploads import Uploads
from services.intake.validation import Validator
from services.intake.waiters import Waiters
from services.intake.watching import Watcher
from shared import bus as bus_
from shared import kv, streams
from shared.addresses import AddressGuard
from shared.bus import Bus, GroupPublisher
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.formats import formats
from shared.lifecycle import run
from shared.objects import Objects, open_objects
from shared.retry import until_done
from shared.sealing import CALLBACK_SECRET, Sealer
from shared.streams import StreamLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.bus import Unit
    from shared.lifecycle import Process

    Publish = Callable[[Sequence[Unit]], Awaitable[None]]


async def serve(config: Config, process: Process) -> None:
    """Wires intake, and answers until told to stop."""
    redis = await process.depend_on("redis", lambda: kv.connect(config.redis_url), check=kv.ping, close=kv.close)
    bus = await process.depend_on(
        "nats",
        lambda: bus_.connect(config.nats_url, "intake", StreamLimits.of(config)),
        check=Bus.check,
        close=Bus.close,
    )

    guard = AddressGuard(allow_loopback=config.allow_loopback)
    sealer = Sealer.from_setting(config.sealing_key, CALLBACK_SECRET)
    held = await _held(config, process, redis, bus)
    store, tally = held.store, held.tally
    waiters = Waiters()
    await bus.on_signal(streams.JOBS_CHANGED_SIGNAL, waiters.jobs_changed)
    await bus.on_signal(streams.PRINCIPAL_REVOKED_SIGNAL, process.streams.end)
    bus.on_reconnect(waiters.wake_all)
    upstream = upstream_pb2_grpc.UpstreamServiceStub(process.channel(config.upstream_address))
    scheduler = scheduler_pb2_grpc.SchedulerServiceStub(process.channel(config.scheduler_address))
    history = history_pb2_grpc.HistoryServiceStub(process.channel(config.history_address, on_behalf_of_caller=True))
    clock = SystemClock()
    catalogue = Catalogue(upstream, formats=formats(guard))
    publisher = GroupPublisher(_counted(bus.publish_units))
    objects = process.lean_on("objects", await open_objects(config.objects), check=Objects.check, close=Objects.close)
    uploads = Uploads(store=RedisUploadStore(redis), objects=objects, clock=clock)
    validator = Validator(guard=guard, digest=sealer.digest)
    attacher = Attacher(uploads)
    recorded = RecordedJobs(history)
    acceptor = Acceptor(
        store=store,
        publisher=publisher,
        offloader=Offloader(objects),
        limits=config.pending_limits,
        tally=tally,
    )
    submitter = Submitter(
        catalogue=catalogue,
        attacher=attacher,
        validator=validator,
        acceptor=acceptor,
        store=store,
        recorded=recorded,
        sealer=sealer,
        clock=clock,
    )
    reader = JobReader(store=store, recorded=recorded, waiters=waiters)
    batches = BatchReader(batches=held.batches, store=store, recorded=recorded)
    batch_submitter = BatchSubmitter(
        catalogue=catalogue,
        attacher=attacher,
        validator=validator,
        acceptor=acceptor,
        store=store,
        reader=batches,
        sealer=sealer,
        clock=clock,
    )
    watcher = Watcher(reader=reader, store=store, waiters=waiters, clock=clock)
    canceler = Canceler(reader=reader, batches=batches, store=store, scheduler=scheduler, waiters=waiters)
    explainer = Explainer(reader=reader, scheduler=scheduler)
    results = Results(reader=reader, objects=objects, link_lifetime=config.result_link_lifetime)

    view = Projection(store=store, signaler=bus, tally=tally, batch_ends=held.batch_ends, moved=held.floor.moved)
    process.loop("publisher", publisher.run)
    process.loop("projection", lambda: bus.consumer(streams.JOBS, projection.CONSUMER).run(view.handle))
    process.loop("catalogue", catalogue.run)
    process.on_drain(waiters.release)
    await process.serve(
        (
            job_service_pb2_grpc.add_JobServiceServicer_to_server,
            JobServicer(
                submitter=submitter,
                batch_submitter=batch_submitter,
                reader=reader,
                batches=batches,
                watcher=watcher,
                canceler=canceler,
                explainer=explainer,
                results=results,
            ),
            "penstock.jobs.v1.JobService",
        ),
        (
            uploads_pb2_grpc.add_UploadServiceServicer_to_server,
            UploadServicer(uploads),
            "penstock.jobs.v1.UploadService",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What Redis holds, and what sees to it that it does."""

    store: RedisJobStore
    batches: RedisBatchStore
    batch_ends: BatchEnds
    tally: Tally
    floor: Floor


async def _held(config: Config, process: Process, redis: kv.Client, bus: Bus) -> _Held:
    """Learns whether Redis has lost anything; if it has, it is rebuilt beside answering."""
    bucket = await until_done(lambda: bus.bucket("intake", replicas=config.stream_replicas), retry_on=(Unavailable,))
    servers = KnownServers()
    hot_view = HotView(
        RedisKeptRecords(redis),
        max_bytes=config.hot_view_max_bytes,
        recorded=lambda: bus.acknowledged(streams.JOBS, streams.HISTORY_CONSUMER),
    )
    store, batches = RedisJobStore(redis, servers, ended=hot_view.ended), RedisBatchStore(redis)
    batch_ends = BatchEnds(store=batches, publisher=bus)
    tally = Tally(RedisCounts(redis), cap=config.max_pending_jobs_of_all)
    floor = Floor(redis, servers, lambda: bus.acknowledged(streams.JOBS, projection.DURABLE))
    rebuilder = Rebuilder(
        client=redis,
        servers=servers,
        rebuilds=Rebuilds(bucket),
        bus=bus,
        store=store,
        batch_ends=batch_ends,
        floor=floor,
        tally=tally,
    )
    await until_done(rebuilder.look, retry_on=(Unavailable,))
    process.loop("tally", tally.run)
    process.loop("floor", floor.run)
    process.loop("hot_view", hot_view.run)
    process.loop("rebuild", rebuilder.run)
    return _Held(store=store, batches=batches, batch_ends=batch_ends, tally=tally, floor=floor)


def _counted(publish: Publish) -> Publish:
    async def publish_counted(group: Sequence[Unit]) -> None:
        metrics.PUBLISH_GROUP_JOBS.observe(sum(map(len, group)))
        await publish(group)

    return publish_counted


if __name__ == "__main__":
    run("intake", Config, serve)
