"""All services as they hold something, over real servers: each over its own shelves, without its process."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from penstock.history.v1 import data_pb2

from services.auth import holdings as auth_holdings
from services.auth.connections.store import MongoConnectionStore
from services.history import holdings as history_holdings
from services.history.data.domain import StoreState
from services.history.data.erasing import Beside, Erasing
from services.history.data.erasures import Erasures, MongoErasureStore
from services.history.data.exporting import Exporting
from services.history.data.holders import HeldErased, HeldPage, OwnHoldings
from services.history.data.jobs import ConnectionJobs
from services.history.data.messages import Phase, metadata
from services.history.data.remembering import RememberedErasures
from services.history.leases import Leases
from services.history.operations.domain import Kind, Operation, State
from services.history.retention.archive import Archive
from services.history.retention.domain import Retention
from services.history.retention.jobs import MongoDueStore
from services.history.retention.parts import MongoPartStore
from services.history.retention.retentions import Retentions
from services.history.retention.store import MongoRetentionStore
from services.history.retention.sweep import Sweep
from services.history.stats.store import MongoStatsStore
from services.intake import holdings as intake_holdings
from services.intake.erased import ErasedThings
from services.upstream import holdings as upstream_holdings
from services.upstream.cache.bodies import Bodies
from services.upstream.cache.bound import Bound
from services.upstream.cache.flights import Flights
from services.upstream.cache.metrics import Labels
from services.upstream.cache.redis_store import RedisAnswers
from services.upstream.cache.servicer import CacheServicer
from services.upstream.cache.store import Bounds
from services.webhooks import holdings as webhooks_holdings
from shared import ids
from shared.clock import SystemClock
from shared.errors import TenantNotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.history.operations.domain import Runner, Step
    from shared import kv
    from shared.bus import Bus
    from shared.holdings import HoldingServicer
    from shared.mongo import Client
    from shared.objects import Objects

CLOCK = SystemClock()
_MOST_TURNS = 20


@dataclass
class FakeTenants:
    """What auth knows of tenants."""

    suspended: dict[str, bool]

    async def is_suspended(self, tenant: str) -> bool:
        if tenant not in self.suspended:
            raise TenantNotFound(f"there is no tenant {tenant}")
        return self.suspended[tenant]

    async def suspend(self, tenant: str, reason: str) -> None:
        assert len(reason) <= 256, "as long as auth takes it"
        await self.is_suspended(tenant)
        self.suspended[tenant] = True

    async def resume(self, tenant: str) -> None:
        self.suspended[tenant] = False

    async def has_connection(self, tenant: str, connection_id: str) -> bool:
        del tenant, connection_id
        return True


class Changes:
    """Tells at once of a connection that is gone, upon which its document goes."""

    def __init__(self, store: MongoConnectionStore) -> None:
        self._store = store

    async def tell(self, connection_id: str) -> None:
        for standing in await self._store.untold(limit=100):
            assert standing.connection_id == connection_id
            await self._store.note_told(standing)


class Queue:
    """The scheduler, which holds nothing here."""

    async def export(self, tenant: str, connection_id: str, token: str) -> HeldPage:
        del tenant, connection_id, token
        return HeldPage((), "")

    async def erase(
        self, tenant: str, connection_id: str, *, before: datetime, job_ids: Sequence[str] = ()
    ) -> HeldErased:
        del tenant, connection_id, before, job_ids
        state = StoreState(store="redis.scheduler", forgets_by=CLOCK.now() + timedelta(hours=1))
        return HeldErased([state], more=False)


@dataclass
class Sometimes:
    """A service that is away for so many calls."""

    holder: OwnHoldings
    calls_away: int = 0

    async def export(self, tenant: str, connection_id: str, token: str) -> HeldPage:
        return await self.holder.export(tenant, connection_id, token)

    async def erase(
        self, tenant: str, connection_id: str, *, before: datetime, job_ids: Sequence[str] = ()
    ) -> HeldErased:
        if self.calls_away:
            self.calls_away -= 1
            raise Unavailable("it is away")
        return await self.holder.erase(tenant, connection_id, before=before, job_ids=job_ids)


@dataclass
class Held:
    """Everything that erasing and exporting need."""

    holders: dict[str, Any]
    beside: Beside
    tenants: FakeTenants
    erased: ErasedThings
    objects: Objects
    runners: dict[Kind, Runner] = field(default_factory=dict)

    async def through(self, operation: Operation, *, twice: bool = False) -> Operation:
        """The operation when it has ended.

        Args:
            operation: As it begins.
            twice: Whether each turn is taken once more, as if nothing of the first could be kept.
        """
        turns = 0
        while operation.state is State.RUNNING:
            turns += 1
            assert turns < _MOST_TURNS, f"it comes to no end: {told(operation)}"
            if twice:
                await self.runners[operation.kind].take_turn(operation)
            operation = left_by(await self.runners[operation.kind].take_turn(operation), operation)
        return operation


async def everything(mongo: Client, redis: kv.Client, objects: Objects, bus: Bus) -> Held:
    """All services over these servers."""
    connections = MongoConnectionStore(mongo)
    flights, bodies = Flights(bus), Bodies(objects)
    answers = RedisAnswers(redis)
    bound = Bound(answers, bodies=bodies, bounds=Bounds(in_redis=1 << 30, in_all=1 << 30), labels=Labels([]))
    cache = CacheServicer(cast("Any", None), store=answers, bodies=bodies, flights=flights, bound=bound)
    erased = ErasedThings(await bus.bucket("intake", replicas=1))
    retentions = Retentions(MongoRetentionStore(mongo), default=Retention())
    parts, due = MongoPartStore(mongo), MongoDueStore(mongo)
    archive = Archive(objects, parts, clock=CLOCK)
    sweep = Sweep(
        jobs=due,
        parts=parts,
        archive=archive,
        objects=objects,
        retentions=retentions,
        leases=Leases(mongo),
        clock=CLOCK,
        interval=timedelta(hours=1),
    )
    own = history_holdings.servicer(
        mongo,
        objects,
        history_holdings.Beside(figures=MongoStatsStore(mongo), archive=archive, clearing=sweep, retentions=retentions),
    )
    servicers: dict[str, HoldingServicer] = {
        "auth": auth_holdings.servicer(
            mongo, redis, connections=connections, changes=Changes(connections), clock=CLOCK
        )[1],
        "intake": intake_holdings.servicer(redis, objects, erased, clock=CLOCK)[1],
        "upstream": upstream_holdings.servicer(redis, objects, cache)[1],
        "webhooks": webhooks_holdings.servicer(mongo, bus)[1],
        "history": own,
    }
    tenants = FakeTenants({"doomed": False, "other": False})
    holders: dict[str, Any] = {name: Sometimes(OwnHoldings(each)) for name, each in servicers.items()}
    holders["scheduler"] = Queue()
    beside = Beside(
        tenants=tenants,
        erasures=Erasures(MongoErasureStore(mongo), clock=CLOCK),
        remembered=RememberedErasures(objects, clock=CLOCK),
        jobs=ConnectionJobs(mongo),
        backups_kept=timedelta(days=366),
        clock=CLOCK,
        interval=timedelta(),
    )
    held = Held(holders=holders, beside=beside, tenants=tenants, erased=erased, objects=objects)
    held.runners[Kind.ERASE_DATA] = Erasing(holders, beside)
    held.runners[Kind.EXPORT_DATA] = Exporting(holders, objects, clock=CLOCK)
    return held


def erasure(*, connection_id: str = "", grace: timedelta = timedelta()) -> Operation:
    """An operation that is to erase the tenant `doomed`, or a connection of it."""
    now = datetime.now(UTC).replace(microsecond=0)
    request = data_pb2.EraseDataRequest(tenant="doomed", connection_id=connection_id)
    return Operation(
        id=ids.new_operation_id(),
        tenant="doomed",
        principal="key_1",
        kind=Kind.ERASE_DATA,
        request_id="",
        request=request.SerializeToString(),
        created_at=now,
        metadata=metadata(
            tenant="doomed",
            connection_id=connection_id,
            phase=Phase.SOFT,
            created_at=now,
            erases_at=now + grace,
        ),
    )


def left_by(step: Step, operation: Operation) -> Operation:
    """An operation as a step leaves it."""
    return replace(
        operation,
        state=step.state,
        metadata=step.metadata,
        cursor=step.cursor,
        response=step.response,
        finished_at=CLOCK.now() if step.due_at is None else None,
    )


def told(operation: Operation) -> data_pb2.DataMetadata:
    """How far an operation is."""
    return data_pb2.DataMetadata.FromString(operation.metadata)
