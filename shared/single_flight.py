"""Single flight: one question for all who want to know the same at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable
    from typing import Any

KeyT = TypeVar("KeyT", bound="Hashable")
T = TypeVar("T")


class SingleFlight(Generic[KeyT, T]):
    """Questions under way. Who asks what is asked already shares the answer, and nobody who waits can cancel it."""

    def __init__(self) -> None:
        self._under_way: dict[KeyT, asyncio.Task[T]] = {}

    async def ask(self, key: KeyT, question: Callable[[], Coroutine[Any, Any, T]], keep: Callable[[T], None]) -> T:
        """The answer to a question, or what it raises.

        Args:
            key: What is asked about.
            question: Asks.
            keep: Is given the answer, unless it was outdated before it came.
        """
        return await asyncio.shield(self.begin(key, question, keep))

    def begin(
        self, key: KeyT, question: Callable[[], Coroutine[Any, Any, T]], keep: Callable[[T], None]
    ) -> asyncio.Task[T]:
        """Asks as `ask` does, for who needs not wait."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._answer(key, question, keep), name=f"ask for {key}")
            task.add_done_callback(_retrieve)
            self._under_way[key] = task
        return task

    def outdate(self, about: Callable[[KeyT], bool]) -> None:
        """Has answers that are under way not kept: what they are about has changed. Who asks now asks anew."""
        for key in [key for key in self._under_way if about(key)]:
            del self._under_way[key]

    async def _answer(self, key: KeyT, question: Callable[[], Coroutine[Any, Any, T]], keep: Callable[[T], None]) -> T:
        current = asyncio.current_task()
        try:
            answer = await question()
            if self._under_way.get(key) is current:
                keep(answer)
            return answer
        finally:
            if self._under_way.get(key) is current:
                del self._under_way[key]


def _retrieve(task: asyncio.Task[T]) -> None:
    """Marks an answer as seen that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
