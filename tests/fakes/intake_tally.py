"""How many unfinished jobs tenants have, in memory; `tests/contract/test_intake_counts.py` holds it to the real one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.intake.domain import Drain
from services.intake.tally import Tally
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection


class FakeCounts:
    """Counts what it is told of; can be away."""

    def __init__(self) -> None:
        #: Unfinished jobs by tenant, as they are.
        self.pending: dict[str, int] = {}
        #: The same, as they were noted.
        self.noted: dict[str, int] = {}
        #: Whose were noted, each time.
        self.asked: list[set[str]] = []
        self.ended = 0
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def tenants(self) -> set[str]:
        self._check()
        return {tenant for tenant, count in self.noted.items() if count}

    async def note(self, tenants: Collection[str], *, ended: int) -> tuple[int, Drain]:
        self._check()
        self.asked.append(set(tenants))
        self.noted |= {tenant: self.pending.get(tenant, 0) for tenant in tenants}
        self.ended += ended
        silence = timedelta(0) if self.ended else None
        return sum(self.noted.values()), Drain(ended=self.ended, silence=silence)

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the store is away", metadata={"dependency": "redis"}, retry_after=timedelta(seconds=1))


def roomy_tally(cap: int = 1_000_000) -> Tally:
    """A tally of a replica that is alone."""
    return Tally(FakeCounts(), cap=cap)
