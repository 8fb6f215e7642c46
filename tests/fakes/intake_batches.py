"""The batch store in memory; `tests/contract/test_intake_batches.py` holds it to what the real one does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.intake.changes import FinishedBatch
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.intake.changes import BatchNote
    from services.intake.domain import State


@dataclass(slots=True)
class _Batch:
    size: int = 0
    jobs: dict[int, str] = field(default_factory=dict)
    ends: dict[int, State] = field(default_factory=dict)
    created_at: datetime | None = None
    finished_at: datetime | None = None
    callback: bytes | None = None

    def note(self, note: BatchNote) -> None:
        if note.state is not None:
            self.ends[note.index] = note.state
            self.finished_at = max(note.at, self.finished_at or note.at)
            return
        self.jobs[note.index], self.size = note.job_id, note.size
        if note.index == 0:
            self.created_at, self.callback = note.at, note.callback or b""

    def finished(self, tenant: str, batch_id: str) -> FinishedBatch | None:
        whole = self.size and len(self.jobs) == len(self.ends) == self.size
        if not whole or self.created_at is None or self.finished_at is None or self.callback is None:
            return None
        return FinishedBatch(
            tenant=tenant,
            id=batch_id,
            ends=tuple(self.ends[index] for index in range(self.size)),
            created_at=self.created_at,
            finished_at=self.finished_at,
            callback=self.callback,
        )


class FakeBatchStore:
    """Keeps batches in memory; can be away."""

    def __init__(self) -> None:
        self._batches: dict[tuple[str, str], _Batch] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def job_ids(self, tenant: str, batch_id: str) -> tuple[str, ...] | None:
        self._check()
        batch = self._batches.get((tenant, batch_id), _Batch())
        whole = batch.size and len(batch.jobs) == batch.size
        return tuple(batch.jobs[index] for index in range(batch.size)) if whole else None

    async def note(self, notes: Sequence[BatchNote]) -> list[FinishedBatch]:
        self._check()
        for note in notes:
            self._batches.setdefault((note.tenant, note.batch_id), _Batch()).note(note)
        touched = dict.fromkeys((note.tenant, note.batch_id) for note in notes)
        found = (self._batches[key].finished(*key) for key in touched)
        return [batch for batch in found if batch is not None]

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the store is away")
