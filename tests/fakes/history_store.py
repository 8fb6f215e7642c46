"""History's store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.history.domain import Record
from shared.paging import Position

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.history.domain import Entry, Filter


class FakeHistory:
    """Keeps jobs in a dict, as `services.history.store.HistoryStore` asks."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    async def apply(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            known = self._entries.get(entry.job_id)
            self._entries[entry.job_id] = entry if known is None else known.merged_with(entry)

    async def get(self, tenant: str, job_id: str) -> Record | None:
        entry = self._entries.get(job_id)
        if entry is None or entry.tenant != tenant or entry.submitted is None:
            return None
        return Record(job=entry.submitted.job, event=entry.standing.event, result=entry.standing.result)

    async def batch(self, tenant: str, batch_id: str) -> list[Record]:
        return [
            Record(job=entry.submitted.job, event=entry.standing.event, result=None)
            for entry in self._entries.values()
            if entry.submitted is not None and (entry.tenant, entry.submitted.batch_id) == (tenant, batch_id)
        ]

    async def list(
        self, tenant: str, wanted: Filter, *, after: Position | None, limit: int
    ) -> list[tuple[Position, Record]]:
        found = [
            (Position(created_at=_milliseconds(entry.submitted.created_at), id=entry.job_id), entry)
            for entry in self._entries.values()
            if entry.submitted is not None and entry.tenant == tenant and _matches(entry, wanted)
        ]
        found.sort(key=lambda each: (each[0].created_at, each[0].id), reverse=True)
        if after is not None:
            found = [each for each in found if (each[0].created_at, each[0].id) < (after.created_at, after.id)]
        return [
            (position, Record(job=entry.submitted.job, event=entry.standing.event, result=None))
            for position, entry in found[:limit]
            if entry.submitted is not None
        ]


def _matches(entry: Entry, wanted: Filter) -> bool:
    submitted = entry.submitted
    if submitted is None:
        return False
    created = _milliseconds(submitted.created_at)
    return (
        wanted.upstream in {"", submitted.upstream}
        and wanted.method in {"", submitted.method}
        and wanted.connection_id in {"", submitted.connection_id}
        and wanted.batch_id in {"", submitted.batch_id}
        and wanted.priority in {"", submitted.priority}
        and (not wanted.states or entry.standing.state in wanted.states)
        and (wanted.created_after is None or created >= wanted.created_after)
        and (wanted.created_before is None or created < wanted.created_before)
    )


def _milliseconds(time: datetime) -> datetime:
    """As MongoDB keeps it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
