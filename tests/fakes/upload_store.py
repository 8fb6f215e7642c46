"""What was told of uploads, in memory."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from services.intake.uploads import PENDING_LIFETIME
from shared.errors import Unavailable

if TYPE_CHECKING:
    from services.intake.domain import Content


class FakeUploadStore:
    """Keeps the promises of `services.intake.uploads.UploadStore`."""

    def __init__(self, *, lifetime: timedelta = PENDING_LIFETIME) -> None:
        self._lifetime = lifetime
        self._told: dict[tuple[str, str], tuple[Content, float]] = {}
        #: Set to have it away.
        self.away = False

    async def add(self, tenant: str, upload_id: str, content: Content) -> None:
        self._ask()
        self._told[tenant, upload_id] = content, time.monotonic() + self._lifetime / timedelta(seconds=1)

    async def find(self, tenant: str, upload_id: str) -> Content | None:
        self._ask()
        content, ends = self._told.get((tenant, upload_id), (None, 0.0))
        return content if time.monotonic() < ends else None

    async def remove(self, tenant: str, upload_id: str) -> bool:
        there = await self.find(tenant, upload_id) is not None
        self._told.pop((tenant, upload_id), None)
        return there

    def _ask(self) -> None:
        if self.away:
            raise Unavailable("Redis does not answer", metadata={"dependency": "redis"})
