"""How intake is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.history.v1 import history_pb2_grpc
from penstock.jobs.v1 import jobs_pb2_grpc
from penstock.scheduler.v1 import scheduler_pb2_grpc
from penstock.upstream.v1 import upstream_pb2_grpc

from services.intake import metrics, projection
from services.intake.canceler import Canceler
from services.intake.catalogue import Catalogue
from services.intake.config import Config
from services.intake.projection import Projection
from services.intake.reader import JobReader
from services.intake.recorded import RecordedJobs
from services.intake.servicer import JobServicer
from services.intake.store import RedisJobStore
from services.intake.submitter import Submitter
from services.intake.validation import Validator
from services.intake.waiters import Waiters
from services.intake.watching import Watcher
from shared import bus as bus_
from shared import kv, streams
from shared.addresses import AddressGuard
from shared.bus import Bus, GroupPublisher
from shared.clock import SystemClock
from shared.formats import formats
from shared.lifecycle import run
from shared.sealing import CALLBACK_SECRET, Sealer
from shared.streams import StreamLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.bus import Outgoing
    from shared.lifecycle import Process

    Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]


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
    store = RedisJobStore(redis)
    waiters = Waiters()
    await bus.on_signal(streams.JOBS_CHANGED_SIGNAL, waiters.jobs_changed)
    bus.on_reconnect(waiters.wake_all)
    upstream = upstream_pb2_grpc.UpstreamServiceStub(process.channel(config.upstream_address))
    scheduler = scheduler_pb2_grpc.SchedulerServiceStub(process.channel(config.scheduler_address))
    history = history_pb2_grpc.HistoryServiceStub(process.channel(config.history_address, on_behalf_of_caller=True))
    clock = SystemClock()
    catalogue = Catalogue(upstream, formats=formats(guard))
    publisher = GroupPublisher(_counted(bus.publish))
    submitter = Submitter(
        catalogue=catalogue,
        validator=Validator(guard=guard, digest=sealer.digest),
        store=store,
        publisher=publisher,
        sealer=sealer,
        clock=clock,
        max_pending=config.max_pending_jobs,
    )
    reader = JobReader(store=store, recorded=RecordedJobs(history), waiters=waiters)
    watcher = Watcher(reader=reader, store=store, waiters=waiters, clock=clock)
    canceler = Canceler(reader=reader, store=store, scheduler=scheduler, waiters=waiters)

    view = Projection(store=store, signaler=bus)
    process.loop("publisher", publisher.run)
    process.loop("projection", lambda: bus.consumer(streams.JOBS, projection.CONSUMER).run(view.handle))
    process.loop("catalogue", catalogue.run)
    process.on_drain(waiters.release)
    await process.serve(
        (
            jobs_pb2_grpc.add_JobServiceServicer_to_server,
            JobServicer(submitter=submitter, reader=reader, watcher=watcher, canceler=canceler),
            "penstock.jobs.v1.JobService",
        )
    )


def _counted(publish: Publish) -> Publish:
    async def publish_counted(group: Sequence[Outgoing]) -> None:
        metrics.PUBLISH_GROUP_JOBS.observe(len(group))
        await publish(group)

    return publish_counted


if __name__ == "__main__":
    run("intake", Config, serve)
