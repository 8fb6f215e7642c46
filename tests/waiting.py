"""Waiting for a condition: the one place where tests sleep."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

#: Generous, for a loaded machine; a condition that holds is seen at once.
DEFAULT_DEADLINE_S = 30.0
_POLL_S = 0.01


async def eventually(
    condition: Callable[[], T | Awaitable[T]], *, within: float = DEFAULT_DEADLINE_S, what: str = ""
) -> T:
    """Asks again and again until the condition answers with something true, and returns that.

    Args:
        condition: A function, or a coroutine function; what it raises is raised at once, but for AssertionError,
            which means "not yet".
        within: Seconds until the test fails.
        what: What is waited for, for the failure's message.
    """
    until = time.monotonic() + within
    last: object = None
    while True:
        try:
            answer = condition()
            if inspect.isawaitable(answer):
                answer = await asyncio.wait_for(answer, max(0.1, until - time.monotonic()))
            if answer:
                return cast("T", answer)
            last = answer
        except AssertionError as error:
            last = error
        if time.monotonic() > until:
            raise AssertionError(f"{what or 'the condition'} did not come about within {within:g} s; last: {last!r}")
        await asyncio.sleep(_POLL_S)
