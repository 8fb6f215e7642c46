"""What an erasure is, how far one can be, and what is known of the stores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: How long an erasure can be taken back unless told: no tenant is gone by one mistaken call.
TENANT_GRACE = timedelta(days=7)
CONNECTION_GRACE = timedelta(0)
MAX_GRACE = timedelta(days=30)
MAX_REASON_CHARACTERS = 1000
#: An erasure is remembered for longer than any backup is kept from which its things could come back.
REMEMBERED = timedelta(days=400)
#: The log of jobs can bring back what is of before an erasure for so long: it goes back 7 days, and a job that it tells
#: of may have been made up to 8 days before its last event.
BRINGS_BACK = timedelta(days=16)
#: A file of an export is kept for so long, and a link to it is good for so long.
EXPORT_KEPT = timedelta(days=7)
LINK_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """All that is of before a time and of a tenant, or of one of its connections, is to be nowhere."""

    #: Of the operation that carries it out.
    operation_id: str
    tenant: str
    #: Empty for all of the tenant's.
    connection_id: str
    before: datetime


class Stage(StrEnum):
    """What the next turn of an erasure does."""

    #: Learns how the tenant stands.
    LOOK = "look"
    #: Shuts it out.
    SHUT = "shut"
    #: Waits for its grace to be over.
    WAIT = "wait"
    #: Erases, everywhere.
    ERASE = "erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What is known of one store."""

    store: str
    removed: int = 0
    forgets_by: datetime | None = None
    note: str = ""

    def after(self, later: StoreState) -> StoreState:
        """What is known of it after it was asked once more."""
        return replace(later, removed=self.removed + later.removed)


def merged(known: Mapping[str, StoreState], reports: Iterable[StoreState]) -> dict[str, StoreState]:
    """What is known of all stores after some have reported."""
    stores = dict(known)
    for report in reports:
        stores[report.store] = stores.get(report.store, StoreState(store=report.store)).after(report)
    return stores


def kept_beside(tenant: str, *, whole: bool, at: datetime, backups_kept: timedelta) -> list[StoreState]:
    """The stores that forget by themselves, by when each has.

    Args:
        tenant: Whose.
        whole: Whether all of the tenant's was erased, and no connection's alone.
        at: When all others had nothing left.
        backups_kept: For how long the oldest backup is kept.
    """
    lasting = [
        ("stream.JOBS", timedelta(days=7), "the log drops what is older"),
        ("stream.NOTICES", timedelta(days=7), "the log drops what is older"),
        ("stream.AUDIT", timedelta(days=30), "the log drops what is older"),
        ("history.operations", timedelta(days=30), "this operation"),
        ("history.jobs.incomplete", timedelta(days=1), "that jobs have ended, where the log told so after all"),
        ("nats.intake", BRINGS_BACK, f"that {tenant!r} was erased, so that the log brings nothing back"),
        ("history.erasures", REMEMBERED, f"that {tenant!r} was erased, so that no backup brings anything back"),
        ("objects.erasures", REMEMBERED, f"that {tenant!r} was erased, so that no backup brings anything back"),
    ]
    if backups_kept:
        lasting.append(("backups", backups_kept, "the last backup that was made before the end goes by then"))
    beside = [StoreState(store=store, forgets_by=at + kept, note=note) for store, kept, note in lasting]
    if whole:
        beside.append(StoreState(store="nats.scheduler", note="that the name is suspended, as auth.tenants has it"))
    return beside
