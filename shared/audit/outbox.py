"""The way of entries to NATS: what cannot be published now is held, told in the log in full, and published later."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from google.protobuf.json_format import MessageToDict
from prometheus_client import Counter, Gauge

from shared import observability, streams
from shared.bus.messages import Outgoing
from shared.errors import PenstockError
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.events.v1.audit_pb2 import AuditEntry

log = observability.logger()

PUBLISHED = Counter("penstock_audit_published_entries", "Audit entries that are on disk at NATS.")
DELAYED = Counter("penstock_audit_delayed_entries", "Audit entries that went to the log first, NATS being away.")
DROPPED = Counter("penstock_audit_dropped_entries", "Audit entries that stand in the log alone.")
HELD = Gauge("penstock_audit_held_entries", "Audit entries that are not published yet.")

#: Of changes, and as many of refusals; about 1 KB each.
MAX_HELD = 10_000
#: How long a change's answer waits for its entry at most; NATS needs milliseconds.
PATIENCE = timedelta(seconds=2)
#: How long a process that ends waits for NATS.
DRAIN_PATIENCE = timedelta(seconds=2)
_MAX_BATCH = 256
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))


class Publisher(Protocol):
    """Publishes to JetStream; `shared.bus.Bus` is one."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publishes; on return all are on disk. Raises `Unavailable`: any of them may be."""
        ...


@dataclass(slots=True, eq=False)
class Held:
    """An entry on its way."""

    entry: AuditEntry
    #: Whether the log has it in full.
    told: bool = False
    #: Set when it is on disk, at NATS or in the log.
    safe: asyncio.Event = field(default_factory=asyncio.Event)


class Outbox:
    """Publishes entries in batches, those of changes first."""

    def __init__(self) -> None:
        self._changes: deque[Held] = deque()
        self._refusals: deque[Held] = deque()
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._running = False
        self._failures = 0

    def add_refusal(self, entry: AuditEntry) -> None:
        """Takes an entry for which nobody waits."""
        self._add(self._refusals, entry)

    def add_change(self, entry: AuditEntry) -> Held:
        """Takes an entry that goes before all refusals."""
        return self._add(self._changes, entry)

    async def settled(self, held: Held, *, within_s: float | None) -> None:
        """Returns when the entry is on disk; when NATS is away, once the log has it, in `PATIENCE` at the most.

        Args:
            held: The entry.
            within_s: How long its caller waits, where that is bounded.
        """
        if not self._running:  # before the server answers, or in a test of something else
            return
        patience_s = PATIENCE.total_seconds()
        try:
            async with asyncio.timeout(patience_s if within_s is None else max(0.0, min(within_s, patience_s))):
                await held.safe.wait()
        except TimeoutError:  # the change is made, and is not taken back for this
            _tell(held)

    async def run(self, publisher: Publisher) -> None:
        """Publishes what comes, until canceled."""
        self._running = True
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._changes or self._refusals:
                await self._publish_next(publisher)
            self._empty.set()

    async def drain(self) -> None:
        """Returns when all is published; what NATS does not take in `DRAIN_PATIENCE` stands in the log alone."""
        try:
            async with asyncio.timeout(DRAIN_PATIENCE.total_seconds()):
                await self._empty.wait()
        except TimeoutError:
            self.leave()

    def leave(self) -> None:
        """Writes to the log what is not published, and will not be."""
        left = [*self._changes, *self._refusals]
        for held in left:
            _tell(held)
        if left:
            DROPPED.inc(len(left))
            log.warning("audit_left_in_log", entries=len(left))

    def _add(self, queue: deque[Held], entry: AuditEntry) -> Held:
        held = Held(entry)
        if len(queue) >= MAX_HELD:
            _tell(held)
            DROPPED.inc()
            return held
        queue.append(held)
        HELD.inc()
        if self._failures:
            _tell(held)
        self._empty.clear()
        self._arrived.set()
        return held

    async def _publish_next(self, publisher: Publisher) -> None:
        changes = list(islice(self._changes, _MAX_BATCH))
        batch = [*changes, *islice(self._refusals, _MAX_BATCH - len(changes))]
        try:
            await publisher.publish([_message(held.entry) for held in batch])
        except PenstockError as error:
            await self._wait_for_nats(error)
            return
        if self._failures:
            log.info("audit_published_again")
        self._failures = 0
        for held in batch:
            held.safe.set()
        for queue, count in ((self._changes, len(changes)), (self._refusals, len(batch) - len(changes))):
            for _ in range(count):
                queue.popleft()  # others were only added behind them
        HELD.dec(len(batch))
        PUBLISHED.inc(len(batch))

    async def _wait_for_nats(self, error: PenstockError) -> None:
        if not self._failures:
            log.warning("audit_delayed", error=error.message)
        self._failures += 1
        for held in (*self._changes, *self._refusals):
            _tell(held)
        await asyncio.sleep(_BACKOFF.pause(self._failures).total_seconds())  # between two tries


def _message(entry: AuditEntry) -> Outgoing:
    """Under the entry's id, so that one that is published again is the same one."""
    return Outgoing(
        subject=streams.audit_subject(entry.service), payload=entry.SerializeToString(), message_id=entry.id
    )


def _tell(held: Held) -> None:
    """Writes an entry to the log, whole; what is told is safe."""
    if not held.told:
        held.told = True
        DELAYED.inc()
        log.warning("audit", entry=MessageToDict(held.entry, preserving_proto_field_name=True))
    held.safe.set()
