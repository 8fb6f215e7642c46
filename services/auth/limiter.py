"""Which limits hold for whom, and what holds them while Redis is away.

Without Redis each replica counts by itself, and lets only a share of each limit pass: all replicas together then stay
near the limit, and the door is never open. What was counted on the one side is not known to the other, so that at a
change of sides a subject may have its share, or its limit, once more. A request that may come once only does not pass:
another replica may have seen it.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from services.auth.networks import counted_as
from services.auth.windows import Verdict, Window, place_of_address, place_of_key, place_of_tenant
from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.auth.domain import Key
    from services.auth.networks import Address
    from services.auth.windows import Mark, Windows

log = observability.logger()

LOCAL = Gauge("penstock_auth_limits_local", "1 while limits are held by this replica alone, Redis being away.")

#: While it is away, it is tried this often.
_PROBE_INTERVAL_S = 1.0
_PROBE = (Window("probe", "{auth:probe}:window", 1_000_000_000),)
#: Addresses that are known to be over their limit.
MAX_BLOCKED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Requests in any minute."""

    #: Of a key that has no limit of its own.
    key: int
    #: Of all keys of a tenant together.
    tenant: int
    #: Of a client's address, counted where a request does not prove who it comes from.
    address: int

    def windows_of(self, key: Key) -> tuple[Window, ...]:
        """What a request with this key is counted in."""
        limit = self.key if key.rate_limit is None else key.rate_limit
        return (
            Window("key", place_of_key(key.tenant, key.id), limit),
            Window("tenant", place_of_tenant(key.tenant), self.tenant),
        )

    def windows_of_address(self, subject: str) -> tuple[Window, ...]:
        """What a refused request from there is counted in."""
        return (Window("address", place_of_address(subject), self.address),)


class Limiter:
    """Counts requests in the windows that all replicas share, or in its own while those are away.

    Args:
        shared: Those of all replicas.
        local: This process's own.
        share: What of each limit passes by them.
        monotonic: Seconds that only grow.
    """

    def __init__(self, *, shared: Windows, local: Windows, share: float, monotonic: Callable[[], float]) -> None:
        self._shared = shared
        self._local = local
        self._share = share
        self._monotonic = monotonic
        self._away = False
        self._probe_at = 0.0
        self._probing: asyncio.Task[None] | None = None

    async def take(self, windows: Sequence[Window], mark: Mark | None = None) -> Verdict:
        """Counts a request in all of the windows, or in none where one of them is full.

        Raises:
            Repeated: It may come once only, and has come before.
            Unavailable: It may come once only, and the windows that all replicas share are away.
        """
        if not self._away:
            try:
                return await self._shared.take(windows, mark)
            except Unavailable as error:  # from now on this replica counts by itself
                self._note_away(error)
        self._probe()
        reduced = [replace(window, limit=max(1, int(window.limit * self._share))) for window in windows]
        return await self._local.take(reduced, mark)

    def _note_away(self, error: Unavailable) -> None:
        if not self._away:
            log.warning("rate_limits_local", share=self._share, error=error.message)
        self._away = True
        self._probe_at = self._monotonic() + _PROBE_INTERVAL_S
        LOCAL.set(1)

    def _probe(self) -> None:
        """Tries the shared windows beside the requests, which do not wait for that."""
        if self._probing is None and self._monotonic() >= self._probe_at:
            self._probing = asyncio.create_task(self._try(), name="probe of the shared rate limits")

    async def _try(self) -> None:
        try:
            await self._shared.take(_PROBE)
        except Unavailable:  # it is still away, which is known
            self._probe_at = self._monotonic() + _PROBE_INTERVAL_S
        else:
            self._away = False
            LOCAL.set(0)
            log.info("rate_limits_shared")
        finally:
            self._probing = None


class Guesses:
    """Counts by address the requests that do not prove who they come from, and knows who has made too many.

    Args:
        limiter: Counts.
        limits: How many there may be.
        monotonic: Seconds that only grow.
    """

    def __init__(self, *, limiter: Limiter, limits: RateLimits, monotonic: Callable[[], float]) -> None:
        self._limiter = limiter
        self._limits = limits
        self._monotonic = monotonic
        self._blocked: OrderedDict[str, tuple[float, Verdict]] = OrderedDict()

    def refusal(self, address: Address | None) -> Verdict | None:
        """What the address was told when it had made too many, while that holds; None where it may guess."""
        known = self._blocked.get(counted_as(address))
        if known is None:
            return None
        until, verdict = known
        left = math.ceil(until - self._monotonic())
        if left <= 0:
            return None
        return replace(verdict, standings=tuple(replace(each, more_in_s=left) for each in verdict.standings))

    async def note(self, address: Address | None) -> Verdict:
        """Counts a request from there that was refused."""
        subject = counted_as(address)
        verdict = await self._limiter.take(self._limits.windows_of_address(subject))
        if not verdict.admitted:
            log.warning("guesses_limited", address=subject)
            until = self._monotonic() + max(standing.more_in_s for standing in verdict.full)
            self._blocked.pop(subject, None)
            self._blocked[subject] = (until, verdict)
            if len(self._blocked) > MAX_BLOCKED:
                self._blocked.popitem(last=False)
        return verdict
