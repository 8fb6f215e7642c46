"""Erasures beside all databases: one object each, from which they are carried out again after a restore.

erasures/<operation>.json   {"operation", "tenant", "connection", "before", "finished"}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from services.history.data.domain import Erasure
from shared.objects import ERASURES, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from shared.clock import Clock

_CONTENT_TYPE = "application/json"
_MOST_BYTES = 64 * 1024
#: By which the clocks of the object store and of a service may differ.
_AHEAD = timedelta(days=1)


class RememberingObjects(Protocol):
    """The object store, as far as this needs it: `shared.objects.Objects`."""

    async def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Puts an object."""
        ...

    async def get(self, key: str, *, at_most: int) -> bytes:
        """The bytes of an object."""
        ...

    def older(self, prefix: str, before: datetime) -> AsyncGenerator[list[str]]:
        """The keys under a prefix whose objects were put before a time, many at a time."""
        ...


@dataclass(frozen=True, slots=True)
class Remembered:
    """An erasure, and when it was done with; None while it is at work."""

    erasure: Erasure
    finished_at: datetime | None


class RememberedErasures:
    """Writes erasures down, and finds them again.

    Args:
        objects: Where they are.
        clock: The time.
    """

    def __init__(self, objects: RememberingObjects, *, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    async def note(self, erasure: Erasure, *, finished_at: datetime | None) -> None:
        """Writes an erasure down, or that it was done with.

        Raises:
            Unavailable: The object store is away; it may be written down.
        """
        told = {
            "operation": erasure.operation_id,
            "tenant": erasure.tenant,
            "connection": erasure.connection_id,
            "before": erasure.before.isoformat(),
            "finished": finished_at.isoformat() if finished_at is not None else None,
        }
        key = f"{ERASURES}{erasure.operation_id}.json"
        await self._objects.put(key, json.dumps(told).encode(), content_type=_CONTENT_TYPE)

    async def since(self, time: datetime) -> list[Remembered]:
        """Those that were done with later than that, or are not yet, in their order.

        Raises:
            Unavailable: The object store is away.
        """
        found: list[Remembered] = []
        async for keys in self._objects.older(ERASURES, self._clock.now() + _AHEAD):
            for key in keys:
                try:
                    remembered = _read(await self._objects.get(key, at_most=_MOST_BYTES))
                except ObjectNotFoundError:  # its time was over meanwhile
                    continue
                if remembered.finished_at is None or remembered.finished_at >= time:
                    found.append(remembered)
        return sorted(found, key=lambda each: each.erasure.operation_id)


def _read(body: bytes) -> Remembered:
    told = json.loads(body)
    erasure = Erasure(
        operation_id=told["operation"],
        tenant=told["tenant"],
        connection_id=told["connection"],
        before=datetime.fromisoformat(told["before"]),
    )
    return Remembered(erasure, datetime.fromisoformat(told["finished"]) if told["finished"] else None)
