"""Requests, read as they are needed and cut into batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock_sdk.mapping import MAX_BYTES, Asked
from penstock_sdk.sides import async_items

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Container, Iterable


class AsyncSource:
    """Requests, cut into batches: always the same ones, whatever is free in the window and whatever is done.

    Args:
        requests: In their order.
        size: Of a batch, in jobs.
        done: Indexes of which nothing is wanted: a batch of such alone is passed over.
    """

    def __init__(self, requests: Iterable[Any] | AsyncIterable[Any], *, size: int, done: Container[int]) -> None:
        self._items = async_items(requests)
        self._size = size
        self._done = done
        self._read = 0
        self._ahead: Asked | None = None
        self._more = True

    async def batch(self) -> list[Asked]:
        """The next batch; empty at the end."""
        while cut := await self._cut():
            if any(each.index not in self._done for each in cut):
                return cut
        return []

    async def _cut(self) -> list[Asked]:
        cut: list[Asked] = []
        size = 0
        while len(cut) < self._size and (asked := await self._next()) is not None:
            if cut and size + asked.bytes > MAX_BYTES:
                self._ahead = asked
                break
            cut.append(asked)
            size += asked.bytes
        return cut

    async def _next(self) -> Asked | None:
        if self._ahead is not None:
            asked, self._ahead = self._ahead, None
            return asked
        if self._more:
            async for request in self._items:
                self._read += 1
                return Asked.of(self._read - 1, request)
            self._more = False
        return None
