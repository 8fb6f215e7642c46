"""What of the older log still matters to a view that is built anew: the jobs that have not ended."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.intake.changes import BatchPlace, Change

#: An event may be published again so long after its job's end; the scheduler remembers ended jobs as long.
_REMEMBERED = timedelta(hours=1)


class Backlog:
    """Changes by job, without those of jobs that ended so long ago that they have left the view.

    The jobs of a batch leave it together: the view counts on all of them to tell when the last one ends.

    Args:
        horizon: Jobs that ended before it have left the view, and the keys of those submitted before it are free again.
    """

    def __init__(self, horizon: datetime) -> None:
        self._horizon = horizon
        self._jobs: dict[str, list[Change]] = {}
        self._ended: set[str] = set()
        self._ends: deque[tuple[datetime, str]] = deque()
        #: The place of each job of a batch, and of each batch the jobs that ended before the horizon.
        self._places: dict[str, BatchPlace] = {}
        self._ended_of: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, changes: Sequence[Change]) -> None:
        """Adds changes, in the order of the log."""
        for change in changes:
            if change.job_id in self._ended:
                continue
            if change.place is not None:
                self._places[change.job_id] = change.place
            self._jobs.setdefault(change.job_id, []).append(change)
            if change.finished_at is not None and change.finished_at < self._horizon:
                self._end(change)

    def take(self) -> list[Change]:
        """What still matters, and no more from now on; a job whose submission is no longer kept has ended long ago."""
        found = [changes for changes in self._jobs.values() if any(change.job is not None for change in changes)]
        self._jobs, self._places, self._ended_of = {}, {}, {}
        return [change for changes in found for change in changes]

    def _end(self, change: Change) -> None:
        place = self._places.get(change.job_id)
        if place is None:
            self._forget(change.job_id, change.at)
            return
        ended = self._ended_of.setdefault(place.batch_id, [])
        if change.job_id not in ended:
            ended.append(change.job_id)
        if len(ended) == place.size:
            for job_id in self._ended_of.pop(place.batch_id):
                self._forget(job_id, change.at)

    def _forget(self, job_id: str, at: datetime) -> None:
        self._jobs.pop(job_id, None)
        self._places.pop(job_id, None)
        self._ended.add(job_id)
        self._ends.append((at, job_id))
        while self._ends[0][0] < at - _REMEMBERED:
            self._ended.discard(self._ends.popleft()[1])
