"""What schedulers know of queues though Redis should lose them: their epochs, and from where JOBS must be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from shared.bus import Conflict

if TYPE_CHECKING:
    from shared.bus import Entry

#: Of a queue that was never open before.
FIRST_EPOCH = 1


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


class Checkpoints:
    """Numbers by upstream, on disk at NATS. Everything raises `Unavailable`.

    Args:
        bucket: Where they are, as `epoch.<upstream>` and `floor.<upstream>`.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def next_epoch(self, upstream: str) -> int:
        """An epoch that nobody was given before, greater than all of those."""
        key = f"epoch.{upstream}"
        while True:
            found = await self._bucket.get(key)
            epoch = int(found.value) + 1 if found is not None else FIRST_EPOCH
            try:
                if found is None:
                    await self._bucket.create(key, _number(epoch))
                else:
                    await self._bucket.update(key, _number(epoch), found.revision)
            except Conflict:  # another replica was given that one
                continue
            return epoch

    async def floor(self, upstream: str) -> int:
        """The sequence in JOBS below which nothing need be replayed."""
        found = await self._bucket.get(f"floor.{upstream}")
        return int(found.value) if found is not None else 1

    async def put_floor(self, upstream: str, sequence: int) -> None:
        """Notes it. Once right, a floor stays so; one that another replica puts later may be lower, and is as right."""
        await self._bucket.put(f"floor.{upstream}", _number(sequence))


def _number(value: int) -> bytes:
    return str(value).encode()
