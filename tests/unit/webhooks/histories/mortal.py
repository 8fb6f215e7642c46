"""Replicas that can be killed between any two things that others can see them do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

#: What a question to a store takes, at least and at most.
_LATENCY_S = (0.001, 0.01)


class Life:
    """A replica's life: so many steps, if that is decided.

    Args:
        chance: Of how long a step takes.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._left: int | None = None
        self._task: asyncio.Task[None] | None = None
        self.dead = False

    def live(self, living: Coroutine[Any, Any, None]) -> None:
        """Begins it."""
        self._task = asyncio.create_task(living)

    def end_after(self, steps: int) -> None:
        """Decides when it dies: at once, or upon so many more steps."""
        self._left = steps
        if steps == 0:
            self._die()

    async def step(self) -> None:
        """Something that others see: it takes a moment, and may be what it never comes back from."""
        await asyncio.sleep(self._chance.uniform(*_LATENCY_S))
        if self._left is not None and not self.dead:
            self._left -= 1
            if self._left <= 0:
                self._die()
        if self.dead:
            raise asyncio.CancelledError  # what a cleanup would do now is not done either

    def check(self) -> None:
        """Raises what has ended it, unless it was killed."""
        assert self._task is not None
        if self._task.done() and not self.dead:
            self._task.result()
            raise AssertionError("a replica has ended by itself")

    def _die(self) -> None:
        self.dead = True
        assert self._task is not None
        self._task.cancel()


class Mortal:
    """Passes calls on; before each and after each, its caller may die.

    Args:
        life: The caller's.
        inner: What is called.
        watch: Called when a call has been made, and its outcome not been heard yet.
    """

    def __init__(self, life: Life, inner: Any, *, watch: Callable[[], None] = lambda: None) -> None:
        self._life = life
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        async def passed_on(*args: Any, **options: Any) -> Any:
            await self._life.step()
            try:
                return await call(*args, **options)
            finally:
                self._watch()
                await self._life.step()

        return passed_on
