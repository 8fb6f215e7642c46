"""What the projection of history reads events by, where a test is about something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime


class NothingIndexed:
    """No tenant lists by metadata."""

    async def indexed_keys(self, tenant: str) -> Collection[str]:
        """See `services.history.jobs.reading.IndexedMetadata`."""
        del tenant
        return ()


class NothingErased:
    """All that the log has is kept."""

    def covers(self, tenant: str, connection_id: str, created_at: datetime) -> bool:
        """See `services.history.jobs.reading.Erasures`."""
        del tenant, connection_id, created_at
        return False
