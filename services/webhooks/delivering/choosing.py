"""Which of a receiver's deliveries are attempted now, and which of them together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks import metrics
from services.webhooks.deliveries.domain import Reason, State
from services.webhooks.delivering import batches
from services.webhooks.delivering.posts import Post
from services.webhooks.endpoints.domain import Order
from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.webhooks.collecting.floor import StoredUpTo
    from services.webhooks.deliveries.domain import Delivery, RetrySchedule
    from services.webhooks.delivering.batches import Gathered
    from services.webhooks.delivering.work import WorkStore
    from services.webhooks.endpoints.domain import Batching, Endpoint

log = observability.logger()

#: A head whose turn is not sure yet is looked at again after so long: mostly its event is being acknowledged.
_UNSURE = timedelta(milliseconds=50)
#: The same where the log's server cannot be asked.
_UNKNOWN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is attempted now.

    Args:
        posts: In the order in which they go.
        again_at: When something that is due and held back may go; None where nothing is.
        lines: Whether anything stood in a line.
        more: Whether others may be due that were not looked at, or may be once these have come out.
    """

    posts: Sequence[Post] = ()
    again_at: datetime | None = None
    lines: bool = False
    more: bool = False


class Chooser:
    """Chooses what is attempted.

    Args:
        store: Holds the deliveries.
        stored: Says which heads of lines have nothing before them any more.
    """

    def __init__(self, store: WorkStore, *, stored: StoredUpTo) -> None:
        self._store = store
        self._stored = stored

    async def choose(
        self,
        receiver: str,
        endpoint: Endpoint | None,
        *,
        schedule: RetrySchedule,
        now: datetime,
        limit: int,
        lines: bool,
    ) -> Choice:
        """What a receiver is sent now; ends what has no attempt left.

        Args:
            receiver: Whose.
            endpoint: The receiver, unless it is one of callbacks.
            schedule: How often it is tried.
            now: What is due by then.
            limit: So many deliveries are looked at.
            lines: Whether some may stand in lines though the endpoint orders nothing now: it did when they were stored.

        Raises:
            Unavailable: MongoDB is away.
        """
        batching = endpoint.batching if endpoint is not None else None
        due = await self._store.due(receiver, now=now, limit=limit)
        heads: Sequence[Delivery] = ()
        if lines or (endpoint is not None and endpoint.order is Order.BY_CONNECTION):
            heads = await self._store.heads(receiver, now=now, limit=limit)
        sent_together = await self._sent_together([*due, *heads])
        fresh, single = _parted(due, batching)
        alone = batches.gathered(batches.in_order(fresh), batching, now=now) if batching else batches.Gathered()
        in_lines = await self._of_lines(heads, batching, now, limit=limit)
        posts = [*sent_together, *map(Post.of, single), *alone.posts, *in_lines.posts]
        await self._end_exhausted([each for each in posts if each.first.attempts >= schedule.attempts], now)
        held_back = [each.again_at for each in (alone, in_lines) if each.again_at is not None]
        return Choice(
            posts=[each for each in posts if each.first.attempts < schedule.attempts],
            again_at=min(held_back, default=None),
            lines=bool(heads),
            more=bool(heads) or len(due) == limit,
        )

    async def _sent_together(self, deliveries: Sequence[Delivery]) -> Sequence[Post]:
        """The batches, whole, of those that were sent in one before."""
        batch_ids = {each.batch_id for each in deliveries if each.batch_id}
        return batches.marked(await self._store.batches(list(batch_ids))) if batch_ids else ()

    async def _of_lines(
        self, heads: Sequence[Delivery], batching: Batching | None, now: datetime, *, limit: int
    ) -> Gathered:
        """The heads whose turn it is, with those behind them that go together."""
        free = [each for each in heads if not each.batch_id]
        fronts = [[each] for each in free if each.attempts or each.replays]  # whose turn has come before
        fresh = [[each] for each in free if not each.attempts and not each.replays]
        if batching is not None:
            fresh = await asyncio.gather(*(self._front(each, batching, now) for (each,) in fresh))
        held_back: list[datetime] = []
        sure: list[list[Delivery]] = []
        for front, unsure_for in zip(fresh, await asyncio.gather(*map(self._unsure_for, fresh)), strict=True):
            if unsure_for:
                held_back.append(now + unsure_for)
            else:
                sure.append(front)
        as_they_are = await self._as_they_are(sure, now, limit=limit)
        held_back += [now] * (len(sure) - len(as_they_are))
        made = [self._made(front, batching, now) for front in [*fronts, *as_they_are]]
        held_back += [each.again_at for each in made if each.again_at is not None]
        return batches.Gathered(
            posts=[post for each in made for post in each.posts], again_at=min(held_back, default=None)
        )

    async def _front(self, head: Delivery, batching: Batching, now: datetime) -> list[Delivery]:
        """What stands at the front of a line and may go together."""
        line = await self._store.line(head.receiver, head.line, limit=batching.max_events)
        return _leading(line, now) or [head]

    async def _as_they_are(
        self, fronts: Sequence[list[Delivery]], now: datetime, *, limit: int
    ) -> list[list[Delivery]]:
        """Those that nothing was stored before or among since they were read; from now on nothing can be."""
        alone = [front for front in fronts if len(front) == 1]
        still: set[str] = set()
        if alone:
            still = {each.id for each in await self._store.heads(alone[0][0].receiver, now=now, limit=limit)}
        together = [front for front in fronts if len(front) > 1]
        again = await asyncio.gather(
            *(self._store.line(front[0].receiver, front[0].line, limit=len(front)) for front in together)
        )
        return [front for front in alone if front[0].id in still] + [
            front
            for front, line in zip(together, again, strict=True)
            if [each.id for each in front] == [each.id for each in line]
        ]

    async def _unsure_for(self, front: Sequence[Delivery]) -> timedelta:
        """How long to wait until it may be sure that everything before its last is stored; nothing where it is."""
        try:
            return timedelta() if await self._stored.passed(front[-1].place) else _UNSURE
        except Unavailable as error:
            log.warning("line_held_back", receiver=front[0].receiver, error=error.message)
            return _UNKNOWN

    @staticmethod
    def _made(front: Sequence[Delivery], batching: Batching | None, now: datetime) -> Gathered:
        if batching is None or not batches.goes_with_others(front[0]):
            return batches.Gathered(posts=[Post.of(front[0])])
        made = batches.gathered(front, batching, now=now)
        return made if not made.posts else batches.Gathered(posts=made.posts[:1])

    async def _end_exhausted(self, posts: Sequence[Post], now: datetime) -> None:
        """Ends what has had its last attempt, whose outcome was lost with whoever made it."""
        deliveries = [delivery for post in posts for delivery in post.members]
        if deliveries:
            ended = await self._store.give_up(deliveries, now=now)
            log.warning("deliveries_given_up", deliveries=[each.id for each in deliveries])
            metrics.FINISHED.labels(State.FAILED).inc(ended)
            metrics.EXHAUSTED.labels(Reason.ATTEMPT_LOST).inc(ended)


def _parted(due: Sequence[Delivery], batching: Batching | None) -> tuple[list[Delivery], list[Delivery]]:
    """What may be put into batches, and what goes by itself; what was sent in one before is neither."""
    fresh = [each for each in due if batching is not None and batches.goes_with_others(each)]
    taken = {each.id for each in fresh}
    return fresh, [each for each in due if not each.batch_id and each.id not in taken]


def _leading(line: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """Those at the front of a line that may go together."""
    leading: list[Delivery] = []
    for each in line:
        if not batches.goes_with_others(each) or each.next_attempt_at > now:
            break
        leading.append(each)
    return leading
