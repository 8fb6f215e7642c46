"""The Redis servers that hold all that the log tells, as far as this replica knows; others admit nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from shared.errors import Unavailable

_RETRY_AFTER = timedelta(seconds=1)
#: An id is never used again: of those before the newest ones, none comes back.
_MAX_KNOWN = 8


class KnownServers:
    """By their ids (`lua/guard.lua`). Who meets another one says so, and so calls for the rebuild."""

    def __init__(self, *ids: str) -> None:
        self._ids = list(ids)
        self._met = asyncio.Event()
        #: All of them, as scripts are told.
        self.text = " ".join(ids)

    def __contains__(self, server: str) -> bool:
        return server in self._ids

    def add(self, server: str) -> None:
        """From now on the server is known."""
        self._ids = [*(known for known in self._ids if known != server), server][-_MAX_KNOWN:]
        self.text = " ".join(self._ids)

    def met(self, server: str) -> None:
        """Says that a script has run on a server that is not known, or was not a moment ago."""
        if server not in self:
            self._met.set()

    async def stranger(self) -> None:
        """Returns when a server that is not known has been met since the last time."""
        await self._met.wait()
        self._met.clear()


def being_rebuilt() -> Unavailable:
    """Redis has lost what it held, and has not got it back from the log yet."""
    return Unavailable(
        "what Redis holds of jobs was lost and is being rebuilt from the log; repeat the call shortly",
        metadata={"dependency": "redis", "state": "rebuilding"},
        retry_after=_RETRY_AFTER,
    )
