"""Works one receiver for as long as this replica holds it: whatever is due goes out, as fast as the receiver bears."""

from __future__ import annotations

import asyncio
import heapq
import uuid
from collections import deque
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks import metrics
from services.webhooks.deliveries.domain import State
from services.webhooks.delivering.bearing import QUICK, Bearing
from services.webhooks.delivering.posts import Claim
from services.webhooks.endpoints.domain import Order
from shared import observability
from shared.errors import Unavailable
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import datetime

    from services.webhooks.delivering.attempts import Made
    from services.webhooks.delivering.choosing import Choice
    from services.webhooks.delivering.posts import Post
    from services.webhooks.delivering.receivers import Receiver
    from services.webhooks.delivering.tools import Tools
    from services.webhooks.endpoints.domain import Endpoint, Rate

log = observability.logger()

#: A receiver is held so long for what may come next; what is due sooner is waited for.
LINGER = timedelta(milliseconds=500)
#: After so long a receiver makes room for others that wait to be taken.
TURN = timedelta(seconds=5)
#: Between two looks, while attempts are being made, that nothing has called for.
_LONGEST_WAIT = timedelta(seconds=5)
#: Deliveries looked for at a time: so many at least and at most, and of full batches so many at most.
_LOOKED_FOR = (16, 128)
_BATCHES_LOOKED_FOR = 4
_BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=5))


