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
DEFAULT_DEADLINE_S = 60.0
_POLL_S = 0.01
#: What takes long is asked for less often: after a pause of this part of the time that it took so far,
_PAUSE_SHARE = 0.03
#: but of no more than so much.
_LONGEST_PAUSE_S = 0.2
#: However late it is: where asking takes long, so does what is waited for. A machine at rest asks as often in a second.
_LEAST_POLLS = 50


async def eventually(
    condition: Callable[[], T | Awaitable[T]], *, within: float = DEFAULT_DEADLINE_S, what: str = ""
) -> T:
    """Asks again and again until the condition answers with something true, and returns that.

    Args:
        condition: A function, or a coroutine function; what it raises is raised at once, but for AssertionError,
            which means "not yet".
        within: Seconds until the test fails; it takes longer where the machine is so busy that few polls fit in.
        what: What is waited for, for the failure's message.
    """
    began = time.monotonic()
    until = began + within
    last: object = None
    polls = 0
    while True:
        polls += 1
        try:
            answer = condition()
            if inspect.isawaitable(answer):
                answer = await asyncio.wait_for(answer, max(within, DEFAULT_DEADLINE_S))
            if answer:
                return cast("T", answer)
            last = answer
        except AssertionError as error:
            last = error
        if time.monotonic() > until and polls >= _LEAST_POLLS:
            raise AssertionError(f"{what or 'the condition'} did not come about within {within:g} s; last: {last!r}")
        waited_s = time.monotonic() - began
        await asyncio.sleep(min(max(_POLL_S, waited_s * _PAUSE_SHARE), _LONGEST_PAUSE_S))
