"""The store of replays in memory; `tests/contract/test_replay_store.py` holds it to what the real one does."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from services.webhooks.deliveries.replay import Replay, ReplayState
from services.webhooks.deliveries.replay_store import Turn
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.webhooks.deliveries.replay import Hand
    from shared.paging import Position


class FakeReplayStore:
    """Keeps replays in memory; can be away."""

    def __init__(self) -> None:
        self.by_id: dict[str, Replay] = {}
        #: When the turn of each is due, and who has it.
        self.due: dict[str, datetime] = {}
        self.tokens: dict[str, str] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def prepare(self) -> None:
        self._check()

    async def add(self, replay: Replay) -> None:
        self._check()
        self.by_id[replay.id] = replay
        self.due[replay.id] = replay.created_at

    async def replay(self, tenant: str, replay_id: str) -> Replay | None:
        self._check()
        replay = self.by_id.get(replay_id)
        return replay if replay is not None and replay.tenant == tenant else None

    async def replays(self, tenant: str, *, limit: int, after: Position | None = None) -> Sequence[Replay]:
        self._check()
        found = sorted((each for each in self.by_id.values() if each.tenant == tenant), key=_place, reverse=True)
        if after is not None:
            found = [each for each in found if _place(each) < (after.created_at, after.id)]
        return found[:limit]

    async def running(self, tenant: str, *, limit: int) -> int:
        self._check()
        return min(limit, sum(each.tenant == tenant for each in self._running()))

    async def cancel(self, tenant: str, replay_id: str, *, now: datetime) -> Replay | None:
        replay = await self.replay(tenant, replay_id)
        if replay is not None and replay.state is ReplayState.RUNNING:
            self._put(replace(replay, state=ReplayState.CANCELED, finished_at=now))
        return await self.replay(tenant, replay_id)

    async def take(self, *, now: datetime, until: datetime) -> Turn | None:
        self._check()
        due = sorted((self.due[each.id], each.id) for each in self._running() if self.due[each.id] <= now)
        if not due:
            return None
        replay = self.by_id[due[0][1]]
        self.due[replay.id] = until
        self.tokens[replay.id] = token = uuid.uuid4().hex
        return Turn(replay=replay, token=token)

    async def take_in_hand(self, turn: Turn, hand: Hand, *, position: Position) -> bool:
        self._check()
        replay = self._had(turn)
        if replay is None or replay.state is not ReplayState.RUNNING:
            return False
        self._put(replace(replay, hand=hand, position=position))
        return True

    async def go_on(self, turn: Turn, *, replayed: int, passed_over: int, due: datetime) -> None:
        self._check()
        replay = self._had(turn)
        if replay is not None:
            counted = {"replayed": replay.replayed + replayed, "passed_over": replay.passed_over + passed_over}
            self._put(replace(replay, hand=None, **counted))
            self.due[replay.id] = due
            del self.tokens[replay.id]

    async def finish(self, turn: Turn, *, now: datetime) -> bool:
        self._check()
        replay = self._had(turn)
        if replay is None or replay.state is not ReplayState.RUNNING:
            return False
        self._put(replace(replay, state=ReplayState.DONE, finished_at=now))
        return True

    async def next_due(self) -> datetime | None:
        self._check()
        return min((self.due[each.id] for each in self._running()), default=None)

    def _running(self) -> list[Replay]:
        return [each for each in self.by_id.values() if each.state is ReplayState.RUNNING]

    def _had(self, turn: Turn) -> Replay | None:
        return self.by_id[turn.replay.id] if self.tokens.get(turn.replay.id) == turn.token else None

    def _put(self, replay: Replay) -> None:
        self.by_id[replay.id] = replay

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})


def _place(replay: Replay) -> tuple[datetime, str]:
    return replay.created_at, replay.id
