"""What history holds of a tenant or a connection, as it is exported and erased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from services.history.data.domain import EXPORT_KEPT
from services.history.data.jobs import JobShelf
from services.history.jobs.documents import DATABASE
from services.history.leases import LeaseLostError
from services.history.operations.domain import Kind, State
from shared import mongo
from shared.holdings import Erased, HoldingServicer, Page, Shelf
from shared.holdings.mongo import MongoShelf
from shared.holdings.objects import ObjectShelf
from shared.objects import EXPORTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.holdings import Subject
    from shared.holdings.objects import ErasableObjects
    from shared.mongo import Client, Document


class Figures(Protocol):
    """The statistics; `services.history.stats.store.StatsStore` is one."""

    async def erase(self, tenant: str, connection_id: str = "") -> int:
        """Removes figures, a part at a time; answers how many, 0 at the end."""
        ...


class Clearing(Protocol):
    """Takes jobs out of the archive; `services.history.retention.sweep.Sweep` is one."""

    async def erase(self, tenant: str, connection_id: str, before: datetime) -> tuple[int, bool]:
        """Takes jobs out, a part at a time; answers how many, and whether to ask again.

        Raises:
            LeaseLostError: Another replica is at it; ask again.
        """
        ...


class Archive(Protocol):
    """What was archived; `services.history.retention.archive.Archive` is one."""

    async def page(self, tenant: str, connection_id: str, *, after: str) -> tuple[Sequence[str], str]:
        """Some of the jobs, as JSON, and what the next page goes on from."""
        ...


class Retentions(Protocol):
    """How long things are kept; `services.history.retention.retentions.Retentions` is one."""

    async def erase(self, tenant: str) -> bool:
        """Removes what a tenant has of its own; answers whether it had anything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What lies beside jobs and operations.

    Args:
        figures: The statistics.
        archive: What was archived.
        clearing: Takes jobs out of it.
        retentions: How long things are kept.
    """

    figures: Figures
    archive: Archive
    clearing: Clearing
    retentions: Retentions


def servicer(client: Client, objects: ErasableObjects, beside: Beside) -> HoldingServicer:
    """What is held here, for history itself, which alone asks.

    Args:
        client: Of the database.
        objects: Keeps exports.
        beside: What lies beside jobs and operations.
    """
    database = mongo.database(client, DATABASE)
    shelves: Sequence[Shelf] = (
        JobShelf(client),
        FigureShelf(beside.figures),
        ArchiveShelf(beside.archive, beside.clearing),
        RetentionShelf(beside.retentions),
        MongoShelf(
            "history.operations",
            database.get_collection("operations"),
            _operations_of,
            hidden=("cursor", "metadata", "request", "response", "turn"),
        ),
        ExportShelf("objects.exports", objects, EXPORTS),
    )
    return HoldingServicer(shelves)


class FigureShelf:
    """Figures of the statistics, which are had by GetStats and tell nothing that jobs do not.

    Args:
        figures: The statistics.
    """

    name = "history.stats"

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`."""
        del subject, after
        return Page()

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        del before
        removed = await self._figures.erase(subject.tenant, subject.connection_id)
        return Erased(removed=removed, more=removed > 0)


class ArchiveShelf:
    """Jobs that were archived.

    Args:
        archive: Where.
        clearing: Takes jobs out of it.
    """

    name = "objects.archive"

    def __init__(self, archive: Archive, clearing: Clearing) -> None:
        self._archive = archive
        self._clearing = clearing

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`."""
        return Page(*await self._archive.page(subject.tenant, subject.connection_id, after=after))

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        try:
            removed, again = await self._clearing.erase(subject.tenant, subject.connection_id, before)
        except LeaseLostError:  # whoever has it now lets go of it soon
            removed, again = 0, True
        return Erased(removed=removed, more=again and removed > 0, pending=again)


class RetentionShelf:
    """How long a tenant has its things kept, which GetRetention tells.

    Args:
        retentions: Where.
    """

    name = "history.retentions"

    def __init__(self, retentions: Retentions) -> None:
        self._retentions = retentions

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`."""
        del subject, after
        return Page()

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        del before
        if subject.connection_id:
            return Erased()
        return Erased(removed=int(await self._retentions.erase(subject.tenant)))


class ExportShelf(ObjectShelf):
    """Exports that were made: those of a tenant may hold what is of a connection, until their time is over."""

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`: an export is no part of the next one."""
        del subject, after
        return Page()

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        if not subject.connection_id:
            return await super().erase(subject, before=before)
        return Erased(forgets_by=before + EXPORT_KEPT, note="exports that were made before, if there were any")


def _operations_of(subject: Subject) -> Document | None:
    """A tenant's but for those that erase it: of one that erases itself, its report is to be read."""
    if subject.connection_id:
        return None
    erasing = {"kind": Kind.ERASE_DATA, "state": State.RUNNING}
    return {"tenant": subject.tenant, "$nor": [erasing]}
