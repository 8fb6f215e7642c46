"""The store of deliveries in memory; `tests/contract/delivery_store` holds it to what the real one does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import Delivery, State
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from services.webhooks.deliveries.filters import DeliveryFilter
    from shared.paging import Position


class FakeDeliveryStore:
    """Keeps deliveries in memory; can be away."""

    def __init__(self) -> None:
        self.by_id: dict[str, Delivery] = {}
        #: By delivery, the replays that have put it back.
        self.replayed_by: defaultdict[str, set[str]] = defaultdict(set)
        #: Every call raises `Unavailable` while it is.
        self.away = False

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

    async def deliveries(
        self,
        tenant: str,
        wanted: DeliveryFilter,
        *,
        limit: int,
        after: Position | None = None,
        oldest_first: bool = False,
    ) -> Sequence[Delivery]:
        self._check()
        found = sorted(self._meant(tenant, wanted), key=_place, reverse=not oldest_first)
        if after is not None:
            position = (after.created_at, after.id)
            found = [each for each in found if (_place(each) > position if oldest_first else _place(each) < position)]
        return [_without_content(each) for each in found[:limit]]

    async def count(self, tenant: str, wanted: DeliveryFilter, *, limit: int) -> int:
        self._check()
        return min(len(self._meant(tenant, wanted)), limit)

    async def put_back(self, tenant: str, delivery_id: str, *, now: datetime) -> Delivery | None:
        delivery = await self.delivery(tenant, delivery_id)
        if delivery is None or _at_work(delivery, now):
            return None
        return _without_content(self._put_back(delivery, now))

    async def put_back_for(
        self, replay_id: str, tenant: str, delivery_ids: Collection[str], wanted: DeliveryFilter, *, now: datetime
    ) -> int:
        self._check()
        named = [self.by_id[each] for each in delivery_ids if each in self.by_id]
        for delivery in named:
            still = not wanted.states or delivery.state in wanted.states
            done = replay_id in self.replayed_by[delivery.id]
            if delivery.tenant == tenant and still and not done and not _at_work(delivery, now):
                self._put_back(delivery, now)
                self.replayed_by[delivery.id].add(replay_id)
        return sum(replay_id in self.replayed_by[each.id] for each in named)

    def _put_back(self, delivery: Delivery, now: datetime) -> Delivery:
        back = replace(
            delivery,
            state=State.PENDING,
            attempts=0,
            replays=delivery.replays + 1,
            batch_id="",
            next_attempt_at=now,
            claim="",
            last_reason="",
            last_status=0,
            finished_at=None,
        )
        self.by_id[delivery.id] = back
        return back

    def _meant(self, tenant: str, wanted: DeliveryFilter) -> list[Delivery]:
        return [each for each in self.by_id.values() if each.tenant == tenant and _is_meant(each, wanted)]

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})


def _is_meant(delivery: Delivery, wanted: DeliveryFilter) -> bool:
    return (
        wanted.endpoint_id in {"", delivery.endpoint_id}
        and wanted.event_type in {"", delivery.event_type}
        and wanted.about in {"", delivery.about}
        and (not wanted.states or delivery.state in wanted.states)
        and (wanted.created_after is None or delivery.created_at >= wanted.created_after)
        and (wanted.created_before is None or delivery.created_at < wanted.created_before)
    )


def _at_work(delivery: Delivery, now: datetime) -> bool:
    claimed = bool(delivery.claim) and delivery.next_attempt_at > now
    return delivery.state is State.PENDING and (claimed or bool(delivery.batch_id))


def _place(delivery: Delivery) -> tuple[datetime, str]:
    return delivery.created_at, delivery.id


def _without_content(delivery: Delivery) -> Delivery:
    return replace(delivery, payload=b"", sealed_secret=b"", log=())
