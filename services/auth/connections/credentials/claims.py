"""Claims: one replica at a time refreshes a secret, whoever dies meanwhile.

The owner of a claim may live and hold fresh tokens that it cannot keep, because MongoDB is away; by the time that it is
back, the claim has lapsed. So a lapsed claim is taken over only by who has seen it lapsed for a while, as MongoDB has
shown it: for longer than its owner takes for a try. That is how Kubernetes takes leases over, too: by what was
observed, and not by what clocks say.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.auth.connections.domain import Claim, Connection
    from services.auth.connections.store import ConnectionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTimes:
    """How long claims are respected.

    Args:
        lasting: Each; longer than any provider is waited for.
        grace: For so long a claim has to be seen lapsed; longer than one try of its owner to keep what the provider has
            answered may hang (`shared.mongo.TIMEOUT`), and its pause.
    """

    lasting: timedelta = timedelta(seconds=20)
    grace: timedelta = timedelta(seconds=7)


@dataclass(frozen=True, slots=True)
class _Lapsed:
    """A claim that MongoDB has shown lapsed."""

    fence: int
    #: When it has first, by the monotonic clock.
    seen_at: float


class RefreshClaims:
    """Takes claims, and waits for those of others.

    Args:
        store: Has them.
        monotonic: Seconds that only grow.
        times: How long they are respected.
    """

    def __init__(
        self, store: ConnectionStore, *, monotonic: Callable[[], float], times: ClaimTimes | None = None
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._times = times or ClaimTimes()
        #: Of connections for whose claim somebody waits.
        self._changed: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    async def take(self, connection: Connection) -> int | None:
        """The fence under which this replica is to refresh; None where nobody needs to any more.

        While another replica has the claim it waits for the signal that the connection has changed.

        Raises:
            Unavailable: MongoDB is away.
        """
        changed = self._changed.setdefault(connection.id, asyncio.Event())
        lapsed: _Lapsed | None = None
        while True:
            changed.clear()  # before it asks, or a signal in between would be lost
            claim = await self._store.claim_refresh(
                connection.tenant,
                connection.id,
                version=connection.version,
                lasting=self._times.lasting,
                over=self._outlived(lapsed),
            )
            if claim is None:
                return None
            if claim.mine:
                return claim.fence
            lapsed = self._seen(claim, lapsed)
            pause = self._times.grace if lapsed is not None else claim.left
            with suppress(TimeoutError):  # time to look again
                async with asyncio.timeout(pause.total_seconds()):
                    await changed.wait()

    async def give_back(self, connection: Connection, fence: int) -> None:
        """Lets others claim at once."""
        with suppress(Unavailable):  # it lapses
            await self._store.release_refresh(connection.tenant, connection.id, fence=fence)

    def changed(self, connection_id: str) -> None:
        """Wakes who waits for a claim: its connection has changed."""
        event = self._changed.get(connection_id)
        if event is not None:
            event.set()

    def wake_all(self) -> None:
        """Wakes everybody who waits: signals may have been missed."""
        for event in self._changed.values():
            event.set()

    def _seen(self, claim: Claim, before: _Lapsed | None) -> _Lapsed | None:
        """What is seen of a lapsed claim: since when, anew where it was another, or was not looked at for long."""
        if claim.left > timedelta():
            return None
        if before is not None and before.fence == claim.fence and self._age(before) <= 2 * self._times.grace:
            return before
        return _Lapsed(claim.fence, self._monotonic())

    def _outlived(self, lapsed: _Lapsed | None) -> int:
        """The fence of the claim to take over; 0 for none."""
        if lapsed is None or not self._times.grace <= self._age(lapsed) <= 2 * self._times.grace:
            return 0
        return lapsed.fence

    def _age(self, lapsed: _Lapsed) -> timedelta:
        return timedelta(seconds=self._monotonic() - lapsed.seen_at)
