"""The archive: jobs that are deleted here, written to the object store by tenant and day, and kept there for a while.

    archive/<tenant>/<yyyy>/<mm>/<dd>/<part>.ndjson.gz
    archive/<tenant>/<yyyy>/<mm>/<dd>/manifest.json

A part is put, then noted (`parts`), then named in its day's manifest; what is removed goes the other way. So a manifest
names nothing that is not there, whoever is killed in between.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.history.retention import metrics
from services.history.retention.archive_format import (
    MANIFEST,
    MANIFEST_TYPE,
    PART_TYPE,
    ArchiveFaultError,
    Manifest,
    line_of,
    pack,
    unpack,
)
from services.history.retention.parts import KeptPart
from shared import observability
from shared.objects import ARCHIVE, ObjectNotFoundError, ObjectTooLargeError, archive_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from services.history.retention.archive_format import Packed
    from services.history.retention.jobs import Marked
    from services.history.retention.parts import MongoPartStore
    from services.history.retention.surroundings import ArchiveObjects, Held
    from shared.clock import Clock

log = observability.logger()

#: Parts removed in one go: each is one object.
REMOVED_AT_ONCE = 500
#: What lies there for so long and is no part is of a sweep that was killed, or of before a restore; whoever is about to
#: note it has done so long since.
_STRAY_AFTER = timedelta(hours=1)
_EVER = datetime.max.replace(tzinfo=UTC)
_UNREADABLE = (ArchiveFaultError, ObjectNotFoundError, ObjectTooLargeError)


class Archive:
    """Writes parts, removes and rewrites them. Everything raises `Unavailable` where a store is away.

    Args:
        objects: Where they are put.
        parts: Where they are noted.
        clock: The time.
    """

    def __init__(self, objects: ArchiveObjects, parts: MongoPartStore, *, clock: Clock) -> None:
        self._objects = objects
        self._parts = parts
        self._clock = clock

    async def write(self, part_id: str, jobs: Sequence[Marked], held: Held) -> KeptPart:
        """Puts and notes a part, unless it is noted already; answers with the one that is.

        Args:
            part_id: Its id.
            jobs: Of one tenant and day, one of which has a record at least.
            held: The right to.
        """
        packed = await asyncio.to_thread(_packed, part_id, jobs)
        made = [job.created_at for job in jobs if job.record is not None and job.created_at is not None]
        kept = KeptPart(
            id=part_id,
            tenant=jobs[0].tenant,
            day=jobs[0].day,
            part=packed.part,
            archived_at=self._now(),
            oldest=min(made),
            newest=max(made),
            connections=_oldest_by_connection((job.connection_id, job.created_at) for job in jobs),
            job_ids=[job.id for job in jobs],
        )
        await held.renew()
        await self._put(kept, packed)
        noted = await self._parts.add(kept)
        metrics.ARCHIVED.inc(packed.part.jobs)
        metrics.ARCHIVED_BYTES.inc(packed.part.bytes)
        return noted

    async def publish(self, tenant: str, day: date, held: Held) -> None:
        """Has a day's manifest name its parts: no more, and no fewer."""
        while True:
            parts = [kept.part for kept in await self._parts.of_day(tenant, day)]
            await held.renew()
            if parts:
                manifest = Manifest(tenant=tenant, day=day, parts=parts)
                await self._objects.put(
                    archive_key(tenant, day, MANIFEST), manifest.encode(), content_type=MANIFEST_TYPE
                )
            else:
                await self._objects.delete(archive_key(tenant, day, MANIFEST))
            # another who took itself for the one that may may have put an older one in between
            if parts == [kept.part for kept in await self._parts.of_day(tenant, day)]:
                return

    async def remove_older(self, tenant: str, before: datetime, held: Held) -> None:
        """Removes what was archived of a tenant before a time."""
        while await self._parts.remove_older(tenant, before, limit=REMOVED_AT_ONCE):
            await self.clear(held)

    async def clear(self, held: Held) -> None:
        """Deletes parts that are to be removed, and what others were before, of all tenants."""
        for kept in await self._parts.left_over():
            await self.publish(kept.tenant, kept.day, held)
            await self._objects.delete_many([archive_key(kept.tenant, kept.day, name) for name in kept.leftovers])
            await self._parts.clear(kept)
        while removed := await self._parts.removed(limit=REMOVED_AT_ONCE):
            days = {(kept.tenant, kept.day): None for kept in removed}
            for tenant, day in days:
                await self.publish(tenant, day, held)
            await self._objects.delete_many([archive_key(kept.tenant, kept.day, kept.part.name) for kept in removed])
            await self._parts.forget([kept.id for kept in removed])
            for tenant, day in days:
                if not await self._parts.of_day(tenant, day):
                    await self._delete_strays(archive_key(tenant, day, ""), tenant)
            metrics.REMOVED_PARTS.inc(len(removed))
            log.info("archive_parts_removed", parts=len(removed), days=len(days))

    async def erase(self, tenant: str, connection_id: str, before: datetime, held: Held, *, limit: int) -> int:
        """Takes the jobs of a tenant, or of one of its connections, out of the archive, of so many parts at most.

        Args:
            tenant: Whose.
            connection_id: Which connection's; empty for all of the tenant's.
            before: Jobs that were made before it.
            held: The right to.
            limit: Of parts.

        Returns:
            How many jobs were taken out; parts may be left where that is not 0.
        """
        erased = 0
        for kept in await self._parts.holding(tenant, connection_id, before, limit=limit):
            erased += await self._erase_in(kept, connection_id, before, held)
        await self.clear(held)
        if not erased:
            await self._delete_strays(f"{ARCHIVE}{tenant}/", tenant)
        return erased

    async def page(self, tenant: str, connection_id: str, *, after: str) -> tuple[Sequence[str], str]:
        """The next part's jobs of a tenant, or of one of its connections, that are nowhere else, as JSON.

        Args:
            tenant: Whose.
            connection_id: Which connection's; empty for all of the tenant's.
            after: What the page before has ended with; empty for the first.

        Returns:
            The jobs, and what the next page goes on from; empty where there is none.
        """
        found = await self._parts.page(tenant, connection_id, after=after, limit=2)
        if not found:
            return (), ""
        try:
            lines = await self._lines(found[0])
        except _UNREADABLE as error:
            log.error("archive_part_unreadable", part=found[0].part.name, error=str(error))  # noqa: TRY400  it says all
            lines = []
        if connection_id:
            lines = await asyncio.to_thread(_of_connection, lines, connection_id)
        return lines, found[0].id if len(found) > 1 else ""

    async def delete_strays_of(self, kept: KeptPart) -> None:
        """Deletes what lies beside a part under its id: others have put it, who were killed before they noted it."""
        mine = archive_key(kept.tenant, kept.day, kept.part.name)
        prefix = archive_key(kept.tenant, kept.day, kept.id)
        async for keys in self._objects.older(prefix, _EVER):
            await self._objects.delete_many([key for key in keys if key != mine])

    async def _erase_in(self, kept: KeptPart, connection_id: str, before: datetime, held: Held) -> int:
        """Takes jobs out of one part, which is another one then, or to be removed where none are left."""
        try:
            lines = await self._lines(kept)
        except _UNREADABLE as error:  # what cannot be read cannot be cleaned, and what is to be erased must go
            log.error("archive_part_dropped", part=kept.part.name, error=str(error))  # noqa: TRY400  it says all
            await self._parts.remove(kept.id)
            return kept.part.jobs
        left = await asyncio.to_thread(_left, lines, connection_id, before)
        if not left:
            await self._parts.remove(kept.id)
            return kept.part.jobs
        packed = await asyncio.to_thread(pack, kept.id, [line for line, _, _ in left])
        by = replace(
            kept,
            part=packed.part,
            oldest=min(made for _, _, made in left),
            newest=max(made for _, _, made in left),
            connections=_oldest_by_connection((connection, made) for _, connection, made in left),
        )
        await held.renew()
        await self._put(by, packed)
        await self._parts.replace(kept, by)
        return kept.part.jobs - packed.part.jobs

    async def _delete_strays(self, prefix: str, tenant: str) -> None:
        """Deletes what lies under a prefix, is old, and is noted nowhere."""
        known = await self._parts.names(tenant)
        keys_of_parts = {archive_key(tenant, day, name) for name, day in known.items()}
        kept = keys_of_parts | {archive_key(tenant, day, MANIFEST) for day in known.values()}
        async for keys in self._objects.older(prefix, self._now() - _STRAY_AFTER):
            strays = [key for key in keys if key not in kept]
            if strays:
                await self._objects.delete_many(strays)
                log.info("archive_strays_deleted", tenant=tenant, objects=len(strays))

    async def _lines(self, kept: KeptPart) -> list[str]:
        key = archive_key(kept.tenant, kept.day, kept.part.name)
        body = await self._objects.get(key, at_most=kept.part.bytes)
        return await asyncio.to_thread(unpack, kept.part, body)

    async def _put(self, kept: KeptPart, packed: Packed) -> None:
        await self._objects.put(
            archive_key(kept.tenant, kept.day, packed.part.name), packed.body, content_type=PART_TYPE
        )

    def _now(self) -> datetime:
        now = self._clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)  # as MongoDB keeps it


