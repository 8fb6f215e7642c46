"""How intake is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.auth.v1 import credentials_pb2_grpc
from penstock.history.v1 import history_pb2_grpc
from penstock.jobs.v1 import bulk_pb2_grpc, job_service_pb2_grpc, uploads_pb2_grpc
from penstock.scheduler.v1 import scheduler_pb2_grpc
from penstock.upstream.v1 import upstream_pb2_grpc

from services.intake import holdings, metrics, projection
from services.intake.acceptance import Acceptor
from services.intake.attachments import Attacher
from services.intake.batch_reader import BatchReader
from services.intake.batch_submitter import BatchSubmitter
from services.intake.bulk import BulkServicer
from services.intake.canceler import Canceler
from services.intake.catalogue import Catalogue
from services.intake.config import Config
from services.intake.connections import Connections
from services.intake.explainer import Explainer
from services.intake.holding import hold
from services.intake.judge import Judge
from services.intake.offload import Offloader
from services.intake.projection import Projection
from services.intake.reader import JobReader
from services.intake.recorded import RecordedJobs
from services.intake.results import Results
from services.intake.retrier import Retrier
from services.intake.servicer import JobServicer
from services.intake.submissions import Submissions
from services.intake.submitter import Submitter
from services.intake.upload_servicer import UploadServicer
from services.intake.upload_store import RedisUploadStore
from services.intake.uploads import Uploads
from services.intake.validation import Validator
from services.intake.waiters import Waiters
from services.intake.watching import Watcher
from shared import kv, streams
from shared.addresses import AddressGuard
from shared.bus import Bus, GroupPublisher
from shared.clock import SystemClock
from shared.formats import formats
from shared.lifecycle import run
from shared.objects import OF_INTAKE, Objects, Sweep, open_objects
from shared.sealing import CALLBACK_SECRET, Sealer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from services.intake.holding import Held
    from shared.bus import Unit
    from shared.clock import Clock
    from shared.lifecycle import Process

    Publish = Callable[[Sequence[Unit]], Awaitable[None]]


async def serve(config: Config, process: Process) -> None:
    """Wires intake, and answers until told to stop."""
    redis = await process.depend_on("redis", lambda: kv.connect(config.redis_url), check=kv.ping, close=kv.close)
    bus = await process.connect_bus(config.nats_url)
    guard = AddressGuard(allow_loopback=config.allow_loopback, ports=config.webhook_ports)
    sealer = Sealer.from_setting(config.sealing_key, CALLBACK_SECRET)
    held = await hold(config, process, redis, bus)
    store = held.store
    waiters = await _waiters(process, bus)
    await _hear_of_callers(process, bus)
    upstream = upstream_pb2_grpc.UpstreamServiceStub(process.channel(config.upstream_address))
    scheduler = scheduler_pb2_grpc.SchedulerServiceStub(process.channel(config.scheduler_address))
    history = history_pb2_grpc.HistoryServiceStub(process.channel(config.history_address, on_behalf_of_caller=True))
    clock = SystemClock()
    catalogue = Catalogue(upstream, formats=formats(AddressGuard(allow_loopback=config.allow_loopback)))
    publisher = GroupPublisher(_counted(bus.publish_units))
    objects = await _objects(config, process, clock)
    uploads = Uploads(store=RedisUploadStore(redis), objects=objects, clock=clock)
    validator = Validator(guard=guard, digest=sealer.digest)
    judge = Judge(
        catalogue=catalogue,
        connections=await _connections(config, process, bus),
        attacher=Attacher(uploads),
        validator=validator,
        store=store,
    )
    acceptor = Acceptor(
        store=store, publisher=publisher, offloader=Offloader(objects), limits=config.pending_limits, tally=held.tally
    )
    recorded = RecordedJobs(history)
    submitter = Submitter(judge=judge, acceptor=acceptor, store=store, recorded=recorded, sealer=sealer, clock=clock)
    reader = JobReader(store=store, recorded=recorded, waiters=waiters)
    batches = BatchReader(batches=held.batches, store=store, recorded=recorded)
    batch_submitter = BatchSubmitter(judge=judge, acceptor=acceptor, reader=batches, sealer=sealer, clock=clock)
    watcher = Watcher(reader=reader, store=store, waiters=waiters, clock=clock)
    canceler = Canceler(reader=reader, batches=batches, store=store, scheduler=scheduler, waiters=waiters)
    retrier = Retrier(
        reader=reader,
        store=store,
        submissions=Submissions(job_log=bus, objects=objects, sealer=sealer),
        judge=judge,
        submitter=submitter,
        clock=clock,
    )
    results = Results(reader=reader, objects=objects, link_lifetime=config.result_link_lifetime)

    _follow(process, bus, held)
    process.loop("publisher", publisher.run)
    process.loop("catalogue", catalogue.run)
    jobs = JobServicer(
        submitter=submitter,
        batch_submitter=batch_submitter,
        reader=reader,
        batches=batches,
        watcher=watcher,
        canceler=canceler,
        retrier=retrier,
        explainer=Explainer(reader=reader, scheduler=scheduler),
        results=results,
    )
    await process.serve(
        (job_service_pb2_grpc.add_JobServiceServicer_to_server, jobs, "penstock.jobs.v1.JobService"),
        (
            bulk_pb2_grpc.add_BulkServiceServicer_to_server,
            BulkServicer(canceler=canceler, retrier=retrier),
            "penstock.jobs.v1.BulkService",
        ),
        (
            uploads_pb2_grpc.add_UploadServiceServicer_to_server,
            UploadServicer(uploads),
            "penstock.jobs.v1.UploadService",
        ),
        holdings.servicer(redis, objects, held.erased, clock=clock),
    )


def _follow(process: Process, bus: Bus, held: Held) -> None:
    """Has the view follow the log."""
    view = Projection(
        store=held.store,
        signaler=bus,
        tally=held.tally,
        batch_ends=held.batch_ends,
        erased=held.erased,
        moved=held.floor.moved,
    )
    process.loop("projection", lambda: bus.consumer(streams.JOBS, projection.CONSUMER).run(view.handle))


async def _hear_of_callers(process: Process, bus: Bus) -> None:
    """Ends the streams of those who may have none any more."""
    await bus.on_signal(streams.PRINCIPAL_REVOKED_SIGNAL, process.streams.end)
    await bus.on_signal(streams.TENANT_SUSPENDED_SIGNAL, process.streams.end_tenant)
    await bus.on_signal(streams.TENANT_RESUMED_SIGNAL, process.streams.readmit_tenant)


async def _waiters(process: Process, bus: Bus) -> Waiters:
    """Who waits for jobs on this replica; woken by signals, and let go when the process is told to stop."""
    waiters = Waiters()
    await bus.on_signal(streams.JOBS_CHANGED_SIGNAL, waiters.jobs_changed)
    bus.on_reconnect(waiters.wake_all)
    process.on_drain(waiters.release)
    return waiters


async def _connections(config: Config, process: Process, bus: Bus) -> Connections:
    """What jobs are called with; forgotten when auth says that it has changed, or may have."""
    auth = credentials_pb2_grpc.CredentialServiceStub(process.channel(config.auth_address))
    connections = Connections(auth)
    await bus.on_signal(streams.CONNECTION_CHANGED_SIGNAL, connections.changed)
    bus.on_reconnect(connections.forget_all)
    return connections


async def _objects(config: Config, process: Process, clock: Clock) -> Objects:
    """The object store; what intake has there is swept beside answering."""
    objects = process.lean_on("objects", await open_objects(config.objects), check=Objects.check, close=Objects.close)
    sweep = Sweep(objects, prefixes=OF_INTAKE, clock=clock, interval=config.objects_sweep_interval)
    process.loop("sweep", sweep.run)
    return objects


def _counted(publish: Publish) -> Publish:
    async def publish_counted(group: Sequence[Unit]) -> None:
        metrics.PUBLISH_GROUP_JOBS.observe(sum(map(len, group)))
        await publish(group)

    return publish_counted


if __name__ == "__main__":
    run("intake", Config, serve)
