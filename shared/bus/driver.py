"""The driver's errors as ours, and those that it tells beside all calls."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import nats.errors

from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

log = observability.logger()

#: For one request to the server.
TIMEOUT = timedelta(seconds=5)
_RETRY_AFTER = timedelta(seconds=1)
#: What the server says where a user may not publish or subscribe to a subject, which follows, in small letters.
_FORBIDDEN = "permissions violation"
#: What it says to a user or a password that it does not know.
_REFUSED = "authorization violation"
#: Between two lines in the log about that; the driver goes on trying, several times a second.
_REFUSED_AGAIN_S = 30.0


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Raises the driver's errors as `Unavailable`.

    The driver waits by `asyncio.wait_for`, which on Python 3.11 forgets a cancellation that comes at the same moment as
    the answer; whoever loops over the driver's calls would never end. It is raised here after all.
    """
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise unavailable(f"NATS does not answer ({type(error).__name__})") from error
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def unavailable(what: str) -> Unavailable:
    """NATS is away, or refuses; what says in which way."""
    return Unavailable(f"{what}; the call may be repeated", metadata={"dependency": "nats"}, retry_after=_RETRY_AFTER)


class Troubles:
    """Logs what the driver tells of a connection.

    Args:
        user: Whose connection.
        is_connected: Whether it stands.
    """

    def __init__(self, user: str, is_connected: Callable[[], bool]) -> None:
        self._user = user
        self._is_connected = is_connected
        self._told_at = float("-inf")

    async def tell(self, error: Exception) -> None:
        """Logs an error, as far as it says something."""
        text = str(error) or type(error).__name__
        if _FORBIDDEN in text:  # no call fails by this: whoever waits for an answer waits in vain
            log.error("nats_forbidden", user=self._user, error=text)
        elif _REFUSED in text.lower():
            now = asyncio.get_running_loop().time()
            if now - self._told_at > _REFUSED_AGAIN_S:
                self._told_at = now
                log.error("nats_refused", user=self._user, error=text)
        elif self._is_connected():  # else it is one more vain try to reconnect
            log.warning("nats_error", error=text)
