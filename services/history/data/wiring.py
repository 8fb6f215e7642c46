"""How exporting and erasing are wired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.auth.v1 import credentials_pb2_grpc, tenants_pb2_grpc
from penstock.history.v1 import data_pb2_grpc
from penstock.holdings.v1 import holdings_pb2_grpc

from services.history import holdings
from services.history.data.erasing import HISTORY, Beside, Erasing
from services.history.data.erasures import Erasures, MongoErasureStore
from services.history.data.exporting import Exporting
from services.history.data.holders import Holder, OwnHoldings, RemoteHolder
from services.history.data.jobs import ConnectionJobs
from services.history.data.remembering import RememberedErasures
from services.history.data.servicer import DataServicer
from services.history.data.tenants import AuthTenants
from services.history.operations.domain import Kind
from services.history.retention.archive import Archive
from services.history.retention.parts import MongoPartStore
from shared.errors import Unavailable
from shared.objects import ERASURES, EXPORTS, Sweep
from shared.retry import until_done

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import grpc

    from services.history.config import Config
    from services.history.data.servicer import Shown
    from services.history.holdings import Clearing, Figures, Retentions
    from services.history.operations.domain import Runner
    from services.history.operations.operations import Operations
    from shared.clock import Clock
    from shared.holdings import HoldingServicer
    from shared.lifecycle import Process
    from shared.mongo import Client
    from shared.objects import Objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What the rest of history has of it."""

    #: What does the work, by the kind of operation.
    runners: Mapping[Kind, Runner]
    #: Asks auth.
    tenants: AuthTenants
    #: Knows which jobs are of connections.
    jobs: ConnectionJobs

    def servicer(
        self, operations: Operations, shown: Shown
    ) -> tuple[Callable[[Any, grpc.aio.Server], None], DataServicer, str]:
        """What answers DataService, as `Process.serve` takes it.

        Args:
            operations: What is asked for goes on as one.
            shown: An operation as callers see it.
        """
        answers = DataServicer(operations=operations, shown=shown, tenants=self.tenants, jobs=self.jobs)
        return data_pb2_grpc.add_DataServiceServicer_to_server, answers, "penstock.history.v1.DataService"


async def running_erasures(process: Process, client: Client, *, clock: Clock) -> Erasures:
    """What was erased, as this replica knows it from now on: before it applies anything of the log."""
    store = MongoErasureStore(client)
    erasures = Erasures(store, clock=clock)
    await until_done(store.prepare, retry_on=(Unavailable,))
    await until_done(erasures.look, retry_on=(Unavailable,))
    process.loop("erasures", erasures.run)
    return erasures


def own_holdings(
    client: Client, objects: Objects, *, figures: Figures, clearing: Clearing, retentions: Retentions, clock: Clock
) -> HoldingServicer:
    """What history itself holds."""
    archive = Archive(objects, MongoPartStore(client), clock=clock)
    beside = holdings.Beside(figures=figures, archive=archive, clearing=clearing, retentions=retentions)
    return holdings.servicer(client, objects, beside)


def wire_data(
    config: Config,
    process: Process,
    client: Client,
    objects: Objects,
    own: HoldingServicer,
    *,
    erasures: Erasures,
    clock: Clock,
) -> Data:
    """Wires it into the process.

    Args:
        config: The settings.
        process: History's.
        client: Of the database.
        objects: Keeps exports, and what is remembered of erasures.
        own: What history itself holds.
        erasures: Holds the projection to them.
        clock: The time.
    """
    addresses = {
        "auth": config.auth_address,
        "intake": config.intake_address,
        "scheduler": config.scheduler_address,
        "upstream": config.upstream_address,
        "webhooks": config.webhooks_address,
    }
    channels = {name: process.channel(address) for name, address in addresses.items()}
    holders: dict[str, Holder] = {
        name: RemoteHolder(holdings_pb2_grpc.HoldingServiceStub(channel)) for name, channel in channels.items()
    }
    holders[HISTORY] = OwnHoldings(own)
    tenants = AuthTenants(
        tenants_pb2_grpc.TenantServiceStub(channels["auth"]),
        credentials_pb2_grpc.CredentialServiceStub(channels["auth"]),
    )
    sweep = Sweep(objects, prefixes=(EXPORTS, ERASURES), clock=clock, interval=config.objects_sweep_interval)
    process.loop("exports", sweep.run)
    jobs = ConnectionJobs(client)
    beside = Beside(
        tenants=tenants,
        erasures=erasures,
        remembered=RememberedErasures(objects, clock=clock),
        jobs=jobs,
        backups_kept=config.backups_kept,
        clock=clock,
        interval=config.erase_interval,
    )
    runners: dict[Kind, Runner] = {
        Kind.ERASE_DATA: Erasing(holders, beside),
        Kind.EXPORT_DATA: Exporting(holders, objects, clock=clock),
    }
    return Data(runners=runners, tenants=tenants, jobs=jobs)
