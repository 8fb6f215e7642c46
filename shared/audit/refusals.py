"""Refusals, counted together: one that is tried again and again must not flood the log.

Equal ones are those of one actor and address, with one action and outcome; where no actor is known, those of one
address and outcome. The first is an entry at once; what follows within a minute is one more when the minute is over,
with its count. So whoever tries once is seen at once, whoever tries without end makes two entries a minute, and what is
lost with a process that is killed is a count.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.events.v1.audit_pb2 import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = timedelta(minutes=1)
#: Of different refusals of one tenant, or of nobody, within a minute; beyond it they are counted by outcome alone. Each
#: has its own, so that nobody's flood hides what becomes of others.
MAX_OPEN_OF_TENANT = 500
#: Of all together; about 1 KB each.
MAX_OPEN = 10_000
#: Whoever has one IPv6 address has all of its network of this size (RFC 6177).
_SITE_BITS = 64
_IPV6_BITS = 128


@dataclass(slots=True)
class _Window:
    """What has come after the first one."""

    tenant: str
    #: By the monotonic clock.
    ends_at: float
    last: AuditEntry | None = None
    count: int = 0

    def add(self, entry: AuditEntry) -> None:
        """Counts one more; what they do not have in common is not told of them all."""
        self.count += 1
        if self.last is None:
            entry.since.CopyFrom(entry.time)
        else:
            entry.since.CopyFrom(self.last.since)
            if self.last.action != entry.action:
                entry.action = ""
            if self.last.actor.key_prefix != entry.actor.key_prefix:
                entry.actor.key_prefix = ""
        self.last = entry

    def summary(self) -> AuditEntry | None:
        """One entry for all of them; a single one stays as it is."""
        if self.last is None:
            return None
        if self.count == 1:
            self.last.ClearField("since")
            return self.last
        self.last.count = self.count
        for of_one in ("target", "request_id", "trace_id"):
            self.last.ClearField(of_one)
        return self.last


class Refusals:
    """Counts refusals.

    Args:
        emit: Takes the entries.
        monotonic: Seconds that only grow.
    """

    def __init__(self, emit: Callable[[AuditEntry], object], *, monotonic: Callable[[], float]) -> None:
        self._emit = emit
        self._monotonic = monotonic
        #: In the order in which they end.
        self._open: OrderedDict[tuple[object, ...], _Window] = OrderedDict()
        self._open_of_tenants: Counter[str] = Counter()
        self._opened = asyncio.Event()

    def note(self, entry: AuditEntry) -> None:
        """Takes one refusal, which has come just now."""
        self.end_over()
        key = _key(entry)
        if key not in self._open and self._is_full(entry.tenant):
            entry = _stripped(entry)
            key = _key(entry)
        window = self._open.get(key)
        if window is None:
            self._open[key] = _Window(entry.tenant, self._monotonic() + WINDOW.total_seconds())
            self._open_of_tenants[entry.tenant] += 1
            self._opened.set()
            self._emit(entry)
        else:
            window.add(entry)

    def end_over(self) -> None:
        """Ends the windows whose time is over."""
        now = self._monotonic()
        while self._open and next(iter(self._open.values())).ends_at <= now:
            self._end_first()

    def end_all(self) -> None:
        """Ends every window, its time over or not."""
        while self._open:
            self._end_first()

    async def run(self) -> None:
        """Ends windows when their time is over, until canceled."""
        while True:
            await self._opened.wait()
            self._opened.clear()
            while self._open:
                first = next(iter(self._open.values()))
                await asyncio.sleep(max(0.0, first.ends_at - self._monotonic()))  # none ends before the first
                self.end_over()

    def _is_full(self, tenant: str) -> bool:
        return len(self._open) >= MAX_OPEN or self._open_of_tenants[tenant] >= MAX_OPEN_OF_TENANT

    def _end_first(self) -> None:
        _, window = self._open.popitem(last=False)
        self._open_of_tenants[window.tenant] -= 1
        if not self._open_of_tenants[window.tenant]:
            del self._open_of_tenants[window.tenant]
        summary = window.summary()
        if summary is not None:
            self._emit(summary)


def _key(entry: AuditEntry) -> tuple[object, ...]:
    """What equal refusals have in common.

    Not what whoever tries things out changes every time: the target; of a key that is not known, its text; where nobody
    is known, the action.
    """
    actor = entry.actor
    who = (actor.kind, actor.id, entry.action) if actor.id else ()
    return (entry.tenant, *who, entry.outcome, entry.detail, _site(entry.client_address))


def _site(address: str) -> str:
    """What an address is counted as: an IPv6 one as its network, as auth counts guesses."""
    if ":" not in address:
        return address
    return str(int(ipaddress.IPv6Address(address)) >> (_IPV6_BITS - _SITE_BITS))


def _stripped(entry: AuditEntry) -> AuditEntry:
    """What is left of an entry of which there are too many different ones."""
    return AuditEntry(
        id=entry.id,
        time=entry.time,
        tenant=entry.tenant,
        service=entry.service,
        outcome=entry.outcome,
        refused=entry.refused,
        count=entry.count,
    )
