"""Data keys in memory, for a vault of which nothing is rotated."""

from __future__ import annotations

import os

from shared import ids
from shared.errors import Unavailable


class FakeKeys:
    """Gives one data key; can be away, and can be given another one."""

    def __init__(self) -> None:
        self.by_id: dict[str, bytes] = {}
        self.rotate()
        #: Every call raises `Unavailable` while it is.
        self.away = False

    def rotate(self) -> str:
        """Another current data key; the ones before it still open."""
        self.current_id = ids.new_data_key_id()
        self.by_id[self.current_id] = os.urandom(32)
        return self.current_id

    async def current(self) -> tuple[str, bytes]:
        self._check()
        return self.current_id, self.by_id[self.current_id]

    async def key(self, data_key_id: str) -> bytes | None:
        self._check()
        return self.by_id.get(data_key_id)

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the key provider does not answer", metadata={"dependency": "key_provider"})
