"""What differs between sync and async code beyond keywords: `_sync` takes `items` for `async_items`."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


async def async_items(source: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """What a source has, of whichever kind it is; taken as it is asked for."""
    if isinstance(source, AsyncIterable):
        async for each in source:
            yield each
    else:
        for each in source:
            yield each


def items(source: Iterable[T]) -> Iterator[T]:
    """What a source has; taken as it is asked for."""
    yield from source
