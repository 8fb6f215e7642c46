"""Whether the store can be reached: said once, and one that cannot is left alone for a moment."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from services.upstream.cache.metrics import AWAY
from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

log = observability.logger()

#: So that a store that hangs holds up a call now and then, and not each.
_LEFT_ALONE_S = 1.0


class Reach:
    """Knows it, by what became of what was asked."""

    def __init__(self) -> None:
        self._away = False
        self._left_alone_until = 0.0

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[None]:
        """For one question to the store.

        Raises:
            Unavailable: It is away, or was a moment ago.
        """
        if time.monotonic() < self._left_alone_until:
            raise Unavailable("Redis was away a moment ago", metadata={"dependency": "redis"})
        try:
            yield
        except Unavailable as error:
            self._left_alone_until = time.monotonic() + _LEFT_ALONE_S
            if not self._away:
                self._away = True
                AWAY.set(1)
                log.warning("cache_away", error=error.message)
            raise
        if self._away:
            self._away = False
            AWAY.set(0)
            log.info("cache_back")
