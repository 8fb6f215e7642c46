"""A queue that only keeps what is set for it, for tests of who sets it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from services.scheduler.scripts import RecoveryNeeded
from services.scheduler.views import QueueView
from shared.errors import UpstreamNotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.scheduler.limits import Pause, Rules, Suspension

EMPTY = QueueView(
    ready=0,
    delayed=0,
    leased=0,
    by_priority=(0, 0, 0),
    oldest_ready_ms=0,
    drain_rate=0,
    tenants=0,
    budgets=(),
    breaker=None,
    pauses=(),
    suspensions=(),
    lanes=(),
)


@dataclass
class SetQueue:
    """The part of `services.scheduler.queue.Queue` that sets and shows.

    Args:
        rules: By upstream: what was set last.
        pauses: By upstream, tenant and lane.
        in_force: Suspensions by upstream, tenant and lane, which is empty for a tenant's.
        standings: In the same way, the revision that was told last.
        seen: What `view` shows beside the pauses.
        asked: What it was asked for: tenant and number of lanes.
        interrupt: Awaited once, before the next change is made.
        lost: Whether the queue waits for its rebuild.
    """

    rules: dict[str, Rules] = field(default_factory=dict)
    pauses: dict[tuple[str, str, str], Pause] = field(default_factory=dict)
    in_force: dict[tuple[str, str, str], Suspension] = field(default_factory=dict)
    standings: dict[tuple[str, str, str], int] = field(default_factory=dict)
    seen: QueueView = EMPTY
    asked: list[tuple[str, int]] = field(default_factory=list)
    interrupt: Callable[[], Awaitable[None]] | None = None
    lost: bool = False

    async def configure(self, upstream: str, rules: Rules) -> None:
        await self._interrupted()
        self.rules[upstream] = rules

    async def pause(self, upstream: str, pause: Pause) -> None:
        await self._interrupted()
        self.pauses[upstream, pause.tenant, pause.lane] = pause

    async def resume(self, upstream: str, *, tenant: str, lane: str) -> None:
        await self._interrupted()
        self.pauses.pop((upstream, tenant, lane), None)

    async def suspend(self, upstream: str, suspension: Suspension) -> None:
        await self._interrupted()
        whose = (upstream, suspension.tenant, suspension.lane)
        if self._is_news(whose, suspension.revision):
            self.in_force[whose] = suspension

    async def reinstate(self, upstream: str, *, tenant: str, lane: str, revision: int) -> None:
        if self.lost:
            raise RecoveryNeeded(upstream)
        await self._interrupted()
        if self._is_news((upstream, tenant, lane), revision):
            self.in_force.pop((upstream, tenant, lane), None)

    async def suspensions(self, upstream: str) -> list[Suspension]:
        if self.lost:
            raise RecoveryNeeded(upstream)
        return [suspension for (queue, *_), suspension in sorted(self.in_force.items()) if queue == upstream]

    async def view(self, upstream: str, *, tenant: str, lanes: int) -> QueueView:
        self.asked.append((tenant, lanes))
        if self.lost:
            raise RecoveryNeeded(upstream)
        pauses = [
            pause
            for (queue, whose, _), pause in sorted(self.pauses.items())
            if queue == upstream and (not tenant or whose in {"", tenant})
        ]
        suspensions = [each for each in await self.suspensions(upstream) if tenant in {"", each.tenant}]
        return replace(self.seen, pauses=tuple(pauses), suspensions=tuple(suspensions))

    def _is_news(self, whose: tuple[str, str, str], revision: int) -> bool:
        newest = max(revision, self.standings.get(whose, 0))
        self.standings[whose] = newest
        return revision == newest

    async def _interrupted(self) -> None:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            await interrupt()


@dataclass
class Announced:
    """Signals, noted."""

    upstreams: list[str] = field(default_factory=list)

    async def announce(self, upstream: str) -> None:
        self.upstreams.append(upstream)


@dataclass
class Known:
    """Upstreams by name, as the servicer asks for them."""

    known: tuple[str, ...]

    async def names(self) -> list[str]:
        return sorted(self.known)

    async def find(self, upstream: str) -> None:
        if upstream not in self.known:
            raise UpstreamNotFound(f"there is no upstream {upstream!r}")
