"""A bucket in memory, as far as intake uses one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.bus import Conflict, Entry

if TYPE_CHECKING:
    from datetime import timedelta


class FakeBucket:
    """Keeps values by key."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._revision = 0

    async def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    async def create(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> int:
        del ttl
        if key in self._entries:
            raise Conflict(key)
        return await self.put(key, value)

    async def update(self, key: str, value: bytes, revision: int, *, ttl: timedelta | None = None) -> int:
        del ttl
        found = self._entries.get(key)
        if found is None or found.revision != revision:
            raise Conflict(key)
        return await self.put(key, value)

    async def put(self, key: str, value: bytes) -> int:
        self._revision += 1
        self._entries[key] = Entry(value, self._revision)
        return self._revision

    async def delete(self, key: str) -> None:
        self._revision += 1
        self._entries.pop(key, None)

    async def entries(self) -> dict[str, Entry]:
        return dict(self._entries)
