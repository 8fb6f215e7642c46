"""The driver's errors as ours."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import nats.errors

from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

#: For one request to the server.
TIMEOUT = timedelta(seconds=5)
_RETRY_AFTER = timedelta(seconds=1)


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
