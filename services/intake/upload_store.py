"""Where intake keeps what was told of uploads, until they are READY: Redis."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from services.intake.domain import Content
from services.intake.layout import told_of_upload_key
from services.intake.uploads import PENDING_LIFETIME
from shared import kv

if TYPE_CHECKING:
    from datetime import timedelta


class RedisUploadStore:
    """What was told, by tenant and upload, each for a day.

    Args:
        client: Connected.
        lifetime: Of an upload that is not completed.
    """

    def __init__(self, client: kv.Client, *, lifetime: timedelta = PENDING_LIFETIME) -> None:
        self._client = cast("Any", client)
        self._lifetime = lifetime

    async def add(self, tenant: str, upload_id: str, content: Content) -> None:
        """Keeps it for its lifetime."""
        told = {"size": content.size, "sha256": content.sha256.hex(), "contentType": content.content_type}
        async with kv.translated():
            await self._client.set(told_of_upload_key(tenant, upload_id), json.dumps(told), px=self._lifetime)

    async def find(self, tenant: str, upload_id: str) -> Content | None:
        """What was told, or None."""
        async with kv.translated():
            text = await self._client.get(told_of_upload_key(tenant, upload_id))
        if text is None:
            return None
        told = json.loads(text)
        return Content(size=told["size"], sha256=bytes.fromhex(told["sha256"]), content_type=told["contentType"])

    async def remove(self, tenant: str, upload_id: str) -> bool:
        """Forgets it; whether it was there."""
        async with kv.translated():
            return await self._client.delete(told_of_upload_key(tenant, upload_id)) == 1
