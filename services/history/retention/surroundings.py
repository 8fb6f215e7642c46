"""What the sweep and the archive ask of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime


class ArchiveObjects(Protocol):
    """The object store, as far as this needs it: `shared.objects.Objects`."""

    async def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Puts an object, whole or not at all."""
        ...

    async def get(self, key: str, *, at_most: int) -> bytes:
        """The bytes of an object."""
        ...

    async def delete(self, key: str) -> None:
        """Deletes an object, if it is there."""
        ...

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Deletes objects, 1,000 at most, those that are there."""
        ...

    def older(self, prefix: str, before: datetime) -> AsyncGenerator[list[str]]:
        """The keys under a prefix whose objects were put before a time, many at a time."""
        ...


class Held(Protocol):
    """The right to change the archive, which one at a time has."""

    async def renew(self) -> None:
        """Keeps it for another while.

        Raises:
            LeaseLostError: Another has it by now.
        """
        ...
