"""The sweep: archives and deletes jobs that have had their time, and removes archives that have had theirs.

One replica at a time sweeps, by a lease, and looks whether it still may before each step that another could undo. A job
is marked with the id of a part; the part is written, noted and named in its manifest; the job's answer in the object
store is deleted, then the job. Whoever is killed in between leaves the mark: the next sweep goes on with that part,
which the same jobs make to the same bytes, and deletes those that it has, by their ids.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from services.history.leases import SWEEP, LeaseLostError
from services.history.retention import metrics
from shared import ids, observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.history.leases import Lease, Leases
    from services.history.retention.archive import Archive
    from services.history.retention.domain import Retention
    from services.history.retention.jobs import Due, Marked, MongoDueStore
    from services.history.retention.parts import MongoPartStore
    from services.history.retention.retentions import Retentions
    from services.history.retention.surroundings import ArchiveObjects
    from shared.clock import Clock

log = observability.logger()

#: Of one part: so much is in memory at a time, and so long is one write.
MAX_PART_JOBS = 2000
MAX_PART_BYTES = 16 * 1024**2
#: After each part at least, and as long as that took: half of the time is others'.
_PAUSE = timedelta(milliseconds=20)
#: Objects deleted by one request.
_OBJECTS_AT_ONCE = 1000
#: Parts of the archive that one step of an erasure takes in hand.
_ERASED_AT_ONCE = 10


class Holding:
    """A lease, kept for as long as it is renewed.

    Args:
        leases: Know who holds it.
        lease: It.
    """

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self._leases = leases
        self._lease = lease

    async def renew(self) -> None:
        """Keeps it for another while.

        Raises:
            LeaseLostError: Another has it by now.
        """
        if not await self._leases.renew(self._lease):
            raise LeaseLostError("the sweep is another replica's by now")

    async def release(self) -> None:
        """Gives it back."""
        await self._leases.release(self._lease)


class Sweep:
    """Sweeps now and again.

    Args:
        jobs: What has had its time.
        parts: What is archived.
        archive: Where it is.
        objects: Where answers of jobs are.
        retentions: How long things are kept.
        leases: Who may sweep.
        clock: The time.
        interval: Between two sweeps.
    """

    def __init__(
        self,
        *,
        jobs: MongoDueStore,
        parts: MongoPartStore,
        archive: Archive,
        objects: ArchiveObjects,
        retentions: Retentions,
        leases: Leases,
        clock: Clock,
        interval: timedelta,
    ) -> None:
        self._jobs = jobs
        self._parts = parts
        self.archive = archive
        self._objects = objects
        self._retentions = retentions
        self._leases = leases
        self._clock = clock
        self._interval_s = interval.total_seconds()

    async def run(self) -> None:
        """Sweeps again and again, until canceled."""
        while True:
            try:
                await self.sweep()
            except LeaseLostError:  # whoever holds it goes on with what was begun
                log.warning("sweep_taken_over")
            except Unavailable as error:  # what stays is found the next time
                metrics.DELAYED.labels(error.metadata.get("dependency", "")).inc()
                log.warning("sweep_broken_off", error=error.message)
            await asyncio.sleep(self._interval_s)

    async def sweep(self) -> bool:
        """Archives and deletes all that has had its time; answers whether it was this replica's turn.

        Raises:
            LeaseLostError: It took so long that another has taken over.
            Unavailable: MongoDB is away.
        """
        lease = await self._leases.take(SWEEP)
        if lease is None:
            metrics.OLDEST_DUE_SECONDS.set(0)  # whoever sweeps tells it
            return False
        held = Holding(self._leases, lease)
        try:
            await self._sweep(held)
        finally:
            await held.release()
        return True

    async def erase(self, tenant: str, connection_id: str, before: datetime) -> tuple[int, bool]:
        """Takes jobs out of the archive that were made before a time: a tenant's, or those of one of its connections.

        Returns:
            How many jobs were taken out, and whether to ask again: something may be left, or a sweep is under way.

        Raises:
            LeaseLostError: It took so long that another has taken over; ask again.
            Unavailable: A store is away; some may be taken out.
        """
        lease = await self._leases.take(SWEEP)
        if lease is None:
            return 0, True
        held = Holding(self._leases, lease)
        try:
            erased = await self.archive.erase(tenant, connection_id, before, held, limit=_ERASED_AT_ONCE)
        finally:
            await held.release()
        return erased, erased > 0

    async def _sweep(self, held: Holding) -> None:
        """All tenants, one after the other; where the object store is away, those that need it wait."""
        retentions = await self._retentions.all()
        away = not await self._go_on(held)
        oldest = timedelta()
        for tenant in sorted({*await self._jobs.tenants(), *await self._parts.tenants()}):
            retention = retentions.get(tenant, self._retentions.default)
            if away and retention.archive:
                oldest = max(oldest, await self._overdue(tenant, retention))
                continue
            try:
                await self._sweep_tenant(tenant, retention, held)
            except Unavailable as error:
                self._note_away(error, tenant)
                away = True
                oldest = max(oldest, await self._overdue(tenant, retention))
        metrics.OLDEST_DUE_SECONDS.set(oldest.total_seconds())

    async def _go_on(self, held: Holding) -> bool:
        """Goes on with what was begun and not done with; answers whether the object store was there for it."""
        try:
            await self.archive.clear(held)
            for part_id in dict.fromkeys([*await self._parts.open(), *await self._jobs.marked_parts()]):
                await self._finish(part_id, held, begun=True)
        except Unavailable as error:
            self._note_away(error, "")
            return False
        return True

    async def _sweep_tenant(self, tenant: str, retention: Retention, held: Holding) -> None:
        now = self._clock.now()
        while due := await self._jobs.due(tenant, retention, now, limit=MAX_PART_JOBS):
            began = time.monotonic()
            part_id = str(ids.uuid7())
            await held.renew()
            await self._jobs.mark([job.id for job in _of_one_part(due)], part_id)
            await self._finish(part_id, held)
            await asyncio.sleep(max(time.monotonic() - began, _PAUSE.total_seconds()))
        await self.archive.remove_older(tenant, now - retention.archives, held)

    async def _finish(self, part_id: str, held: Holding, *, begun: bool = False) -> None:
        """Takes a part from where it is to its end.

        Args:
            part_id: Its id, which jobs are marked with.
            held: The right to.
            begun: Whether another may have put it before.
        """
        kept = await self._parts.get(part_id)
        jobs = await self._jobs.marked(part_id, content=kept is None)
        if kept is not None and not kept.job_ids:  # they were marked when it was done with
            await self._jobs.unmark(part_id)
            return
        archived = kept is not None
        if kept is None and jobs and self._retentions.known(jobs[0].tenant).archive:
            archived = any(job.record is not None for job in jobs)
            if archived:
                kept = await self.archive.write(part_id, jobs, held)
                if begun:
                    await self.archive.delete_strays_of(kept)
        if kept is not None:
            await self.archive.publish(kept.tenant, kept.day, held)
        these = set(kept.job_ids) if kept is not None else {job.id for job in jobs}
        await self._delete(part_id, [job for job in jobs if job.id in these], held, archived=archived)

    async def _delete(self, part_id: str, jobs: Sequence[Marked], held: Holding, *, archived: bool) -> None:
        results = [key for job in jobs for key in job.results]
        await held.renew()
        for start in range(0, len(results), _OBJECTS_AT_ONCE):
            await self._objects.delete_many(results[start : start + _OBJECTS_AT_ONCE])
        left = await self._jobs.delete(part_id, [job.id for job in jobs])
        if not left and archived:
            await self._parts.close(part_id)
        metrics.DELETED.labels(str(archived).lower()).inc(len(jobs) - left)
        if jobs:
            log.info("jobs_deleted", tenant=jobs[0].tenant, part=part_id, jobs=len(jobs) - left, archived=archived)

    async def _overdue(self, tenant: str, retention: Retention) -> timedelta:
        now = self._clock.now()
        due = await self._jobs.due(tenant, retention, now, limit=1, begun=True)
        return max((now - job.since for job in due), default=timedelta())

    @staticmethod
    def _note_away(error: Unavailable, tenant: str) -> None:
        """Notes that the object store is away.

        Raises:
            Unavailable: It is another that is away.
        """
        if error.metadata.get("dependency") != "objects":
            raise error
        metrics.DELAYED.labels("objects").inc()
        log.warning("archive_delayed", tenant=tenant, error=error.message)


def _of_one_part(due: Sequence[Due]) -> Sequence[Due]:
    """Those with which the next part begins: of one day, and not too large together."""
    size = 0
    for count, job in enumerate(due):
        size += job.size
        if job.day != due[0].day or (count and size > MAX_PART_BYTES):
            return due[:count]
    return due
