"""How operations are wired: what begins them, works them and tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.longrunning import operations_pb2_grpc
from penstock.jobs.v1 import bulk_pb2_grpc

from services.history.jobs.documents import DATABASE
from services.history.listing.store import MongoJobLists
from services.history.operations.bulk.intake import RemoteIntake
from services.history.operations.bulk.runner import BulkRunner
from services.history.operations.domain import Kind
from services.history.operations.ends import Ends
from services.history.operations.operations import Operations
from services.history.operations.servicer import OperationsServicer
from services.history.operations.store import MongoOperationStore
from services.history.operations.worker import Worker
from shared import mongo
from shared.errors import Unavailable
from shared.paging import PageTokens
from shared.retry import until_done

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import grpc

    from services.history.config import Config
    from services.history.operations.domain import Runner
    from shared.bus import Bus
    from shared.clock import Clock
    from shared.lifecycle import Process
    from shared.mongo import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningOperations:
    """Operations that are worked: where they are begun, and what answers for them."""

    operations: Operations
    answers: OperationsServicer

    @property
    def servicer(self) -> tuple[Callable[[Any, grpc.aio.Server], None], object, str]:
        """What answers `google.longrunning.Operations`, as `Process.serve` takes it."""
        return operations_pb2_grpc.add_OperationsServicer_to_server, self.answers, "google.longrunning.Operations"


async def running_operations(
    config: Config, process: Process, client: Client, *, runners: Mapping[Kind, Runner], clock: Clock
) -> RunningOperations:
    """Works operations until the process is told to stop.

    Args:
        config: The settings.
        process: Runs it.
        client: MongoDB's.
        runners: What does the work of each kind.
        clock: The time.
    """
    store = MongoOperationStore(mongo.database(client, DATABASE))
    await until_done(store.prepare, retry_on=(Unavailable,))
    ends = Ends(store)
    worker = Worker(store=store, runners=runners, ended=ends.tell, clock=clock)
    process.loop("operations", worker.run)
    process.loop("ends of operations", ends.run)
    process.on_drain(ends.release)
    process.on_drain(worker.drain)
    operations = Operations(store=store, ends=ends, wake=worker.wake, clock=clock)
    answers = OperationsServicer(
        operations=operations, runners=runners, tokens=PageTokens(config.service_key.reveal().encode())
    )
    return RunningOperations(operations=operations, answers=answers)


def bulk_runners(config: Config, process: Process, bus: Bus, client: Client, *, clock: Clock) -> dict[Kind, Runner]:
    """What cancels jobs and tries them again; it reads them from the primary, for a secondary may lag."""
    intake = RemoteIntake(bulk_pb2_grpc.BulkServiceStub(process.channel(config.intake_address)))
    runner = BulkRunner(lists=MongoJobLists(client), intake=intake, log=bus, clock=clock)
    return {Kind.CANCEL_JOBS: runner, Kind.RETRY_JOBS: runner}
