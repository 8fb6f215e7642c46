"""Data keys in memory, where secrets are sealed and opened.

A key stays there once it was unwrapped, so that the key provider may be away. Which one is current is looked up again
before that can be long ago: nobody seals under a key that others are about to destroy.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from services.auth.connections.sealing.data_key_store import DataKey
from services.auth.domain import to_milliseconds
from shared import ids, observability
from shared.errors import Unavailable
from shared.sealing import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from services.auth.connections.sealing.data_key_store import DataKeyStore
    from services.auth.connections.sealing.key_providers import KeyProviders
    from shared.clock import Clock

log = observability.logger()
T = TypeVar("T")

#: What was looked up is good for so long; `resealing.MARGIN` is far longer.
FRESH_TIME = timedelta(seconds=60)
#: After a failure the key provider counts as away for so long, and nobody waits for it.
AWAY_TIME = timedelta(seconds=1)


class DataKeys:
    """The data keys.

    Args:
        store: Where they are kept, wrapped.
        providers: Unwrap them.
        clock: The time.
        monotonic: Seconds, of a clock that nobody turns.
    """

    def __init__(
        self, *, store: DataKeyStore, providers: KeyProviders, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._store = store
        self._providers = providers
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[str, DataKey] = {}
        self._opened: dict[str, bytes] = {}
        self._current = ""
        self._looked_at: float | None = None
        self._looking = asyncio.Lock()
        #: By key: who unwraps it keeps the others waiting, who then find it in memory.
        self._unwrapping: dict[str, asyncio.Lock] = {}
        #: By key, and when, by the monotonic clock; under an empty id, that a key could not be wrapped.
        self._failures: dict[str, tuple[float, Unavailable]] = {}

    async def current(self) -> tuple[str, bytes]:
        """The id of the data key that is sealed under now, and its bytes; the first one is made here.

        Raises:
            Unavailable: The key provider is away and the key is not in memory; or MongoDB is, and what is known of it
                is too old.
        """
        if not self._is_fresh():
            async with self._looking:
                if not self._is_fresh():  # nor has who was here before looked
                    await self._look()
        return self._current, await self._bytes(self._known[self._current])

    async def key(self, data_key_id: str) -> bytes | None:
        """A data key's bytes; None where there is none of this id.

        Raises:
            Unavailable: The key provider, or MongoDB, is away, and the key is not in memory.
        """
        opened = self._opened.get(data_key_id)
        if opened is not None:
            return opened
        if data_key_id not in self._known:
            await self.look()
        known = self._known.get(data_key_id)
        return await self._bytes(known) if known is not None else None

    async def look(self) -> Sequence[DataKey]:
        """All that there are, the newest first, which is the current one; those that are gone leave the memory.

        Raises:
            Unavailable: MongoDB is away; or there is no key yet, and the key provider is.
        """
        async with self._looking:
            return await self._look()

    async def rotate(self) -> DataKey:
        """Makes another data key, which is the current one from now on.

        Of some replicas that make one at the same moment, all have the same.

        Raises:
            Unavailable: The key provider, or MongoDB, is away.
        """
        async with self._looking:
            before = await self._look()
            await self._make(before[0].number + 1)
            return (await self._look())[0]

    async def check(self) -> None:
        """Sees to it that there is a current key in memory: with it all is well, whoever is away.

        Raises:
            Unavailable: There can be none now.
        """
        if self._current not in self._opened:
            await self.current()

    def _is_fresh(self) -> bool:
        return self._looked_at is not None and self._monotonic() < self._looked_at + FRESH_TIME.total_seconds()

    async def _look(self) -> Sequence[DataKey]:
        at = self._monotonic()  # before the answer, which may take its time
        keys = await self._store.data_keys()
        if not keys:
            await self._make(1)
            keys = await self._store.data_keys()
        if self._current != keys[0].id:
            log.info("data_key_current", data_key=keys[0].id, number=keys[0].number)
        self._known = {key.id: key for key in keys}
        self._current = keys[0].id
        self._looked_at = at
        self._opened = {each: self._opened[each] for each in self._opened if each in self._known}
        return keys

    async def _make(self, number: int) -> None:
        """Makes the data key of this number, unless somebody else has."""
        data_key_id, key = ids.new_data_key_id(), os.urandom(KEY_BYTES)
        wrapped = await self._asked("", lambda: self._providers.wrap(key, data_key_id=data_key_id))
        made = DataKey(id=data_key_id, number=number, wrapped=wrapped, created_at=to_milliseconds(self._clock.now()))
        if await self._store.add_data_key(made):
            self._opened[data_key_id] = key
            log.info("data_key_made", data_key=data_key_id, number=number, key_provider=wrapped.provider)

    async def _bytes(self, key: DataKey) -> bytes:
        opened = self._opened.get(key.id)
        if opened is not None:
            return opened
        async with self._unwrapping.setdefault(key.id, asyncio.Lock()):
            opened = self._opened.get(key.id)  # by who was here before
            if opened is None:
                opened = await self._asked(key.id, lambda: self._providers.unwrap(key.wrapped, data_key_id=key.id))
                self._opened[key.id] = opened
        return opened

    async def _asked(self, data_key_id: str, question: Callable[[], Awaitable[T]]) -> T:
        """What a key provider answers about a key; one that has just failed is not asked."""
        failed_at, failure = self._failures.get(data_key_id, (0.0, None))
        if failure is not None and self._monotonic() < failed_at + AWAY_TIME.total_seconds():
            raise Unavailable(failure.message, metadata=failure.metadata, retry_after=failure.retry_after)
        try:
            answer = await question()
        except Unavailable as error:
            self._failures[data_key_id] = (self._monotonic(), error)
            raise
        self._failures.pop(data_key_id, None)
        return answer
