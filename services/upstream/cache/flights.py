"""Calls under way that others wait for: in one process they share one wait, across replicas a signal wakes them."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared import observability
from shared.errors import PenstockError
from shared.streams import CACHE_ANSWERED_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from services.upstream.cache.entries import Answer

log = observability.logger()


class Signals(Protocol):
    """Says what may be lost; see `shared.bus.Bus`."""

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        """Says it to whoever listens."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """An answer that serves all who wait.

    Args:
        answer: It is kept, so nothing that fits it was forgotten since its call began.
        called: It came by a call just now.
    """

    answer: Answer
    called: bool


class Flight:
    """One answer that is being looked for, or called for, by one job of this process; others wait for that.

    Args:
        on_landing: Called before anybody is told.
    """

    def __init__(self, on_landing: Callable[[], object]) -> None:
        self._on_landing = on_landing
        self._landed: asyncio.Future[Landed | None] = asyncio.get_running_loop().create_future()
        #: Set when there may be news of another replica's call.
        self.news = asyncio.Event()

    def land(self, landed: Landed | None) -> None:
        """Tells all who wait what serves them; None where each has to look again."""
        if not self._landed.done():
            self._on_landing()
            self._landed.set_result(landed)

    async def wait(self, deadline: float) -> Landed | None:
        """Waits until it has landed.

        Args:
            deadline: Until when, by the loop's clock.

        Raises:
            TimeoutError: It has not by then.
        """
        async with asyncio.timeout_at(deadline):
            return await asyncio.shield(self._landed)

    async def wait_for_news(self, until: float) -> None:
        """Waits for a signal, and no longer than until a time by the loop's clock: a signal may be lost."""
        try:
            async with asyncio.timeout_at(until):
                await self.news.wait()
        except TimeoutError:  # whoever waits looks for itself
            return


class Flights:
    """The flights of this process.

    Args:
        signals: Reaches the other replicas.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._flights: dict[str, Flight] = {}

    def under_way(self, digest: str) -> Flight | None:
        """The flight of this answer, or None."""
        return self._flights.get(digest)

    @contextmanager
    def begun(self, digest: str) -> Generator[Flight]:
        """A new flight; who comes from now on waits for it, until it lands.

        It lands by itself, with nothing, when the block is left by an error or a cancel.
        """
        flight = self._flights[digest] = Flight(lambda: self._flights.pop(digest))
        try:
            yield flight
        except BaseException:  # a cancel too: whoever waits would wait for nobody; it goes on from here
            flight.land(None)
            raise

    async def receive(self, payload: bytes) -> None:
        """Wakes who waits for these answers; the payload of a signal names them, one a line."""
        self._wake(payload.decode(errors="replace").split("\n"))

    async def tell(self, digests: Sequence[str]) -> None:
        """Wakes who waits for these answers, at every replica."""
        if not digests:
            return
        self._wake(digests)
        try:
            await self._signals.signal(CACHE_ANSWERED_SIGNAL, "\n".join(digests).encode())
        except PenstockError as error:  # who waits looks for itself after a while
            log.warning("cache_signal_lost", error=error.message)

    def reconnected(self) -> None:
        """Wakes everybody: signals may have been lost."""
        self._wake(list(self._flights))

    def _wake(self, digests: Sequence[str]) -> None:
        for digest in digests:
            flight = self._flights.get(digest)
            if flight is not None:
                flight.news.set()
