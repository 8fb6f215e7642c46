"""Who waits for an operation's end on this replica: told at once of those that end here, and soon of the others."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from services.history.operations import metrics
from shared import observability
from shared.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Generator

    from services.history.operations.store import OperationStore

log = observability.logger()

#: Between two looks at what other replicas may have ended: one question, for however many wait.
LOOK_INTERVAL = timedelta(seconds=1)


class End:
    """The end of an operation, for one call that waits for it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def has_come(self) -> None:
        """Tells that it has come, or that nobody is to wait for it any more."""
        self._event.set()

    async def comes(self, at_most: timedelta) -> bool:
        """Whether it comes before the time is over."""
        with suppress(TimeoutError):  # the time is over
            async with asyncio.timeout(at_most.total_seconds()):
                return await self._event.wait()
        return False


class Ends:
    """Knows which operations end.

    Args:
        store: Knows what other replicas have ended.
        interval: Between two looks at it, while anybody waits.
    """

    def __init__(self, store: OperationStore, *, interval: timedelta = LOOK_INTERVAL) -> None:
        self._store = store
        self._interval_s = interval.total_seconds()
        self._waiting: dict[str, set[End]] = {}
        self._awaited = asyncio.Event()
        self._released = False

    def tell(self, operation_id: str) -> None:
        """Tells whoever waits for this operation that it has ended."""
        for end in self._waiting.get(operation_id, ()):
            end.has_come()

    @contextmanager
    def waiting_for(self, operation_id: str) -> Generator[End]:
        """Registers who waits for as long as the block lasts; however it ends, nothing of it is left."""
        end = End()
        if self._released:
            end.has_come()
        self._waiting.setdefault(operation_id, set()).add(end)
        self._awaited.set()
        metrics.WAITERS.inc()
        try:
            yield end
        finally:
            metrics.WAITERS.dec()
            others = self._waiting[operation_id]
            others.discard(end)
            if not others:
                del self._waiting[operation_id]

    async def run(self) -> None:
        """Looks at what other replicas have ended, while anybody waits, until canceled."""
        while True:
            self._awaited.clear()
            if not self._waiting:
                await self._awaited.wait()
            await asyncio.sleep(self._interval_s)
            awaited = set(self._waiting)
            try:
                ended = awaited - await self._store.running_among(awaited) if awaited else set[str]()
            except PenstockError as error:  # nothing is lost: the next look finds it
                log.warning("operation_ends_unknown", reason=error.reason, error=error.message)
                continue
            for operation_id in ended:
                self.tell(operation_id)

    async def release(self) -> None:
        """Lets everyone go, now and from now on, so that a drain need not wait for them."""
        self._released = True
        for operation_id in list(self._waiting):
            self.tell(operation_id)
