"""A bucket in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.bus import Conflict, Entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta


class FakeBucket:
    """`shared.bus.Bucket` as far as services use it.

    Args:
        before_write: Awaited once, before a write that expects a revision: another replica may be faster there.
    """

    def __init__(self) -> None:
        self.values: dict[str, Entry] = {}
        #: After which time each would go by itself; they do not.
        self.lifetimes: dict[str, timedelta | None] = {}
        self.before_write: Callable[[str], Awaitable[None]] | None = None
        self._revision = 0
        self._changes: list[tuple[str, bytes | None]] = []
        self._changed = asyncio.Condition()

    async def get(self, key: str) -> Entry | None:
        return self.values.get(key)

    async def create(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> int:
        await self._overtaken(key)
        if key in self.values:
            raise Conflict(key)
        return await self._put(key, value, ttl)

    async def update(self, key: str, value: bytes, revision: int, *, ttl: timedelta | None = None) -> int:
        await self._overtaken(key)
        if key not in self.values or self.values[key].revision != revision:
            raise Conflict(key)
        return await self._put(key, value, ttl)

    async def put(self, key: str, value: bytes) -> int:
        return await self._put(key, value, None)

    async def _put(self, key: str, value: bytes, ttl: timedelta | None) -> int:
        self._revision += 1
        self.values[key] = Entry(value, self._revision)
        self.lifetimes[key] = ttl
        async with self._changed:
            self._changes.append((key, value))
            self._changed.notify_all()
        return self._revision

    async def keys(self) -> list[str]:
        return sorted(self.values)

    async def entries(self) -> dict[str, Entry]:
        return dict(self.values)

    async def watch(self, handle: Callable[[str, bytes | None], Awaitable[None]]) -> None:
        told = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda told=told: len(self._changes) > told)
            await handle(*self._changes[told])
            told += 1

    async def _overtaken(self, key: str) -> None:
        before, self.before_write = self.before_write, None
        if before is not None:
            await before(key)
