"""What API keys have done at this service: counted by key and day as calls are answered, and told to auth in batches.

The gateway's own question tells auth how many requests a key makes. What became of them, and how many jobs they made,
only the services know.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from penstock.events.v1 import usage_pb2

from shared import observability
from shared.errors import Unavailable
from shared.identity import PrincipalKind
from shared.permissions import permission_for
from shared.streams import KEY_USES_SIGNAL

if TYPE_CHECKING:
    from datetime import date

    from shared.clock import Clock
    from shared.rpc.call import Call

log = observability.logger()

#: Between two reports.
INTERVAL = timedelta(seconds=5)
#: What would be counted beyond this is not, as after hours without NATS.
MAX_PENDING = 50_000
#: Of one report, so that it is well below what NATS takes as one message.
MAX_REPORTED = 5_000


class Signals(Protocol):
    """Publishes what may be lost; `shared.bus.Bus` is one."""

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        """Publishes to whoever listens now; raises `Unavailable`."""
        ...


@dataclass(slots=True)
class _Count:
    jobs: int = 0
    errors: int = 0


class KeyUses:
    """Counts, and reports what it has counted.

    Args:
        clock: Tells the day.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, str, date], _Count] = {}
        self._something = asyncio.Event()

    def note(self, call: Call) -> None:
        """Counts a call that has been answered."""
        principal = call.principal
        if principal is None or principal.kind is not PrincipalKind.KEY:
            return
        failed = call.error is not None and not permission_for(call.method).inner
        if not (failed or call.jobs):
            return
        key = (principal.tenant, principal.id, self._clock.now().date())
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= MAX_PENDING:
                return
            count = self._counts[key] = _Count()
        count.jobs += call.jobs
        count.errors += failed
        self._something.set()

    async def run(self, signals: Signals) -> None:
        """Reports again and again, a while after something was counted."""
        while True:
            await self._something.wait()
            await asyncio.sleep(INTERVAL.total_seconds())  # so that one report tells of many calls
            await self.report(signals)

    async def report(self, signals: Signals) -> None:
        """Reports what was counted; what cannot be told is kept for the next time."""
        self._something.clear()
        while self._counts:
            told = list(self._counts.items())[:MAX_REPORTED]
            uses = [
                usage_pb2.KeyUse(
                    tenant=tenant, key_id=key_id, date=day.isoformat(), jobs=count.jobs, errors=count.errors
                )
                for (tenant, key_id, day), count in told
            ]
            for key, _ in told:
                del self._counts[key]
            try:
                await signals.signal(KEY_USES_SIGNAL, usage_pb2.UsageReport(uses=uses).SerializeToString())
            except Unavailable as error:
                self._keep(told)
                log.info("key_uses_delayed", error=error.message)
                self._something.set()
                return

    def _keep(self, told: list[tuple[tuple[str, str, date], _Count]]) -> None:
        for key, count in told:
            now = self._counts.setdefault(key, _Count())
            now.jobs += count.jobs
            now.errors += count.errors
