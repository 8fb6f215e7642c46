"""Replicas of the service as far as their cache goes, before one store and one upstream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import scheduler_pb2

from services.upstream.cache.bodies import Bodies
from services.upstream.cache.bound import Bound
from services.upstream.cache.cache import Cache
from services.upstream.cache.calls import BELIEVED, Calls
from services.upstream.cache.flights import Flights
from services.upstream.cache.metrics import Labels
from services.upstream.cache.reach import Reach
from services.upstream.cache.servicer import CacheServicer
from services.upstream.cache.store import Bounds
from services.upstream.cache.ttls import Ttls
from services.upstream.catalogue import Catalogue
from services.upstream.connector import CallRequest
from services.upstream.credentials import BearerSecret, Credential
from services.upstream.domain import Failure, Kind, Method, OtherMethods, Reason, Stored, Success, Upstream
from shared.addresses import AddressGuard
from shared.errors import Unavailable
from shared.objects import result_key
from tests.fakes.contents import ContentStore

if TYPE_CHECKING:
    from services.upstream.cache.store import AnswerStore
    from services.upstream.domain import Outcome

ROOM = Bounds(in_redis=10 * 1024**2, in_all=100 * 1024**2)
TIMEOUT = timedelta(seconds=30)


def method(name: str, **fields: Any) -> Method:
    told: dict[str, Any] = {"kind": Kind.READ, "idempotent": True, "cache_ttl": timedelta(minutes=5)} | fields
    return Method(name=name, title=name, timeout=TIMEOUT, params_schema={"type": "object"}, **told)


SHOP = Upstream(
    name="shop",
    title="Shop",
    methods=(
        method("shop.get", cache_ttl_param="cacheTtlS"),
        method("shop.list"),
        method("shop.raw", cache_ttl=None, cache_ttl_param="cacheTtlS"),
        method("shop.put", kind=Kind.WRITE),
    ),
    other_methods=OtherMethods(prefix="shop.more.", template=method("")),
)


class Signals:
    """Says to all replicas what one says; or loses it."""

    def __init__(self) -> None:
        self.listeners: list[Flights] = []
        self.said: list[bytes] = []
        self.lost = False
        self.away = False

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        assert subject == "signal.cache.answered"
        if self.away:
            raise Unavailable("NATS is away")
        self.said.append(payload)
        if not self.lost:
            for flights in self.listeners:
                await flights.receive(payload)


class Shop:
    """The upstream: answers when it is let, and counts."""

    def __init__(self) -> None:
        self.calls: list[CallRequest] = []
        self.under_way = 0
        self.most_under_way = 0
        self.gate = asyncio.Event()
        self.gate.set()
        #: What the next calls come to, in order, before `answer` does.
        self.next: list[Outcome | Exception] = []
        self.answer: Outcome = Success(status=200, headers={"etag": "1"}, body=b"cats")
        #: A body that the HTTP client stores where the request says; None for `answer`.
        self.large: bytes | None = None
        self.large_status = 200

    async def call(self, request: CallRequest) -> Outcome:
        self.calls.append(request)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            request.progress.sent = True
            await self.gate.wait()
        finally:
            self.under_way -= 1
        if self.next:
            outcome = self.next.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        return self.answer if self.large is None else await self._store(request, self.large)

    async def _store(self, request: CallRequest, body: bytes) -> Outcome:
        async def chunks() -> Any:
            yield body

        stored: Stored = await request.result.put(chunks(), size=len(body), content_type="image/png")
        return Success(status=self.large_status, headers={"content-type": "image/png"}, body=stored)


FAILED = Failure(reason=Reason.UPSTREAM_STATUS, message="503", upstream_status=503, retryable=True)


@dataclass
class World:
    """What replicas have in common."""

    objects: ContentStore = field(default_factory=ContentStore)
    signals: Signals = field(default_factory=Signals)
    shop: Shop = field(default_factory=Shop)
    jobs: int = 0

    def replica(
        self, store: AnswerStore, *, bounds: Bounds = ROOM, believed: timedelta = BELIEVED, objects: Any = None
    ) -> Replica:
        return Replica(self, store, bounds, believed, objects or self.objects)


class Replica:
    """One of them."""

    def __init__(self, world: World, store: AnswerStore, bounds: Bounds, believed: timedelta, objects: Any) -> None:
        self.world = world
        self.store = store
        self.objects = objects
        bodies, reach, labels = Bodies(objects), Reach(), Labels([SHOP])
        self.flights = Flights(world.signals)
        world.signals.listeners.append(self.flights)
        self.bound = Bound(store, bodies=bodies, bounds=bounds, labels=labels)
        self.calls = Calls(store, reach=reach, bodies=bodies, flights=self.flights, bound=self.bound, believed=believed)
        self.ttls = Ttls([SHOP], {})
        self.cache = Cache(
            store,
            reach=reach,
            bodies=bodies,
            flights=self.flights,
            calls=self.calls,
            ttls=self.ttls,
            labels=labels,
        )
        self.servicer = CacheServicer(
            Catalogue([_Listed()], AddressGuard()), store=store, bodies=bodies, flights=self.flights, bound=self.bound
        )

    async def job(self, params: Any = None, **fields: Any) -> Outcome:
        """How a job comes out; see `leased` for what of it can be told."""
        return await self.cache.answer(*self.leased(params, **fields), self.world.shop.call)

    def leased(
        self,
        params: Any = None,
        *,
        name: str = "shop.get",
        tenant: str = "acme",
        connection: str = "",
        version: int = 0,
        mode: str = "DEFAULT",
        timeout: timedelta = TIMEOUT,
        **fields: Any,
    ) -> tuple[scheduler_pb2.Call, CallRequest]:
        """A job's lease and its call."""
        self.world.jobs += 1
        job_id = f"shop-{self.world.jobs}"
        job = jobs_pb2.Job(id=job_id, upstream="shop", method=name, connection_id=connection)
        submission = events_pb2.Submission(job=job, cache_policy=jobs_pb2.CachePolicy.Mode.Value(mode))
        place = self.world.objects.place(result_key(tenant, job_id, 1))
        found = SHOP.method(name)
        assert found is not None
        request = CallRequest(
            job_id=job_id,
            tenant=tenant,
            method=found,
            params={"id": 1} if params is None else params,
            timeout=timeout,
            result=place,
            credential=_credential(connection, version) if connection else None,
            **fields,
        )
        return scheduler_pb2.Call(job_id=job_id, tenant=tenant, submission=submission), request

    async def settled(self) -> None:
        """Waits until what calls brought is kept."""
        while self.calls._tasks:
            await asyncio.gather(*self.calls._tasks)


class _Listed:
    upstream = SHOP

    async def call(self, request: CallRequest) -> Outcome:
        raise AssertionError(request)


def _credential(connection: str, version: int) -> Credential:
    return Credential(connection_id=connection, version=version, secret=BearerSecret(token="t"))
