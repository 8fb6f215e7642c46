"""History's store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.history.jobs.documents import standing_of, submission_of
from services.history.jobs.domain import Filter, Mark, Record
from shared.paging import Position

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.history.jobs.domain import Entry, Submitted
    from services.history.listing.store import Listed
    from shared.mongo import Document


class FakeHistory:
    """Keeps jobs in a dict, as `services.history.jobs.store.HistoryStore` asks, and lists them as `JobLists` does."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._marks: dict[str, set[Mark]] = {}

    async def prepare(self) -> None:
        pass

    async def apply(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            known = self._entries.get(entry.job_id)
            merged = entry if known is None else known.merged_with(entry)
            self._entries[entry.job_id] = merged
            marks = self._marks.setdefault(entry.job_id, set())
            if merged.submitted is not None and (known is None or known.submitted is None):
                marks.add(Mark.SUBMISSION)
            if merged.standing.finished_at is not None and (known is None or known.standing.finished_at is None):
                marks.add(Mark.END)

    def document(self, job_id: str) -> Document | None:
        """As MongoDB would have it."""
        entry = self._entries.get(job_id)
        if entry is None:
            return None
        document = {
            "_id": job_id,
            **submission_of(entry),
            **standing_of(entry),
            "timeline": {str(revision): left for revision, left in entry.timeline.items()},
            "uncounted": sorted(self._marks[job_id]),
        }
        if entry.submitted_sequence:
            document["submitted_sequence"] = entry.submitted_sequence
        return document

    def uncounted(self) -> list[tuple[Entry, set[Mark]]]:
        """The jobs of which something is marked."""
        return [(self._entries[job_id], marks) for job_id, marks in self._marks.items() if marks]

    def take_marks_off(self, job_id: str) -> None:
        """As the tally does."""
        self._marks[job_id].clear()

    async def get(self, tenant: str, job_id: str) -> Record | None:
        entry = self._entries.get(job_id)
        if entry is None or entry.tenant != tenant or entry.submitted is None:
            return None
        return Record(
            job=entry.submitted.job,
            event=entry.standing.event,
            result=entry.standing.result,
            timeline=tuple(entry.timeline[revision] for revision in sorted(entry.timeline)),
        )

    async def batch(self, tenant: str, batch_id: str) -> list[Record]:
        return [
            Record(job=entry.submitted.job, event=entry.standing.event, result=None)
            for entry in self._entries.values()
            if entry.submitted is not None and (entry.tenant, entry.submitted.batch_id) == (tenant, batch_id)
        ]

    async def page(
        self,
        tenant: str,
        wanted: Filter,
        *,
        after: Position | None,
        limit: int,
        oldest_first: bool = False,
        whole: bool = False,
    ) -> list[Listed]:
        def place(listed: Listed) -> tuple[datetime, str]:
            return listed[0].created_at, listed[0].id

        found = sorted(self._listed(tenant, wanted, whole=whole), key=place, reverse=not oldest_first)
        if after is not None:
            mark = (after.created_at, after.id)
            found = [each for each in found if (place(each) > mark if oldest_first else place(each) < mark)]
        return found[:limit]

    async def count(self, tenant: str, wanted: Filter, *, limit: int) -> int:
        return min(len(self._listed(tenant, wanted)), limit)

    async def position(self, tenant: str, job_id: str) -> Position | None:
        places = (position for position, _ in self._listed(tenant, Filter()))
        return next((position for position in places if position.id == job_id), None)

    def _listed(self, tenant: str, wanted: Filter, *, whole: bool = False) -> list[Listed]:
        found: list[Listed] = []
        for entry in self._entries.values():
            if entry.submitted is not None and entry.tenant == tenant and _matches(entry, entry.submitted, wanted):
                record = Record(
                    job=entry.submitted.job,
                    event=entry.standing.event,
                    result=None,
                    timeline=tuple(entry.timeline[revision] for revision in sorted(entry.timeline)) if whole else (),
                )
                found.append((Position(created_at=_milliseconds(entry.submitted.created_at), id=entry.job_id), record))
        return found


def _matches(entry: Entry, submitted: Submitted, wanted: Filter) -> bool:
    created = _milliseconds(submitted.created_at)
    return (
        wanted.upstream in {"", submitted.upstream}
        and wanted.method in {"", submitted.method}
        and wanted.connection_id in {"", submitted.connection_id}
        and wanted.batch_id in {"", submitted.batch_id}
        and wanted.priority in {"", submitted.priority}
        and (not wanted.states or entry.standing.state in wanted.states)
        and set(wanted.labels) <= set(submitted.labels)
        and (wanted.created_after is None or created >= wanted.created_after)
        and (wanted.created_before is None or created < wanted.created_before)
    )


def _milliseconds(time: datetime) -> datetime:
    """As MongoDB keeps it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
