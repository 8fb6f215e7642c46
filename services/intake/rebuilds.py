"""Which servers hold all that the log tells, and which replica is about to make another one so: what replicas agree on.

It is kept in a bucket at NATS, under the server's id: a new replica finds there that nothing need be rebuilt, and of
many that meet a server that has lost something only one reads the log.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from services.intake.erased import is_note
from shared import ids
from shared.bus import Conflict

if TYPE_CHECKING:
    from shared.bus import Entry

#: A rebuild that has not been renewed for so long has died with its replica.
PATIENCE = timedelta(seconds=10)
_REBUILT = b"rebuilt"
#: Ids that are kept, the newest ones; none of the others comes back.
_MAX_KEPT = 16


class Bucket(Protocol):
    """What is used of a bucket; `shared.bus.Bucket` is one, and says what each of these raises."""

    async def get(self, key: str) -> Entry | None:
        """The newest value."""
        ...

    async def create(self, key: str, value: bytes) -> int:
        """Puts a key's first value."""
        ...

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Puts another value in the place of the one of this revision."""
        ...

    async def put(self, key: str, value: bytes) -> int:
        """Puts a value, whatever is there."""
        ...

    async def delete(self, key: str) -> None:
        """Removes a value."""
        ...

    async def entries(self) -> dict[str, Entry]:
        """Every key and its value."""
        ...


class Rebuilds:
    """Of this replica and the others. Everything raises `Unavailable` where NATS is away.

    Args:
        bucket: Where they are noted.
        patience: How long a rebuild may go without being renewed.
    """

    def __init__(self, bucket: Bucket, *, patience: timedelta = PATIENCE) -> None:
        self._bucket = bucket
        self._patience_s = patience.total_seconds()
        self._me = f"rebuilding {ids.uuid7()}".encode()
        self._seen: tuple[str, int] = ("", 0)
        self._seen_at = 0.0

    async def is_done(self, server: str) -> bool:
        """Whether the server holds all that the log tells."""
        found = await self._bucket.get(server)
        return found is not None and found.value == _REBUILT

    async def claim(self, server: str) -> int | None:
        """The right to rebuild a server, to be renewed; None where another replica has it, or it is done."""
        found = await self._bucket.get(server)
        try:
            if found is None:
                return await self._bucket.create(server, self._me)
            if found.value == _REBUILT or not (found.value == self._me or self._is_given_up(server, found.revision)):
                return None
            return await self._bucket.update(server, self._me, found.revision)
        except Conflict:  # another replica was faster
            return None

    async def renew(self, server: str, claim: int) -> int | None:
        """The claim for another while; None where it was lost."""
        try:
            return await self._bucket.update(server, self._me, claim)
        except Conflict:
            return None

    async def finish(self, server: str) -> None:
        """Notes that the server holds all that the log tells."""
        await self._bucket.put(server, _REBUILT)
        kept = {key: entry for key, entry in (await self._bucket.entries()).items() if not is_note(key)}
        for old in sorted(kept, key=lambda key: kept[key].revision)[:-_MAX_KEPT]:
            await self._bucket.delete(old)

    def _is_given_up(self, server: str, revision: int) -> bool:
        """Whether another's claim has stood still for long, as this replica sees it: by its own clock alone."""
        now = asyncio.get_running_loop().time()
        if self._seen != (server, revision):
            self._seen, self._seen_at = (server, revision), now
        return now - self._seen_at >= self._patience_s
