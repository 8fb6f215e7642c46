"""The bodies of answers that are too large for Redis: in the object store, under a prefix of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.upstream.domain import MAX_INLINE_BYTES, Stored
from shared import observability
from shared.errors import Unavailable
from shared.media_types import media_type
from shared.objects import ObjectNotFoundError, ObjectTooLargeError, cache_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.upstream.cache.entries import Answer, Spot
    from services.upstream.cache.store import Stale
    from services.upstream.contents import ResultPlace

log = observability.logger()

#: Of one request to the store.
_MAX_DELETED = 1000


class Objects(Protocol):
    """The object store, as far as the cache needs it; see `shared.objects.Objects`."""

    async def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Puts an object."""
        ...

    async def get(self, key: str, *, at_most: int) -> bytes:
        """The bytes of an object."""
        ...

    async def copy(self, source: str, target: str) -> None:
        """Copies an object within the store."""
        ...

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Deletes objects."""
        ...


class Bodies:
    """Puts bodies there and hands them out.

    An answer of over 256 KiB is stored here first, and copied from here to the result of every job that it serves, the
    one that called among them: within the store, and so that nobody who has the rights of this service reads results.

    Args:
        objects: The object store.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def put(self, spot: Spot, name: str, answer: Answer) -> None:
        """Puts a body.

        Raises:
            Unavailable: The store is away.
        """
        key = cache_key(spot.tenant, spot.digest, name)
        await self._objects.put(key, answer.body or b"", content_type=media_type(answer.content_type))

    async def copy(self, spot: Spot, name: str, place: ResultPlace) -> None:
        """Copies a body to where a job's result goes.

        Raises:
            ObjectNotFoundError: It is gone.
            Unavailable: The store is away.
        """
        await self._objects.copy(cache_key(spot.tenant, spot.digest, name), place.key)

    async def fetch(self, spot: Spot, answer: Answer, place: ResultPlace) -> bytes | Stored | None:
        """The body for one job: itself, or copied to where its result goes; None where it cannot be had.

        Args:
            spot: Where the answer is kept.
            answer: The answer.
            place: Of the job's result.
        """
        if answer.body is not None:
            return answer.body
        try:
            if answer.size <= MAX_INLINE_BYTES:
                key = cache_key(spot.tenant, spot.digest, answer.object)
                body = await self._objects.get(key, at_most=MAX_INLINE_BYTES)
                return body if len(body) == answer.size else None
            await self.copy(spot, answer.object, place)
        except (ObjectNotFoundError, ObjectTooLargeError, Unavailable) as error:  # the call is made instead
            log.warning("cached_body_not_had", digest=spot.digest, error=str(error))
            return None
        return Stored(size=answer.size)

    async def delete(self, stale: Sequence[Stale]) -> None:
        """Deletes what nobody needs; what the store does not delete now, it removes by its rules."""
        keys = [cache_key(each.tenant, each.digest, each.name) for each in stale]
        for start in range(0, len(keys), _MAX_DELETED):
            try:
                await self._objects.delete_many(keys[start : start + _MAX_DELETED])
            except Unavailable as error:
                log.warning("cached_bodies_left", objects=len(keys) - start, error=error.message)
                return
