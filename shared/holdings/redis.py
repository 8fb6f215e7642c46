"""What lies in Redis under a hash tag that names its tenant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from shared.holdings.domain import Erased, Page
from shared.kv import translated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime

    from shared import kv
    from shared.holdings.domain import Subject

#: Keys that Redis looks at in one step of a walk: a millisecond or less.
_LOOKED_AT = 2000


class RedisShelf:
    """The keys of a tenant; what is of a connection alone cannot be told from the rest.

    Nothing here is of a later time than the erasure, which begins with whoever it is about being shut out, and what
    counts or caches can be done without: all of it goes.

    Args:
        name: Such as `redis.cache`.
        client: Connected.
        prefix: Of a tenant's keys.
    """

    def __init__(self, name: str, client: kv.Client, prefix: Callable[[str], str]) -> None:
        self.name = name
        self._client = client
        self._prefix = prefix

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`: the names of the keys; all that they hold is told by others too, or counts for a while."""
        if subject.connection_id:
            return Page()
        cursor, keys = await scan(self._client, self._prefix(subject.tenant), int(after or 0))
        return Page([json.dumps({"key": key.decode()}) for key in keys], str(cursor) if cursor else "")

    async def holds_any(self, tenant: str) -> bool:
        """Whether there is any key of a tenant.

        Raises:
            Unavailable: Redis is away.
        """
        async for keys in walk(self._client, self._prefix(tenant)):
            return bool(keys)
        return False

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        del before
        if subject.connection_id:
            return Erased()
        removed = 0
        async for keys in walk(self._client, self._prefix(subject.tenant)):
            removed += await delete(self._client, keys)
        return Erased(removed=removed)


async def walk(client: kv.Client, prefix: str) -> AsyncGenerator[list[bytes]]:
    """The keys that begin with a text, many at a time; some may come twice.

    It passes by every key that there is: half a second for a million.

    Raises:
        Unavailable: Redis is away; also in the middle.
    """
    cursor = 0
    while True:
        cursor, keys = await scan(client, prefix, cursor)
        if keys:
            yield keys
        if not cursor:
            return


async def scan(client: kv.Client, prefix: str, cursor: int) -> tuple[int, list[bytes]]:
    """A step of such a walk: where the next one goes on, 0 for nowhere, and the keys.

    Raises:
        Unavailable: Redis is away.
    """
    async with translated():
        found = await client.scan(cursor, match=f"{prefix}*", count=_LOOKED_AT)
    return int(found[0]), [key for key in found[1] if isinstance(key, bytes)]


async def delete(client: kv.Client, keys: list[bytes]) -> int:
    """Deletes keys, which need not share a hash tag; answers with how many were there.

    Raises:
        Unavailable: Redis is away; any of them may be deleted.
    """
    async with translated(), client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.delete(key)
        return sum(await cast("Any", pipeline.execute()))
