"""What lies in the object store under its tenant's name."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from shared.clock import SystemClock
from shared.holdings.domain import Erased, Page

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from shared.clock import Clock
    from shared.holdings.domain import Subject

#: By which the clocks of the object store and of a service may differ when it is listed what there is.
_AHEAD = timedelta(days=1)
#: Jobs whose objects are looked for at the same time.
_AT_A_TIME = 16


class ErasableObjects(Protocol):
    """The object store, as far as this needs it: `shared.objects.Objects`."""

    def older(self, prefix: str, before: datetime) -> AsyncGenerator[list[str]]:
        """The keys under a prefix whose objects were put before a time, many at a time."""
        ...

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Deletes objects."""
        ...


class ObjectShelf:
    """The objects under a prefix and then the tenant's name. A page tells their keys: their bytes are had by those.

    Args:
        name: Such as `objects.uploads`.
        objects: The store.
        prefix: With its slash.
        clock: The time.
    """

    def __init__(self, name: str, objects: ErasableObjects, prefix: str, *, clock: Clock | None = None) -> None:
        self.name = name
        self._objects = objects
        self._prefix = prefix
        self._clock = clock or SystemClock()

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`."""
        del after  # a tenant's keys are few beside what else is told of it
        if subject.connection_id:
            return Page()
        found = self._objects.older(f"{self._prefix}{subject.tenant}/", self._clock.now() + _AHEAD)
        return Page([json.dumps({"key": key}) async for keys in found for key in keys])

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        if subject.connection_id:
            return Erased()
        return Erased(removed=await _delete(self._objects, f"{self._prefix}{subject.tenant}/", before))


class JobObjectsShelf(ObjectShelf):
    """Objects that lie under their job's id there: those of a connection are found by its jobs."""

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        if not subject.connection_id:
            return await super().erase(subject, before=before)
        places = asyncio.Semaphore(_AT_A_TIME)

        async def erase_one(job_id: str) -> int:
            prefix = f"{self._prefix}{subject.tenant}/{job_id}/"
            async with places:  # whatever is there is of the job, however late it came
                return await _delete(self._objects, prefix, self._clock.now() + _AHEAD)

        return Erased(removed=sum(await asyncio.gather(*map(erase_one, subject.job_ids))))


async def _delete(objects: ErasableObjects, prefix: str, before: datetime) -> int:
    removed = 0
    async for keys in objects.older(prefix, before):
        await objects.delete_many(keys)
        removed += len(keys)
    return removed
