"""How retention is wired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.history.v1 import retention_pb2_grpc

from services.history.leases import Leases
from services.history.retention.archive import Archive
from services.history.retention.jobs import MongoDueStore
from services.history.retention.parts import MongoPartStore
from services.history.retention.retentions import Retentions
from services.history.retention.servicer import RetentionServicer
from services.history.retention.store import MongoRetentionStore
from services.history.retention.sweep import Sweep
from shared.errors import Unavailable
from shared.retry import until_done

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import grpc

    from services.history.config import Config
    from shared.clock import Clock
    from shared.lifecycle import Process
    from shared.mongo import Client
    from shared.objects import Objects


def running_retentions(config: Config, process: Process, client: Client) -> Retentions:
    """How long things are kept, as this replica knows it from now on."""
    retentions = Retentions(MongoRetentionStore(client), default=config.default_retention)
    process.loop("retentions", retentions.run)
    return retentions


async def running_sweep(
    config: Config, process: Process, client: Client, objects: Objects, retentions: Retentions, *, clock: Clock
) -> Sweep:
    """What archives and deletes what has had its time, now and again; and what erases in the archive."""
    jobs, parts = MongoDueStore(client), MongoPartStore(client)
    for store in (jobs, parts):
        await until_done(store.prepare, retry_on=(Unavailable,))
    sweep = Sweep(
        jobs=jobs,
        parts=parts,
        archive=Archive(objects, parts, clock=clock),
        objects=objects,
        retentions=retentions,
        leases=Leases(client),
        clock=clock,
        interval=config.retention_interval,
    )
    process.loop("sweep", sweep.run)
    return sweep


def retention_servicer(
    retentions: Retentions,
) -> tuple[Callable[[Any, grpc.aio.Server], None], RetentionServicer, str]:
    """What answers RetentionService, as `Process.serve` takes it."""
    add = retention_pb2_grpc.add_RetentionServiceServicer_to_server
    return add, RetentionServicer(retentions), "penstock.history.v1.RetentionService"
