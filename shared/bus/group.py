"""Group commit: the messages of many callers go to the disk together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shared.bus.messages import Outgoing


#: Messages of one group. An atomic batch has at most 1,000 by the server's limit; beyond this throughput grows no more.
MAX_GROUP = 256


class GroupPublisher:
    """Gathers the messages of many callers into groups: group commit.

    Whatever comes while one batch is on its way to the disk makes up the next one, so that nothing waits for a timer.

    Args:
        publish: Publishes many units of one stream, each whole or not at all.
    """

    def __init__(self, publish: Callable[[Sequence[Unit]], Awaitable[None]]) -> None:
        self._publish = publish
        self._waiting: deque[tuple[Unit, asyncio.Future[None]]] = deque()
        self._arrived = asyncio.Event()

    async def publish(self, message: Outgoing) -> None:
        """Publishes with others; on return the message is on disk.

        Raises:
            Unavailable: The server does not answer. The message may be on disk.
        """
        await self.publish_whole((message,))

    async def publish_whole(self, messages: Unit) -> None:
        """The same with messages of which none is ever on disk without the others.

        Args:
            messages: 1 to `MAX_GROUP`. Each has an id that only comes with these others.

        Raises:
            Unavailable: The server does not answer. They may be on disk.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, done))
        self._arrived.set()
        await done

    async def run(self) -> None:
        """Publishes what comes, until canceled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._publish_group(self._next_group())

    def _next_group(self) -> list[tuple[Unit, asyncio.Future[None]]]:
        group = [self._waiting.popleft()]
        count = len(group[0][0])
        while self._waiting and (count := count + len(self._waiting[0][0])) <= MAX_GROUP:
            group.append(self._waiting.popleft())
        return group

    async def _publish_group(self, group: Sequence[tuple[Unit, asyncio.Future[None]]]) -> None:
        try:
            await self._publish([unit for unit, _ in group])
        except PenstockError as error:  # handed to every caller
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
        else:
            for _, done in group:
                if not done.done():
                    done.set_result(None)


#: What goes to disk as a whole, or not at all.
Unit = Sequence["Outgoing"]
