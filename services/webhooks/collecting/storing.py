"""Storing deliveries, and having them made: here and by the other replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.webhooks import metrics
from services.webhooks.deliveries.domain import State, to_milliseconds
from shared import crash_points
from shared.crash_points import CrashPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from services.webhooks.collecting.domain import Telling
    from services.webhooks.deliveries.domain import Delivery
    from shared.clock import Clock

#: In one write: a tenant may have thousands of endpoints, and a batch hundreds of events that reach each of them.
MOST_AT_ONCE = 1000
#: Of bodies in one write.
MOST_BYTES_AT_ONCE = 8 * 1024 * 1024


class Deliveries(Protocol):
    """Takes deliveries; `services.webhooks.deliveries.store.DeliveryStore` is one."""

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """Adds deliveries in one write, and answers how many were new; what is there already stays as it is."""
        ...


class Announcer(Protocol):
    """Has deliveries made; `services.webhooks.delivering.news.News` is one."""

    async def announce(self, due: Mapping[str, datetime]) -> None:
        """Notes that receivers have deliveries that are due at these times, and says so here and to other replicas.

        Raises:
            Unavailable: The store is away; it may be noted.
        """
        ...


class Storing:
    """Stores the deliveries of what has happened, and says that they are due.

    Args:
        deliveries: Takes them.
        announcer: Has them made.
        clock: The time.
    """

    def __init__(self, *, deliveries: Deliveries, announcer: Announcer, clock: Clock) -> None:
        self._deliveries = deliveries
        self._announcer = announcer
        self._clock = clock

    async def store(self, tellings: Iterable[Telling]) -> None:
        """Stores deliveries, then notes who has something due, each in one write; on return both are on disk.

        What comes again changes nothing, but that its receivers are looked at once more: so nothing is lost by a crash
        in between.

        Raises:
            Unavailable: The store is away; any part may be done.
        """
        now = to_milliseconds(self._clock.now())
        due: dict[str, datetime] = {}
        for some in _by_writes(each for telling in tellings for each in telling.deliveries(now)):
            new = await self._deliveries.add(some)
            metrics.STORED.inc(new)
            known = new < len(some)  # PENDING, it may be, though its endpoint has been disabled since
            due |= {each.receiver: now for each in some if known or each.state is State.PENDING}
        if due:
            crash_points.reach(CrashPoint.WEBHOOKS_STORED)
            await self._announcer.announce(due)


def _by_writes(deliveries: Iterable[Delivery]) -> Iterator[list[Delivery]]:
    """The deliveries by what goes in one write."""
    some: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        if len(some) == MOST_AT_ONCE or (some and size + len(delivery.payload) > MOST_BYTES_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(delivery)
        size += len(delivery.payload)
    if some:
        yield some
