"""Replays: begun, and worked by turns on any replica.

A turn puts back what half a second may see of one replay. It writes down what it is about to put back, puts it back,
and notes what has become of it. Whoever dies in between leaves that written: when the turn has run out, another puts
the same back once more, which changes nothing where it was done, and counts what this replay has put back of it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.webhooks import metrics
from services.webhooks.deliveries.domain import to_milliseconds
from services.webhooks.deliveries.replay import COUNTED, MOST_RUNNING, Hand, Replay
from shared import ids, observability
from shared.errors import PenstockError, RateLimited
from shared.paging import Position
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.deliveries.filters import DeliveryFilter
    from services.webhooks.deliveries.replay_store import ReplayStore, Turn
    from services.webhooks.deliveries.store import DeliveryStore
    from services.webhooks.endpoints.domain import Endpoint
    from shared.clock import Clock

log = observability.logger()

#: How long a turn is had; one takes far less, unless whoever has it has died.
TURN = timedelta(seconds=15)
#: Between two looks that nothing has called for: for what a replica has begun that died.
LOOK_INTERVAL = timedelta(seconds=5)
_BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=5))
_RETRY_AFTER = timedelta(seconds=30)


class Endpoints(Protocol):
    """Knows endpoints; `services.webhooks.endpoints.store.EndpointStore` is one."""

    async def by_ids(self, endpoint_ids: Collection[str]) -> Mapping[str, Endpoint]:
        """These endpoints, in one round trip; what is gone is not among them."""
        ...


class Announcer(Protocol):
    """Has deliveries made; `services.webhooks.delivering.news.News` is one."""

    async def announce(self, due: Mapping[str, datetime]) -> None:
        """Notes that receivers have deliveries that are due at these times, and says so here and to other replicas.

        Raises:
            Unavailable: The store is away; it may be noted.
        """
        ...


class Replays:
    """Begins replays, and works them.

    Args:
        store: Keeps them.
        deliveries: What is put back.
        endpoints: To whom.
        announcer: Has them made.
        clock: The time.
    """

    def __init__(
        self,
        *,
        store: ReplayStore,
        deliveries: DeliveryStore,
        endpoints: Endpoints,
        announcer: Announcer,
        clock: Clock,
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._announcer = announcer
        self._clock = clock
        self._woken = asyncio.Event()
        self._draining = False
        self._working = asyncio.Lock()

    async def begin(self, tenant: str, wanted: DeliveryFilter, *, max_per_second: int) -> Replay:
        """Begins to put a tenant's deliveries back; answers at once.

        Raises:
            RateLimited: As many of the tenant's replays run as may.
            Unavailable: MongoDB is away.
        """
        if await self._store.running(tenant, limit=MOST_RUNNING) >= MOST_RUNNING:
            raise RateLimited(
                f"{MOST_RUNNING} replays are running, and no more may; wait for one to end, or cancel one",
                metadata={"scope": "replays", "limit": str(MOST_RUNNING)},
                retry_after=_RETRY_AFTER,
            )
        replay = Replay(
            id=ids.new_replay_id(),
            tenant=tenant,
            wanted=wanted,
            max_per_second=max_per_second,
            total=0,
            created_at=self._now(),
        )
        replay = replace(replay, total=await self._deliveries.count(tenant, replay.meant, limit=COUNTED))
        await self._store.add(replay)
        log.info("replay_begun", replay=replay.id, tenant=tenant, total=replay.total)
        self._woken.set()
        return replay

    async def run(self) -> None:
        """Works what is due, again and again, until canceled; nothing any more after `drain`."""
        failures = 0
        while True:
            self._woken.clear()
            try:
                while await self.take_turn():
                    failures = 0
                next_due = await self._store.next_due()
            except PenstockError as error:  # nothing is lost: the turn runs out, and somebody has it again
                failures += 1
                log.warning("replays_delayed", reason=error.reason, error=error.message)
                await asyncio.sleep(_BACKOFF.pause(failures).total_seconds())
                continue
            wait = LOOK_INTERVAL if next_due is None else min(max(next_due - self._now(), timedelta()), LOOK_INTERVAL)
            with suppress(TimeoutError):  # time for the next look
                async with asyncio.timeout(wait.total_seconds()):
                    await self._woken.wait()

    async def drain(self) -> None:
        """Returns when no turn is being worked, and takes no more: whatever is left, other replicas go on with."""
        self._draining = True
        async with self._working:
            pass

    async def take_turn(self) -> bool:
        """Works one turn that is due; answers whether there was one.

        Raises:
            Unavailable: MongoDB is away; the turn runs out, and whoever has it then goes on.
        """
        async with self._working:
            now = self._now()
            turn = None if self._draining else await self._store.take(now=now, until=now + TURN)
            if turn is None:
                return False
            hand = turn.replay.hand or await self._next_hand(turn)
            if hand is not None:
                await self._put_back(turn, hand)
            return True

    async def _next_hand(self, turn: Turn) -> Hand | None:
        """Takes the next deliveries in hand; None where there are none, or the replay was ended meanwhile."""
        replay = turn.replay
        found = await self._deliveries.deliveries(
            replay.tenant, replay.meant, limit=replay.at_once, after=replay.position, oldest_first=True
        )
        if not found:
            if await self._store.finish(turn, now=self._now()):
                log.info("replay_done", replay=replay.id, replayed=replay.replayed, passed_over=replay.passed_over)
            return None
        reached = await self._reached(found)
        hand = Hand(
            delivery_ids=tuple(each.id for each in reached),
            receivers=tuple({each.receiver: None for each in reached}),
            seen=len(found),
        )
        position = Position(created_at=found[-1].created_at, id=found[-1].id)
        return hand if await self._store.take_in_hand(turn, hand, position=position) else None

    async def _reached(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those that go to a callback, or to an endpoint that is enabled."""
        named = {each.endpoint_id for each in deliveries if each.endpoint_id}
        known = await self._endpoints.by_ids(named) if named else {}
        enabled = {endpoint_id for endpoint_id, endpoint in known.items() if endpoint.enabled}
        return [each for each in deliveries if not each.endpoint_id or each.endpoint_id in enabled]

    async def _put_back(self, turn: Turn, hand: Hand) -> None:
        replay, now = turn.replay, self._now()
        put_back = 0
        if hand.delivery_ids:
            put_back = await self._deliveries.put_back_for(
                replay.id, replay.tenant, hand.delivery_ids, replay.meant, now=now
            )
        if put_back:
            await self._announcer.announce(dict.fromkeys(hand.receivers, now))
        due = self._now() + (replay.pause if put_back else timedelta())
        await self._store.go_on(turn, replayed=put_back, passed_over=hand.seen - put_back, due=due)
        metrics.REPLAYED.labels("many").inc(put_back)
        metrics.PASSED_OVER.inc(hand.seen - put_back)

    def _now(self) -> datetime:
        return to_milliseconds(self._clock.now())
