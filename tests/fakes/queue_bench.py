"""The scheduler's queue on a bench: the fake or the real one, under a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from services.scheduler.domain import Fact, Lease, LeaseKey, NewJob, Outcome, Priority, QueueSettings
from services.scheduler.queue import RedisQueue
from shared import ids
from tests.fakes.queue import FakeQueue

if TYPE_CHECKING:
    from services.scheduler.queue import Queue
    from shared import kv

UPSTREAM = "http"
CLOCK = Path(__file__).parent / "queue_clock.lua"
START_MS = 1_800_000_000_000
DAY_MS = 24 * 3600 * 1000
SETTINGS = QueueSettings(
    lease_margin=timedelta(seconds=15),
    max_priority_delay=timedelta(seconds=60),
    outbox_delay=timedelta(seconds=6),
)


class Bench(Protocol):
    """A queue, and a hand on its clock."""

    @property
    def queue(self) -> Queue:
        """The queue."""
        ...

    async def set_clock(self, now_ms: int) -> None:
        """Sets the time."""
        ...

    async def set_weight(self, tenant: str, weight: float) -> None:
        """Gives a tenant another share than 1."""
        ...


class FakeBench:
    """The fake on the bench."""

    def __init__(self, settings: QueueSettings = SETTINGS) -> None:
        self.queue = FakeQueue(settings, now_ms=START_MS)

    async def set_clock(self, now_ms: int) -> None:
        """See `Bench`."""
        self.queue.now_ms = now_ms

    async def set_weight(self, tenant: str, weight: float) -> None:
        """See `Bench`."""
        self.queue.set_weight(UPSTREAM, tenant, weight)


class RedisBench:
    """The real one on the bench; its scripts have the time from a key."""

    def __init__(self, client: kv.Client, settings: QueueSettings = SETTINGS) -> None:
        self._client: Any = client
        self.queue = RedisQueue(client, settings, clock=CLOCK)

    async def set_clock(self, now_ms: int) -> None:
        """See `Bench`."""
        await self._client.set(f"{{sched:{UPSTREAM}}}:test-clock", now_ms)

    async def set_weight(self, tenant: str, weight: float) -> None:
        """See `Bench`."""
        await self._client.hset(f"{{sched:{UPSTREAM}}}:weights", tenant, weight)


@dataclass(slots=True)
class Driver:
    """Says in short what tests say often.

    Args:
        bench: Whose queue.
        now_ms: Its time.
    """

    bench: Bench
    now_ms: int = START_MS
    sequence: int = 0

    @property
    def queue(self) -> Queue:
        """The queue."""
        return self.bench.queue

    async def advance(self, duration: timedelta) -> None:
        """Moves the clock on."""
        self.now_ms += duration // timedelta(milliseconds=1)
        await self.bench.set_clock(self.now_ms)

    def job(self, tenant: str = "acme", **fields: Any) -> NewJob:
        """A job as submitted now."""
        self.sequence += 1
        return replace(
            NewJob(
                id=ids.new_job_id(UPSTREAM),
                tenant=tenant,
                lane="-",
                priority=Priority.NORMAL,
                method_class="read",
                idempotent=True,
                sequence=self.sequence,
                not_before_ms=0,
                expires_at_ms=self.now_ms + DAY_MS,
                max_attempts=3,
                initial_backoff_ms=1000,
                max_backoff_ms=60_000,
                timeout_ms=30_000,
                has_callback=False,
            ),
            **fields,
        )

    async def enqueue(self, *jobs: NewJob) -> None:
        """Enqueues jobs, all of them new."""
        enqueued = await self.queue.enqueue(UPSTREAM, jobs)
        assert enqueued.fresh == len(jobs)

    async def enqueued(self, tenant: str = "acme", **fields: Any) -> NewJob:
        """A job that is enqueued."""
        job = self.job(tenant, **fields)
        await self.enqueue(job)
        return job

    async def lease(self, limit: int = 64) -> list[Lease]:
        """What is leased next."""
        return list((await self.queue.lease(UPSTREAM, limit, worker="w")).leases)

    async def leased_ids(self, limit: int = 64) -> list[str]:
        """The same by their jobs' ids."""
        return [lease.key.job_id for lease in await self.lease(limit)]

    async def begun(self, tenant: str = "acme", **fields: Any) -> Lease:
        """The lease of a new job whose attempt is begun."""
        await self.enqueued(tenant, **fields)
        (lease,) = await self.lease(1)
        await self.begin(lease.key)
        return lease

    async def begin(self, key: LeaseKey) -> Fact | None:
        """Begins an attempt."""
        (begun,) = await self.queue.begin(UPSTREAM, [key])
        return begun.started if begun is not None else None

    async def finish(self, key: LeaseKey, **fields: Any) -> Any:
        """Applies an outcome."""
        (answer,) = await self.queue.finish(UPSTREAM, [Outcome(key=key, **fields)])
        return answer

    async def cancel(self, job_id: str, tenant: str = "acme") -> Fact:
        """Cancels a job."""
        return await self.queue.cancel(UPSTREAM, job_id, tenant=tenant)
