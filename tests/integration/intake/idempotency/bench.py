"""Intake's way of a submit on a bench: real Redis, NATS and code, under a clock and in an order of the test's own.

What would take time in the world happens here at a word: a publish that fails, hangs or straggles, a process that dies,
an answer of Redis that is lost, a projection that is late, a Redis that loses its last writes or all of them, a day.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from services.intake.floor import Floor
from services.intake.known_servers import KnownServers
from services.intake.limits import PendingLimits
from services.intake.projection import Projection
from services.intake.reading import read_draft
from services.intake.rebuild import Rebuilder
from services.intake.rebuilds import Rebuilds
from services.intake.store import RedisJobStore, server_id
from services.intake.submitter import Submitter
from services.intake.validation import Validator
from shared import bus as bus_
from shared import kv
from shared.config import Secret
from shared.identity import Principal, PrincipalKind
from shared.sealing import CALLBACK_SECRET, Sealer
from tests.fakes.intake_requests import GUARD, UPSTREAMS, request
from tests.fakes.intake_tally import roomy_tally
from tests.integration.intake.idempotency.hand import Unsteady
from tests.integration.intake.idempotency.log import Log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.jobs.v1 import jobs_pb2

    from services.intake.catalogue import Catalogue
    from shared.bus import Bus
    from tests.integration.intake.idempotency.hand import Hand
    from tests.integration.intake.idempotency.ledger import Asked
    from tests.integration.intake.idempotency.way import Way

_CLOCK = Path(__file__).parents[3] / "fakes" / "intake_clock.lua"
_CLOCK_KEY = "intake-test-clock"
#: Lets time pass for what Redis removes by itself.
_AGE = """
for _, key in ipairs(redis.call('KEYS', '*')) do
    local left = redis.call('PTTL', key)
    if left >= 0 then
        redis.call('PEXPIRE', key, math.max(0, left - ARGV[1]))
    end
end
"""


class Crashed(Exception):
    """The process is gone; nobody is answered."""


class LoadedCatalogue:
    """Knows what can be called without asking."""

    def upstreams(self) -> Any:
        return UPSTREAMS


class Replica:
    """A replica of intake."""

    def __init__(self, bench: Bench, bucket: Any) -> None:
        self._bench = bench
        self.servers = KnownServers()
        self.store = RedisJobStore(bench.redis, self.servers, clock=_CLOCK)
        #: Calls of the store by the rebuild that fail, as `Unsteady` has them.
        self.failing: dict[str, bool] = {}
        self.floor = Floor(bench.redis, self.servers, self._acknowledged)
        self.rebuilder = Rebuilder(
            client=bench.redis,
            servers=self.servers,
            rebuilds=Rebuilds(bucket, patience=timedelta(0)),
            bus=bench.bus,
            store=cast("RedisJobStore", Unsteady(self.store, self.failing)),
            floor=self.floor,
            tally=roomy_tally(),
        )
        self.projection = Projection(store=self.store, signaler=bench.bus, tally=roomy_tally(), moved=self.floor.moved)

    async def _acknowledged(self) -> int:
        return self._bench.log.acknowledged()

    async def submit(self, asked: Asked, way: Way, *, failing: Mapping[str, bool] | None = None) -> jobs_pb2.Job:
        """Submits as a caller does.

        Raises:
            PenstockError: What the caller is told.
            Crashed: The caller is told nothing.
        """
        sealer = Sealer(bytes(32), CALLBACK_SECRET)
        through = Submitter(
            catalogue=cast("Catalogue", LoadedCatalogue()),
            validator=Validator(guard=GUARD, digest=sealer.digest),
            store=cast("RedisJobStore", Unsteady(self.store, failing or {})),
            publisher=way,
            sealer=sealer,
            clock=self._bench.hand,
            limits=PendingLimits(default=self._bench.cap),
            tally=roomy_tally(),
            publish_timeout=timedelta(minutes=1),
        )
        principal = Principal(kind=PrincipalKind.KEY, id="key_1", tenant=asked.tenant, scopes=frozenset())
        try:
            return await through.submit(read_draft(self._bench.request(asked), {}), principal, remaining_s=None)
        except asyncio.CancelledError:
            raise Crashed from None

    async def knows_server(self) -> bool:
        return await server_id(self._bench.redis) in self.servers


@dataclass(frozen=True)
class Kept:
    """What Redis held at a time."""

    at: int
    values: dict[bytes, tuple[bytes, int]]


class Bench:
    """Two replicas, and a hand on all that is around them.

    Args:
        hand: On the clock.
        cap: Unfinished jobs that a tenant may have.
    """

    def __init__(self, redis: kv.Client, bus: Bus, hand: Hand, cap: int) -> None:
        self.redis = redis
        self.bus = bus
        self.hand = hand
        self.cap = cap
        self.log = Log(bus, hand)
        #: From when on the request with body 0 is too late.
        self.late_from = 0
        self.replicas: list[Replica] = []

    @classmethod
    async def open(cls, redis_url: str, nats_url: str, hand: Hand, cap: int) -> Bench:
        """An empty bench."""
        redis = await kv.connect(Secret(redis_url))
        await redis.flushdb()
        bus = await bus_.connect(Secret(nats_url), "bench")
        bench = cls(redis, bus, hand, cap)
        await bench.log.clear()
        bucket = await bus.bucket("intake", replicas=1)
        bench.replicas = [Replica(bench, bucket) for _ in range(2)]
        await bench.set_clock(hand.now_ms)
        for replica in bench.replicas:
            await replica.rebuilder.look()
        return bench

    async def close(self) -> None:
        await kv.close(self.redis)
        await self.bus.close()

    def request(self, asked: Asked) -> jobs_pb2.SubmitJobRequest:
        """The request; body 0 is one that is too late some day."""
        made = request(request_id=asked.key, params={"url": f"https://example.com/{asked.body}"})
        if asked.body == 0:
            made.expires_at.FromMilliseconds(self.late_from)
        return made

    async def set_clock(self, now_ms: int) -> None:
        self.hand.now_ms = now_ms
        await self.redis.set(_CLOCK_KEY, now_ms)

    async def pass_time(self, milliseconds: int) -> None:
        await self.redis.eval(_AGE, 0, milliseconds)
        await self.set_clock(self.hand.now_ms + milliseconds)

    async def pending(self, tenant: str) -> int:
        """Unfinished jobs of a tenant, as Redis has them."""
        return await self.redis.zcount(f"{{intake:{tenant}}}:pending", self.hand.now_ms + 1, "+inf")

    async def keep(self) -> Kept:
        """What Redis holds now, and may be left with."""
        keys = await self.redis.keys("{intake*")
        values = [(await self.redis.dump(key), await self.redis.pttl(key)) for key in keys]
        return Kept(self.hand.now_ms, dict(zip(keys, cast("Any", values), strict=True)))

    async def lose(self, kept: Kept | None) -> None:
        """Redis is another server, with what was kept or with nothing."""
        await self.redis.flushdb()
        for key, (value, left) in kept.values.items() if kept is not None else ():
            remaining = left - (self.hand.now_ms - kept.at) if left >= 0 else 0
            if left < 0 or remaining > 0:
                await self.redis.restore(key, remaining, value)
        await self.redis.execute_command("DEBUG", "CHANGE-REPL-ID")
        await self.set_clock(self.hand.now_ms)
