"""The store of deliveries in memory; `tests/contract/test_delivery_store.py` holds it to what the real one does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.webhooks.domain import Delivery, Due, Reason, State
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime


class FakeDeliveryStore:
    """Keeps deliveries in memory; can be away."""

    def __init__(self) -> None:
        self.by_id: dict[str, Delivery] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False
        #: Looks for what is due so far.
        self.looks = 0

    async def prepare(self) -> None:
        self._check()

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        self._check()
        new = {each.id: each for each in deliveries if each.id not in self.by_id}
        self.by_id |= new
        return len(new)

    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None:
        self._check()
        delivery = self.by_id.get(delivery_id)
        return delivery if delivery is not None and delivery.tenant == tenant else None

    async def due(self, now: datetime, *, limit: int, except_hosts: Collection[str] = ()) -> list[Due]:
        self.looks += 1
        self._check()
        due = [each for each in self._pending(except_hosts) if each.next_attempt_at <= now]
        return [Due(id=each.id, host=each.host, attempts=each.attempts) for each in due[:limit]]

    async def next_due(self, *, except_hosts: Collection[str] = ()) -> datetime | None:
        self._check()
        return next((each.next_attempt_at for each in self._pending(except_hosts)), None)

    async def claim(self, delivery_ids: Collection[str], *, now: datetime, until: datetime) -> list[Delivery]:
        self._check()
        return [
            self._put(replace(each, attempts=each.attempts + 1, next_attempt_at=until))
            for each in self._still_due(delivery_ids, now)
        ]

    async def give_up(self, delivery_ids: Collection[str], *, now: datetime) -> int:
        self._check()
        due = list(self._still_due(delivery_ids, now))
        for each in due:
            self._put(
                replace(each, state=State.FAILED, last_reason=Reason.ATTEMPT_LOST, last_status=0, finished_at=now)
            )
        return len(due)

    async def record(self, delivery: Delivery) -> bool:
        self._check()
        kept = self.by_id.get(delivery.id)
        if kept is None or kept.state is not State.PENDING:
            return False
        if delivery.state is not State.DELIVERED and kept.attempts != delivery.attempts:
            return False
        self._put(replace(delivery, attempts=kept.attempts))
        return True

    def _pending(self, except_hosts: Collection[str]) -> list[Delivery]:
        pending = [
            each for each in self.by_id.values() if each.state is State.PENDING and each.host not in except_hosts
        ]
        return sorted(pending, key=lambda each: each.next_attempt_at)

    def _still_due(self, delivery_ids: Collection[str], now: datetime) -> Iterator[Delivery]:
        for delivery_id in delivery_ids:
            each = self.by_id.get(delivery_id)
            if each is not None and each.state is State.PENDING and each.next_attempt_at <= now:
                yield each

    def _put(self, delivery: Delivery) -> Delivery:
        self.by_id[delivery.id] = delivery
        return delivery

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})
