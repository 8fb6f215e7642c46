"""Takes the turns of operations: several at a time, each the one that has been due longest."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from services.history.operations import metrics
from services.history.operations.domain import State, Step, to_milliseconds
from shared import ids, observability
from shared.errors import DeadlineExceeded, PenstockError, Unavailable
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from services.history.operations.domain import Kind, Runner
    from services.history.operations.store import OperationStore, Turn
    from shared.clock import Clock

log = observability.logger()

#: How long a turn is had; one takes far less, unless whoever has it has died.
TURN = timedelta(seconds=30)
#: What is left of that to note what the turn came to.
_MARGIN = 0.2
#: Turns that a replica takes at a time.
PLACES = 4
#: Turns of one tenant among them: however many operations it has, others have places left.
PLACES_OF_TENANT = 2
#: Between two looks that nothing has called for: for what a replica has begun that died.
LOOK_INTERVAL = timedelta(seconds=5)
#: A fault of our own ends an operation when it has come so often in a row.
MOST_FAILURES = 10
_BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=5))
#: Of turns that came to nothing.
_TURN_BACKOFF = Backoff(initial=timedelta(seconds=1), maximum=timedelta(minutes=1))


class Worker:
    """Works operations, whoever has begun them.

    Args:
        store: Keeps them.
        runners: What does their work; operations of other kinds are left to other replicas.
        ended: Told of each that has ended here, by its id.
        clock: The time.
        turn: How long a turn is had.
    """

    def __init__(
        self,
        *,
        store: OperationStore,
        runners: Mapping[Kind, Runner],
        ended: Callable[[str], None],
        clock: Clock,
        turn: timedelta = TURN,
    ) -> None:
        self._store = store
        self._runners = runners
        self._ended = ended
        self._clock = clock
        self._turn = turn
        self._woken = asyncio.Event()
        self._draining = False
        self._taking = asyncio.Lock()
        #: The turns that are taken now, by tenant.
        self._at_work: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Tells that a turn may be due."""
        self._woken.set()

    async def run(self) -> None:
        """Works what is due, again and again, until canceled; nothing any more after `drain`."""
        failures = 0
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                try:
                    while await self._begin_turn(group):
                        failures = 0
                    wait = await self._until_next()
                except PenstockError as error:  # nothing is lost: what is due stays due
                    failures += 1
                    log.warning("operations_delayed", reason=error.reason, error=error.message)
                    wait = _BACKOFF.pause(failures)
                with suppress(TimeoutError):  # time for the next look
                    async with asyncio.timeout(wait.total_seconds()):
                        await self._woken.wait()

    async def drain(self) -> None:
        """Returns when no turn is being taken, and takes no more: whatever is left, other replicas go on with."""
        self._draining = True
        async with self._taking:
            pass
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _begin_turn(self, group: asyncio.TaskGroup) -> bool:
        """Takes a turn that is due, where there is a place for it; answers whether it has."""
        async with self._taking:
            if self._draining or self._at_work.total() >= PLACES:
                return False
            now = self._now()
            turn = await self._store.take(
                tuple(self._runners), now=now, until=now + self._turn, passing_over=self._busy()
            )
            if turn is None:
                return False
            self._at_work[turn.operation.tenant] += 1
            task = group.create_task(self._work(turn), name=f"turn of {turn.operation.id}")
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._leave(turn.operation.tenant, done))
            return True

    def _leave(self, tenant: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._at_work[tenant] -= 1
        self._woken.set()

    def _busy(self) -> list[str]:
        return [tenant for tenant, turns in self._at_work.items() if turns >= PLACES_OF_TENANT]

    async def _until_next(self) -> timedelta:
        if self._draining or self._at_work.total() >= PLACES:  # the end of a turn wakes
            return LOOK_INTERVAL
        next_due = await self._store.next_due(tuple(self._runners), passing_over=self._busy())
        if next_due is None:
            return LOOK_INTERVAL
        return min(max(next_due - self._now(), timedelta()), LOOK_INTERVAL)

    async def _work(self, turn: Turn) -> None:
        operation = turn.operation
        began = time.perf_counter()
        try:
            step = await self._step(turn)
            if step is not None:
                await self._keep(turn, step)
        except PenstockError as error:  # nothing is lost: the turn runs out, and somebody has it again
            log.warning("operation_turn_lost", operation=operation.id, reason=error.reason, error=error.message)
        finally:
            metrics.TURN_SECONDS.labels(operation.kind).observe(time.perf_counter() - began)

    async def _step(self, turn: Turn) -> Step | None:
        """What a turn comes to; None where it is to be taken again."""
        operation = turn.operation
        try:
            async with asyncio.timeout(self._turn.total_seconds() * (1 - _MARGIN)):
                return await self._runners[operation.kind].take_turn(operation)
        except (Unavailable, DeadlineExceeded) as error:
            await self._put_off(turn, error.retry_after, failures=turn.failures)
            log.warning("operation_delayed", operation=operation.id, reason=error.reason, error=error.message)
        except PenstockError as error:
            if error.retry_after is None:
                return _failed(turn, reason=error.reason, message=error.message)
            await self._put_off(turn, error.retry_after, failures=turn.failures)
        except Exception:  # a fault of ours in one operation is none of the others'; it is told, and ends that one
            error_id = ids.new_error_id()
            log.exception("operation_turn_failed", operation=operation.id, kind=operation.kind, error_id=error_id)
            if turn.failures + 1 >= MOST_FAILURES:
                return _failed(
                    turn, reason="INTERNAL", message=f"an internal error occurred; report it with the id {error_id}"
                )
            await self._put_off(turn, None, failures=turn.failures + 1)
        return None

    async def _put_off(self, turn: Turn, pause: timedelta | None, *, failures: int) -> None:
        metrics.FAILED_TURNS.labels(turn.operation.kind).inc()
        pause = pause or _TURN_BACKOFF.pause(failures + 1)
        await self._store.put_off(turn, due=self._now() + pause, failures=failures)

    async def _keep(self, turn: Turn, step: Step) -> None:
        operation = turn.operation
        kept = await self._store.keep(turn, step, now=self._now())
        if not kept:
            log.warning("operation_turn_ran_out", operation=operation.id)
        elif step.state is not State.RUNNING:
            log.info("operation_ended", operation=operation.id, kind=operation.kind, state=step.state)
            metrics.ENDED.labels(operation.kind, step.state).inc()
            self._ended(operation.id)

    def _now(self) -> datetime:
        return to_milliseconds(self._clock.now())


def _failed(turn: Turn, *, reason: str, message: str) -> Step:
    return Step(
        metadata=turn.operation.metadata,
        cursor=turn.operation.cursor,
        due_at=None,
        state=State.FAILED,
        reason=reason,
        message=message,
    )
