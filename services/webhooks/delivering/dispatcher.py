"""The dispatcher: takes receivers that are due, as many as there are places for, and has each worked."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks import metrics
from services.webhooks.deliveries.domain import to_milliseconds
from services.webhooks.delivering.worker import Worker
from shared import observability
from shared.errors import PenstockError
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from services.webhooks.delivering.receivers import Receiver
    from services.webhooks.delivering.tools import Tools

log = observability.logger()

#: Between two looks at the store that no news has called for.
LEAST_WAIT = timedelta(milliseconds=100)
#: What another replica has stored and did not live to tell of is found no later than this.
LONGEST_WAIT = timedelta(seconds=5)
#: Taken at a time: what was taken must be begun well before the hold runs out.
_MOST_TAKEN = 256
#: Holds are kept so many times while one lasts.
_KEPT_PER_HOLD = 4
_BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=5))


class Dispatcher:
    """Takes receivers that are due, and lets them be worked.

    Args:
        tools: What is worked with.
        hold: How long a receiver is held unless that is kept; so long those wait whose replica has died.
    """

    def __init__(self, tools: Tools, *, hold: timedelta) -> None:
        #: By it this replica's holds are told from others'.
        self.holder = uuid.uuid4().hex
        self._tools = replace(tools, holder=self.holder, crowded=self._is_crowded)
        self._hold = hold
        self._workers: dict[str, Worker] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        #: By whether they are slow ones: whether the last look has left some that are due to others, or to later.
        self._left: dict[bool, bool] = {False: False, True: False}
        self._woken = asyncio.Event()
        self._draining = asyncio.Event()
        self._ended = asyncio.Event()
        self._dispatching: asyncio.Task[None] | None = None
        metrics.ATTEMPTS_AT_WORK.set_function(lambda: self._tools.places.taken)
        metrics.RECEIVERS_HELD.set_function(lambda: len(self._workers))

    def wake(self, receivers: Collection[str]) -> Collection[str]:
        """Says that this replica has stored something new for these receivers; answers with those it does not hold."""
        self.hear(receivers)
        elsewhere = [each for each in receivers if each not in self._workers]
        if elsewhere:
            self._woken.set()
        return elsewhere

    def hear(self, receivers: Collection[str]) -> None:
        """Says the same of what any replica has stored, which takes what nobody holds."""
        for each in receivers:
            if (worker := self._workers.get(each)) is not None:
                worker.wake()

    async def hear_of_endpoint(self, payload: bytes) -> None:
        """What `signal.webhooks.endpoint_changed` is handled by: whoever works that endpoint goes by the change."""
        endpoint_id = payload.decode(errors="replace")
        if endpoint_id in self._workers:
            try:
                await self._look_at_endpoints([endpoint_id])
            except PenstockError as error:  # the next look is a few seconds away
                log.warning("endpoint_not_read", endpoint=endpoint_id, error=error.message)

    async def run(self) -> None:
        """Takes and works, until canceled; after `drain` it only finishes."""
        async with asyncio.TaskGroup() as group:
            self._dispatching = group.create_task(self._dispatch(group))
            group.create_task(self._keep_holding())
            try:
                await asyncio.Event().wait()  # a loop ends by being canceled
            finally:  # drivers may lose a cancel before Python 3.12, and a group tells it once: all ends by itself
                self._begin_no_more()
                self._ended.set()

    async def drain(self) -> None:
        """Takes no more, and returns when every attempt that was begun has come out, and every receiver was let go."""
        self._begin_no_more()
        if self._dispatching is not None:
            await asyncio.wait({self._dispatching})  # not canceled: what it is taking is held from then on
            self._begin_no_more()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _begin_no_more(self) -> None:
        self._draining.set()
        self._woken.set()
        self._tools.places.close()
        for worker in self._workers.values():
            worker.stop()

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        while not self._draining.is_set():
            self._woken.clear()
            try:
                wait = await self._take_due(group)
            except PenstockError as error:  # nothing is lost: what was taken unseen is free again in time
                failures += 1
                log.warning("dispatch_interrupted", reason=error.reason, error=error.message)
                await _wait(self._draining, _BACKOFF.pause(failures))
                continue
            failures = 0
            await _wait(self._woken, wait)

    async def _take_due(self, group: asyncio.TaskGroup) -> timedelta:
        """Takes what is due, as far as there is room; answers how long to wait before the next look."""
        waits = [await self._take_kind(group, slow=slow) for slow in (False, True)]
        return min(waits)

    async def _take_kind(self, group: asyncio.TaskGroup, *, slow: bool) -> timedelta:
        places = self._tools.places
        busy = Counter(worker.slow for worker in self._workers.values())[slow]
        room = min((places.slow_total if slow else places.total) - busy, _MOST_TAKEN)
        if room <= 0:
            self._left[slow] = True
            return LONGEST_WAIT  # a receiver that is let go ends the wait
        now = self._tools.now()
        until = now + self._hold
        taken = await self._tools.receivers.take(self.holder, now=now, until=until, slow=slow, limit=room)
        self._left[slow] = len(taken) == room
        await self._work(group, taken, until)
        if self._left[slow]:
            return timedelta()
        next_due = await self._tools.receivers.next_due(slow=slow)
        return LONGEST_WAIT if next_due is None else min(max(next_due - now, LEAST_WAIT), LONGEST_WAIT)

    async def _work(self, group: asyncio.TaskGroup, taken: Sequence[Receiver], until: datetime) -> None:
        ids = [each.endpoint_id for each in taken if each.endpoint_id]
        endpoints = await self._tools.endpoints.by_ids(ids) if ids else {}
        for receiver in taken:
            if receiver.id in self._workers:  # its hold ran out, and nobody else took it
                continue
            worker = Worker(receiver, endpoints.get(receiver.endpoint_id), tools=self._tools, held_until=until)
            self._workers[receiver.id] = worker
            task = group.create_task(self._have_worked(worker), name=receiver.id)
            self._tasks[task] = receiver.id
            task.add_done_callback(self._remove)

    async def _have_worked(self, worker: Worker) -> None:
        try:
            await worker.run()
        except* Exception:  # one broken receiver ends no other; its hold runs out, and it is taken again
            log.exception("receiver_broken", receiver=worker.receiver.id)

    def _remove(self, task: asyncio.Task[None]) -> None:
        del self._workers[self._tasks.pop(task)]
        self._woken.set()  # for its room, and for what is due of it soon

    def _is_crowded(self, slow: bool) -> bool:  # noqa: FBT001  as `Tools.crowded` is called
        return self._left[slow]

    async def _keep_holding(self) -> None:
        """Keeps the holds, and sees what has become of the endpoints; also of how long others wait."""
        while not self._ended.is_set():
            await _wait(self._ended, self._hold / _KEPT_PER_HOLD)
            try:
                await self._keep()
                await self._look_at_endpoints([each for each, worker in self._workers.items() if worker.is_endpoint])
                oldest = await self._tools.receivers.oldest_due()
            except PenstockError as error:  # each worker knows when its hold runs out
                log.warning("holds_not_kept", reason=error.reason, error=error.message)
                continue
            waited = timedelta() if oldest is None else self._tools.now() - oldest
            metrics.OLDEST_DUE_SECONDS.set(max(waited.total_seconds(), 0))

    async def _keep(self) -> None:
        workers = dict(self._workers)
        if not workers:
            return
        until = to_milliseconds(self._tools.clock.now() + self._hold)
        held = await self._tools.receivers.keep(self.holder, list(workers), until=until)
        for receiver, worker in workers.items():
            if receiver in held:
                worker.held_until = until
            else:
                worker.lose()

    async def _look_at_endpoints(self, endpoint_ids: Collection[str]) -> None:
        found = await self._tools.endpoints.by_ids(endpoint_ids) if endpoint_ids else {}
        for each in endpoint_ids:
            if (worker := self._workers.get(each)) is not None:
                worker.endpoint_is(found.get(each))


async def _wait(event: asyncio.Event, at_most: timedelta) -> None:
    try:
        async with asyncio.timeout(at_most.total_seconds()):
            await event.wait()
    except TimeoutError:
        return