def _packed(part_id: str, jobs: Sequence[Marked]) -> Packed:
    return pack(part_id, [line_of(job.record) for job in jobs if job.record is not None])


def _left(lines: Collection[str], connection_id: str, before: datetime) -> list[tuple[str, str, datetime]]:
    """The lines that stay, each with its connection and when its job was made."""
    left: list[tuple[str, str, datetime]] = []
    for line in lines:
        job = json.loads(line)
        connection, made = job.get("connectionId", ""), _time(job["createdAt"])
        if made >= before or (connection_id and connection != connection_id):
            left.append((line, connection, made))
    return left


def _of_connection(lines: Sequence[str], connection_id: str) -> list[str]:
    return [line for line in lines if json.loads(line).get("connectionId", "") == connection_id]


def _time(text: str) -> datetime:
    """A time as proto3 JSON writes it, to the microsecond."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    microseconds = int(fraction.ljust(6, "0")[:6]) if fraction else 0
    return datetime.fromisoformat(whole).replace(tzinfo=UTC, microsecond=microseconds)


def _oldest_by_connection(jobs: Iterable[tuple[str, datetime | None]]) -> dict[str, datetime]:
    oldest: dict[str, datetime] = {}
    for connection, made in jobs:
        if connection and made is not None:
            oldest[connection] = min(made, oldest.get(connection, made))
    return oldest
