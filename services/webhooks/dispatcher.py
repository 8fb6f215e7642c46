"""The dispatcher: claims deliveries whose time has come, as many as there are free places, and has them attempted."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.webhooks import metrics
from services.webhooks.domain import State
from shared import observability
from shared.errors import PenstockError
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from services.webhooks.domain import Delivery, Due
    from services.webhooks.store import DeliveryStore
    from shared.clock import Clock

log = observability.logger()

#: Between two looks at the store that nothing has called for.
LEAST_WAIT = timedelta(seconds=1)
#: What another replica has stored and did not live to send is found no later than this.
LONGEST_WAIT = timedelta(seconds=5)
#: Beyond the attempt's own time: for its outcome to be kept.
_LEAST_CLAIM_MARGIN = timedelta(seconds=2)
_BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=5))


class Maker(Protocol):
    """Makes attempts; `services.webhooks.attempts.Attempts` is one."""

    async def make(self, delivery: Delivery) -> bool:
        """Makes the attempt that a claim has counted; answers whether another follows. Raises nothing."""
        ...


class Dispatcher:
    """Gives due deliveries the free places; no host has more than a quarter of all, so a dead one holds up no other.

    Args:
        store: Holds the deliveries.
        maker: Makes the attempts.
        clock: Against which due times are read.
        concurrency: Attempts at a time.
        attempt_timeout: How long one may take; a claim lasts half as long again, and two seconds longer at least.
        most_attempts: Of one delivery.
    """

    def __init__(
        self,
        store: DeliveryStore,
        *,
        maker: Maker,
        clock: Clock,
        concurrency: int,
        attempt_timeout: timedelta,
        most_attempts: int,
    ) -> None:
        self._store = store
        self._maker = maker
        self._clock = clock
        self._concurrency = concurrency
        self._per_host = max(1, concurrency // 4)
        self._claim_time = attempt_timeout + max(attempt_timeout / 2, _LEAST_CLAIM_MARGIN)
        self._most_attempts = most_attempts
        self._at_work: dict[asyncio.Task[None], str] = {}
        self._busy: Counter[str] = Counter()
        self._woken = asyncio.Event()
        self._came_out = asyncio.Event()
        self._draining = asyncio.Event()
        self._dispatching: asyncio.Task[None] | None = None
        metrics.ATTEMPTS_AT_WORK.set_function(lambda: len(self._at_work))

    def wake(self) -> None:
        """Says that there is something new in the store."""
        self._woken.set()

    async def run(self) -> None:
        """Claims and attempts, until canceled; after `drain` it only finishes."""
        async with asyncio.TaskGroup() as group:
            self._dispatching = group.create_task(self._dispatch(group))
            await asyncio.Event().wait()  # a loop ends by being canceled

    async def drain(self) -> None:
        """Claims no more, and returns when every attempt that was begun has come out and its outcome is kept."""
        self._draining.set()
        self._woken.set()
        if self._dispatching is not None:
            await asyncio.wait({self._dispatching})  # not canceled: what it is claiming has been counted
        while self._at_work:
            self._came_out.clear()
            await self._came_out.wait()

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        while not self._draining.is_set():
            self._woken.clear()
            try:
                wait = await self._begin_due(group)
            except PenstockError as error:  # nothing is lost: what was claimed unseen is due again in time
                failures += 1
                log.warning("dispatch_interrupted", reason=error.reason, error=error.message)
                await _wait(self._draining, _BACKOFF.pause(failures))
                continue
            failures = 0
            await _wait(self._woken, wait)

    async def _begin_due(self, group: asyncio.TaskGroup) -> timedelta:
        """Begins what is due, as far as there are places; answers how long to wait before the next look.

        An attempt that comes out and leaves a place for what waits for one ends that wait, as something new does.
        """
        free = self._concurrency - len(self._at_work)
        if free <= 0:
            return LONGEST_WAIT
        full = [host for host, busy in self._busy.items() if busy >= self._per_host]
        now = self._clock.now()
        due = await self._store.due(now, limit=free, except_hosts=full)
        if not due:
            return self._wait_for(await self._store.next_due(except_hosts=full), now)
        await self._give_up([each.id for each in due if each.attempts >= self._most_attempts], now)
        chosen = self._chosen(each for each in due if each.attempts < self._most_attempts)
        if chosen:
            for delivery in await self._store.claim(chosen, now=now, until=now + self._claim_time):
                self._begin(group, delivery)
        return timedelta()  # there may be more

    def _chosen(self, due: Iterable[Due]) -> Sequence[str]:
        """Those whose hosts have places."""
        busy = self._busy.copy()
        chosen: list[str] = []
        for each in due:
            if busy[each.host] < self._per_host:
                busy[each.host] += 1
                chosen.append(each.id)
        return chosen

    async def _give_up(self, delivery_ids: Sequence[str], now: datetime) -> None:
        """Ends what has had its last attempt, whose outcome was lost with its maker."""
        if delivery_ids:
            given_up = await self._store.give_up(delivery_ids, now=now)
            log.warning("deliveries_given_up", deliveries=list(delivery_ids))
            metrics.FINISHED.labels(State.FAILED).inc(given_up)

    def _begin(self, group: asyncio.TaskGroup, delivery: Delivery) -> None:
        task = group.create_task(self._attempt(delivery), name=delivery.id)
        self._at_work[task] = delivery.host
        self._busy[delivery.host] += 1
        task.add_done_callback(self._remove)

    async def _attempt(self, delivery: Delivery) -> None:
        if await self._maker.make(delivery):
            self._woken.set()  # the other's time may come before the next look

    def _remove(self, task: asyncio.Task[None]) -> None:
        if len(self._at_work) >= self._concurrency or self._busy[self._at_work[task]] >= self._per_host:
            self._woken.set()  # something may have waited for this place
        host = self._at_work.pop(task)
        self._busy[host] -= 1
        if not self._busy[host]:
            del self._busy[host]
        self._came_out.set()

    @staticmethod
    def _wait_for(next_due: datetime | None, now: datetime) -> timedelta:
        return LONGEST_WAIT if next_due is None else min(max(next_due - now, LEAST_WAIT), LONGEST_WAIT)


async def _wait(event: asyncio.Event, at_most: timedelta) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most.total_seconds()):
            await event.wait()
