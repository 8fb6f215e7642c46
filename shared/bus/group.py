"""Group commit: the messages of many callers go to the disk together."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from shared.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.bus.messages import Outgoing


#: Messages of one group. An atomic batch has at most 1,000 by the server's limit; beyond this throughput grows no more.
MAX_GROUP = 256


class GroupPublisher:
    """Gathers the messages of many callers into groups: group commit.

    Whatever comes while one batch is on its way to the disk makes up the next one, so that nothing waits for a timer.

    Args:
        publish: Publishes many messages, of one stream.
    """

    def __init__(self, publish: Callable[[Sequence[Outgoing]], Awaitable[None]]) -> None:
        self._publish = publish
        self._waiting: deque[tuple[Outgoing, asyncio.Future[None]]] = deque()
        self._arrived = asyncio.Event()

    async def publish(self, message: Outgoing) -> None:
        """Publishes with others; on return the message is on disk.

        Raises:
            Unavailable: The server does not answer. The message may be on disk.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, done))
        self._arrived.set()
        await done

    async def run(self) -> None:
        """Publishes what comes, until canceled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
                await self._publish_group(group)

    async def _publish_group(self, group: Sequence[tuple[Outgoing, asyncio.Future[None]]]) -> None:
        try:
            await self._publish([message for message, _ in group])
        except PenstockError as error:  # handed to every caller
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
        else:
            for _, done in group:
                if not done.done():
                    done.set_result(None)
