"""Work that would hold up the event loop, done in a thread beside it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: From about here on reading and judging params takes longer than handing them to a thread, by far.
LARGE_BYTES = 64 * 1024


async def aside(work: Callable[[], T], *, size: int) -> T:
    """What the work answers with; it is done at once where it is small.

    Args:
        work: Needs nothing but the processor.
        size: Bytes that it goes through, about.
    """
    return await asyncio.to_thread(work) if size > LARGE_BYTES else work()
