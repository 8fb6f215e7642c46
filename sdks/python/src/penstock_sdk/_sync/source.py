# Made of _async/source.py by `make sdks`; do not edit.
"""Requests, read as they are needed and cut into batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock_sdk.mapping import MAX_BYTES, Asked
from penstock_sdk.sides import items

if TYPE_CHECKING:
    from collections.abc import Container, Iterable


class Source:
    """Requests, cut into batches: always the same ones, whatever is free in the window and whatever is done.

    Args:
        requests: In their order.
        size: Of a batch, in jobs.
        done: Indexes of which nothing is wanted: a batch of such alone is passed over.
    """

    def __init__(self, requests: Iterable[Any], *, size: int, done: Container[int]) -> None:
        self._items = items(requests)
        self._size = size
        self._done = done
        self._read = 0
        self._ahead: Asked | None = None
        self._more = True

    def batch(self) -> list[Asked]:
        """The next batch; empty at the end."""
        while cut := self._cut():
            if any(each.index not in self._done for each in cut):
                return cut
        return []

    def _cut(self) -> list[Asked]:
        cut: list[Asked] = []
        size = 0
        while len(cut) < self._size and (asked := self._next()) is not None:
            if cut and size + asked.bytes > MAX_BYTES:
                self._ahead = asked
                break
            cut.append(asked)
            size += asked.bytes
        return cut

    def _next(self) -> Asked | None:
        if self._ahead is not None:
            asked, self._ahead = self._ahead, None
            return asked
        if self._more:
            for request in self._items:
                self._read += 1
                return Asked.of(self._read - 1, request)
            self._more = False
        return None
