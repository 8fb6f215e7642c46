"""How the scheduler is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.scheduler.v1 import scheduler_pb2_grpc
from penstock.upstream.v1 import upstream_pb2_grpc

from services.scheduler.config import Config
from services.scheduler.domain import QueueSettings
from services.scheduler.joblog import JobLog
from services.scheduler.leases import Leases
from services.scheduler.outbox import Outbox
from services.scheduler.outcomes import Outcomes
from services.scheduler.queue import RedisQueue
from services.scheduler.servicer import SchedulerServicer
from services.scheduler.submissions import Submissions
from services.scheduler.sweep import Sweeper
from services.scheduler.upstreams import QueueKeeper, Upstreams
from services.scheduler.work import Work
from shared import bus as bus_
from shared import kv
from shared.bus import Bus
from shared.lifecycle import run
from shared.streams import StreamLimits

if TYPE_CHECKING:
    from penstock.upstream.v1.upstream_pb2_grpc import UpstreamServiceAsyncStub

    from shared.lifecycle import Process


async def serve(config: Config, process: Process) -> None:
    """Wires the scheduler, and answers until told to stop."""
    redis = await process.depend_on("redis", lambda: kv.connect(config.redis_url), check=kv.ping, close=kv.close)
    bus = await process.depend_on(
        "nats",
        lambda: bus_.connect(config.nats_url, "scheduler", StreamLimits.of(config)),
        check=Bus.check,
        close=Bus.close,
    )

    settings = QueueSettings(lease_margin=config.lease_margin, max_priority_delay=config.max_priority_delay)
    queue = RedisQueue(redis, settings)
    log = JobLog(bus)
    outbox = Outbox(queue=queue, log=log)
    signals = Work(bus)
    keeper = QueueKeeper(
        bus=bus,
        submissions=Submissions(queue=queue, outbox=outbox, signals=signals),
        outcomes=Outcomes(queue=queue, log=log, signals=signals),
        sweeper=Sweeper(queue=queue, outbox=outbox, signals=signals, interval=config.sweep_interval),
    )
    stub: UpstreamServiceAsyncStub = upstream_pb2_grpc.UpstreamServiceStub(process.channel(config.upstream_address))
    upstreams = Upstreams(stub, keeper=keeper)
    leases = Leases(queue=queue, log=log, outbox=outbox, signals=signals)

    process.loop("log", log.run)
    process.loop("upstreams", upstreams.run)
    process.on_drain(signals.release)
    await process.serve(
        (
            scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server,
            SchedulerServicer(upstreams=upstreams, leases=leases, queue=queue, outbox=outbox),
            "penstock.scheduler.v1.SchedulerService",
        )
    )


if __name__ == "__main__":
    run("scheduler", Config, serve)
