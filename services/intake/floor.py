"""The floor: the sequence in JOBS up to which Redis has all that was told, kept in Redis itself.

What Redis loses by a restart or a failover is its last writes. A floor that is still there was written after all below
it was applied and acknowledged, so that is there too: a rebuild begins at the floor. Where there is none, all is lost.

    {intake}:floor  integer

On Redis Cluster each shard would have to have a floor of its own; Penstock has one server and its replicas.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from shared import kv, observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.intake.known_servers import KnownServers

log = observability.logger()

#: Between two notes. A rebuild applies again what came within it, and a moment more.
INTERVAL = timedelta(seconds=5)
_KEY = "{intake}:floor"
_LUA = Path(__file__).parent / "lua"
_NOTE = kv.Script(_LUA / "guard.lua", _LUA / "floor.lua")


class Floor:
    """Notes the floor while the projection moves it.

    Args:
        client: Connected.
        servers: Those that hold all that the log tells.
        acknowledged: The sequence up to which every event was applied and acknowledged.
        interval: Between two notes.
    """

    def __init__(
        self,
        client: kv.Client,
        servers: KnownServers,
        acknowledged: Callable[[], Awaitable[int]],
        *,
        interval: timedelta = INTERVAL,
    ) -> None:
        self._client = client
        self._servers = servers
        self._acknowledged = acknowledged
        self._interval_s = interval.total_seconds()
        self._moved = asyncio.Event()

    def moved(self) -> None:
        """Says that events were applied."""
        self._moved.set()

    async def run(self) -> None:
        """Notes the floor some time after it has moved, again and again, until canceled."""
        while True:
            await self._moved.wait()
            await asyncio.sleep(self._interval_s)
            self._moved.clear()
            try:
                await self.note(await self._acknowledged(), known=self._servers.text)
            except Unavailable as error:  # an older floor is as right
                log.warning("floor_delayed", error=error.message)
                self._moved.set()

    async def note(self, sequence: int, *, known: str) -> None:
        """Notes a floor.

        Args:
            sequence: All up to it is in Redis.
            known: Only on a server with one of these ids.

        Raises:
            Unavailable: Redis is away.
        """
        server = await _NOTE.run(self._client, [_KEY], [known, sequence])
        if server is not None:
            self._servers.met(server.decode())

    async def read(self) -> int | None:
        """The floor; None where there is none.

        Raises:
            Unavailable: Redis is away.
        """
        async with kv.translated():
            found: bytes | None = await cast("Any", self._client.get(_KEY))
        return int(found) if found is not None else None
