"""Tells the mesh of what was changed here: what is written first is told until that is on disk.

A thing that was changed is untold until its notice was acknowledged, whoever dies meanwhile. So a notice may go out
more than once, and late; its revision says which of two is the newer one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from shared import observability
from shared.errors import Unavailable
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.bus import Outgoing

log = observability.logger()
T = TypeVar("T")

#: Between two looks where nothing has changed here: for what a replica has changed that died before it was told.
LOOK_INTERVAL = timedelta(seconds=30)
AT_ONCE = 100
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=5))


class Publisher(Protocol):
    """Puts notices on disk; `shared.bus.Bus` is one."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """On return all of them are on disk.

        Raises:
            Unavailable: Any of them may be, or not.
        """
        ...


class Untold(Protocol[T]):
    """What there is to tell, and how. What asks the store raises `Unavailable` when that is away."""

    #: What the things are, as logs say it.
    kind: str

    async def untold(self, *, limit: int) -> Sequence[T]:
        """Things as they are now, whose last change is untold."""
        ...

    async def note_told(self, thing: T) -> None:
        """Notes that this was told; a newer change of the same thing stays untold."""
        ...

    def notice(self, thing: T) -> Outgoing:
        """The notice of how a thing is."""
        ...


class Notices(Generic[T]):
    """Publishes notices of one kind of things.

    Args:
        untold: Knows what is.
        publisher: Takes the notices.
    """

    def __init__(self, untold: Untold[T], publisher: Publisher) -> None:
        self._untold = untold
        self._publisher = publisher
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Has it look at once: a thing was changed."""
        self._changed.set()

    async def run(self) -> None:
        """Tells what is untold: at the start, after each change, and what others have left; until canceled."""
        while True:
            self._changed.clear()
            await until_done(
                self.tell,
                retry_on=(Unavailable,),
                backoff=_BACKOFF,
                on_failure=lambda error, pause: log.warning(
                    "notices_delayed",
                    kind=self._untold.kind,
                    error=str(error),
                    pause_s=round(pause.total_seconds(), 2),
                ),
            )
            with suppress(TimeoutError):  # time for the next look
                async with asyncio.timeout(LOOK_INTERVAL.total_seconds()):
                    await self._changed.wait()

    async def tell(self) -> None:
        """Tells of every thing how it is now, whose last change is untold.

        Raises:
            Unavailable: MongoDB or NATS is away; what was told is told again, which changes nothing.
        """
        while things := await self._untold.untold(limit=AT_ONCE):
            notices = [self._untold.notice(thing) for thing in things]
            await self._publisher.publish(notices)
            for thing, notice in zip(things, notices, strict=True):
                await self._untold.note_told(thing)
                log.info("notice_told", notice=notice.message_id, subject=notice.subject)
