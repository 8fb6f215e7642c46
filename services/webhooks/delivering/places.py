"""The places at which attempts are made: so many at a time, given in the order in which they were asked for."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Of all places, that those may have together whose receivers do not answer in time: the others wait for none of them.
_SLOW_SHARE = 4


class Places:
    """Gives places, first come, first served; a receiver asks for one at a time, so that a flood waits for itself.

    Args:
        total: How many there are.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        #: How many of them slow receivers may have together; those that have turned out to be slow may have more.
        self.slow_total = max(1, total // _SLOW_SHARE)
        self._taken = {False: 0, True: 0}
        self._waiting: dict[bool, deque[tuple[int, asyncio.Future[bool]]]] = {False: deque(), True: deque()}
        self._tickets: Iterator[int] = itertools.count()
        self._closed = False

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self._taken[False] + self._taken[True]

    def has_free(self, *, slow: bool) -> bool:
        """Whether there is one that nobody waits for who would get it."""
        return self._is_free(slow=slow) and not self._waiting[False] and not self._waiting[slow]

    def close(self) -> None:
        """Gives no more places, and has whoever waits for one leave."""
        self._closed = True
        for waiting in self._waiting.values():
            while waiting:
                _, turn = waiting.popleft()
                if not turn.done():
                    turn.set_result(False)

    def take_free(self, *, slow: bool) -> bool:
        """Takes one that nobody waits for; answers whether there was such a one."""
        if not self.has_free(slow=slow):
            return False
        self._taken[slow] += 1
        return True

    def slow_down(self) -> bool:
        """Counts a place as a slow receiver's from now on, for a call that hangs; answers as which one it goes back.

        So calls that hang keep no place of the others, however many begin to hang at the same time. Of such calls there
        are as many as there are places at the most: each has a connection.
        """
        if self._taken[True] >= self.total:
            return False
        self._taken[True] += 1
        self.give_back(slow=False)
        return True

    async def take(self, *, slow: bool) -> bool:
        """Waits for a place, to be given back with the same `slow`; answers whether there is one, or none any more."""
        if self.take_free(slow=slow):
            return True
        if self._closed:
            return False
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiting = (next(self._tickets), turn)
        self._waiting[slow].append(waiting)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting[slow].remove(waiting)
            elif turn.result():  # it was given in the same step
                self.give_back(slow=slow)
            raise

    def give_back(self, *, slow: bool) -> None:
        """Gives a place back, and to whom has waited longest for one that there is now."""
        self._taken[slow] -= 1
        while (kind := self._first()) is not None:
            _, turn = self._waiting[kind].popleft()
            if not turn.done():  # else whoever waited is about to leave
                self._taken[kind] += 1
                turn.set_result(True)

    def _first(self) -> bool | None:
        """Of which kind whoever is to be given the next place is; None where nobody is."""
        ready = [
            (self._waiting[slow][0][0], slow)
            for slow in (False, True)
            if self._waiting[slow] and self._is_free(slow=slow)
        ]
        return min(ready)[1] if ready else None

    def _is_free(self, *, slow: bool) -> bool:
        in_use = self._taken[False] + min(self._taken[True], self.slow_total)
        return not self._closed and in_use < self.total and (not slow or self._taken[True] < self.slow_total)
