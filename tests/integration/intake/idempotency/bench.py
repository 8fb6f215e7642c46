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

from penstock.jobs.v1 import batches_pb2

from services.intake.batch_ends import BatchEnds
from services.intake.batch_store import RedisBatchStore
from services.intake.erased import ErasedThings
from services.intake.floor import Floor
from services.intake.known_servers import KnownServers
from services.intake.projection import Projection
from services.intake.reading import read_batch_draft, read_draft
from services.intake.rebuild import Rebuilder
from services.intake.rebuilds import Rebuilds
from services.intake.store import RedisJobStore, server_id
from shared import bus as bus_
from shared import kv
from shared.config import Secret
from shared.identity import Principal, PrincipalKind
from tests.fakes.intake_requests import request
from tests.fakes.intake_submitters import batch_submitter_of, submitter_of
from tests.fakes.intake_tally import roomy_tally
from tests.integration.intake.idempotency.hand import Unsteady
from tests.integration.intake.idempotency.log import Log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.jobs.v1 import jobs_pb2

    from shared.bus import Bus
    from tests.integration.intake.idempotency.hand import Hand
    from tests.integration.intake.idempotency.ledger import Asked
    from tests.integration.intake.idempotency.way import Way

_CLOCK = Path(__file__).parents[3] / "fakes" / "intake_clock.lua"
_CLOCK_KEY = "intake-test-clock"
#: Longer than any publish hangs here; where time is up, the test says so.
_PATIENCE = timedelta(minutes=1)
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


class Replica:
    """A replica of intake."""

    def __init__(self, bench: Bench, bucket: Any) -> None:
        self._bench = bench
        self.servers = KnownServers()
        self.store = RedisJobStore(bench.redis, self.servers, clock=_CLOCK)
        #: Calls of the store by the rebuild that fail, as `Unsteady` has them.
        self.failing: dict[str, bool] = {}
        self.batches = RedisBatchStore(bench.redis)
        batch_ends = BatchEnds(store=self.batches, publisher=bench.bus)
        self.floor = Floor(bench.redis, self.servers, self._acknowledged)
        erased = ErasedThings(bucket)
        self.rebuilder = Rebuilder(
            client=bench.redis,
            servers=self.servers,
            rebuilds=Rebuilds(bucket, patience=timedelta(0)),
            bus=bench.bus,
            store=cast("RedisJobStore", Unsteady(self.store, self.failing)),
            batch_ends=batch_ends,
            erased=erased,
            floor=self.floor,
            tally=roomy_tally(),
        )
        self.projection = Projection(
            store=self.store,
            signaler=bench.bus,
            tally=roomy_tally(),
            batch_ends=batch_ends,
            erased=erased,
            moved=self.floor.moved,
        )

    async def _acknowledged(self) -> int:
        return self._bench.log.acknowledged()

    async def submit(self, asked: Asked, way: Way, *, failing: Mapping[str, bool] | None = None) -> Any:
        """Submits as a caller does: answers with the job, or the batch.

        Raises:
            PenstockError: What the caller is told.
            Crashed: The caller is told nothing.
        """
        bench, store = self._bench, cast("RedisJobStore", Unsteady(self.store, failing or {}))
        principal = Principal(kind=PrincipalKind.KEY, id="key_1", tenant=asked.tenant, scopes=frozenset())
        try:
            if asked.jobs:
                batches = batch_submitter_of(
                    store, self.batches, way, max_pending=bench.cap, patience=_PATIENCE, clock=bench.hand
                )
                batch = read_batch_draft(bench.batch(asked), {})
                return await batches.submit(batch, principal, remaining_s=None)
            jobs = submitter_of(store, way, max_pending=bench.cap, patience=_PATIENCE, clock=bench.hand)
            return await jobs.submit(read_draft(bench.job(asked, asked.key), {}), principal, remaining_s=None)
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

    def job(self, asked: Asked, key: str = "") -> jobs_pb2.SubmitJobRequest:
        """The request for a job; body 0 is one that is too late some day."""
        made = request(request_id=key, params={"url": f"https://example.com/{asked.body}"})
        if asked.body == 0:
            made.expires_at.FromMilliseconds(self.late_from)
        return made

    def batch(self, asked: Asked) -> batches_pb2.SubmitBatchRequest:
        """The request for a batch of such jobs."""
        return batches_pb2.SubmitBatchRequest(jobs=[self.job(asked)] * asked.jobs, request_id=asked.key)

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
