"""Params that are too large to travel: put into the object store before the job is published, under their digest.

The job's message carries size and digest in their place (the claim check of Hohpe and Woolf, Enterprise Integration
Patterns). The same params lie there once, however many jobs have them; each job that is accepted renews their time.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Protocol

from penstock.events.v1 import events_pb2

from services.intake.domain import MAX_INLINE_PARAMS_BYTES
from shared.objects import params_key

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTENT_TYPE = "application/json"


class PuttingObjects(Protocol):
    """The object store, as far as this needs it: `shared.objects.Objects`."""

    async def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Puts an object."""
        ...


class Offloader:
    """Puts large params into the object store.

    Args:
        objects: The store.
    """

    def __init__(self, objects: PuttingObjects) -> None:
        self._objects = objects

    async def store(self, tenant: str, params: Iterable[bytes]) -> None:
        """On return all those are kept that are too large to travel; where none is, nothing is asked of anyone.

        Args:
            tenant: Whose.
            params: As canonical JSON.

        Raises:
            Unavailable: The object store is away; any of them may be kept, which does no harm.
        """
        large = {params_key(tenant, hashlib.sha256(each).digest()): each for each in params if is_large(each)}
        if large:
            await asyncio.gather(
                *(self._objects.put(key, body, content_type=_CONTENT_TYPE) for key, body in large.items())
            )


def is_large(params: bytes) -> bool:
    """Whether params, as canonical JSON, are too large to travel."""
    return len(params) > MAX_INLINE_PARAMS_BYTES


def stored(params: bytes) -> events_pb2.StoredParams:
    """What travels in the place of large params."""
    return events_pb2.StoredParams(size=len(params), sha256=hashlib.sha256(params).digest())
