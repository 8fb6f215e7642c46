"""The audit store in memory; `tests/contract/test_audit_store.py` holds it to what the real one does."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from services.auth.audit_store import OPERATORS
from services.auth.domain import to_milliseconds
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penstock.events.v1.audit_pb2 import AuditEntry

    from services.auth.audit_filter import AuditFilter
    from shared.paging import Position


class FakeAuditStore:
    """Keeps entries in memory; can be away."""

    def __init__(self) -> None:
        self.by_id: dict[str, AuditEntry] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        self._check()
        for entry in entries:
            self.by_id.setdefault(entry.id, entry)

    async def list(
        self, reader: str, wanted: AuditFilter, *, after: Position | None, limit: int
    ) -> Sequence[AuditEntry]:
        self._check()
        found = [
            (_at(entry), entry.id, entry)
            for entry in self.by_id.values()
            if (reader == OPERATORS or reader == entry.tenant != "") and _matches(entry, wanted)
        ]
        found.sort(key=lambda each: each[:2], reverse=True)
        if after is not None:
            found = [each for each in found if each[:2] < (after.created_at, after.id)]
        return [entry for _, _, entry in found[:limit]]

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})


def _at(entry: AuditEntry) -> datetime:
    return to_milliseconds(entry.time.ToDatetime(tzinfo=UTC))


def _matches(entry: AuditEntry, wanted: AuditFilter) -> bool:
    return (
        wanted.principal in {"", entry.actor.id}
        and wanted.action in {"", entry.action}
        and wanted.target in {"", entry.target.id}
        and wanted.outcome in {"", entry.outcome}
        and wanted.address in {"", entry.client_address}
        and wanted.request_id in {"", entry.request_id}
        and (entry.refused or not wanted.refused_only)
        and (wanted.start is None or _at(entry) >= wanted.start)
        and (wanted.end is None or _at(entry) < wanted.end)
    )
