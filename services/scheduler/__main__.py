"""How the scheduler is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.scheduler.v1 import queues_pb2_grpc, scheduler_pb2_grpc
from penstock.upstream.v1 import upstream_pb2_grpc

from services.scheduler import holdings, standings
from services.scheduler.checkpoints import Checkpoints
from services.scheduler.config import Config
from services.scheduler.domain import QueueSettings
from services.scheduler.joblog import JobLog
from services.scheduler.latecomers import Latecomers
from services.scheduler.leases import Leases
from services.scheduler.outbox import Outbox
from services.scheduler.outcomes import Outcomes
from services.scheduler.queue import RedisQueue
from services.scheduler.queue_servicer import QueueServicer
from services.scheduler.rebuild import Rebuild
from services.scheduler.recovery import Recovery
from services.scheduler.servicer import SchedulerServicer
from services.scheduler.settings import BUCKET, Settings
from services.scheduler.submissions import Submissions
from services.scheduler.suspensions import Suspensions
from services.scheduler.sweep import Sweeper
from services.scheduler.upstreams import QueueKeeper, Upstreams
from services.scheduler.wholeness import Wholeness
from services.scheduler.work import Work
from shared import kv, streams
from shared.clock import SystemClock
from shared.lifecycle import run

if TYPE_CHECKING:
    from penstock.upstream.v1.upstream_pb2_grpc import UpstreamServiceAsyncStub

    from shared.lifecycle import Process


async def serve(config: Config, process: Process) -> None:
    """Wires the scheduler, and answers until told to stop."""
    redis = await process.depend_on("redis", lambda: kv.connect(config.redis_url), check=kv.ping, close=kv.close)
    bus = await process.connect_bus(config.nats_url)
    bucket = await bus.bucket(BUCKET, replicas=config.stream_replicas)

    settings = QueueSettings(lease_margin=config.lease_margin, max_priority_delay=config.max_priority_delay)
    queue = RedisQueue(redis, settings)
    log = JobLog(bus)
    outbox = Outbox(queue=queue, log=log)
    signals = Work(bus)
    queue_settings = Settings(bucket=bucket, queue=queue, signals=signals, clock=SystemClock())
    suspensions = Suspensions(bucket=bucket, queue=queue, signals=signals)
    rebuild, checkpoints = Rebuild(redis, settings), Checkpoints(bucket)
    recovery = Recovery(bus=bus, rebuild=rebuild, checkpoints=checkpoints, outbox=outbox, signals=signals)
    keeper = QueueKeeper(
        bus=bus,
        submissions=Submissions(queue=queue, log=log, outbox=outbox, signals=signals),
        outcomes=Outcomes(queue=queue, log=log, signals=signals),
        sweeper=Sweeper(queue=queue, outbox=outbox, signals=signals, interval=config.sweep_interval),
        wholeness=Wholeness(bus=bus, rebuild=rebuild, checkpoints=checkpoints, recovery=recovery),
        latecomers=Latecomers(bus=bus, rebuild=rebuild, recovery=recovery),
    )
    stub: UpstreamServiceAsyncStub = upstream_pb2_grpc.UpstreamServiceStub(process.channel(config.upstream_address))
    upstreams = Upstreams(stub, keeper=keeper, settings=queue_settings, suspensions=suspensions)
    recovery.on_recovered(queue_settings.restore)
    recovery.on_recovered(suspensions.restore)
    recovery.follow(lambda recovered: upstreams.renew(recovered.upstream))
    leases = Leases(queue=queue, log=log, outbox=outbox, signals=signals)

    process.loop("log", log.run)
    process.loop("upstreams", upstreams.run)
    process.loop("settings", queue_settings.follow)
    process.loop("suspensions", suspensions.follow)
    process.loop("notices", lambda: bus.consumer(streams.NOTICES, standings.CONSUMER).run(suspensions.take))
    process.on_drain(signals.release)
    await process.serve(
        (
            scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server,
            SchedulerServicer(upstreams=upstreams, leases=leases, queue=queue, outbox=outbox, signals=signals),
            "penstock.scheduler.v1.SchedulerService",
        ),
        (
            queues_pb2_grpc.add_QueueServiceServicer_to_server,
            QueueServicer(upstreams=upstreams, queue=queue, settings=queue_settings, recovery=recovery),
            "penstock.scheduler.v1.QueueService",
        ),
        holdings.servicer(
            redis,
            queue=queue,
            outbox=outbox,
            settings=queue_settings,
            signals=signals,
            upstreams=upstreams,
            clock=SystemClock(),
        ),
    )


if __name__ == "__main__":
    run("scheduler", Config, serve)
