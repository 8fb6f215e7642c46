"""The store of data keys in memory; `tests/contract/test_data_key_store.py` holds it to what the real one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.connections.sealing.data_key_store import DataKey


class FakeDataKeyStore:
    """Keeps data keys in memory; can be away."""

    def __init__(self) -> None:
        self.by_number: dict[int, DataKey] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False
        #: Reads so far.
        self.looks = 0

    async def prepare(self) -> None:
        self._check()

    async def data_keys(self) -> Sequence[DataKey]:
        self._check()
        self.looks += 1
        return [self.by_number[number] for number in sorted(self.by_number, reverse=True)]

    async def add_data_key(self, key: DataKey) -> bool:
        self._check()
        return self.by_number.setdefault(key.number, key) is key

    async def destroy_data_key(self, data_key_id: str) -> None:
        self._check()
        self.by_number = {number: key for number, key in self.by_number.items() if key.id != data_key_id}

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer; the call may be repeated", metadata={"dependency": "mongodb"})
