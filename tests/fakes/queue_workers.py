"""Workers under a clock of the test's: each call takes the same time, and jobs arrive when they are said to."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from services.scheduler.domain import Health, Outcome
from tests.fakes.queue_bench import UPSTREAM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.scheduler.domain import LeaseKey, NewJob
    from tests.fakes.queue_bench import Driver


class Grant(NamedTuple):
    """A lease that a worker was given."""

    at_ms: int
    job: NewJob
    #: How long the job has waited since it arrived.
    waited_ms: int


@dataclass(slots=True)
class Workers:
    """So many of them work on a queue.

    Args:
        driver: Of the queue.
        count: Calls that they make at a time.
        service: What a call takes.
    """

    driver: Driver
    count: int
    service: timedelta
    grants: list[Grant] = field(default_factory=list)
    _jobs: dict[str, tuple[int, NewJob]] = field(default_factory=dict)
    _arrivals: list[tuple[int, int, list[NewJob]]] = field(default_factory=list)
    _calls: list[tuple[int, str, LeaseKey]] = field(default_factory=list)

    def arrive(self, after: timedelta, jobs: Iterable[NewJob]) -> None:
        """Has jobs enqueued so long after now."""
        at_ms = self.driver.now_ms + after // timedelta(milliseconds=1)
        heapq.heappush(self._arrivals, (at_ms, len(self._arrivals), list(jobs)))

    async def work(self, span: timedelta) -> list[Grant]:
        """Lets them work for so long; what they were given meanwhile."""
        first, end_ms = len(self.grants), self.driver.now_ms + span // timedelta(milliseconds=1)
        while True:
            due_s = await self._step()
            times = [end_ms, *(arrival[0] for arrival in self._arrivals[:1]), *(call[0] for call in self._calls[:1])]
            if due_s is not None and len(self._calls) < self.count:
                times.append(self.driver.now_ms + max(1, round(due_s * 1000)))
            next_ms = min(times)
            if next_ms >= end_ms and self.driver.now_ms >= end_ms:
                return self.grants[first:]
            await self.driver.advance(timedelta(milliseconds=min(next_ms, end_ms) - self.driver.now_ms))

    async def _step(self) -> float | None:
        """Does what is to be done now; in how many seconds there may be more to lease, where that is known."""
        now_ms = self.driver.now_ms
        ended: list[LeaseKey] = []
        while self._calls and self._calls[0][0] <= now_ms:
            ended.append(heapq.heappop(self._calls)[2])
        outcomes = [Outcome(key=key, succeeded=True, health=Health.HEALTHY) for key in ended]
        await self.driver.queue.finish(UPSTREAM, outcomes)
        while self._arrivals and self._arrivals[0][0] <= now_ms:
            jobs = heapq.heappop(self._arrivals)[2]
            self._jobs |= {job.id: (now_ms, job) for job in jobs}
            await self.driver.enqueue(*jobs)
        while free := self.count - len(self._calls):
            leased = await self.driver.queue.lease(UPSTREAM, free, worker="w")
            for lease in leased.leases:
                came_ms, job = self._jobs[lease.key.job_id]
                self.grants.append(Grant(now_ms, job, now_ms - came_ms))
                heapq.heappush(self._calls, (now_ms + self._service_ms, job.id, lease.key))
            if not leased.again and not (leased.leases and len(leased.leases) == free):
                return leased.next_due.total_seconds() if leased.next_due is not None else None
        return None

    @property
    def _service_ms(self) -> int:
        return self.service // timedelta(milliseconds=1)
