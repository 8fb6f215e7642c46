"""A key provider in memory, which can be away, refuse to be hurried, and count how often it is asked."""

from __future__ import annotations

import asyncio

from services.auth.connections.sealing.key_providers import Wrapped, unavailable


class FakeKeyProvider:
    """Wraps by keeping the key to itself."""

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.kept: dict[bytes, tuple[str, bytes]] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False
        #: Calls so far, those that have failed among them.
        self.wraps = 0
        self.unwraps = 0
        #: It answers only while this is set.
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.closed = False

    async def wrap(self, key: bytes, *, data_key_id: str) -> Wrapped:
        self.wraps += 1
        await self._answering()
        text = f"wrapped {len(self.kept)}".encode()
        self.kept[text] = (data_key_id, key)
        return Wrapped(provider=self.name, master_key="one", text=text)

    async def unwrap(self, wrapped: Wrapped, *, data_key_id: str) -> bytes:
        self.unwraps += 1
        await self._answering()
        kept_for, key = self.kept[wrapped.text]
        assert kept_for == data_key_id
        return key

    async def close(self) -> None:
        self.closed = True

    async def _answering(self) -> None:
        await self.may_answer.wait()
        if self.away:
            raise unavailable("the key provider fake does not answer; the call may be repeated")