class Worker:
    """Works a receiver that this replica has taken.

    Args:
        receiver: Which.
        endpoint: What it is; None for callbacks, or where the endpoint is gone.
        tools: What it works with.
        held_until: When the hold runs out, unless it is kept.
    """

    def __init__(self, receiver: Receiver, endpoint: Endpoint | None, *, tools: Tools, held_until: datetime) -> None:
        self.receiver = receiver
        #: Moved whenever the hold is kept.
        self.held_until = held_until
        self._endpoint = endpoint
        #: Grows with each change of the endpoint: what was chosen for it before may go elsewhere now.
        self._version = 0
        self._tools = tools
        self._taken_at = tools.now()
        self._bearing = Bearing(receiver)
        self._lines = False  # until one is seen
        self._lines_looked_at: datetime | None = None
        self._at_work = 0
        #: Of these, those that are not answered yet and should have been.
        self._hanging = 0
        self._retries: list[datetime] = []
        #: Set by whatever may call for another look; `_news`, where that is more than that something has come out.
        self._changed = asyncio.Event()
        self._news = False
        self._room = asyncio.Event()
        self._stopping = False
        self._lost = False
        self._noting_health = asyncio.Lock()

    @property
    def slow(self) -> bool:
        """Whether the newest attempt was not answered in time."""
        return self._bearing.slow

    @property
    def is_endpoint(self) -> bool:
        """Whether it works an endpoint, and not callbacks."""
        return bool(self.receiver.endpoint_id)

    def wake(self) -> None:
        """Says that there may be something new."""
        self._news = True
        self._changed.set()

    def endpoint_is(self, endpoint: Endpoint | None) -> None:
        """Says what the endpoint is like now; None where it is gone."""
        before, self._endpoint = self._endpoint, endpoint
        if _standing(before) != _standing(endpoint):
            self._lines_looked_at = None
            self._version += 1
            self._news = True
            self._changed.set()
            self._room.set()

    def stop(self) -> None:
        """Has it begin nothing more, finish what is begun, and let the receiver go."""
        self._stopping = True
        self._news = True
        self._changed.set()
        self._room.set()

    def lose(self) -> None:
        """The same, but that somebody else has the receiver already."""
        self._lost = True
        self.stop()

    async def run(self) -> None:
        """Works until nothing is due, or it is told to stop; what it has begun has come out then."""
        async with asyncio.TaskGroup() as group:
            failures = 0
            done = False
            while not done:
                self._changed.clear()
                self._news = False
                try:
                    done = await self._step(group)
                    failures = 0
                except Unavailable as error:  # nothing is lost: what was begun unseen is due again in time
                    failures += 1
                    log.warning("receiver_interrupted", receiver=self.receiver.id, error=error.message)
                    done = self._stopping or self._is_over()  # or the hold runs out
                    await _wait(self._changed, timedelta() if done else _BACKOFF.pause(failures))

    async def _step(self, group: asyncio.TaskGroup) -> bool:
        """Begins what is due, or waits for what comes next; answers whether it has let the receiver go."""
        if not self._may_begin():
            return await self._wait_or_let_go()
        if not self._is_wanted:
            await self._end_what_is_left()
            return False if self._is_wanted else await self._wait_or_let_go()
        wait = self._bearing.wait(self._tools.clock.now(), self._rate)
        if wait > LINGER and not self._at_work:
            return await self._let_go(await self._next_due())
        if wait:
            await _wait(self._changed, min(wait, _LONGEST_WAIT))
            return False
        now = self._tools.now()
        choice = await self._choose(now)
        if choice.posts and (not await self._begin(group, choice.posts) or choice.more):
            return False
        return await self._pause(now, choice.again_at)

    def _is_over(self) -> bool:
        """Whether the hold has run out."""
        return self._lost or self._tools.clock.now() >= self.held_until

    def _may_begin(self) -> bool:
        if self._stopping or self._is_over():
            return False
        turn_is_over = self._tools.now() - self._taken_at >= TURN
        return not (turn_is_over and self._tools.crowded(self.slow))

    @property
    def _is_wanted(self) -> bool:
        """Whether it is still sent anything."""
        return not self.is_endpoint or (self._endpoint is not None and self._endpoint.enabled)

    @property
    def _rate(self) -> Rate | None:
        return self._endpoint.rate if self._endpoint is not None else None

    async def _choose(self, now: datetime) -> Choice:
        lines = self._lines or self._lines_looked_at is None or now - self._lines_looked_at >= TURN
        choice = await self._tools.chooser.choose(
            self.receiver.id,
            self._endpoint,
            schedule=self._tools.attempts.schedule(self._endpoint),
            now=now,
            limit=self._looked_for,
            lines=lines and self._may_have_lines,
        )
        if lines:
            self._lines, self._lines_looked_at = self._lines or choice.lines, now
        return choice

    @property
    def _looked_for(self) -> int:
        """How many deliveries a look is for: some times what may go at a time, or each would bring too little."""
        least, most = _LOOKED_FOR
        batching = self._endpoint.batching if self._endpoint is not None else None
        together = batching.max_events if batching is not None else 1
        window = self._bearing.window
        return max(min(max(4 * window, least), most), min(window + 1, _BATCHES_LOOKED_FOR) * together)

    async def _pause(self, now: datetime, again_at: datetime | None) -> bool:
        """Waits for what comes after all that was due by `now` is begun; lets the receiver go where that is far off."""
        while self._retries and self._retries[0] <= now:
            heapq.heappop(self._retries)
        if self._at_work:
            known = [*self._retries[:1], *([again_at] if again_at is not None else [])]
            came = await _wait(self._changed, min(known, default=now + _LONGEST_WAIT) - self._tools.now())
            if self._at_work or self._news or not came or again_at is not None:
                return False
            self._changed.clear()  # all has come out, and nothing else has happened
        if again_at is None:
            next_due = await self._next_due()
        else:  # what is held back is due already
            next_due = min(again_at, await self._next_due(after=now) or again_at)
        if next_due is not None and next_due - now <= LINGER:
            self._lines_looked_at = None  # it may stand in one
            await _wait(self._changed, next_due - self._tools.now())
            return False
        if not self._tools.crowded(self.slow) and await _wait(self._changed, LINGER):
            return False
        return await self._let_go(next_due)

    async def _next_due(self, *, after: datetime | None = None) -> datetime | None:
        return await self._tools.work.next_due(self.receiver.id, lines=self._may_have_lines, after=after)

    @property
    def _may_have_lines(self) -> bool:
        """Whether deliveries may stand in lines: the endpoint has them do so, or has been changed since it was made."""
        if not self.is_endpoint:
            return False
        endpoint = self._endpoint
        return endpoint is None or endpoint.order is Order.BY_CONNECTION or endpoint.revision > 1

    async def _wait_or_let_go(self) -> bool:
        """Lets the receiver go once everything that was begun has come out."""
        if self._at_work:
            await self._changed.wait()
            return False
        next_due = await self._next_due()
        # what is due already stands behind those that have waited while this one had its turn
        return self._is_over() or await self._let_go(next_due and max(next_due, self._tools.now()))

    async def _let_go(self, next_due: datetime | None) -> bool:
        """Answers whether it is gone; it is not where there was news meanwhile."""
        as_it_is = self._bearing.of(self.receiver)
        held = await self._tools.receivers.release(self._tools.holder, as_it_is, next_due=next_due)
        if held is None:
            return True
        self.receiver = held
        return False

    async def _end_what_is_left(self) -> None:
        """Skips or ends what waits for an endpoint that is disabled or gone; asks anew whether it is."""
        now = self._tools.now()
        found = await self._tools.endpoints.by_ids([self.receiver.endpoint_id])
        self.endpoint_is(found.get(self.receiver.endpoint_id))
        if self._endpoint is None:
            ended = await self._tools.work.end(self.receiver.id, now=now)
            metrics.FINISHED.labels(State.FAILED).inc(ended)
        elif not self._endpoint.enabled:
            skipped = await self._tools.work.skip(self.receiver.id, now=now)
            metrics.SKIPPED.inc(skipped)
            metrics.FINISHED.labels(State.SKIPPED).inc(skipped)

    async def _begin(self, group: asyncio.TaskGroup, posts: Sequence[Post]) -> bool:
        """Begins the attempts, as many at a time as there is room for; answers whether all of them are begun."""
        waiting = deque(posts)
        version = self._version
        while waiting and await self._has_room(version):
            slow = self.slow
            if not await self._tools.places.take(slow=slow):
                return False
            taken = 1
            try:
                if not self._may_begin() or self._version != version:  # meanwhile
                    return False
                if self._hanging:
                    continue  # the place is for others
                most = 1 if self._rate is not None else min(len(waiting), self._bearing.window - self._at_work)
                while taken < most and self._tools.places.take_free(slow=slow):
                    taken += 1
                taken -= await self._begin_together(group, [waiting.popleft() for _ in range(taken)], slow=slow)
            finally:
                for _ in range(taken):
                    self._tools.places.give_back(slow=slow)
        return not waiting

    async def _has_room(self, version: int) -> bool:
        """Waits until the receiver bears one more attempt; answers whether it may still be begun."""
        while self._may_begin() and self._version == version:
            self._room.clear()
            wait = self._bearing.wait(self._tools.clock.now(), self._rate)
            if wait > LINGER:
                return False
            if self._at_work < self._bearing.window and not self._hanging and not wait:
                return True
            await _wait(self._room, wait or _LONGEST_WAIT)
        return False

    async def _begin_together(self, group: asyncio.TaskGroup, posts: Sequence[Post], *, slow: bool) -> int:
        """Answers how many were begun: each has its place."""
        now = self._tools.now()
        claim = Claim(id=uuid.uuid4().hex, at=now, until=now + self._tools.claim_time)
        if self._rate is not None:  # kept first: whoever works it next, should this one die, goes by it
            self._bearing.note_sent(now, self._rate)
            await self._tools.receivers.pace(self._tools.holder, self._bearing.of(self.receiver))
        begun = await self._tools.work.begin(posts, claim)
        for post in begun:
            self._at_work += 1
            group.create_task(self._attempt(post, claim, slow=slow), name=post.first.id)
        return len(begun)

    @contextmanager
    def _place(self, *, slow: bool) -> Generator[None]:
        """An attempt's place. One that is not answered soon makes way for others', and nothing is begun beside it."""
        as_slow, hangs = slow, False

        def hang() -> None:
            nonlocal as_slow, hangs
            hangs = True
            self._hanging += 1
            as_slow = as_slow or self._tools.places.slow_down()

        timer = asyncio.get_running_loop().call_later(QUICK.total_seconds(), hang)
        try:
            yield
        finally:
            timer.cancel()
            self._hanging -= hangs
            self._tools.places.give_back(slow=as_slow)

    async def _attempt(self, post: Post, claim: Claim, *, slow: bool) -> None:
        with self._place(slow=slow):
            made = await self._tools.attempts.make(post, claim, self._endpoint)
        self._bearing.learn(made)
        try:
            await self._note_health(made)  # before the next one begins: it may be that none is to
        finally:
            self._at_work -= 1
            self._room.set()
        if made.next_attempt_at is not None:
            heapq.heappush(self._retries, made.next_attempt_at)
        if post.first.line or made.next_attempt_at is not None or not self._at_work:
            self._changed.set()

    async def _note_health(self, made: Made) -> None:
        async with self._noting_health:  # or many failures at the same time would each be the first
            endpoint = self._endpoint
            if endpoint is None:
                return
            after = await self._tools.health.after(endpoint, made.outcome)
            if self._endpoint is endpoint:  # else it was read anew meanwhile
                self.endpoint_is(after)


def _standing(endpoint: Endpoint | None) -> tuple[int, bool]:
    return (endpoint.revision, endpoint.enabled) if endpoint is not None else (0, False)


async def _wait(event: asyncio.Event, at_most: timedelta) -> bool:
    """Answers whether the event came in that time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(at_most.total_seconds(), 0)):
            await event.wait()
    return event.is_set()
