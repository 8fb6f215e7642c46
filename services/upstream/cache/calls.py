"""Calls that are made for whoever wants the same: held while they are under way, and their answers kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.upstream.cache.entries import MAX_BODY_IN_REDIS, answer_of, bytes_of
from services.upstream.cache.flights import Landed
from services.upstream.cache.store import Kept, Stale
from services.upstream.domain import Stored, Success, not_kept
from shared import observability
from shared.errors import Unavailable
from shared.objects import ObjectNotFoundError, cache_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from services.upstream.cache.bodies import Bodies
    from services.upstream.cache.bound import Bound
    from services.upstream.cache.entries import Answer, Spot
    from services.upstream.cache.flights import Flight, Flights
    from services.upstream.cache.reach import Reach
    from services.upstream.cache.store import AnswerStore, Takes
    from services.upstream.connector import CallRequest
    from services.upstream.domain import Outcome

log = observability.logger()

#: For how long a replica is believed to call that says nothing more; so long others wait for one that was killed.
BELIEVED = timedelta(seconds=6)
#: So often in that time it says that it is still at it.
_HELD_PARTS = 3
#: For what is still being kept when the process ends.
_CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One job's call that may be served.

    Args:
        spot: Where its answer is kept.
        ttl: How long that serves.
        request: The call.
        call: Makes it.
        token: By which this job is known where it calls for others too.
        deadline: When its time to wait is over, by the loop's clock.
    """

    spot: Spot
    ttl: timedelta
    request: CallRequest
    call: Callable[[CallRequest], Awaitable[Outcome]]
    token: str
    deadline: float


class Calls:
    """Makes them.

    Args:
        store: Has the answers.
        reach: Knows whether it can be reached.
        bodies: Has what of them is large.
        flights: Who waits for whom.
        bound: What all of it may take.
        believed: For how long a replica is believed to call that says nothing more.
    """

    def __init__(
        self,
        store: AnswerStore,
        *,
        reach: Reach,
        bodies: Bodies,
        flights: Flights,
        bound: Bound,
        believed: timedelta = BELIEVED,
    ) -> None:
        self._store = store
        self._reach = reach
        self._bodies = bodies
        self._flights = flights
        self._bound = bound
        self.believed = believed
        self._tasks: set[asyncio.Task[None]] = set()

    async def make(self, read: Read, flight: Flight | None) -> Outcome:
        """Makes a call that the store has given to this job; what comes of it is kept beside, and holds nobody up.

        Args:
            read: The call.
            flight: Of those of this process who wait for it; None where they wait for another one.
        """
        holding = asyncio.create_task(self._hold(read, flight), name="cache")
        with_cache = replace(read.request.result, key=cache_key(read.spot.tenant, read.spot.digest, read.token))
        answer: Answer | None = None
        stored = False
        try:
            outcome = await read.call(replace(read.request, result=with_cache))
            answer = answer_of(outcome, object_name=read.token)
            if isinstance(outcome, Success) and isinstance(outcome.body, Stored):
                stored = True
                outcome = await self._as_result(read, outcome)
        finally:  # a cancel too: the next one calls
            self._spawn(self._land(read, flight, holding, answer=answer, stored=stored))
        return outcome

    async def close(self) -> None:
        """Waits for what is being kept, for a moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT_S)
        for task in self._tasks:
            task.cancel()

    async def _as_result(self, read: Read, outcome: Success) -> Outcome:
        """The outcome, once an answer that lies with the cache lies where the job's result does too."""
        try:
            await self._bodies.copy(read.spot, read.token, read.request.result)
        except (ObjectNotFoundError, Unavailable) as error:
            message = f"the upstream answered {outcome.status}, and its answer could not be stored: {error}"
            failure = not_kept(message, status=outcome.status, idempotent=True)
            return replace(failure, quotas=outcome.quotas, judged=outcome.health)
        return outcome

    async def _hold(self, read: Read, flight: Flight | None) -> None:
        """Says now and again that this replica still calls; where the call is its own no more, nobody waits for it."""
        while True:
            await asyncio.sleep(self.believed.total_seconds() / _HELD_PARTS)
            try:
                held = await self._store.hold(read.spot, token=read.token, believed=self.believed)
            except Unavailable:  # others may take the call over, and one more is made
                continue
            if not held.own:
                if flight is not None:
                    flight.land(None)
                return

    async def _land(
        self, read: Read, flight: Flight | None, holding: asyncio.Task[None], *, answer: Answer | None, stored: bool
    ) -> None:
        """Keeps an answer, or lets the call go where there is none to keep; tells all who wait.

        Args:
            read: The call.
            flight: Of those of this process who wait for it.
            holding: Says that it goes on.
            answer: What may serve again of what came.
            stored: Whether a body came that lies with the cache.
        """
        kept = Kept(takes=None, waited=True)
        shelved: Answer | None = None
        try:
            shelved = await self._shelved(read, answer)
            async with self._reach.asking():
                if shelved is None:
                    held = await self._store.hold(read.spot, token=read.token, believed=timedelta())
                    kept = Kept(takes=None, waited=held.waited)
                else:
                    kept = await self._store.keep(read.spot, shelved, token=read.token, ttl=read.ttl)
        except Unavailable as error:  # others take the call over when this replica is believed no more
            log.debug("call_not_let_go", error=error.message)
        finally:
            holding.cancel()
            if flight is not None:
                serves = shelved is not None and kept.takes is not None
                flight.land(Landed(answer=shelved, called=True) if shelved is not None and serves else None)
        if kept.waited:
            await self._flights.tell([read.spot.digest])
        stale = list(kept.stale)
        if kept.takes is None and (stored or (shelved is not None and shelved.object)):
            stale.append(Stale(tenant=read.spot.tenant, digest=read.spot.digest, name=read.token))
        await self._bodies.delete(stale)
        if kept.takes is not None:
            await self._note(kept.takes)

    async def _shelved(self, read: Read, answer: Answer | None) -> Answer | None:
        """The answer with its body where it belongs; None where it is not to be kept."""
        if answer is None:
            return None
        if answer.body is not None and answer.size > MAX_BODY_IN_REDIS:
            answer = replace(answer, object=read.token)
        in_redis, in_objects = bytes_of(answer, read.spot.scope)
        if not self._bound.admits(in_redis=in_redis, in_all=in_redis + in_objects):
            return None
        if answer.body is not None and answer.object:
            try:
                await self._bodies.put(read.spot, read.token, answer)
            except Unavailable as error:
                log.warning("answer_not_cached", error=error.message)
                return None
        return answer

    async def _note(self, takes: Takes) -> None:
        try:
            async with self._reach.asking():
                await self._bound.note(takes)
        except Unavailable as error:  # it is noted with the tenant's next answer
            log.debug("cache_not_noted", error=error.message)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="cache")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # the job has its outcome; others take the call over
            log.error("cache_failed", exc_info=error)
