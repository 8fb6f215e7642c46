"""The scheduler's queue on a bench: the fake or the real one, under a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from services.scheduler.domain import LeaseKey, NewJob, Outcome, Priority, QueueSettings
from services.scheduler.limits import Budget, Limits, Pause, Rate, Rules, Suspension
from services.scheduler.queue import RedisQueue
from shared import ids
from tests.fakes.open_queue import open_queue
from tests.fakes.queue import FakeQueue

if TYPE_CHECKING:
    from services.scheduler.domain import Fact, Finished, Lease, Swept
    from services.scheduler.queue import Queue
    from services.scheduler.views import Explanation, QueueView
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


def budget(*rates: tuple[int, float], concurrency: int = 0) -> Budget:
    """A budget of rates, each so many calls within so many seconds."""
    return Budget(
        rates=tuple(Rate(calls=calls, window=timedelta(seconds=window_s)) for calls, window_s in rates),
        concurrency=concurrency,
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


class FakeBench:
    """The fake on the bench."""

    def __init__(self, settings: QueueSettings = SETTINGS) -> None:
        self.queue = FakeQueue(settings, now_ms=START_MS)

    async def set_clock(self, now_ms: int) -> None:
        """See `Bench`."""
        self.queue.now_ms = now_ms


class RedisBench:
    """The real one on the bench; its scripts have the time from a key."""

    def __init__(self, client: kv.Client, settings: QueueSettings = SETTINGS) -> None:
        self._client: Any = client
        self._opened = False
        self.queue = RedisQueue(client, settings, clock=CLOCK)

    async def set_clock(self, now_ms: int) -> None:
        """See `Bench`."""
        await self._client.set(f"{{sched:{UPSTREAM}}}:test-clock", now_ms)
        if not self._opened:
            await open_queue(self._client, UPSTREAM)
            self._opened = True


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
    #: Of the last word about a tenant or a lane.
    revision: int = 0

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

    async def next_due_s(self) -> float | None:
        """In how many seconds there may be something to lease, when nothing is there now."""
        leased = await self.queue.lease(UPSTREAM, 64, worker="w")
        assert leased.leases == ()
        return leased.next_due.total_seconds() if leased.next_due is not None else None

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
        """Applies an outcome; what it came to."""
        (answer,) = (await self.finished(key, **fields)).answers
        return answer

    async def finished(self, key: LeaseKey, **fields: Any) -> Finished:
        """Applies an outcome; all that came of it."""
        return await self.queue.finish(UPSTREAM, [Outcome(key=key, **fields)])

    async def cancel(self, job_id: str, tenant: str = "acme", *, force: bool = False) -> Fact:
        """Cancels a job."""
        return (await self.queue.cancel(UPSTREAM, job_id, tenant=tenant, force=force)).fact

    async def sweep(self) -> Swept:
        """Sweeps the queue."""
        return await self.queue.sweep(UPSTREAM)

    async def configure(self, **fields: Any) -> None:
        """Sets limits by their names in `Limits`, and `breaker` and `weights`; the rest is as where nothing is set."""
        rules = {name: fields.pop(name) for name in ("breaker", "weights") if name in fields}
        await self.queue.configure(UPSTREAM, Rules(limits=Limits(**fields), **rules))

    async def pause(self, tenant: str = "", lane: str = "", *, reason: str = "") -> None:
        """Pauses what is named."""
        await self.queue.pause(UPSTREAM, Pause(tenant=tenant, lane=lane, reason=reason))

    async def resume(self, tenant: str = "", lane: str = "") -> None:
        """Takes a pause back."""
        await self.queue.resume(UPSTREAM, tenant=tenant, lane=lane)

    async def suspend(
        self, tenant: str = "acme", lane: str = "", *, reason: str = "unpaid", revision: int = 0
    ) -> Suspension:
        """Holds back the jobs of a tenant, or of a lane; the newest word about it, unless told which one."""
        self.revision = revision or self.revision + 1
        suspension = Suspension(
            tenant=tenant, lane=lane, reason=reason, suspended_at_ms=self.now_ms, revision=self.revision
        )
        await self.queue.suspend(UPSTREAM, suspension)
        return suspension

    async def reinstate(self, tenant: str = "acme", lane: str = "", *, revision: int = 0) -> None:
        """Takes a suspension back."""
        self.revision = revision or self.revision + 1
        await self.queue.reinstate(UPSTREAM, tenant=tenant, lane=lane, revision=self.revision)

    async def explain(self, job: NewJob) -> Explanation:
        """Why a job waits."""
        return await self.queue.explain(UPSTREAM, job.id, tenant=job.tenant)

    async def view(self, tenant: str = "", *, lanes: int = 10) -> QueueView:
        """How the queue stands."""
        return await self.queue.view(UPSTREAM, tenant=tenant, lanes=lanes)
