"""Statistics in memory: what is marked in a fake history is counted; `tests/contract/test_history_stats.py` holds it to
what the real stores do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from services.history.leases import Lease, LeaseLostError
from services.history.stats.domain import Bucket, Figures, Group, MarkedJob, Rollup
from shared import ids
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from services.history.jobs.domain import Mark
    from services.history.stats.domain import Stretch
    from tests.fakes.history_store import FakeHistory

_PART = {Rollup.UPSTREAM: "upstream", Rollup.METHOD: "method", Rollup.CONNECTION: "connection_id"}


class FakeLeases:
    """One lease; who takes it next may take it from its holder, as though that had stood still for too long."""

    def __init__(self) -> None:
        self.holder: Lease | None = None
        #: Whether it is taken from its holder.
        self.run_out = False

    async def take(self, name: str) -> Lease | None:
        if self.holder is not None and not self.run_out:
            return None
        self.holder = Lease(name=name, token=str(ids.uuid7()))
        return self.holder

    async def renew_or_give_way(self, lease: Lease) -> bool:
        return lease == self.holder

    async def release(self, lease: Lease) -> None:
        if lease == self.holder:
            self.holder = None


class FakeStats:
    """The stores of the tally and of figures; each call gives way to others first, and may fail.

    Args:
        history: Has the marks.
        leases: Fence.
    """

    def __init__(self, history: FakeHistory, leases: FakeLeases) -> None:
        self._history = history
        self._leases = leases
        self.kept: dict[Bucket, Figures] = {}
        self._counted: dict[str, set[Mark]] = {}
        #: What the next transactions come to: nothing, or all of it though nobody is told so.
        self.failures: list[str] = []

    async def prepare(self) -> None:
        pass

    async def marked(self, mark: Mark, *, created_before: datetime, limit: int) -> Sequence[MarkedJob]:
        await asyncio.sleep(0)
        found: list[tuple[datetime, MarkedJob]] = []
        for entry, marks in self._history.uncounted():
            submitted = entry.submitted
            if submitted is None or mark not in marks or submitted.created_at >= created_before:
                continue
            job = MarkedJob(
                job_id=entry.job_id,
                tenant=entry.tenant,
                upstream=submitted.upstream,
                method=submitted.method,
                connection_id=submitted.connection_id,
                job=submitted.job,
                event=entry.standing.event,
                uncounted=tuple(sorted(marks)),
                counted=tuple(sorted(self._counted.get(entry.job_id, ()))),
            )
            found.append((submitted.created_at, job))
        found.sort(key=lambda each: each[0])
        return [job for _, job in found[:limit]]

    async def count(self, lease: Lease, marked: Sequence[MarkedJob], figures: Mapping[Bucket, Figures]) -> bool:
        await asyncio.sleep(0)
        failure = self.failures.pop() if self.failures else ""
        if failure == "before":
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})
        if lease != self._leases.holder:
            raise LeaseLostError(lease.name)
        now = {entry.job_id: tuple(sorted(marks)) for entry, marks in self._history.uncounted()}
        if any(now.get(each.job_id, ()) != each.uncounted for each in marked):
            return False
        for each in marked:
            self._history.take_marks_off(each.job_id)
            self._counted.setdefault(each.job_id, set()).update(each.uncounted)
        for bucket, added in figures.items():
            self.kept.setdefault(bucket, Figures()).merge(added)
        if failure == "after":
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})
        return True

    async def buckets(self, group: Group, stretches: Sequence[Stretch]) -> Sequence[tuple[Bucket, Figures]]:
        return [
            (bucket, figures)
            for bucket, figures in self.kept.items()
            if bucket.group.rollup is group.rollup and _within(bucket, group) and _in(bucket, stretches)
        ]

    async def shares(
        self, group: Group, by: Rollup, stretches: Sequence[Stretch], *, limit: int
    ) -> Sequence[tuple[Bucket, Figures]]:
        names = {"upstream": group.upstream, "method": group.method, "connection_id": group.connection_id}
        rollup = Group(tenant=group.tenant, **(names | {_PART[by]: "any"})).rollup
        parts = [
            (bucket, Figures(ended=figures.ended, total=figures.total))
            for bucket, figures in self.kept.items()
            if bucket.group.rollup is rollup and _within(bucket, group) and _in(bucket, stretches) and figures.ended
        ]
        jobs: Counter[str] = Counter()
        for bucket, figures in parts:
            jobs[getattr(bucket.group, _PART[by])] += figures.ended.total()
        heaviest = sorted(jobs, key=lambda name: (-jobs[name], name))[:limit]
        return [part for part in parts if getattr(part[0].group, _PART[by]) in heaviest]

    async def erase(self, tenant: str, connection_id: str = "") -> int:
        gone = [
            bucket
            for bucket in self.kept
            if bucket.group.tenant == tenant and connection_id in {"", bucket.group.connection_id}
        ]
        for bucket in gone:
            del self.kept[bucket]
        return len(gone)


def _within(bucket: Bucket, group: Group) -> bool:
    theirs = bucket.group
    return theirs.tenant == group.tenant and all(
        asked in {"", name}
        for asked, name in (
            (group.upstream, theirs.upstream),
            (group.method, theirs.method),
            (group.connection_id, theirs.connection_id),
        )
    )


def _in(bucket: Bucket, stretches: Sequence[Stretch]) -> bool:
    return any(each.level is bucket.level and each.start <= bucket.start < each.end for each in stretches)
