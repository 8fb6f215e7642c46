"""Backoff: how long to pause before trying again."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS, 2015).

    Args:
        initial: The first pause at most.
        maximum: Any pause at most.
    """

    initial: timedelta = timedelta(milliseconds=100)
    maximum: timedelta = timedelta(seconds=5)

    def ceiling(self, attempt: int) -> timedelta:
        """The pause at most after the `attempt`-th try, from 1."""
        doublings = min(attempt - 1, 62)  # beyond that the product leaves timedelta's range, and every maximum
        seconds = self.initial.total_seconds() * 2.0**doublings
        return timedelta(seconds=min(seconds, self.maximum.total_seconds()))

    def pause(self, attempt: int) -> timedelta:
        """A random pause up to the ceiling."""
        return random.random() * self.ceiling(attempt)  # noqa: S311  jitter needs no secrecy


async def until_done(
    action: Callable[[], Awaitable[T]],
    *,
    retry_on: tuple[type[Exception], ...],
    backoff: Backoff | None = None,
    on_failure: Callable[[Exception, timedelta], None] | None = None,
) -> T:
    """Calls `action` until it returns, pausing after each of the named errors; others pass through."""
    schedule = backoff or Backoff()
    attempt = 0
    while True:
        try:
            return await action()
        except retry_on as error:
            attempt += 1
            pause = schedule.pause(attempt)
            if on_failure is not None:
                on_failure(error, pause)
            await asyncio.sleep(pause.total_seconds())
