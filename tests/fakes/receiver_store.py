"""The store of receivers in memory; `tests/contract/receiver_store` holds it to what the real one does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from services.webhooks.delivering.receivers import Receiver
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime


@dataclass(slots=True)
class Kept:
    """A receiver as it is kept."""

    receiver: Receiver
    take_at: datetime | None
    holder: str = ""


class FakeReceiverStore:
    """Keeps receivers in memory; can be away."""

    def __init__(self) -> None:
        self.by_id: dict[str, Kept] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False
        #: Takes so far, and times that holds were kept.
        self.looks = 0
        self.keeps = 0

    async def prepare(self) -> None:
        self._check()

    async def note_due(self, due: Mapping[str, datetime]) -> None:
        self._check()
        for receiver_id, at in due.items():
            kept = self.by_id.setdefault(receiver_id, Kept(Receiver(id=receiver_id, news=0), None))
            kept.receiver = replace(kept.receiver, news=kept.receiver.news + 1)
            if not kept.holder:
                kept.take_at = min(at, kept.take_at or at)

    async def take(self, holder: str, *, now: datetime, until: datetime, slow: bool, limit: int) -> Sequence[Receiver]:
        self.looks += 1
        self._check()
        taken = [each for at, each in self._in_order(slow=slow) if at <= now][:limit]
        for each in taken:
            each.holder, each.take_at = holder, until
        return [each.receiver for each in taken]

    async def keep(self, holder: str, receiver_ids: Collection[str], *, until: datetime) -> Collection[str]:
        self._check()
        self.keeps += 1
        held = {each for each in receiver_ids if each in self.by_id and self.by_id[each].holder == holder}
        for each in held:
            self.by_id[each].take_at = until
        return held

    async def pace(self, holder: str, receiver: Receiver) -> None:
        self._check()
        kept = self.by_id.get(receiver.id)
        if kept is not None and kept.holder == holder:
            kept.receiver = replace(kept.receiver, not_before=receiver.not_before)

    async def release(self, holder: str, receiver: Receiver, *, next_due: datetime | None) -> Receiver | None:
        self._check()
        kept = self.by_id.get(receiver.id)
        if kept is None or kept.holder != holder:
            return None
        if kept.receiver.news != receiver.news:
            return kept.receiver
        first = next_due if receiver.not_before is None or next_due is None else max(next_due, receiver.not_before)
        self.by_id[receiver.id] = Kept(receiver, first)
        return None

    async def next_due(self, *, slow: bool) -> datetime | None:
        self._check()
        return next((at for at, _ in self._in_order(slow=slow)), None)

    async def oldest_due(self) -> datetime | None:
        first = [at for slow in (False, True) if (at := await self.next_due(slow=slow)) is not None]
        return min(first, default=None)

    def _in_order(self, *, slow: bool) -> list[tuple[datetime, Kept]]:
        found = [
            (each.take_at, each)
            for each in self.by_id.values()
            if each.take_at is not None and each.receiver.slow == slow
        ]
        return sorted(found, key=lambda each: each[0])

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})
